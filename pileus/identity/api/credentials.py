"""Users' credentials, and the older way to EC2 keys, over HTTP."""

from typing import Any

from pileus.foundation.http.request import Request, Response, answer, empty
from pileus.identity.api import views
from pileus.identity.api.bodies import own_attributes
from pileus.identity.api.listing import collection, read_filters
from pileus.identity.app import application_credentials
from pileus.identity.app import credentials as app
from pileus.identity.app.service import Identity
from pileus.identity.domain.credential import Credential, Ec2Key
from pileus.identity.domain.errors import Missing

Asked = Request[Identity]

_KNOWN = frozenset({"id", "user_id", "project_id", "type", "blob", "links"})


def _target(user_id: str) -> dict[str, Any]:
    return {"user_id": user_id, "target": {"credential": {"user_id": user_id}}}


async def _found(request: Asked) -> Credential:
    """The credential in the path, once policy lets the caller see what would be there."""
    try:
        credential = await app.get(request.service, request.params["credential_id"])
    except Missing:
        request.authorize({"target": {}})
        raise
    request.authorize(_target(credential.user_id))
    return credential


async def _parent(request: Asked, project_id: str | None = None) -> str:
    """The application credential that the caller acts with, if it may make credentials at all, and for that project.

    Raises: NotSelf (403), Missing (404) for another project than its own.
    """
    await application_credentials.refuse_restricted(request.service, request.context.token)
    parent = request.context.caller.application_credential_id
    if parent and project_id is not None and project_id != request.context.project_id:
        raise Missing(what="project", id=project_id)
    return parent


async def list_credentials(request: Asked) -> Response:
    """Each caller sees those that policy lets it get: its own, unless it reads for all."""
    request.authorize(_target(request.context.user_id))
    found = await app.list_credentials(request.service, read_filters(request, {"user_id": "user_id", "type": "type"}))
    kept = [each for each in found if request.may("identity:get_credential", _target(each.user_id))]
    return collection(request, "credentials", [views.credential(request, each) for each in kept])


async def show_credential(request: Asked) -> Response:
    return answer({"credential": views.credential(request, await _found(request))})


async def create_credential(request: Asked) -> Response:
    body = request.body["credential"]
    request.authorize(_target(body["user_id"]))
    project_id = body.get("project_id")
    credential = Credential(
        id="",
        user_id=body["user_id"],
        type=body["type"],
        blob=body["blob"],
        project_id=project_id,
        application_credential_id=await _parent(request, project_id),
        extra=own_attributes(body, _KNOWN),
    )
    return answer({"credential": views.credential(request, await app.create(request.service, credential))}, 201)


async def update_credential(request: Asked) -> Response:
    credential = await _found(request)
    await _parent(request)
    body = request.body["credential"]
    updated = await app.update(request.service, credential.id, body.get("blob"), own_attributes(body, _KNOWN))
    return answer({"credential": views.credential(request, updated)})


async def delete_credential(request: Asked) -> Response:
    credential = await _found(request)
    await _parent(request)
    await app.delete(request.service, credential.id)
    return empty()


# -- EC2 ----------------------------------------------------------------------------------------------------
def _ec2(request: Asked, credential: Credential, key: Ec2Key) -> dict[str, Any]:
    path = f"/v3/users/{credential.user_id}/credentials/OS-EC2/{key.access}"
    return {
        "user_id": credential.user_id,
        "tenant_id": credential.project_id,
        "access": key.access,
        "secret": key.secret,
        "trust_id": key.trust_id,
        "links": {"self": request.href(path)},
    }


def _authorize(request: Asked) -> str:
    user_id = request.params["user_id"]
    request.authorize(_target(user_id))
    return user_id


async def list_ec2(request: Asked) -> Response:
    found = await app.list_ec2(request.service, _authorize(request))
    return collection(request, "credentials", [_ec2(request, *each) for each in found])


async def show_ec2(request: Asked) -> Response:
    found = await app.find_ec2(request.service, _authorize(request), request.params["credential_id"])
    return answer({"credential": _ec2(request, *found)})


async def create_ec2(request: Asked) -> Response:
    user_id = _authorize(request)
    project_id = request.body["tenant_id"]
    parent = await _parent(request, project_id)
    made = await app.create_ec2(request.service, user_id, project_id, parent)
    return answer({"credential": _ec2(request, *made)}, 201)


async def delete_ec2(request: Asked) -> Response:
    credential, _ = await app.find_ec2(request.service, _authorize(request), request.params["credential_id"])
    await _parent(request)
    await app.delete(request.service, credential.id)
    return empty()
