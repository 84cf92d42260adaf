"""The login body is read by hand; its JSON Schema must say the same."""

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pileus.foundation.errors import Error
from pileus.foundation.http.schema import Body
from pileus.identity.api.auth_schema import LOGIN, read_login
from pileus.identity.domain.errors import Expected, MethodUnknown
from pileus.identity.domain.login import (
    DomainRef,
    LoginRequest,
    PasswordProof,
    ScopeRef,
    SecretProof,
    TokenProof,
    UserRef,
)

USER = {"name": "ann", "domain": {"id": "default"}, "password": "x"}
PASSWORD = {"methods": ["password"], "password": {"user": USER}}
ANN = UserRef(name="ann", domain=DomainRef("default"))


def auth(identity: Any = PASSWORD, **more: Any) -> dict[str, Any]:
    return {"auth": {"identity": identity, **more}}


@pytest.mark.parametrize(
    ("body", "request_"),
    [
        (auth(), LoginRequest((PasswordProof(ANN, "x"),))),
        (auth({"methods": ["token"], "token": {"id": "t"}}), LoginRequest((TokenProof("t"),))),
        (
            auth({"methods": ["application_credential"], "application_credential": {"id": "a", "secret": "s"}}),
            LoginRequest((SecretProof("s", id="a"),)),
        ),
        (
            auth(
                {
                    "methods": ["application_credential"],
                    "application_credential": {"name": "a", "secret": "s", "user": {"id": "u"}},
                }
            ),
            LoginRequest((SecretProof("s", name="a", user=UserRef("u")),)),
        ),
        (auth(scope="unscoped"), LoginRequest((PasswordProof(ANN, "x"),), ScopeRef(""))),
        (auth(scope={"project": {"id": "p"}}), LoginRequest((PasswordProof(ANN, "x"),), ScopeRef("project", "p"))),
        (
            auth(scope={"project": {"name": "p", "domain": {"name": "D"}}}),
            LoginRequest((PasswordProof(ANN, "x"),), ScopeRef("project", "", "p", DomainRef("", "D"))),
        ),
        (auth(scope={"domain": {"name": "D"}}), LoginRequest((PasswordProof(ANN, "x"),), ScopeRef("domain", "", "D"))),
        (auth(scope={"system": {"all": True}}), LoginRequest((PasswordProof(ANN, "x"),), ScopeRef("system"))),
    ],
)
def test_a_good_body_is_read(body: Any, request_: LoginRequest) -> None:
    assert read_login(body) == request_
    Body.validate(LOGIN, body)


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ({}, "Expecting to find auth in request body"),
        ({"auth": {}}, "Expecting to find identity in auth"),
        ({"auth": 3}, "auth"),
        ([], "body"),
        (auth({}), "'methods' is a required property"),
        (auth({"methods": "password"}), "methods"),
        (auth({"methods": [3]}), "methods"),
        (auth({"methods": ["password"]}), "Expecting to find password in identity"),
        (auth({"methods": ["password"], "password": {}}), "Expecting to find user in password"),
        (auth({"methods": ["password"], "password": {"user": {"password": "x"}}}), "id or name in user"),
        (auth({"methods": ["password"], "password": {"user": {"name": "a", "password": "x"}}}), "domain in user"),
        (auth({"methods": ["password"], "password": {"user": USER | {"password": 5}}}), "password"),
        (auth({"methods": ["password"], "password": {"user": USER | {"name": "a\x00b"}}}), "NUL"),
        (auth({"methods": ["application_credential"], "application_credential": {"id": ""}}), "id or name in appl"),
        (auth({"methods": ["token"], "token": {}}), "'id' is a required property"),
        (auth(scope="everywhere"), "in scope"),
        (auth(scope={}), "in scope"),
        (auth(scope={"project": {"id": "p"}, "domain": {"id": "d"}}), "in scope"),
        (auth(scope={"project": {"name": "p"}}), "domain in project"),
        (auth(scope={"system": {"all": False}}), "all in system"),
        (auth(scope={"OS-TRUST:trust": {"id": "t"}}), "in scope"),
    ],
)
def test_a_bad_body_is_refused_with_the_part_named(body: Any, complaint: str) -> None:
    with pytest.raises(Error) as refused:
        LOGIN.validate(body)
    assert refused.value.status == 400
    assert complaint in refused.value.text


def test_a_complaint_never_repeats_a_secret() -> None:
    body = auth({"methods": ["password"], "password": {"user": USER | {"password": ["hunter2"]}}})
    with pytest.raises(Error) as refused:
        LOGIN.validate(body)
    assert "hunter2" not in refused.value.text


words = st.sampled_from(["", "ann", "default", "p", "x"])
leaf: Any = st.one_of(st.none(), st.booleans(), st.integers(), words, st.just([]), st.just({}))
named: Any = st.one_of(leaf, st.fixed_dictionaries({}, optional={"id": st.one_of(words, leaf), "name": words}))
user: Any = st.fixed_dictionaries(
    {}, optional={"id": words, "name": st.one_of(words, leaf), "password": st.one_of(words, leaf), "domain": named}
)
methods = st.lists(st.sampled_from(["password", "token", "application_credential", "odd"]), max_size=2)
identity: Any = st.fixed_dictionaries(
    {},
    optional={
        "methods": st.one_of(methods, leaf),
        "password": st.one_of(leaf, st.fixed_dictionaries({}, optional={"user": st.one_of(user, leaf)})),
        "token": named,
        "application_credential": st.one_of(leaf, user),
    },
)
scope: Any = st.one_of(
    leaf,
    st.just("unscoped"),
    st.fixed_dictionaries({}, optional={"project": st.one_of(named, user), "domain": named, "system": leaf}),
)
bodies: Any = st.one_of(
    leaf,
    st.fixed_dictionaries({"auth": st.fixed_dictionaries({}, optional={"identity": identity, "scope": scope})}),
)


@settings(max_examples=400, deadline=None)
@given(bodies)
@example(auth({"methods": ["token"], "token": {"id": ""}}))
@example(auth({"methods": ["application_credential"], "application_credential": {"id": "", "name": None}}))
def test_reading_by_hand_and_the_schema_agree(body: Any) -> None:
    """What is read fits the schema; what is refused is refused as an error of ours, never by an accident."""
    try:
        read_login(body)
    except (Expected, MethodUnknown):
        return  # stricter than a schema can say
    except Error as refused:
        assert refused.status == 400
        with pytest.raises(Error):
            Body.validate(LOGIN, body)
    else:
        Body.validate(LOGIN, _relevant(body))


def _relevant(body: Any) -> Any:
    """The parts of a body that its methods name: others are ignored when a login is read."""
    identity = body["auth"]["identity"]
    kept = {"methods": identity["methods"]} | {each: identity[each] for each in identity["methods"]}
    for method, payload in kept.items():
        if method != "token":  # its id is all it has: an empty one is read, and known to nobody
            _drop_ignored(payload)
    found = {"identity": kept}
    if body["auth"].get("scope") is not None:
        found["scope"] = body["auth"]["scope"]
        _drop_ignored(found["scope"])
    return {"auth": found}


def _drop_ignored(part: Any) -> None:
    """With an id, the name and the domain beside it are not looked at; nor is an empty id."""
    if not isinstance(part, dict):
        return
    if not part.get("id", "-"):
        part.pop("id")
    if part.get("id"):
        part.pop("name", None)
        part.pop("domain", None)
    for inner in list(part.values()):
        _drop_ignored(inner)
