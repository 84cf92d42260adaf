"""Identity's things as JSON: the client's own attributes first, ours on top of them."""

from typing import Any

from pileus.foundation.http.request import Request
from pileus.identity.domain import moments
from pileus.identity.domain.application_credential import AccessRule, ApplicationCredential
from pileus.identity.domain.catalog import Endpoint, Region, Service, absolute
from pileus.identity.domain.credential import Credential
from pileus.identity.domain.project import Project
from pileus.identity.domain.role import Role
from pileus.identity.domain.user import Group, User

Document = dict[str, Any]


def cloud_url(request: Request[Any]) -> str:
    """This cloud's own address: where the paths in the catalog begin."""
    configured: str = request.service.settings.cloud_url
    return configured.rstrip("/") if configured else request.base_url.removesuffix("/identity")


def _linked(request: Request[Any], kind: str, document: Document) -> Document:
    document["links"] = {"self": request.href(f"/v3/{kind}/{document['id']}")}
    return document


def project(request: Request[Any], it: Project) -> Document:
    document = it.extra | {
        "id": it.id,
        "name": it.name,
        "domain_id": it.domain_id,
        "description": it.description,
        "enabled": it.enabled,
        "parent_id": it.parent_id,
        "is_domain": it.is_domain,
        "tags": it.tags,
        "options": it.options,
    }
    return _linked(request, "projects", document)


def domain(request: Request[Any], it: Project) -> Document:
    document = it.extra | {
        "id": it.id,
        "name": it.name,
        "description": it.description,
        "enabled": it.enabled,
        "tags": it.tags,
        "options": it.options,
    }
    return _linked(request, "domains", document)


def user(request: Request[Any], it: User) -> Document:
    ends = it.password_expires_at
    document = it.extra | {
        "id": it.id,
        "name": it.name,
        "domain_id": it.domain_id,
        "enabled": it.enabled,
        "password_expires_at": None if ends is None else moments.as_bare_text(ends),
        "options": it.options,
    }
    if it.default_project_id is not None:
        document["default_project_id"] = it.default_project_id
    return _linked(request, "users", document)


def group(request: Request[Any], it: Group) -> Document:
    document = it.extra | {"id": it.id, "name": it.name, "domain_id": it.domain_id, "description": it.description}
    return _linked(request, "groups", document)


def role(request: Request[Any], it: Role) -> Document:
    return _linked(request, "roles", bare_role(it))


def bare_role(it: Role) -> Document:
    return it.extra | {
        "id": it.id,
        "name": it.name,
        "domain_id": it.domain_id,
        "description": it.description,
        "options": it.options,
    }


def region(request: Request[Any], it: Region) -> Document:
    document = it.extra | {"id": it.id, "description": it.description, "parent_region_id": it.parent_region_id}
    return _linked(request, "regions", document)


def service(request: Request[Any], it: Service) -> Document:
    document = it.extra | {"name": it.name, "id": it.id, "type": it.type, "enabled": it.enabled}
    if it.description is not None:
        document["description"] = it.description
    return _linked(request, "services", document)


def endpoint(request: Request[Any], it: Endpoint) -> Document:
    document = it.extra | {
        "id": it.id,
        "interface": it.interface,
        "region_id": it.region_id,
        "service_id": it.service_id,
        "url": absolute(it.url, cloud_url(request)),
        "enabled": it.enabled,
        "region": it.region_id,
    }
    return _linked(request, "endpoints", document)


def credential(request: Request[Any], it: Credential) -> Document:
    document = it.extra | {
        "id": it.id,
        "user_id": it.user_id,
        "project_id": it.project_id,
        "type": it.type,
        "blob": it.blob,
    }
    return _linked(request, "credentials", document)


def access_rule(request: Request[Any], it: AccessRule) -> Document:
    document = {"id": it.id, "service": it.service, "path": it.path, "method": it.method}
    return document | {"links": {"self": request.href(f"/v3/users/{it.user_id}/access_rules/{it.id}")}}


def application_credential(
    request: Request[Any], it: ApplicationCredential, roles: list[Role], rules: list[AccessRule] | None
) -> Document:
    document: Document = {
        "id": it.id,
        "name": it.name,
        "description": it.description,
        "user_id": it.user_id,
        "project_id": it.project_id,
        "system": None,
        "expires_at": None if it.expires_at is None else moments.as_bare_text(it.expires_at),
        "unrestricted": it.unrestricted,
        "roles": [bare_role(each) for each in roles],
        "links": {"self": request.href(f"/v3/application_credentials/{it.id}")},
    }
    if rules is not None:
        document["access_rules"] = [
            {"id": each.id, "service": each.service, "path": each.path, "method": each.method} for each in rules
        ]
    return document
