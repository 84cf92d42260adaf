"""Bodies and query strings are judged by the fields that the version knows, in words that users search for."""

import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pileus.foundation.errors import BadRequest
from pileus.foundation.http.schema import (
    Body,
    Field,
    InvalidBody,
    InvalidQuery,
    Param,
    Query,
    Type,
    any_json,
    array,
    boolean,
    digits,
    either,
    integer,
    integer_or_digits,
    ip,
    is_true,
    mapping,
    name,
    null,
    nullable,
    number,
    object_,
    overlaps,
    strict_boolean,
    text,
    uuid,
    word,
)

ID = "8460d637-4eb9-48a0-82e9-1bc89d5c0448"

NETWORK = object_(
    Field("uuid", uuid),
    Field("port", nullable(uuid)),
    Field("fixed_ip", ip),
    Field("tag", text(1, 60), since="2.32", until="2.36"),
    Field("tag", text(1, 60), since="2.42"),
)
CREATE = Body(
    "server",
    Field("name", name(), required=True),
    Field("flavorRef", either(text(1), integer(0)), required=True),
    Field("imageRef", either(uuid, word(""))),
    Field("adminPass", text(8)),
    Field("metadata", mapping(text(0, 255), r"^[a-zA-Z0-9-_:. ]{1,255}$")),
    Field("min_count", integer_or_digits(1)),
    Field("description", nullable(text(0, 255)), since="2.19"),
    Field("networks", array(NETWORK), until="2.36"),
    Field("networks", either(array(NETWORK), word("auto", "none")), since="2.37", required=True),
    Field("personality", array(any_json), until="2.56"),
    beside=(Field("os:scheduler_hints", object_(additional=True)),),
)
SERVER = {"name": "web", "flavorRef": "1", "imageRef": ID}


def complaint(declared: Body | Query, document: object, version: tuple[int, int] = (2, 1)) -> BadRequest:
    with pytest.raises(BadRequest) as caught:
        declared.validate(document, version)
    return caught.value


def judge(kind: Type, value: object) -> str:
    """What is wrong with a value, or nothing."""
    try:
        Body(None, Field("it", kind)).validate({"it": value})
    except InvalidBody as error:
        return str(error.facts["complaint"])
    return ""


# --- versions ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "more", "fits"),
    [
        ((2, 1), {}, True),
        ((2, 18), {"description": "x"}, False),
        ((2, 19), {"description": None}, True),
        ((2, 36), {"networks": [{"uuid": ID}]}, True),
        ((2, 36), {"networks": "auto"}, False),
        ((2, 37), {"networks": "auto"}, True),
        ((2, 37), {}, False),
        ((2, 56), {"networks": "none", "personality": []}, True),
        ((2, 57), {"networks": "none", "personality": []}, False),
        ((2, 31), {"networks": [{"tag": "x"}]}, False),
        ((2, 32), {"networks": [{"tag": "x"}]}, True),
        ((2, 37), {"networks": [{"tag": "x"}]}, False),
        ((2, 42), {"networks": [{"tag": "x"}]}, True),
    ],
)
def test_a_field_is_known_only_in_its_versions(version: tuple[int, int], more: dict[str, Any], fits: bool) -> None:
    if fits:
        CREATE.validate({"server": SERVER | more}, version)
    else:
        assert isinstance(complaint(CREATE, {"server": SERVER | more}, version), InvalidBody)


def test_versions_between_which_nothing_changes_share_one_compiled_schema() -> None:
    assert CREATE.edges == [(2, 19), (2, 32), (2, 37), (2, 42), (2, 57)]
    assert CREATE.validator((2, 57)) is CREATE.validator((2, 99))
    assert CREATE.validator((2, 18)) is CREATE.validator((0, 0))
    assert CREATE.validator((2, 18)) is not CREATE.validator((2, 19))


