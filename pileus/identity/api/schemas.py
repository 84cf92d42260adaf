"""What the bodies of identity's requests may say. Names unknown here are the client's own attributes, and kept.

Source: Identity API reference v3.14; limits as the reference implementation refuses them.
"""

from typing import Any

from pileus.foundation.http.schema import (
    Body,
    Field,
    Object,
    Type,
    any_json,
    array,
    boolean,
    nullable,
    object_,
    strict_boolean,
    text,
    word,
)
from pileus.identity.domain.catalog import INTERFACES

_VISIBLE = r"\S"


def _name(maximum: int) -> Type:
    return text(1, maximum, _VISIBLE)


_description = Field("description", nullable(text()))
_enabled = Field("enabled", boolean)
_strictly_enabled = Field("enabled", strict_boolean)
_domain_id = Field("domain_id", nullable(text(1, 64)))
_id = Field("id", any_json)
_tag: Type = text(1, 255, r"^[^,/]*$")
_tags = Field("tags", array(_tag, maximum=80, unique=True))
_immutable: Object = object_(Field("immutable", nullable(strict_boolean)))
_options = Field("options", _immutable)
_user_options = Field(
    "options",
    object_(
        Field("ignore_change_password_upon_first_use", nullable(strict_boolean)),
        Field("ignore_password_expiry", nullable(strict_boolean)),
        Field("ignore_lockout_failure_attempts", nullable(strict_boolean)),
        Field("ignore_user_inactivity", nullable(strict_boolean)),
        Field("lock_password", nullable(strict_boolean)),
        # Several methods for one login are not enforced here, so asking for them is refused.
        Field("multi_factor_auth_enabled", {"enum": [False, None]}),
        Field("multi_factor_auth_rules", {"anyOf": [{"type": "null"}, array({}, maximum=0)]}),
    ),
)


def _pair(envelope: str, *fields: Field, required: str = "name", **words: Any) -> tuple[Body, Body]:
    """The bodies of create and update: the same fields, of which create needs `required`."""
    needed = required.split()
    create = [Field(each.name, each.type, required=each.name in needed) for each in fields]
    return Body(envelope, *create, additional=True, **words), Body(envelope, *fields, additional=True, **words)


PROJECT_CREATE, PROJECT_UPDATE = _pair(
    "project", Field("name", _name(64)), _description, _enabled, _domain_id, _tags, _options, _id,
    Field("parent_id", nullable(text(1, 64))), Field("is_domain", strict_boolean),
)  # fmt: skip
DOMAIN_CREATE, DOMAIN_UPDATE = _pair(
    "domain", Field("name", _name(64)), _description, _enabled, _tags, _options, _id,
    Field("explicit_domain_id", text(1, 64)),
)  # fmt: skip
USER_CREATE, USER_UPDATE = _pair(
    "user", Field("name", _name(255)), Field("password", nullable(text())), _enabled, _domain_id, _description,
    _user_options, _id, Field("default_project_id", nullable(text(1, 64))),
)  # fmt: skip
PASSWORD = Body("user", Field("original_password", text(), required=True), Field("password", text(), required=True))
GROUP_CREATE, GROUP_UPDATE = _pair("group", Field("name", _name(64)), _description, _domain_id, _id)
ROLE_CREATE, ROLE_UPDATE = _pair("role", Field("name", _name(255)), _description, _domain_id, _options, _id)
REGION_CREATE, REGION_UPDATE = _pair(
    "region", Field("id", text(1, 255)), _description, Field("parent_region_id", nullable(text(1, 255))), required=""
)
SERVICE_CREATE, SERVICE_UPDATE = _pair(
    "service",
    Field("type", text(1, 255)),
    Field("name", text(0, 255)),
    _description,
    _strictly_enabled,
    _id,
    required="type",
)
_url: Type = text(1, None, r"^[a-zA-Z0-9+.-]+:.+")
ENDPOINT_CREATE, ENDPOINT_UPDATE = _pair(
    "endpoint", Field("interface", word(*INTERFACES)), Field("url", _url), Field("service_id", text(1, 64)),
    Field("region_id", nullable(text(1, 255))), Field("region", text(1, 255)), Field("name", text()), _description,
    _strictly_enabled, _id, required="interface url service_id",
)  # fmt: skip
CREDENTIAL_CREATE = Body(
    "credential",
    Field("type", text(1, 255), required=True),
    Field("blob", text(0, 65_535), required=True),
    Field("user_id", text(1, 64), required=True),
    Field("project_id", nullable(text(1, 64))),
    additional=True,
    constraints={
        "anyOf": [
            {"not": {"properties": {"type": word("ec2")}}},
            {"required": ["project_id"], "properties": {"project_id": text(1, 64)}},
        ]
    },
)
CREDENTIAL_UPDATE = Body("credential", Field("blob", text(0, 65_535)))
EC2_CREATE = Body(None, Field("tenant_id", text(1, 64), required=True), additional=True)
TAGS = Body("tags", value=array(_tag, maximum=80, unique=True))

_role_ref: Type = {
    "oneOf": [
        {"type": "object", "required": ["id"], "properties": {"id": text(1, 64)}},
        {"type": "object", "required": ["name"], "properties": {"name": text(1, 255)}},
    ]
}
_access_rule = object_(
    Field("id", text(1, 64)),
    Field("service", text(1, 255)),
    Field("method", word("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")),
    Field("path", text(1, 255, r"^\/.*")),
)
APPLICATION_CREDENTIAL_CREATE = Body(
    "application_credential",
    Field("name", _name(255), required=True),
    Field("description", nullable(text())),
    Field("secret", nullable(text(1))),
    Field("expires_at", nullable(text())),
    Field("roles", array({"type": "object"} | dict(_role_ref))),  # type: ignore[arg-type]
    Field("unrestricted", nullable(strict_boolean)),
    Field("access_rules", array(_access_rule)),
    Field("project_id", nullable(text(1, 64))),
    additional=True,
)
