"""Actions on servers: POST /servers/{id}/action, one handler a key of the body."""

from collections.abc import Awaitable, Callable
from typing import Any

from pileus.compute.api import server_view
from pileus.compute.api.reach import own_target, reach_server, target_of
from pileus.compute.app import actions, passwords, rebuilding, security_groups, servers
from pileus.compute.app.rebuilding import RebuildRequest
from pileus.compute.domain.launch import canonical_address, check_user_data
from pileus.compute.domain.server_states import Action, VmState
from pileus.compute.service import Compute
from pileus.foundation.errors import BadRequest
from pileus.foundation.http.request import Request, Response, answer, empty

Handler = Callable[[Request[Compute]], Awaitable[Response]]


def simple(action: Action) -> Handler:
    """The handler of an action that takes nothing and is only begun."""

    async def begin_action(request: Request[Compute]) -> Response:
        server = await reach_server(request)
        context = request.context
        await actions.act(request.service, context, server, action, may_override_lock=context.is_admin)
        return empty(202)

    return begin_action


async def reboot_server(request: Request[Compute]) -> Response:
    is_hard = request.body["reboot"]["type"].upper() == "HARD"
    return await simple(Action.REBOOT_HARD if is_hard else Action.REBOOT_SOFT)(request)


async def change_password(request: Request[Compute]) -> Response:
    server = await reach_server(request)
    secret = {"password": request.body["changePassword"]["adminPass"]}
    context = request.context
    await actions.act(
        request.service, context, server, Action.CHANGE_PASSWORD, secret=secret, may_override_lock=context.is_admin
    )
    return empty(202)


async def force_delete_server(request: Request[Compute]) -> Response:
    server = await reach_server(request)
    context = request.context
    await actions.delete(request.service, context, server, force=True, may_override_lock=context.is_admin)
    return empty(202)


async def lock_server(request: Request[Compute]) -> Response:
    server = await reach_server(request)
    reason = (request.body["lock"] or {}).get("locked_reason")
    await servers.lock_server(request.service, request.context, server.id, reason)
    return empty(202)


async def unlock_server(request: Request[Compute]) -> Response:
    server = await reach_server(request)
    may_override = request.may("os_compute_api:os-lock-server:unlock:unlock_override", target_of(server))
    await servers.unlock_server(request.service, request.context, server.id, may_override=may_override)
    return empty(202)


async def reset_state(request: Request[Compute]) -> Response:
    server = await reach_server(request)
    end = VmState(request.body["os-resetState"]["state"])
    await servers.reset_state(request.service, request.context, server.id, end)
    return empty(202)


async def console_output(request: Request[Compute]) -> Response:
    server = await reach_server(request)
    asked = request.body["os-getConsoleOutput"].get("length")
    lines = None if asked is None or int(asked) < 0 else int(asked)
    return answer({"output": await actions.console_output(request.service, request.context, server, lines)})


async def create_image(request: Request[Compute]) -> Response:
    """Answered with the image's address before 2.45, with its id from then on."""
    server = await reach_server(request)
    if server.is_volume_backed:
        request.authorize(target_of(server), "os_compute_api:servers:create_image:allow_volume_backed")
    body = request.body["createImage"]
    image_id = await actions.create_image(
        request.service, request.context, server, body["name"], body.get("metadata", {})
    )
    if request.version >= (2, 45):
        return answer({"image_id": image_id}, 202)
    return empty(202, [("location", request.href(f"/images/{image_id}"))])


async def add_security_group(request: Request[Compute]) -> Response:
    server = await reach_server(request)
    await security_groups.add(request.service, request.context, server, request.body["addSecurityGroup"]["name"])
    return empty(202)


async def remove_security_group(request: Request[Compute]) -> Response:
    server = await reach_server(request)
    name = request.body["removeSecurityGroup"]["name"]
    await security_groups.remove(request.service, request.context, server, name)
    return empty(202)


_REBUILD = {
    "name": "name",
    "description": "description",
    "hostname": "hostname",
    "accessIPv4": "access_ip_v4",
    "accessIPv6": "access_ip_v6",
    "OS-DCF:diskConfig": "disk_config",
    "key_name": "key_name",
    "user_data": "user_data",
    "metadata": "metadata",
}


async def rebuild_server(request: Request[Compute]) -> Response:
    """The answer is the server as it will be, with the new password; before 2.75 only a part of it."""
    server = await reach_server(request)
    body = request.body["rebuild"]
    wanted = _read_rebuild(body)
    if body.get("trusted_image_certificates"):
        request.authorize(own_target(request), "os_compute_api:servers:rebuild:trusted_certs")
    after = await rebuilding.rebuild(request.service, request.context, server, wanted)
    more: dict[str, Any] = {"adminPass": body.get("adminPass") or passwords.generate(request.service.runtime)}
    if request.version >= (2, 54):
        more["key_name"] = after.key_name
    if request.version >= (2, 57):
        more["user_data"] = after.user_data
    location = [("location", request.href(f"/v2.1/servers/{server.id}"))]
    response = await server_view.show_changed(request, after, status=202, more=more)
    response.headers.extend(location)
    return response


def _read_rebuild(body: dict[str, Any]) -> RebuildRequest:
    facts: dict[str, Any] = {_REBUILD[name]: value for name, value in body.items() if name in _REBUILD}
    check_user_data(facts.get("user_data"))
    if "access_ip_v6" in facts:
        facts["access_ip_v6"] = canonical_address(facts["access_ip_v6"])
    if body.get("preserve_ephemeral") in (True, "True", "true", "1"):
        raise BadRequest("preserve_ephemeral is not supported by the hypervisors of this cloud.")
    if "personality" in body:
        facts["files"] = tuple((file["path"], file["contents"]) for file in body["personality"])
    if "trusted_image_certificates" in body:
        certificates = body["trusted_image_certificates"]
        facts["trusted_image_certificates"] = None if certificates is None else tuple(certificates)
    return RebuildRequest(image_id=body["imageRef"], changes=facts)
