"""The auditor finds what is planted, and nothing after any honest history."""

import random
from pathlib import Path
from typing import Any

import pytest

from pileus.foundation.database import Transaction, sql
from pileus.network.app import audit
from tests.api.network_cloud import NetworkCloud, play


async def joined(cloud: NetworkCloud) -> None:
    """A router between an external and an own network, with a port, a group and a floating IP."""
    external, _ = await cloud.external()
    network = await cloud.network()
    subnet = await cloud.subnet(network)
    port = await cloud.port(network)
    body = {"router": {"external_gateway_info": {"network_id": external["id"]}}}
    router = (await cloud.post("/routers", body))["router"]
    await cloud.put(f"/routers/{router['id']}/add_router_interface", {"subnet_id": subnet["id"]})
    asked = {"floating_network_id": external["id"], "port_id": port["id"]}
    await cloud.post("/floatingips", {"floatingip": asked})


PLANTED = [
    ("DELETE FROM network_addresses", "and holds no address"),
    ("UPDATE network_addresses SET address = (SELECT next_address FROM network_subnets ORDER BY id LIMIT 1) "
     "WHERE address = (SELECT address FROM network_addresses ORDER BY address LIMIT 1)", "shows"),
    ("DELETE FROM network_free", "what is free is not"),
    ("INSERT INTO network_free SELECT subnet_id, address, address FROM network_addresses WHERE address IN "
     "(SELECT address FROM network_addresses ORDER BY address LIMIT 1)", "what is free is not"),
    ("DELETE FROM network_port_groups", "other security groups"),
    ("UPDATE network_networks SET document = replace(document, '\"subnets\":[\"', '\"subnets\":[\"x')", "lists other"),
    ("UPDATE network_networks SET document = replace(document, ':' || 'true', ':' || 'false')", "disagree"),
    ("UPDATE network_ports SET router_id = 'gone' WHERE router_id IS NOT NULL", "which is not there"),
    ("UPDATE network_ports SET device_id = 'other' WHERE router_id IS NOT NULL", "shows another device"),
    ("UPDATE network_routers SET gateway_port_id = 'gone'", "not its own"),
    ("UPDATE network_floating_ips SET floating_port_id = 'gone'", "no port that holds"),
    ("UPDATE network_floating_ips SET fixed_address = '10.1.0.99'", "which its port does not have"),
    ("DELETE FROM network_floating_ips", "floating IP that is not there"),
]  # fmt: skip


@pytest.mark.parametrize(("statement", "words"), PLANTED, ids=[words for _, words in PLANTED])
def test_a_planted_contradiction_is_found(tmp_path: Path, statement: str, words: str) -> None:
    async def story(cloud: NetworkCloud) -> None:
        await joined(cloud)
        assert await audit.findings(cloud.service) == []

        async def plant(tx: Transaction) -> None:
            assert await tx.run(sql(statement))

        await cloud.service.database.transact(plant)
        assert any(words in finding for finding in await audit.findings(cloud.service))

    play(tmp_path, story)


