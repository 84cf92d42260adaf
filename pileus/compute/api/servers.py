"""Servers: launching, reading, changing and deleting them."""

from collections.abc import Mapping
from typing import Any

from pileus.compute.api import server_view
from pileus.compute.api.paging import base_of, next_page
from pileus.compute.api.reach import own_target, reach_server
from pileus.compute.api.server_filters import read_query
from pileus.compute.app import actions, passwords, quotas, server_lists, servers
from pileus.compute.app.launch import launch
from pileus.compute.app.servers import ServerChanges
from pileus.compute.domain.launch import LaunchRequest, WantedPlace, canonical_address, check_user_data, read_place
from pileus.compute.domain.network_request import NetworkRequest, read_networks
from pileus.compute.domain.server_document import links
from pileus.compute.service import Compute
from pileus.foundation.errors import BadRequest
from pileus.foundation.http.request import Request, Response, answer, empty
from pileus.foundation.http.schema import is_true


# -- reading ----------------------------------------------------------------------------------------------------------
async def show_server(request: Request[Compute]) -> Response:
    sight = server_view.sight_of(request)
    found = await servers.read(request.service, request.context, request.params["server_id"], sight.form)
    request.authorize({"project_id": found.project_id, "user_id": found.user_id})
    return await server_view.show(request, found, sight)


async def list_servers(request: Request[Compute]) -> Response:
    query = read_query(request, "brief", "index")
    found = await server_lists.listed(request.service, query)
    pages = next_page(request, "/servers", found, found[-1].id if found else "")
    return server_view.list_briefly(request, found, pages)


async def list_servers_detailed(request: Request[Compute]) -> Response:
    sight = server_view.sight_of(request)
    query = read_query(request, sight.form, "detail", with_admin=sight.needs_more)
    found = await server_lists.listed(request.service, query)
    pages = next_page(request, "/servers/detail", found, found[-1].id if found else "")
    return await server_view.list_detailed(request, found, sight, pages)


# -- launching --------------------------------------------------------------------------------------------------------
async def launch_server(request: Request[Compute]) -> Response:
    body: dict[str, Any] = request.body["server"]
    wanted = read_launch(request, body)
    _ask_policy(request, body, wanted)
    await quotas.check_items(request.service, request.context, _counted(wanted))
    may_zero_disk = request.may("os_compute_api:servers:create:zero_disk_flavor", own_target(request))
    made = await launch(request.service, request.context, wanted, may_zero_disk=may_zero_disk)
    if is_true(body.get("return_reservation_id", False)):
        return answer({"reservation_id": made[0].reservation_id}, 202)
    server = made[0]
    document = {
        "id": server.id,
        "links": links("servers", server.id),
        "OS-DCF:diskConfig": server.disk_config,
        "security_groups": [{"name": name} for name in server.security_groups],
        "adminPass": wanted.admin_password,
    }
    location = [("location", f"{base_of(request)}/servers/{server.id}")]
    return server_view.answer_marked(request, {"server": document}, 202, location)


def read_launch(request: Request[Compute], body: Mapping[str, Any]) -> LaunchRequest:
    """The request in the shape of the newest microversion, whatever the caller spoke. Raises: BadRequest (400)."""
    whole = request.body
    minimum = int(body.get("min_count", 1))
    maximum = int(body.get("max_count", minimum))
    if minimum > maximum:
        raise BadRequest("min_count must be <= max_count")
    user_data = body.get("user_data")
    check_user_data(user_data)
    hints = whole.get("os:scheduler_hints", whole.get("OS-SCH-HNT:scheduler_hints", {}))
    certificates = body.get("trusted_image_certificates")
    return LaunchRequest(
        name=body["name"],
        flavor_id=str(body["flavorRef"]),
        image_id=body.get("imageRef") or None,
        description=body.get("description") if request.version >= (2, 19) else body["name"],
        hostname=body.get("hostname"),
        metadata=body.get("metadata", {}),
        tags=tuple(body.get("tags", ())),
        networks=_networks(body),
        security_groups=tuple(
            dict.fromkeys(group["name"] for group in body.get("security_groups", ()) if "name" in group)
        ),
        key_name=body.get("key_name"),
        place=read_place(body.get("availability_zone"), body.get("host"), body.get("hypervisor_hostname")),
        block_devices_v1=tuple(body.get("block_device_mapping", ())),
        block_devices_v2=tuple(body.get("block_device_mapping_v2", ())),
        scheduler_hints=hints,
        user_data=user_data,
        files=tuple((file["path"], file["contents"]) for file in body.get("personality", ())),
        config_drive=is_true(body.get("config_drive", False)),
        disk_config=body.get("OS-DCF:diskConfig", "MANUAL"),
        access_ip_v4=body.get("accessIPv4", ""),
        access_ip_v6=canonical_address(body.get("accessIPv6", "")),
        admin_password=body.get("adminPass") or passwords.generate(request.service.runtime),
        trusted_image_certificates=None if certificates is None else tuple(certificates),
        min_count=minimum,
        max_count=maximum,
    )


def _networks(body: Mapping[str, Any]) -> NetworkRequest:
    return read_networks(body.get("networks"))


def _ask_policy(request: Request[Compute], body: Mapping[str, Any], wanted: LaunchRequest) -> None:
    """Ask about the parts of a launch that have rules of their own. Raises: NotAllowed (403)."""
    own = own_target(request)
    place: WantedPlace = wanted.place
    if place.is_forced:
        request.authorize(own, "os_compute_api:servers:create:forced_host")
    elif place.host or place.node:
        request.authorize(own, "compute:servers:create:requested_destination")
    if wanted.networks.nics:
        request.authorize(own, "os_compute_api:servers:create:attach_network")
    if wanted.block_devices_v1 or wanted.block_devices_v2:
        request.authorize(own, "os_compute_api:servers:create:attach_volume")
    if body.get("trusted_image_certificates"):
        request.authorize(own, "os_compute_api:servers:create:trusted_certs")


def _counted(wanted: LaunchRequest) -> dict[str, int]:
    """What of a launch is bounded by a quota by itself."""
    asked: dict[str, int] = {}
    if wanted.metadata:
        asked["metadata_items"] = len(wanted.metadata)
    if wanted.files:
        asked["injected_files"] = len(wanted.files)
        asked["injected_file_path_bytes"] = max(len(path.encode()) for path, _ in wanted.files)
        asked["injected_file_content_bytes"] = max(len(content) * 3 // 4 for _, content in wanted.files)
    return asked


# -- changing ---------------------------------------------------------------------------------------------------------
_CHANGES = {
    "name": "name",
    "description": "description",
    "hostname": "hostname",
    "accessIPv4": "access_ip_v4",
    "accessIPv6": "access_ip_v6",
    "OS-DCF:diskConfig": "disk_config",
    "pinned_availability_zone": "pinned_availability_zone",
}


async def update_server(request: Request[Compute]) -> Response:
    server = await reach_server(request)
    facts = {_CHANGES[name]: value for name, value in request.body["server"].items()}
    if "access_ip_v6" in facts:
        facts["access_ip_v6"] = canonical_address(facts["access_ip_v6"])
    after = await servers.update(request.service, request.context, server.id, ServerChanges(**facts))
    return await server_view.show_changed(request, after)


async def delete_server(request: Request[Compute]) -> Response:
    server = await reach_server(request)
    context = request.context
    await actions.delete(request.service, context, server, may_override_lock=context.is_admin)
    return empty()