def test_unknown_fields_may_be_let_through_up_to_a_version() -> None:
    body = Body("thing", Field("a", text()), additional_until="2.10")
    body.validate({"thing": {"b": 1}}, (2, 10))
    assert "'b' was unexpected" in complaint(body, {"thing": {"b": 1}}, (2, 11)).text


def test_the_schema_of_a_version_is_plain_json_schema() -> None:
    body = Body(
        "thing", Field("a", nullable(word("x")), required=True, description="A."), Field("b", null, since="2.5")
    )
    thing = {"a": {"type": ["string", "null"], "enum": ["x", None], "description": "A."}}
    assert body.json_schema((2, 4)) == {
        "type": "object",
        "additionalProperties": False,
        "required": ["thing"],
        "properties": {
            "thing": {"type": "object", "additionalProperties": False, "required": ["a"], "properties": thing}
        },
    }
    assert set(body.json_schema((2, 5))["properties"]["thing"]["properties"]) == {"a", "b"}


def test_a_version_that_is_none_is_refused_when_the_schema_is_made() -> None:
    with pytest.raises(ValueError, match="'two' is not a version"):
        Body("thing", Field("a", text(), since="two")).validator()


def test_fields_that_one_version_would_know_twice_are_found() -> None:
    assert overlaps(CREATE) == []
    twice = Body(
        "thing",
        Field("a", text(), until="2.36"),
        Field("a", text(), since="2.36"),
        Field("list", array(object_(Field("b", text()), Field("b", integer(), since="2.4")))),
        beside=(Field("thing", null),),
    )
    assert overlaps(twice) == ["thing in 0.0", "thing.a in 2.36", "thing.list.b in 2.4"]
    assert overlaps(Query(Param("limit", text()), Param("limit", digits(), since="2.1"))) == ["limit in 2.1"]


# --- words -------------------------------------------------------------------------------------------------------


def test_the_complaint_of_a_missing_name_reads_as_the_recorded_one() -> None:
    server = {"flavorRef": "ref1", "imageRef": ID, "networks": [{"uuid": ID}]}
    error = complaint(CREATE, {"server": server})
    assert error.text == f"Invalid input for field/attribute server. Value: {server}. 'name' is a required property"
    assert (error.facts["keyword"], error.facts["names"]) == ("required", ["name"])


def test_the_complaint_of_an_unknown_property_reads_as_the_recorded_one() -> None:
    server = {"name": "ref-server", "flavorRef": "ref1", "imageRef": ID, "networks": [{"uuid": ID}], "nope": 1}
    error = complaint(CREATE, {"server": server})
    assert error.text == (
        f"Invalid input for field/attribute server. Value: {server}. "
        "Additional properties are not allowed ('nope' was unexpected)"
    )
    assert error.facts["names"] == ["nope"]


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        (
            integer_or_digits(1),
            "lots",
            "Invalid input for field/attribute ram. Value: lots. 'lots' does not match '^[0-9]+$'",
        ),
        (integer(1), 0, "Invalid input for field/attribute ram. Value: 0. 0 is less than the minimum of 1"),
        (text(), 1, "Invalid input for field/attribute ram. Value: 1. 1 is not of type 'string'"),
    ],
)
def test_complaints_read_as_the_recorded_ones(kind: Type, value: object, words: str) -> None:
    error = complaint(Body("flavor", Field("ram", kind)), {"flavor": {"ram": value}})
    assert error.text == words
    assert error.facts["path"] == ["flavor", "ram"]
    assert error.status == 400


def test_a_missing_envelope_is_named_without_a_value() -> None:
    assert complaint(CREATE, {}).text == "'server' is a required property"
    assert complaint(CREATE, []).text == "[] is not of type 'object'"
    assert complaint(CREATE, None).text == "None is not of type 'object'"


