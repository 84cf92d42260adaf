"""Quotas on the wire. Everybody sees their own project's."""

import msgspec

from pileus.foundation.http.request import Response, answer, empty
from pileus.network.api import access
from pileus.network.api.access import Call
from pileus.network.api.bodies import is_true
from pileus.network.app import quotas
from pileus.network.domain.quota import DEFAULTS


def _may_look(request: Call) -> str:
    """The project of the path. Raises: PolicyNotAuthorized (403) when it is another's."""
    project_id = request.params["project_id"]
    if project_id == request.context.project_id:
        request.authorized = True
    else:
        access.enforce(request, access.of_project(project_id))
    return project_id


async def list_quotas(request: Call) -> Response:
    access.enforce(request, access.of_project(request.context.project_id))
    found = await quotas.all_limits(request.service)
    if not request.context.is_admin:
        found = {project: limits for project, limits in found.items() if project == request.context.project_id}
    return answer(
        {
            "quotas": [
                {**limits, "project_id": project_id, "tenant_id": project_id} for project_id, limits in found.items()
            ]
        }
    )


async def show_quota(request: Call) -> Response:
    return answer({"quota": await quotas.limits(request.service, _may_look(request))})


async def show_default_quota(request: Call) -> Response:
    _may_look(request)
    return answer({"quota": request.service.settings.quotas})


async def show_quota_details(request: Call) -> Response:
    usage = await quotas.usage(request.service, _may_look(request))
    return answer({"quota": {name: msgspec.to_builtins(line) for name, line in usage.items()}})


async def update_quota(request: Call) -> Response:
    project_id = request.params["project_id"]
    access.enforce(request, access.of_project(project_id))
    item = request.body["quota"]
    wanted = {name: int(item[name]) for name in DEFAULTS if name in item}
    await quotas.update(request.service, project_id, wanted, force=is_true(item.get("force", False)))
    return answer({"quota": await quotas.limits(request.service, project_id)})


async def delete_quota(request: Call) -> Response:
    project_id = request.params["project_id"]
    access.enforce(request, access.of_project(project_id))
    await quotas.delete(request.service, project_id)
    return empty()
