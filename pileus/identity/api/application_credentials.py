"""Application credentials and their access rules over HTTP."""

from typing import Any

from pileus.foundation.errors import BadRequest
from pileus.foundation.http.request import Request, Response, answer, empty
from pileus.identity.api import views
from pileus.identity.api.listing import collection
from pileus.identity.app import application_credentials as app
from pileus.identity.app.application_credentials import RuleWish
from pileus.identity.app.service import Identity
from pileus.identity.domain import moments
from pileus.identity.domain.application_credential import ApplicationCredential
from pileus.identity.domain.errors import Missing, NeedsProject
from pileus.identity.domain.role import Role

Asked = Request[Identity]


def _authorize(request: Asked) -> str:
    """The user in the path, once policy lets the caller act for that one."""
    user_id = request.params["user_id"]
    request.authorize({"user_id": user_id, "target": {"user": {"id": user_id}}})
    return user_id


async def _view(request: Asked, credential: ApplicationCredential) -> dict[str, Any]:
    book = await request.service.tokens.role_book()
    rules = None
    if credential.access_rule_ids is not None:
        known = await app.rules_by_id(request.service, credential.user_id)
        rules = [known[each] for each in credential.access_rule_ids if each in known]
    roles = [book.roles[each] for each in credential.role_ids if each in book.roles]
    return views.application_credential(request, credential, roles, rules)


async def create_application_credential(request: Asked) -> Response:
    user_id = _authorize(request)
    identity = request.service
    await app.refuse_restricted(identity, request.context.token)
    project_id = request.context.project_id
    if not project_id:
        raise NeedsProject()
    body = request.body["application_credential"]
    worth, _, _ = await identity.tokens.look_up(request.context.token)
    held = frozenset(role.id for role in worth.roles)
    wished = body.get("access_rules")
    made, secret = await app.create(
        identity,
        ApplicationCredential(
            id="",
            user_id=user_id,
            name=body["name"],
            project_id=project_id,
            description=body.get("description"),
            expires_at=_expires_at(request, body.get("expires_at")),
            unrestricted=bool(body.get("unrestricted")),
            role_ids=_role_ids(body.get("roles"), worth.roles),
        ),
        held,
        secret=body.get("secret"),
        rules=None if wished is None else [RuleWish(**rule) for rule in wished],
    )
    return answer({"application_credential": {**await _view(request, made), "secret": secret}}, 201)


def _expires_at(request: Asked, text: str | None) -> int | None:
    """Raises: BadRequest for what is no moment, or a past one."""
    if text is None:
        return None
    try:
        moment = moments.read(text)
    except (ValueError, OverflowError) as error:
        raise BadRequest(
            f"Invalid input for field/attribute expires_at. Value: {text}. It is no ISO 8601 time"
        ) from error
    if moment <= request.service.runtime.now():
        raise BadRequest("Invalid input for field/attribute expires_at. It lies in the past")
    return moment


def _role_ids(wished: list[dict[str, str]] | None, held: tuple[Role, ...]) -> tuple[str, ...]:
    """The roles asked for by id or name; all that the caller has when none was asked for.

    Raises: Missing (404) for a name the caller has no role of.
    """
    if not wished:
        return tuple(role.id for role in held)
    by_name = {role.name: role.id for role in held}
    for wish in wished:
        if "id" not in wish and wish["name"] not in by_name:
            raise Missing(what="role", id=wish["name"])
    return tuple(dict.fromkeys(wish["id"] if "id" in wish else by_name[wish["name"]] for wish in wished))


async def list_application_credentials(request: Asked) -> Response:
    found = await app.list_of(request.service, _authorize(request))
    name = request.first("name")
    kept = [await _view(request, each) for each in found if name is None or each.name == name]
    return collection(request, "application_credentials", kept)


async def show_application_credential(request: Asked) -> Response:
    user_id = _authorize(request)
    found = await app.get(request.service, user_id, request.params["application_credential_id"])
    return answer({"application_credential": await _view(request, found)})


async def delete_application_credential(request: Asked) -> Response:
    user_id = _authorize(request)
    await app.refuse_restricted(request.service, request.context.token)
    await app.delete(request.service, user_id, request.params["application_credential_id"])
    return empty()


# -- access rules -------------------------------------------------------------------------------------------
async def list_access_rules(request: Asked) -> Response:
    found = await app.rules_by_id(request.service, _authorize(request))
    return collection(request, "access_rules", [views.access_rule(request, each) for each in found.values()])


async def show_access_rule(request: Asked) -> Response:
    found = await app.get_rule(request.service, _authorize(request), request.params["access_rule_id"])
    return answer({"access_rule": views.access_rule(request, found)})


async def delete_access_rule(request: Asked) -> Response:
    user_id = _authorize(request)
    await app.delete_rule(request.service, user_id, request.params["access_rule_id"])
    return empty()
