"""The compiled rules decide as oslo.policy does, and refuse early what cannot be understood."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oslo_policy import _checks, _parser

from pileus.foundation.context import Caller, Context
from pileus.foundation.errors import Forbidden
from pileus.foundation.policy import NotAllowed, Policy, PolicyError, RuleDefault, load_overrides


def decide(text: str, credentials: dict[str, Any], target: dict[str, Any], **others: str) -> bool:
    rules = [RuleDefault("it", text), *(RuleDefault(name, other) for name, other in others.items())]
    return Policy(rules).allows("it", credentials, target)


CASES = [
    ("", {}, {}, True),
    ("@", {}, {}, True),
    ("!", {}, {}, False),
    ("not !", {}, {}, True),
    ("not not @", {}, {}, True),
    ("role:Admin", {"roles": ["aDMIN"]}, {}, True),
    ("role:admin", {"roles": frozenset({"reader"})}, {}, False),
    ("role:admin", {}, {}, False),
    ("role:%(wanted)s", {"roles": ["MEMBER"]}, {"wanted": "Member"}, True),
    ("role:%(wanted)s", {"roles": ["member"]}, {}, False),
    ("project_id:%(project_id)s", {"project_id": "a"}, {"project_id": "a"}, True),
    ("project_id:%(project_id)s", {"project_id": "a"}, {"project_id": "b"}, False),
    ("project_id:%(project_id)s", {"project_id": "a"}, {}, False),
    ("project_id:%(project_id)s", {}, {"project_id": "a"}, False),
    ("project_id:%(target.server.project_id)s", {"project_id": "a"}, {"target": {"server": {"project_id": "a"}}}, True),
    ("project_id:%(target.server.project_id)s", {"project_id": "a"}, {"target.server.project_id": "a"}, True),
    ("project_id:%(target.server.project_id)s", {"project_id": "a"}, {"target": {"server": "a"}}, False),
    ("tenant_id:%(network:tenant_id)s", {"tenant_id": "a"}, {"network:tenant_id": "a"}, True),
    ("user_id:abc", {"user_id": "abc"}, {}, True),
    ("is_admin:True", {"is_admin": True}, {}, True),
    ("is_admin:1", {"is_admin": True}, {}, False),
    ("system_scope:all", {"system_scope": "all"}, {}, True),
    ("system_scope:all", {"system_scope": None}, {}, False),
    ("service_roles:service", {"service_roles": frozenset({"service"})}, {}, True),
    ("service_roles:service", {"service_roles": []}, {}, False),
    ("token.roles.name:x", {"token": {"roles": [{"name": "y"}, {"name": "x"}]}}, {}, True),
    ("token.roles.name:x", {"token": "opaque"}, {}, False),
    ("'public':%(visibility)s", {}, {"visibility": "public"}, True),
    ('"public":%(visibility)s', {}, {"visibility": "private"}, False),
    ("True:%(shared)s", {}, {"shared": True}, True),
    ("True:%(shared)s", {}, {}, False),
    ("None:%(domain_id)s", {}, {"domain_id": None}, True),
    ("None:%(domain_id)s", {}, {"domain_id": "d"}, False),
    ("user_id:u-%(number)s-x", {"user_id": "u-1-x"}, {"number": 1}, True),
    ("user_id:100%%", {"user_id": "100%"}, {}, True),
    ("user_id:%(a)s%%%(b)s", {"user_id": "1%2"}, {"a": 1, "b": 2}, True),
    ("field:networks:shared=True", {}, {"shared": True}, True),
    ("field:networks:router:external=True", {}, {"router:external": False}, False),
    ("field:port:device_owner=~^network:", {}, {"device_owner": "network:dhcp"}, True),
    ("field:port:device_owner=~^network:", {}, {}, False),
    ("rule:nowhere", {}, {}, False),
    ("! or @ and !", {}, {}, False),
    ("@ or @ and !", {}, {}, True),
    ("(@ or @) and !", {}, {}, False),
    ("@ AND NOT !", {}, {}, True),
    ("((role:a or role:b)) and (not role:c)", {"roles": ["b"]}, {}, True),
    ("((role:a or role:b)) and (not role:c)", {"roles": ["b", "c"]}, {}, False),
]


@pytest.mark.parametrize(("text", "credentials", "target", "allowed"), CASES)
def test_a_rule_decides_as_its_words_say(text: str, credentials: Any, target: Any, allowed: bool) -> None:
    assert decide(text, credentials, target) is allowed


def test_a_rule_may_refer_to_rules_declared_later() -> None:
    assert decide("rule:owner or rule:boss", {"roles": ["admin"]}, {}, owner="user_id:%(user_id)s", boss="role:admin")


@pytest.mark.parametrize("empty", ["", None])
def test_an_empty_credential_never_equals_an_attribute_of_the_target(empty: str | None) -> None:
    assert not decide("domain_id:%(domain_id)s", {"domain_id": empty}, {"domain_id": empty})
    assert not decide("scope.domain_id:%(domain_id)s", {"scope": [{"domain_id": empty}]}, {"domain_id": empty})


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("role:a and", "position 11: expected a check, found the end"),
        ("role:a role:b", "position 8: expected 'and', 'or' or the end, found 'role:b'"),
        ("(role:a or role:b", "position 18: expected ')', found the end"),
        ("role:a)", "position 7: expected 'and', 'or' or the end, found ')'"),
        ("and role:a", "position 1: expected a check, found 'and'"),
        ("admin", "position 1: expected 'kind:value', found 'admin'"),
        ("role:a or 'text'", "position 11: expected 'kind:value'"),
        (":x", "expected 'kind:value'"),
        ("   ", "expected a check, found the end"),
        ("not http://policy.example/%(name)s", "position 5: checks by a remote server are not supported"),
        ("user_id:%(x)d", "position 1: after '%' only"),
        ("field:networks", "expected 'field:resource:attribute=value'"),
        ("field:networks:name=~(", "not a regular expression"),
    ],
)
def test_a_malformed_rule_is_refused_with_its_name_and_position(text: str, complaint: str) -> None:
    with pytest.raises(PolicyError) as caught:
        Policy([RuleDefault("compute:start", text)])
    assert "'compute:start'" in str(caught.value)
    assert complaint in str(caught.value)


def test_rules_that_refer_to_each_other_in_a_circle_are_refused() -> None:
    with pytest.raises(PolicyError, match="b -> c -> b"):
        Policy([RuleDefault("a", "rule:b"), RuleDefault("b", "@ or rule:c"), RuleDefault("c", "not rule:b")])


def test_two_rules_of_one_name_are_refused() -> None:
    with pytest.raises(PolicyError, match="'a' is declared twice"):
        Policy([RuleDefault("a", "@"), RuleDefault("a", "!")])


def test_an_override_replaces_the_check_and_keeps_the_description() -> None:
    default = RuleDefault("start", "role:member", "Start a server.", (("POST", "/servers/{id}/action"),))
    policy = Policy([default], {"start": "rule:mine", "mine": "role:boss"})
    assert policy.allows("start", {"roles": ["boss"]}, {})
    assert not policy.allows("start", {"roles": ["member"]}, {})
    assert [rule.name for rule in policy.rules()] == ["mine", "start"]
    assert policy.rules()[1] == RuleDefault("start", "rule:mine", default.description, default.operations)


def test_an_unknown_rule_lets_nobody_pass() -> None:
    assert not Policy([RuleDefault("a", "@")]).allows("b", {"roles": ["admin"]}, {})


def test_check_raises_forbidden_in_the_words_of_the_services() -> None:
    policy = Policy([RuleDefault("os_compute_api:servers:start", "project_id:%(project_id)s")])
    context = Context("req-1", Caller(project_id="a", roles=frozenset({"member"})))
    policy.check("os_compute_api:servers:start", context, {"project_id": "a"})
    with pytest.raises(Forbidden) as caught:
        policy.check("os_compute_api:servers:start", context, {"project_id": "b"})
    assert caught.value.text == "Policy doesn't allow os_compute_api:servers:start to be performed."
    with pytest.raises(NotAllowed):
        policy.check("nowhere", context, {"project_id": "a"})


def test_require_names_every_rule_that_is_missing() -> None:
    policy = Policy([RuleDefault("a", "@")])
    policy.require(["a"])
    with pytest.raises(PolicyError, match="b, c"):
        policy.require(["c", "a", "b"])


YAML = """
# only what differs
"start": "role:member"
any: ""
nobody: [[]]
everybody: []
old: [["role:admin"], ["role:member", "project_id:%(project_id)s"], "is_admin:True"]
"""


def test_a_policy_file_is_read_as_yaml(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(YAML)
    assert load_overrides(file) == {
        "start": "role:member",
        "any": "",
        "nobody": "!",
        "everybody": "",
        "old": "(role:admin) or (role:member and project_id:%(project_id)s) or (is_admin:True)",
    }


def test_a_policy_file_is_read_as_json(tmp_path: Path) -> None:
    file = tmp_path / "policy.json"
    file.write_text(json.dumps({"start": "role:member"}))
    assert load_overrides(file) == {"start": "role:member"}


def test_an_empty_policy_file_overrides_nothing(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text("# nothing\n")
    assert load_overrides(file) == {}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("policy.yaml", "a: [unclosed"),
        ("policy.yaml", "- a\n- b"),
        ("policy.yaml", "a: 1"),
        ("policy.yaml", "a:"),
        ("policy.yaml", "a: [[1]]"),
        ("policy.json", "{"),
    ],
)
def test_a_policy_file_that_makes_no_sense_is_refused_by_name(tmp_path: Path, name: str, text: str) -> None:
    file = tmp_path / name
    file.write_text(text)
    with pytest.raises(PolicyError, match=str(file)):
        load_overrides(file)


# --- oslo.policy as the oracle -----------------------------------------------------------------------------------

NAMES = ["r0", "r1", "r2", "r3"]
ATTRIBUTES = ["user_id", "project_id", "is_admin", "system_scope", "service_roles", "token.owner.id"]
KEYS = ["project_id", "user_id", "shared", "target.role.name", "network:tenant_id"]
VALUES = ["a", "b", "A", "all", "True", "None", "1"]
ROLES = ["admin", "Member", "READER", "service", "a"]

right_sides = st.one_of(
    st.sampled_from(VALUES),
    st.sampled_from(KEYS).map(lambda key: f"%({key})s"),
    st.tuples(st.sampled_from(VALUES), st.sampled_from(KEYS)).map(lambda two: f"{two[0]}-%({two[1]})s%%"),
)
left_sides = st.sampled_from([*ATTRIBUTES, "role", "'a'", '"True"', "True", "None", "1", "nowhere"])


def checks(depth_of: int) -> st.SearchStrategy[str]:
    """Checks that may name only rules after number `depth_of`, so that no circle is drawn."""
    named = st.sampled_from([*NAMES[depth_of + 1 :], "missing"]).map(lambda name: f"rule:{name}")
    single = st.one_of(
        st.sampled_from(["@", "!"]),
        st.sampled_from(ROLES).map(lambda role: f"role:{role}"),
        st.tuples(left_sides, right_sides).map(":".join),
        named,
    )
    return st.recursive(
        single,
        lambda inner: st.one_of(
            inner.map(lambda text: f"not {text}" if text[0] == "(" or " " not in text else f"not ({text})"),
            st.lists(inner, min_size=2, max_size=4).map(" and ".join),
            st.lists(inner, min_size=2, max_size=4).map(" or ".join),
            inner.map(lambda text: f"({text})"),
        ),
        max_leaves=8,
    )


scalars = st.one_of(st.sampled_from(VALUES), st.booleans(), st.integers(0, 2))
credential_sets = st.fixed_dictionaries(
    {},
    optional={
        "roles": st.lists(st.sampled_from(ROLES), max_size=3),
        "user_id": scalars,
        "project_id": scalars,
        "is_admin": scalars,
        "system_scope": scalars,
        "service_roles": st.lists(st.sampled_from(VALUES), max_size=3),
        "token": st.one_of(
            st.fixed_dictionaries({"owner": st.fixed_dictionaries({}, optional={"id": st.one_of(scalars, st.none())})}),
            st.fixed_dictionaries({"owner": st.lists(st.fixed_dictionaries({"id": scalars}), max_size=2)}),
            st.just({}),
        ),
    },
)
targets = st.dictionaries(st.sampled_from(KEYS), st.one_of(scalars, st.none()))


class Oracle:
    """What oslo.policy's checks ask of an enforcer: the parsed rules by name."""

    def __init__(self, texts: dict[str, str]):
        self.rules = {name: _parser.parse_rule(text) for name, text in texts.items()}


