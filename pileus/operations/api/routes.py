"""The operators' API as a table, and its error body."""

from typing import Any

from pileus.foundation import errors
from pileus.foundation.http.app import Api
from pileus.foundation.http.request import Request, Response, answer
from pileus.foundation.http.route import Route
from pileus.foundation.policy import RuleDefault
from pileus.operations.app import inspect
from pileus.operations.service import Operations

ADMIN = "role:admin"
POLICIES = (
    RuleDefault("pileus:trace", f"({ADMIN}) or (role:reader and project_id:%(project_id)s)", "See a launch's steps"),
    RuleDefault("pileus:trace:hosts", ADMIN, "See host names in a trace"),
    RuleDefault("pileus:operate", ADMIN, "See and steer flows, audit, status"),
)

Ask = Request[Operations]


async def root(request: Ask) -> Response:
    links = [{"rel": "self", "href": request.href("/v1")}]
    return answer({"versions": [{"id": "v1.0", "status": "CURRENT", "links": links}]})


async def show_trace(request: Ask) -> Response:
    everything = request.may("pileus:trace:hosts", {})
    project_id = None if everything else request.context.project_id
    request.authorize({"project_id": request.context.project_id})
    found = await inspect.trace(
        request.service, request.params["server_id"], show_hosts=everything, project_id=project_id
    )
    return answer(found)


async def list_flows(request: Ask) -> Response:
    return answer({"flows": await inspect.flows(request.service)})


async def show_flow(request: Ask) -> Response:
    return answer({"flow": await inspect.flow(request.service, request.params["flow_id"])})


async def resume_flow(request: Ask) -> Response:
    return answer({"flow": await inspect.resume(request.service, request.params["flow_id"])}, 202)


async def abandon_flow(request: Ask) -> Response:
    return answer({"flow": await inspect.resume(request.service, request.params["flow_id"], abandon=True)}, 202)


async def show_audit(request: Ask) -> Response:
    return answer(await inspect.audit(request.service))


async def show_status(request: Ask) -> Response:
    return answer(await inspect.status(request.service))


OPERATE = "pileus:operate"
ROUTES = (
    Route("GET", "/", root, None, "pileus:get:root"),
    Route("GET", "/v1/traces/{server_id}", show_trace, "pileus:trace", "pileus:get:traces/*", late=True),
    Route("GET", "/v1/flows", list_flows, OPERATE, "pileus:get:flows"),
    Route("GET", "/v1/flows/{flow_id}", show_flow, OPERATE, "pileus:get:flows/*"),
    Route("POST", "/v1/flows/{flow_id}/resume", resume_flow, OPERATE, "pileus:post:flows/*/resume", success=202),
    Route("POST", "/v1/flows/{flow_id}/abandon", abandon_flow, OPERATE, "pileus:post:flows/*/abandon", success=202),
    Route("GET", "/v1/audit", show_audit, OPERATE, "pileus:get:audit"),
    Route("GET", "/v1/status", show_status, OPERATE, "pileus:get:status"),
)


def dress(error: errors.Error, request: Request[Any]) -> Response:
    """An error as {"error": {"code", "title", "message"}}."""
    if error.code == "route.none":
        error = errors.NotFound()
    body = {"error": {"code": error.status, "title": type(error).__name__, "message": error.text}}
    return answer(body, error.status)


API = Api("pileus", ROUTES, dress)