def test_of_alternatives_the_only_one_of_the_right_kind_explains() -> None:
    error = complaint(CREATE, {"server": SERVER | {"networks": [{"uuid": ID}, {"uuid": "x"}]}}, (2, 37))
    assert error.text == "Invalid input for field/attribute uuid. Value: x. 'x' is not a 'uuid'"
    assert error.facts["path"] == ["server", "networks", 1, "uuid"]
    error = complaint(CREATE, {"server": SERVER | {"networks": 1}}, (2, 37))
    assert error.facts["complaint"] == "1 is not valid under any of the given schemas"


def test_a_secret_is_not_repeated_in_the_error() -> None:
    short = complaint(CREATE, {"server": SERVER | {"adminPass": "hunter2"}})
    beside = complaint(CREATE, {"server": SERVER | {"adminPass": "hunter22", "nope": [{"user_data": "hunter2"}]}})
    for error in (short, beside):
        assert "hunter2" not in f"{error.text} {error.facts} {error.log}"
    assert short.text == "Invalid input for field/attribute adminPass. Value: ***. '***' is too short"


def test_a_long_value_is_cut_in_the_error() -> None:
    assert len(complaint(CREATE, {"server": SERVER | {"name": "x" * 100_000}}).text) < 2200


# --- types -------------------------------------------------------------------------------------------------------

ACCEPTED: list[tuple[Type, list[object]]] = [
    (text(1, 3), ["a", "äöü", "a\nb"]),
    (text(pattern="^a"), ["a"]),
    (name(), ["a", "a b", "Größe 日本", "x" * 255]),
    (name(spaces=True), [" a ", "a"]),
    (integer(-1, 5), [-1, 0, 5]),
    (number(0), [0, 1.5]),
    (digits(1, 10), ["1", "10", "010"]),
    (digits(-1), ["-1", "7"]),
    (integer_or_digits(1, 10), [1, "1", 10, "10"]),
    (boolean, [True, False, "true", "0", "No", "ON"]),
    (strict_boolean, [True, False]),
    (uuid, [ID, ID.upper(), ID.replace("-", "")]),
    (ip, ["10.0.0.1", "fe80::1"]),
    (nullable(uuid), [None, ID]),
    (nullable(boolean), [None, "yes"]),
    (nullable(text(1)), [None, "a"]),
    (nullable(object_(Field("a", null))), [None, {"a": None}]),
    (nullable(either(integer(), word("x"))), [None, 1, "x"]),
    (word("a", "b"), ["a", "b"]),
    (array(integer(), 1, 2, unique=True), [[1], [1, 2]]),
    (mapping(text(0, 3), "^[a-z]+$", maximum=2), [{}, {"a": "", "b": "xyz"}]),
    (object_(Field("^x-", integer(), pattern=True), Field("a", null)), [{"x-1": 1, "a": None}, {}]),
    (any_json, [None, 1, "x", [{"a": []}]]),
]

