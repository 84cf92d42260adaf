"""Whatever is sent, the answer is an answer: never a 500, and nothing half-made stays behind."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pileus.network.api.routes import ROUTES
from pileus.network.app import audit
from tests.api.network_cloud import NetworkCloud, play

IDS = st.sampled_from(["NETWORK", "SUBNET", "PORT", "ROUTER", "GROUP", "00000000-0000-0000-0000-000000000000", "x", ""])
TEXTS = st.one_of(
    IDS,
    st.sampled_from(
        [
            "10.0.0.0/24", "10.0.0.9", "2001:db8::/64", "2001:db8::5", "0.0.0.0/0", "::", "tcp", "icmp", "slaac",
            "dhcpv6-stateful", "ingress", "IPv6", "vxlan", "flat", "public", "fa:16:3e:00:00:01", "network:dhcp",
            "compute:nova", "normal", "name\n\"'$(x)", "\u0000", "\ud7ff", "é" * 90, "x" * 300,
        ]
    ),
    st.text(max_size=8),
)  # fmt: skip
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(10**6), 10**6), st.floats(allow_nan=False), TEXTS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                ["ip_address", "subnet_id", "start", "end", "destination", "nexthop", "network_id", "opt_name",
                 "opt_value", "mac_address", "pileus_epoch", "external_fixed_ips"]
            ),
            inner,
            max_size=3,
        ),
    ),
    max_leaves=6,
)  # fmt: skip
WITH_BODY = [route for route in ROUTES if route.body is not None and "{tag}" not in route.path]


ADDRESSES = st.sampled_from(["10.1.0.9", "10.1.0.1", "10.1.0.77", "10.1.0.255", "2001:db8::5", "203.0.113.9", "x"])
BLOCKS = st.sampled_from(["10.1.0.0/24", "10.9.0.0/24", "2001:db8::/64", "0.0.0.0/0", "10.1.0.9/32", "10.1.0.0/25"])
NAMED = {
    "cidr": BLOCKS, "destination": BLOCKS, "remote_ip_prefix": BLOCKS, "gateway_ip": ADDRESSES, "start": ADDRESSES,
    "end": ADDRESSES, "nexthop": ADDRESSES, "dns_nameservers": st.lists(ADDRESSES, max_size=3),
    "mac_address": st.sampled_from(["fa:16:3e:00:00:01", "fa-16-3e-00-00-02", "x"]), "network_id": st.just("NETWORK"),
    "fixed_ip_address": ADDRESSES, "floating_ip_address": ADDRESSES, "ip_address": ADDRESSES,
    "floating_network_id": st.sampled_from(["EXTERNAL", "NETWORK"]), "port_id": st.just("PORT"),
    "subnet_id": st.sampled_from(["SUBNET", "OTHER"]), "security_group_id": st.just("GROUP"),
    "remote_group_id": st.sampled_from(["GROUP", "x"]), "security_groups": st.lists(st.just("GROUP"), max_size=2),
    "tenant_id": st.just("PROJECT"), "project_id": st.just("PROJECT"),
    "protocol": st.sampled_from(["tcp", "udp", "icmp", "58", 17, "any", "x"]),
    "provider:network_type": st.sampled_from(["vxlan", "flat", "vlan", "local", "x"]),
    "provider:physical_network": st.sampled_from([None, "public"]), "availability_zone_hints": st.just(["nova"]),
    "device_owner": st.sampled_from(["", "compute:nova", "network:dhcp", "network:router_interface", "x"]),
    "subnetpool_id": st.none(), "binding:host_id": st.sampled_from(["", "h1", "h2"]),
    "binding:profile": st.sampled_from([{}, {"pileus_epoch": 1}, {"pileus_epoch": 2}, {"pileus_epoch": "x"}]),
    "device_id": st.sampled_from(["", "vm", "ROUTER"]),
}  # fmt: skip


def fitting(schema: Any, name: str = "") -> st.SearchStrategy[Any]:
    """Values that a JSON schema lets through, mostly."""
    if name in NAMED:
        return NAMED[name]
    if "anyOf" in schema:
        return st.one_of(*[fitting(part) for part in schema["anyOf"]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    kinds = schema.get("type", "string")
    kind = kinds if isinstance(kinds, str) else kinds[0]
    if kind == "array":
        return st.lists(fitting(schema["items"]), max_size=3)
    if kind == "object":
        return objects(schema)
    if kind in ("integer", "number"):
        low, high = max(schema.get("minimum", -9), -9), schema.get("maximum", 2000)
        return st.integers(int(low), int(max(low, high)))
    return st.none() if kind == "null" else TEXTS


@st.composite
def objects(draw: Any, schema: Any) -> dict[str, Any]:
    """An object with its required fields, some others, and now and then rubbish."""
    fields = schema.get("properties", {})
    optional = [name for name in fields if name not in schema.get("required", ())]
    chosen = draw(st.lists(st.sampled_from(optional), max_size=4, unique=True)) if optional else []
    made = {name: draw(fitting(fields[name], name)) for name in [*schema.get("required", ()), *chosen]}
    if fields and draw(st.integers(0, 9)) == 0:
        made[draw(st.sampled_from([*fields, "nope"]))] = draw(VALUES)
    return made


@st.composite
def requests(draw: Any) -> tuple[str, str, Any]:
    route = draw(st.sampled_from(WITH_BODY))
    schema = route.body.json_schema()
    envelope = route.body.envelope
    if isinstance(envelope, tuple):
        inner = fitting(schema["properties"][envelope[0]])
        one, many = envelope
        body = {many: draw(st.lists(inner, max_size=3))} if draw(st.integers(0, 4)) == 0 else {one: draw(inner)}
    else:
        body = {envelope: draw(fitting(schema["properties"][envelope]))} if envelope else draw(objects(schema))
    if draw(st.integers(0, 19)) == 0:
        body = draw(VALUES)
    return route.method, route.path, body


async def known(cloud: NetworkCloud, as_: str) -> dict[str, str]:
    """Things to speak of, by the names that requests use."""
    external, _ = await cloud.external()
    network = await cloud.network(as_=as_)
    subnet = await cloud.subnet(network, as_=as_)
    other = await cloud.subnet(await cloud.network(as_=as_), "10.2.0.0/24", as_=as_)
    port = await cloud.port(network, as_=as_)
    gateway = {"external_gateway_info": {"network_id": external["id"]}}
    router = (await cloud.post("/routers", {"router": gateway}, as_=as_))["router"]
    floating = {"floating_network_id": external["id"]}
    address = (await cloud.post("/floatingips", {"floatingip": floating}, as_=as_))["floatingip"]
    group = (await cloud.post("/security-groups", {"security_group": {}}, as_=as_))["security_group"]
    return {
        "NETWORK": network["id"], "SUBNET": subnet["id"], "PORT": port["id"], "ROUTER": router["id"],
        "GROUP": group["id"], "OTHER": other["id"], "EXTERNAL": external["id"], "PROJECT": network["project_id"],
        "{network_id}": network["id"], "{subnet_id}": subnet["id"], "{port_id}": port["id"],
        "{router_id}": router["id"], "{security_group_id}": group["id"], "{floatingip_id}": address["id"],
        "{project_id}": network["project_id"],
    }  # fmt: skip


async def send(cloud: NetworkCloud, made: list[tuple[str, str, Any]], *, as_: str) -> list[int]:
    """Make the requests; returns how they were answered."""
    names = await known(cloud, as_)
    statuses = []
    for method, path, body in made:
        text = json.dumps(body)
        for name, real in names.items():
            path = path.replace(name, real)
            text = text.replace(f'"{name}"', f'"{real}"')
        answer = await cloud.ask(method, path, json.loads(text), as_=as_)
        assert answer.status < 500, f"{method} {path} {text}: {answer.status} {answer.body!r}"
        statuses.append(answer.status)
    assert await audit.findings(cloud.service) == []
    return statuses


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(requests(), min_size=10, max_size=25), st.sampled_from(["member@red", "admin@ops", "service"]))
def test_no_body_is_too_strange(tmp_path_factory: pytest.TempPathFactory, made: Any, as_: str) -> None:
    async def story(cloud: NetworkCloud) -> None:
        await send(cloud, made, as_=as_)

    play(tmp_path_factory.mktemp("rubbish"), story)


QUERIES = st.lists(
    st.tuples(
        st.sampled_from(
            ["id", "name", "limit", "marker", "sort_key", "sort_dir", "fields", "page_reverse", "fixed_ips", "tags",
             "not-tags-any", "changed_since", "admin_state_up", "mtu", "network_id", "security_groups", "cidr", "nope"]
        ),
        st.one_of(TEXTS, st.sampled_from(["1", "-1", "2", "desc", "asc", "true", "ip_address=10.0.0.1",
                                          "ip_address_substr=1", "subnet_id=", "2001-01-01", "9" * 40])),
    ),
    max_size=5,
)  # fmt: skip


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.sampled_from(["networks", "subnets", "ports", "routers", "floatingips",
                                           "security-groups", "security-group-rules", "agents"]), QUERIES), min_size=5,
                max_size=10))  # fmt: skip
def test_no_question_is_too_strange(tmp_path_factory: pytest.TempPathFactory, asked: Any) -> None:
    from urllib.parse import quote, urlencode

    async def story(cloud: NetworkCloud) -> None:
        await cloud.port(await cloud.network())
        for collection, pairs in asked:
            query = urlencode(pairs, quote_via=quote, errors="replace")
            answer = await cloud.ask("GET", f"/v2.0/{collection}?{query}", as_="admin@ops")
            assert answer.status < 500, f"{collection}?{query}: {answer.status} {answer.body!r}"

    play(tmp_path_factory.mktemp("questions"), story)
