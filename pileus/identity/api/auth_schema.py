"""The body of a login: read by hand, since it is the first request of every client and of every start.

The JSON Schema beside it is for documents and for the test that holds the two together.
"""

from collections.abc import Callable
from typing import Any

from pileus.foundation.http.schema import (
    Body,
    Field,
    InvalidBody,
    Type,
    Version,
    any_json,
    array,
    either,
    object_,
    strict_boolean,
    text,
    word,
)
from pileus.identity.domain.errors import Expected, MethodUnknown
from pileus.identity.domain.login import (
    DomainRef,
    LoginRequest,
    PasswordProof,
    Proof,
    ScopeRef,
    SecretProof,
    TokenProof,
    UserRef,
)
from pileus.identity.domain.token import DOMAIN, PROJECT, SYSTEM, UNSCOPED

_SCOPES = ("project", "domain", "system", "OS-TRUST:trust", "unscoped")
_SCOPE_WORDS = "system, project, domain, OS-TRUST:trust or unscoped"

_named: Type = object_(Field("id", text()), Field("name", text()), additional=True)
_domain = Field("domain", _named)
_user = object_(Field("id", text()), Field("name", text()), Field("password", text()), _domain, additional=True)
_identity = object_(
    Field("methods", array(text()), required=True),
    Field("password", object_(Field("user", _user), additional=True)),
    Field("token", object_(Field("id", text(), required=True), additional=True)),
    Field(
        "application_credential",
        object_(
            Field("id", text()),
            Field("name", text()),
            Field("secret", text()),
            Field("user", _user),
            additional=True,
        ),
    ),
    additional=True,
)
_scope = either(
    word("unscoped"),
    object_(
        Field("project", object_(Field("id", text()), Field("name", text()), _domain, additional=True)),
        Field("domain", _named),
        Field("system", object_(Field("all", strict_boolean), additional=True)),
        Field("OS-TRUST:trust", object_(Field("id", text()), additional=True)),
        Field("unscoped", any_json),
        additional=True,
    ),
)


class LoginBody(Body):
    """`{"auth": {"identity": ..., "scope": ...}}`."""

    def __init__(self) -> None:
        super().__init__(
            "auth", Field("identity", _identity, required=True), Field("scope", _scope), additional=True,
            additional_beside=True,
        )  # fmt: skip

    def validate(self, decoded: object, asked: Version = (0, 0)) -> None:
        """Raises: InvalidBody, Expected (400), MethodUnknown (401)."""
        read_login(decoded)


LOGIN = LoginBody()


def read_login(body: object) -> LoginRequest:
    """The proofs and the scope that a body asks with.

    Raises: InvalidBody, Expected (400), MethodUnknown (401).
    """
    auth = _part(_object(body, "body"), "auth", "request body")
    identity = _part(auth, "identity", "auth")
    methods = identity.get("methods")
    if not isinstance(methods, list):
        raise _required("methods") if methods is None else _wrong("methods", methods, "array")
    proofs = tuple(_proof(_text(method, "methods"), identity) for method in dict.fromkeys(map(_hashable, methods)))
    return LoginRequest(proofs=proofs, scope=_read_scope(auth.get("scope")))


def _hashable(method: object) -> object:
    return method if isinstance(method, str) else _text(method, "methods")


def _proof(method: str, identity: dict[str, Any]) -> Proof:
    if method not in _PROOFS:
        raise MethodUnknown()
    return _PROOFS[method](_part(identity, method, "identity"))


def _read_password(payload: dict[str, Any]) -> Proof:
    user = _part(payload, "user", "password")
    return PasswordProof(_user_ref(user), _text(user.get("password", ""), "password"))


def _read_token(payload: dict[str, Any]) -> Proof:
    if "id" not in payload:
        raise _required("id")
    return TokenProof(_text(payload["id"], "id"))


def _read_secret(payload: dict[str, Any]) -> Proof:
    secret = _text(payload.get("secret", ""), "secret")
    if payload.get("id"):
        return SecretProof(secret, id=_text(payload["id"], "id"))
    if not payload.get("name"):
        raise Expected(attribute="id or name", target="application_credential")
    user = _user_ref(_part(payload, "user", "application_credential"))
    return SecretProof(secret, name=_text(payload["name"], "name"), user=user)


_PROOFS = {"password": _read_password, "token": _read_token, "application_credential": _read_secret}


def _user_ref(user: dict[str, Any]) -> UserRef:
    if user.get("id"):
        return UserRef(id=_text(user["id"], "id"))
    if not user.get("name"):
        raise Expected(attribute="id or name", target="user")
    return UserRef(name=_text(user["name"], "name"), domain=_domain_ref(user, "user"))


def _domain_ref(holder: dict[str, Any], target: str) -> DomainRef:
    domain = _part(holder, "domain", target)
    if domain.get("id"):
        return DomainRef(id=_text(domain["id"], "id"))
    if not domain.get("name"):
        raise Expected(attribute="id or name", target="domain")
    return DomainRef(name=_text(domain["name"], "name"))


def _read_scope(scope: object) -> ScopeRef | None:
    if scope is None:
        return None
    if scope == "unscoped":
        return ScopeRef(UNSCOPED)
    if isinstance(scope, str):
        raise Expected(attribute=_SCOPE_WORDS, target="scope")
    wanted = _object(scope, "scope")
    kinds = [kind for kind in _SCOPES if kind in wanted]
    if len(kinds) != 1 or kinds[0] == "OS-TRUST:trust":
        raise Expected(attribute=_SCOPE_WORDS, target="scope")
    return _READ_SCOPE[kinds[0]](wanted[kinds[0]])


def _project_scope(project: object) -> ScopeRef:
    given = _object(project, "project")
    if given.get("id"):
        return ScopeRef(PROJECT, id=_text(given["id"], "id"))
    if not given.get("name"):
        raise Expected(attribute="id or name", target="project")
    return ScopeRef(PROJECT, name=_text(given["name"], "name"), domain=_domain_ref(given, "project"))


def _domain_scope(domain: object) -> ScopeRef:
    found = _domain_ref({"domain": _object(domain, "domain")}, "scope")
    return ScopeRef(DOMAIN, id=found.id, name=found.name)


def _system_scope(system: object) -> ScopeRef:
    if _object(system, "system").get("all") is not True:
        raise Expected(attribute="all", target="system")
    return ScopeRef(SYSTEM)


_READ_SCOPE: dict[str, Callable[[object], ScopeRef]] = {
    "project": _project_scope,
    "domain": _domain_scope,
    "system": _system_scope,
    "unscoped": lambda _: ScopeRef(UNSCOPED),
}


# -- small judgements ---------------------------------------------------------------------------------------
def _part(holder: dict[str, Any], name: str, target: str) -> dict[str, Any]:
    if name not in holder:
        raise Expected(attribute=name, target=target)
    return _object(holder[name], name)


def _object(value: object, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _wrong(name, value, "object")
    return value


def _text(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise _wrong(name, value, "string")
    if "\x00" in value:
        raise InvalidBody(f"Invalid input for field/attribute {name}. It contains a NUL character", field=name)
    return value


def _wrong(name: str, value: object, kind: str) -> InvalidBody:
    """The complaint names the field and its type, never its value: it may be a secret."""
    found = type(value).__name__
    return InvalidBody(f"Invalid input for field/attribute {name}. A {found} is not of type {kind!r}", field=name)


def _required(name: str) -> InvalidBody:
    return InvalidBody(f"{name!r} is a required property", field=name)