REFUSED: list[tuple[Type, object, str]] = [
    (text(1, 3), "", "'' should be non-empty"),
    (text(2), "a", "'a' is too short"),
    (text(1, 3), "abcd", "'abcd' is too long"),
    (text(), "a\x00b", "'a\\x00b' contains a NUL character"),
    (text(pattern="^a"), "a\x00b", "'a\\x00b' contains a NUL character"),
    (text(pattern="^a"), "b", "'b' does not match '^a'"),
    (text(), None, "None is not of type 'string'"),
    (name(), " a", "' a' is not a name: printable characters, no space at either end"),
    (name(), "a\n", "'a\\n' is not a name: printable characters, no space at either end"),
    (name(), "a\u2028b", "'a\\u2028b' is not a name: printable characters, no space at either end"),
    (name(spaces=True), "  ", "'  ' is not a name: printable characters, not only spaces"),
    (integer(), True, "True is not of type 'integer'"),
    (integer(), 1.0, "1.0 is not of type 'integer'"),
    (integer(), "1", "'1' is not of type 'integer'"),
    (integer(maximum=2**31 - 1), 2**80, f"{2**80} is greater than the maximum of 2147483647"),
    (digits(1), "0", "'0' is less than the minimum of 1"),
    (digits(1, 10), "11", "'11' is greater than the maximum of 10"),
    (digits(), "-1", "'-1' does not match '^[0-9]+$'"),
    (digits(), "٣", "'٣' does not match '^[0-9]+$'"),
    (digits(), "1\n", "'1\\n' does not match '^[0-9]+$'"),
    (digits(1), "9" * 5000, f"{('9' * 5000)!r:.1000}... is too long"),
    (integer_or_digits(1), 0, "0 is less than the minimum of 1"),
    (integer_or_digits(1), "0", "'0' is less than the minimum of 1"),
    (integer_or_digits(), True, "True is not of type 'integer', 'string'"),
    (boolean, 1, "1 is not of type 'boolean', 'string'"),
    (strict_boolean, "true", "'true' is not of type 'boolean'"),
    (uuid, "x", "'x' is not a 'uuid'"),
    (nullable(uuid), "x", "'x' is not a 'uuid'"),
    (nullable(text()), 1, "1 is not of type 'null', 'string'"),
    (ip, "10.0.0.256", "'10.0.0.256' is not valid under any of the given schemas"),
    (word("a", "b"), "c", "'c' is not one of ['a', 'b']"),
    (array(integer(), 1), [], "[] should be non-empty"),
    (array(integer(), maximum=1), [1, 2], "[1, 2] is too long"),
    (array(integer(), unique=True), [1, 1], "[1, 1] has non-unique elements"),
    (mapping(text()), {"a": 1}, "1 is not of type 'string'"),
    (mapping(text(), "^[a-z]+$"), {"A": "x"}, "Additional properties are not allowed ('A' was unexpected)"),
    (mapping(text(), maximum=1), {"a": "", "b": ""}, "{'a': '', 'b': ''} has too many properties"),
    (nullable(object_(Field("a", null))), {"a": 1}, "1 is not of type 'null'"),
    (object_(Field("a", null), at_least=1), {}, "{} should be non-empty"),
    (object_(additional=True, at_least=2), {"a": 1}, "{'a': 1} does not have enough properties"),
]


@pytest.mark.parametrize(("kind", "values"), ACCEPTED)
def test_a_type_accepts_what_it_names(kind: Type, values: list[object]) -> None:
    assert {repr(value): judge(kind, value) for value in values} == {repr(value): "" for value in values}


@pytest.mark.parametrize(("kind", "value", "words"), REFUSED)
def test_a_type_refuses_in_words(kind: Type, value: object, words: str) -> None:
    assert judge(kind, value) == words


def test_the_words_for_true_mean_true() -> None:
    assert [is_true(value) for value in (True, "1", "yes", "TRUE", False, "0", "off")] == [True] * 4 + [False] * 3


@pytest.mark.parametrize("document", [{"server": {"name": "a\ud800"}}, {"server": {"\udfff": 1}}, {"\ud800": 1}])
def test_text_that_is_no_unicode_is_a_bad_request(document: object) -> None:
    assert complaint(CREATE, document).text == "The request holds what JSON cannot say."


@pytest.mark.parametrize("depth", [20, 200, 2000])
@pytest.mark.parametrize("field", ["name", "networks"])
def test_a_deep_document_is_a_bad_request(field: str, depth: int) -> None:
    deep: object = 1
    for _ in range(depth):
        deep = [deep]
    error = complaint(CREATE, {"server": SERVER | {field: deep}})
    assert error.status == 400
    assert len(error.text) < 500


leaves = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text())
documents = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.one_of(st.text(), st.sampled_from(["server", "name", "flavorRef", "networks", "metadata"])), inner
        ),
    ),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(documents, st.sampled_from([(2, 1), (2, 37), (2, 60)]))
def test_any_document_is_accepted_or_a_bad_request(document: object, version: tuple[int, int]) -> None:
    for candidate in (document, {"server": document}, {"server": SERVER | {"networks": document}}):
        try:
            CREATE.validate(candidate, version)
        except InvalidBody as error:
            assert error.text


# --- envelopes ---------------------------------------------------------------------------------------------------