def test_the_ports_of_servers_are_told_by_server(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        network = await cloud.network()
        port = await cloud.port(network, device_id="vm", device_owner="compute:nova")
        await cloud.port(network, device_id="other")
        assert await audit.ports_of_servers(cloud.service) == {"vm": [port["id"]]}

    play(tmp_path, story)


class Tenants:
    """Random things that tenants, services and hosts do; refusals are answers too."""

    def __init__(self, cloud: NetworkCloud, seed: int):
        self._cloud = cloud
        self._chance = random.Random(seed)
        self._external: Any = None

    async def live(self, acts: int) -> None:
        self._external, _ = await self._cloud.external("203.0.113.0/28")
        for _ in range(acts):
            await self._chance.choice(
                [self.make_network, self.make_subnet, self.make_subnet, self.make_port, self.make_port, self.bind,
                 self.change_port, self.make_router, self.join, self.part, self.point, self.delete, self.delete]
            )()  # fmt: skip

    async def _ask(self, method: str, path: str, body: Any = None, as_: str = "member@red") -> None:
        answer = await self._cloud.ask(method, f"/v2.0{path}", body, as_=as_)
        assert answer.status < 500, f"{method} {path} {body}: {answer.body!r}"

    async def _some(self, collection: str, as_: str = "member@red") -> Any:
        found = next(iter((await self._cloud.get(f"/{collection}", as_=as_)).values()))
        own = [item for item in found if not item.get("router:external")]
        return self._chance.choice(own) if own else {"id": "none", "network_id": "none", "fixed_ips": []}

    async def make_network(self) -> None:
        await self._ask("POST", "/networks", {"network": {}})

    async def make_subnet(self) -> None:
        number = self._chance.randrange(4)
        body: dict[str, Any] = {"network_id": (await self._some("networks"))["id"]}
        if self._chance.random() < 0.5:
            body |= {"cidr": f"10.0.{number}.0/29", "ip_version": 4, "enable_dhcp": self._chance.random() < 0.7}
        else:
            mode = self._chance.choice([None, "slaac", "dhcpv6-stateful", "dhcpv6-stateless"])
            body |= {"cidr": f"2001:db8:{number}::/64", "ip_version": 6, "ipv6_address_mode": mode}
        await self._ask("POST", "/subnets", {"subnet": body})

    async def make_port(self) -> None:
        body: dict[str, Any] = {"network_id": (await self._some("networks"))["id"]}
        if self._chance.random() < 0.4:
            body["fixed_ips"] = [{"ip_address": f"10.0.{self._chance.randrange(4)}.{self._chance.randrange(8)}"}]
        await self._ask("POST", "/ports", {"port": body})

    async def bind(self) -> None:
        port = await self._some("ports")
        host = self._chance.choice(["", "h1", "h2"])
        profile = {"pileus_epoch": self._chance.randrange(4)}
        body = {"binding:host_id": host, "binding:profile": profile, "device_id": self._chance.choice(["a", "b", ""])}
        await self._ask("PUT", f"/ports/{port['id']}", {"port": body}, "service")

    async def change_port(self) -> None:
        port = await self._some("ports")
        subnet = await self._some("subnets")
        body = self._chance.choice(
            [
                {"fixed_ips": []},
                {"fixed_ips": [{"subnet_id": subnet["id"]}]},
                {"fixed_ips": [{"ip_address": f"10.0.1.{self._chance.randrange(8)}"}]},
                {"mac_address": None},
                {"security_groups": []},
            ]
        )
        await self._ask("PUT", f"/ports/{port['id']}", {"port": body}, "manager@red")

    async def make_router(self) -> None:
        info = {"external_gateway_info": {"network_id": self._external["id"]}}
        await self._ask("POST", "/routers", {"router": info if self._chance.random() < 0.7 else {}})

    async def join(self) -> None:
        router, subnet, port = await self._some("routers"), await self._some("subnets"), await self._some("ports")
        body = self._chance.choice([{"subnet_id": subnet["id"]}, {"port_id": port["id"]}])
        await self._ask("PUT", f"/routers/{router['id']}/add_router_interface", body)

    async def part(self) -> None:
        router, subnet = await self._some("routers"), await self._some("subnets")
        await self._ask("PUT", f"/routers/{router['id']}/remove_router_interface", {"subnet_id": subnet["id"]})

    async def point(self) -> None:
        port = await self._some("ports")
        body = {"floating_network_id": self._external["id"], "port_id": port["id"]}
        if self._chance.random() < 0.5:
            await self._ask("POST", "/floatingips", {"floatingip": body})
        else:
            floating = await self._some("floatingips")
            target = self._chance.choice([None, port["id"]])
            await self._ask("PUT", f"/floatingips/{floating['id']}", {"floatingip": {"port_id": target}})

    async def delete(self) -> None:
        kind = self._chance.choice(["networks", "subnets", "ports", "ports", "routers", "floatingips"])
        await self._ask("DELETE", f"/{kind}/{(await self._some(kind))['id']}")


@pytest.mark.parametrize("seed", range(8))
def test_the_books_agree_after_any_history(tmp_path: Path, seed: int) -> None:
    async def story(cloud: NetworkCloud) -> None:
        await Tenants(cloud, seed).live(120)
        assert await audit.findings(cloud.service) == []

    play(tmp_path, story)