def has_empty_owner(credentials: dict[str, Any]) -> bool:
    """The one place where we differ on purpose: an empty credential equals nothing."""
    owner = credentials.get("token", {}).get("owner")
    return isinstance(owner, dict) and "id" in owner and owner["id"] is None


@settings(max_examples=400, deadline=None)
@given(st.tuples(*(checks(number) for number in range(len(NAMES)))), credential_sets, targets)
def test_decisions_equal_those_of_oslo_policy(
    texts: tuple[str, ...], credentials: dict[str, Any], target: dict[str, Any]
) -> None:
    if has_empty_owner(credentials):
        del credentials["token"]
    named = dict(zip(NAMES, texts, strict=True))
    policy = Policy(RuleDefault(name, text) for name, text in named.items())
    oracle = Oracle(named)
    for name in NAMES:
        expected = _checks._check(oracle.rules[name], target, credentials, oracle, name)  # type: ignore[arg-type]
        assert policy.allows(name, credentials, target) is bool(expected), named[name]


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="ab:%()s'\"@! \tandortNOT.-", max_size=30))
def test_any_text_is_a_rule_or_a_policy_error(text: str) -> None:
    try:
        policy = Policy([RuleDefault("it", text)])
    except PolicyError as error:
        assert "'it'" in str(error)
    else:
        assert policy.allows("it", {"a": "b"}, {"a": "b"}) in (True, False)