def test_a_body_may_have_no_envelope() -> None:
    body = Body(None, Field("name", text(), required=True), additional=True)
    body.validate({"name": "x", "free": 1})
    assert complaint(body, {}).text == "'name' is a required property"


def test_a_body_may_be_no_object() -> None:
    patch = Body(None, value=array(object_(Field("op", word("add")), Field("new", null, since="2.5"))))
    patch.validate([{"op": "add"}], (2, 4))
    patch.validate([{"new": None}], (2, 5))
    assert "'new' was unexpected" in complaint(patch, [{"new": None}], (2, 4)).text
    assert complaint(patch, {}).text == "{} is not of type 'array'"


def test_an_envelope_may_hold_one_value() -> None:
    stop = Body("os-stop", value=null)
    stop.validate({"os-stop": None})
    assert complaint(stop, {"os-stop": 1}).facts["field"] == "os-stop"


def test_a_body_may_carry_one_thing_or_a_list_of_them() -> None:
    body = Body(("port", "ports"), Field("name", text()))
    body.validate({"port": {"name": "a"}})
    body.validate({"ports": [{"name": "a"}, {}]})
    bad: list[object] = [{}, {"port": {}, "ports": [{}]}, {"ports": []}, {"ports": [{"x": 1}]}, {"port": []}, {"z": 1}]
    for document in bad:
        assert complaint(body, document).status == 400


def test_fields_may_stand_beside_the_envelope() -> None:
    CREATE.validate({"server": SERVER, "os:scheduler_hints": {"group": ID}})
    assert "'other' was unexpected" in complaint(CREATE, {"server": SERVER, "other": 1}).text


def test_constraints_are_added_to_the_schema() -> None:
    body = Body("v", Field("a", null), Field("b", null), constraints={"anyOf": [{"required": ["a"]}]})
    body.validate({"v": {"a": None}})
    assert complaint(body, {"v": {"b": None}}).facts["complaint"] == "'a' is a required property"


def test_a_body_with_fields_and_a_value_is_refused() -> None:
    with pytest.raises(ValueError, match="either fields or one value"):
        Body("a", Field("b", null), value=null)


# --- query strings -----------------------------------------------------------------------------------------------

SERVERS = Query(
    Param("limit", digits(0)),
    Param("sort_key", word("name", "created_at"), repeat=True),
    Param("all_tenants", boolean),
    Param("tags", text(), since="2.26"),
    Param("^resources[0-9]*$", text(), pattern=True, repeat=True),
    additional_until="2.74",
)


def test_a_query_string_is_judged_value_by_value() -> None:
    SERVERS.validate({"limit": ["5"], "sort_key": ["name", "created_at"], "all_tenants": ["1"], "resources7": ["a"]})
    error = complaint(SERVERS, {"limit": ["-1"]})
    assert isinstance(error, InvalidQuery)
    assert error.text == "Invalid input for query parameters limit. Value: -1. '-1' does not match '^[0-9]+$'"
    assert error.facts["field"] == "limit"


def test_a_parameter_comes_once_unless_it_may_repeat() -> None:
    assert complaint(SERVERS, {"limit": ["1", "2"]}).facts["complaint"] == "['1', '2'] is too long"


def test_unknown_parameters_are_refused_from_the_version_that_says_so() -> None:
    SERVERS.validate({"nope": ["x"]}, (2, 74))
    assert "'nope' was unexpected" in complaint(SERVERS, {"nope": ["x"]}, (2, 75)).text
    Query(Param("a", text())).validate({"nope": ["x"]})
    assert "'nope' was unexpected" in complaint(Query(additional=False), {"nope": ["x"]}).text


def test_declaring_schemas_does_not_load_the_validator() -> None:
    code = (
        "import sys\n"
        "from pileus.foundation.http.schema import Body, Field, text\n"
        "Body('a', Field('b', text(), since='2.1'))\n"
        "sys.exit('jsonschema_rs' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
