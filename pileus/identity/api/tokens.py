"""Logging in, looking at tokens, logging out, and what a token's holder may reach."""

from typing import Any

from pileus.foundation.errors import Forbidden
from pileus.foundation.http.request import Request, Response, answer, empty
from pileus.identity.api import token_view, views
from pileus.identity.api.auth_schema import read_login
from pileus.identity.api.listing import collection, flag
from pileus.identity.app import login, projects, sessions
from pileus.identity.app.service import Identity
from pileus.identity.app.tokens import Worth
from pileus.identity.domain.assignment import ALL
from pileus.identity.domain.errors import NoSubjectToken, UnknownToken
from pileus.identity.domain.token import SYSTEM

Asked = Request[Identity]


async def issue_token(request: Asked) -> Response:
    issued = await login.log_in(request.service, read_login(request.body), request.context)
    return await _shown(request, issued.text, issued.worth, 201)


async def show_token(request: Asked) -> Response:
    """Validate a token. A service may ask about one that has ended, for work it accepted before."""
    text, worth = await _subject(request)
    return await _shown(request, text, worth, 200)


async def check_token(request: Asked) -> Response:
    text, _ = await _subject(request)
    return Response(200, headers=[("x-subject-token", text), *_epoch(request)], content_type="application/json")


async def revoke_token(request: Asked) -> Response:
    text, _ = await _subject(request)
    await sessions.end(request.service, text)
    return empty()


async def _subject(request: Asked) -> tuple[str, Worth]:
    """The token in question, once policy lets the caller ask about it."""
    text = request.headers.get("x-subject-token", "")
    if not text:
        raise NoSubjectToken()
    even_ended = flag(request, "allow_expired") and request.context.is_service
    worth = await sessions.examine(request.service, text, request.context, even_ended=even_ended)
    request.authorize({"target": {"token": {"user_id": worth.token.user_id}}})
    if sessions.is_limited(worth) and not _enforces_access_rules(request):
        raise UnknownToken()
    return text, worth


def _enforces_access_rules(request: Asked) -> bool:
    """Whether the caller promises to hold the token to its access rules; else it must not see it as valid."""
    return request.headers.get("openstack-identity-access-rules", "") == "1"


async def _shown(request: Asked, text: str, worth: Worth, status: int) -> Response:
    identity = request.service
    catalog = None
    if worth.token.scope and not flag(request, "nocatalog"):
        epoch = await identity.tokens.current_epoch()
        catalog = await identity.catalogs.of(worth, views.cloud_url(request), epoch)
    document = {"token": token_view.render(worth, catalog)}
    return answer(document, status, [("x-subject-token", text), *_epoch(request)])


def _epoch(request: Asked) -> list[tuple[str, str]]:
    """The epoch of revocations, for services that remember the answer."""
    return [("x-pileus-epoch", str(request.service.epoch.value))] if request.context.is_service else []


# -- what the token's holder may reach ----------------------------------------------------------------------
async def _own_worth(request: Asked) -> Worth:
    worth, _, _ = await request.service.tokens.look_up(request.context.token)
    return worth


async def show_catalog(request: Asked) -> Response:
    worth = await _own_worth(request)
    if not worth.token.scope:
        raise Forbidden()
    identity = request.service
    epoch = await identity.tokens.current_epoch()
    catalog = await identity.catalogs.of(worth, views.cloud_url(request), epoch)
    return answer({"catalog": catalog, "links": {"self": request.href("/v3/auth/catalog")}})


async def list_auth_projects(request: Asked) -> Response:
    """The projects that the caller can get a token for."""
    found = await projects.projects_of_user(request.service, request.context.user_id)
    usable = [views.project(request, each) for each in found if each.enabled and not each.is_domain]
    return collection(request, "projects", usable)


async def list_auth_domains(request: Asked) -> Response:
    """The domains that the caller can get a token for."""
    found = await projects.domains_of_user(request.service, request.context.user_id)
    return collection(request, "domains", [views.domain(request, each) for each in found if each.enabled])


async def list_auth_system(request: Asked) -> Response:
    """Whether the caller can get a token for the system."""
    has_any = await request.service.tokens.assigned(request.context.user_id, SYSTEM, ALL)
    systems: list[dict[str, Any]] = [{"all": True}] if has_any else []
    return answer({"system": systems, "links": {"self": request.href("/v3/auth/system")}})
