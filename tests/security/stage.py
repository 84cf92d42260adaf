"""The stage of the walk: two projects, people of every role, and one of everything that a path can name."""

from typing import Any

from tests.cloud import User, World

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDgrdM5qGkXW+7zZ9g1bqQe0xSOqfvH3n6mQ2mGd7kQk ref"


class Stage:
    """Tokens by person and ids by path parameter; the things belong to project red, made by its member."""

    def __init__(self, world: World):
        self.world = world
        self.tokens: dict[str, str] = {"nobody": ""}
        self.ids: dict[str, str] = {}
        self.admin: User
        self.member: User
        self.blue: User

    async def build(self) -> "Stage":
        self.admin = await self.world.admin()
        self.tokens["admin"] = self.admin.token
        await self._people()
        await self._of_identity()
        await self._outside()
        self.ids = await self.things_of(self.member)
        await self._of_operators()
        return self

    async def _people(self) -> None:
        admin = self.admin
        red, blue, green = [await admin.create_project(name) for name in ("red", "blue", "green")]
        self.ids |= {"project_id": red, "target_project_id": red, "blue": blue, "green": green}
        outsider = await admin.post("identity", "/roles", {"role": {"name": "outsider"}})
        (member,) = (await admin.get("identity", "/roles", query={"name": "member"}))["roles"]
        for project, project_id in (("red", red), ("blue", blue)):
            for role in ("reader", "member", "manager"):
                user = await admin.create_user(f"{role}-{project}", project_id, role)
                self.tokens[f"{role}@{project}"] = user.token
                self.member = user if f"{role}@{project}" == "member@red" else getattr(self, "member", user)
                self.blue = user
        self.tokens["outsider@red"] = (await admin.create_user("outsider-red", red, "outsider")).token
        key = self.world.cloud.secrets.accounts["placement"]
        self.tokens["service"] = (await self.world.login("placement", key, "service")).token
        self.tokens["reader@system"] = await self._scoped("reader", "/system", {"system": {"all": True}})
        domain = {"domain": {"id": "default"}}
        self.tokens["manager@domain"] = await self._scoped("manager", "/domains/default", domain)
        self.ids |= {"user_id": self.member.user_id, "role_id": member["id"], "outsider": outsider["role"]["id"]}

    async def _scoped(self, role: str, place: str, scope: dict[str, Any]) -> str:
        """The token of somebody who has a role there and nowhere else."""
        admin, name = self.admin, f"{role}-{place.rpartition('/')[2]}"
        made = await admin.post("identity", "/users", {"user": {"name": name, "password": name}})
        (found,) = (await admin.get("identity", "/roles", query={"name": role}))["roles"]
        await admin.need("identity", "PUT", f"{place}/users/{made['user']['id']}/roles/{found['id']}")
        identity = {"methods": ["password"], "password": {"user": {"id": made["user"]["id"], "password": name}}}
        answer = await self.world.ask("POST", "/identity/v3/auth/tokens",
                                      {"auth": {"identity": identity, "scope": scope}})  # fmt: skip
        assert answer.status == 201, answer.body
        return answer.headers["x-subject-token"]

    async def _of_identity(self) -> None:
        admin, ids = self.admin, self.ids
        ids["domain_id"] = "default"
        ids["group_id"] = (await admin.post("identity", "/groups", {"group": {"name": "g"}}))["group"]["id"]
        prior = await admin.post("identity", "/roles", {"role": {"name": "prior"}})
        ids |= {"prior_role_id": prior["role"]["id"], "implied_role_id": ids["outsider"]}
        await admin.need("identity", "PUT", f"/roles/{ids['prior_role_id']}/implies/{ids['implied_role_id']}")
        await self._grants()
        service = await admin.post("identity", "/services", {"service": {"type": "t", "name": "n"}})
        ids["service_id"] = service["service"]["id"]
        ids["region_id"] = (await admin.post("identity", "/regions", {"region": {"id": "r"}}))["region"]["id"]
        body = {"endpoint": {"interface": "public", "url": "http://x", "service_id": ids["service_id"]}}
        ids["endpoint_id"] = (await admin.post("identity", "/endpoints", body))["endpoint"]["id"]
        ids |= await self.credentials_of(self.member)
        await admin.need("identity", "PUT", f"/projects/{ids['project_id']}/tags/t")
        await admin.need("identity", "PUT", f"/groups/{ids['group_id']}/users/{ids['user_id']}")

    async def credentials_of(self, user: User) -> dict[str, str]:
        """What belongs to a user in identity."""
        rules = [{"path": "/v2.1/servers", "method": "GET", "service": "compute"}]
        place = f"/users/{user.user_id}"
        made = await user.post("identity", f"{place}/application_credentials",
                               {"application_credential": {"name": "a", "access_rules": rules}})  # fmt: skip
        body = {"credential": {"type": "cert", "blob": "b", "user_id": user.user_id}}
        credential = await user.post("identity", "/credentials", body)
        ec2 = await user.post("identity", f"{place}/credentials/OS-EC2", {"tenant_id": user.project_id})
        return {
            "application_credential_id": made["application_credential"]["id"],
            "access_rule_id": made["application_credential"]["access_rules"][0]["id"],
            "credential_id": credential["credential"]["id"], "ec2_id": ec2["credential"]["access"],
        }  # fmt: skip

    async def _grants(self) -> None:
        """One assignment of every kind, so that each can be looked at and taken away."""
        ids, role = self.ids, self.ids["role_id"]
        for subject in (f"users/{ids['user_id']}", f"groups/{ids['group_id']}"):
            for place in ("system", f"projects/{ids['project_id']}", "domains/default"):
                await self.admin.need("identity", "PUT", f"/{place}/{subject}/roles/{role}")
                if place != "system":
                    path = f"/OS-INHERIT/{place}/{subject}/roles/{role}/inherited_to_projects"
                    await self.admin.need("identity", "PUT", path)

    async def things_of(self, user: User) -> dict[str, str]:
        """One of everything that belongs to a project, made by `user` in theirs."""
        ids = dict(self.ids)
        ids["image_id"] = await user.create_image("disk", tags=["t"])
        await user.post("image", f"/images/{ids['image_id']}/members", {"member": ids["green"]})
        ids |= {"member_id": ids["green"], "tag": "t", "key": "k", "network_label": "net", "keypair_name": "key"}
        await self._networks(user, ids)
        ids["volume_id"] = await user.create_volume("data", metadata={"k": "v"})
        await user.volume_at_rest(ids["volume_id"])
        await self._snapshot(user, ids)
        group = {"server_group": {"name": "g", "policy": "anti-affinity"}}
        ids["server_group_id"] = (await user.post("compute", "/os-server-groups", group))["server_group"]["id"]
        await user.post("compute", "/os-keypairs", {"keypair": {"name": "key", "public_key": KEY}})
        await self._server(user, ids)
        attachments = await user.get("volume", "/attachments")
        ids["attachment_id"] = attachments["attachments"][0]["id"]
        failed = await user.create_volume("bad", metadata={"pileus:fail": "create"})
        await user.volume_at_rest(failed)
        ids["message_id"] = (await user.get("volume", "/messages"))["messages"][0]["id"]
        return ids

    async def _snapshot(self, user: User, ids: dict[str, str]) -> None:
        body = {"snapshot": {"volume_id": ids["volume_id"], "metadata": {"k": "v"}}}
        ids["snapshot_id"] = (await user.post("volume", "/snapshots", body))["snapshot"]["id"]

        async def rests() -> tuple[bool, Any]:
            found = (await user.get("volume", f"/snapshots/{ids['snapshot_id']}"))["snapshot"]
            return found["status"] == "available", found

        await user.until(rests, "the snapshot is available")

    async def _server(self, user: User, ids: dict[str, str]) -> None:
        ids["server_id"] = await user.launch(
            "server", flavor=ids["flavor_id"], image=ids["image_id"], networks=[{"port": ids["port_id"]}],
            metadata={"k": "v"}, tags=["t"],
        )  # fmt: skip
        server = await user.at_rest(ids["server_id"])
        assert server is not None and server["status"] == "ACTIVE", server
        attached = {"volumeAttachment": {"volumeId": ids["volume_id"]}}
        await user.post("compute", f"/servers/{ids['server_id']}/os-volume_attachments", attached)

        async def is_attached() -> tuple[bool, Any]:
            found = await user.volume(ids["volume_id"])
            return found is not None and found["status"] == "in-use", found

        await user.until(is_attached, "the volume is attached")
        actions = await user.get("compute", f"/servers/{ids['server_id']}/os-instance-actions")
        ids["request_id"] = actions["instanceActions"][0]["request_id"]

    async def _networks(self, user: User, ids: dict[str, str]) -> None:
        ids["network_id"] = await user.create_network("net")
        (subnet,) = (await user.get("network", "/subnets", query={"network_id": ids["network_id"]}))["subnets"]
        ids["subnet_id"] = subnet["id"]
        ids["port_id"] = await user.create_port(ids["network_id"])
        ids["free_port"] = await user.create_port(ids["network_id"])
        ids["router_id"] = (await user.post("network", "/routers", {"router": {}}))["router"]["id"]
        floating = await user.post("network", "/floatingips", {"floatingip": {"floating_network_id": ids["outside"]}})
        ids["floatingip_id"] = floating["floatingip"]["id"]
        group = await user.post("network", "/security-groups", {"security_group": {"name": "sg"}})
        ids["security_group_id"] = group["security_group"]["id"]
        ids["security_group_rule_id"] = group["security_group"]["security_group_rules"][0]["id"]
        for kind in ("network", "subnet", "port", "router", "floatingip", "security_group"):
            thing = ids["free_port" if kind == "port" else f"{kind}_id"]
            await user.need("network", "PUT", f"/{kind.replace('_', '-')}s/{thing}/tags/t")

    async def _outside(self) -> None:
        """What everybody may use: a flavor, and a network that floating addresses come from."""
        self.ids["flavor_id"] = await self.admin.create_flavor("small")
        outside = {"network": {"name": "outside", "router:external": True}}
        self.ids["outside"] = (await self.admin.post("network", "/networks", outside))["network"]["id"]
        body = {"subnet": {"network_id": self.ids["outside"], "ip_version": 4, "cidr": "192.0.2.0/24"}}
        await self.admin.post("network", "/subnets", body)

    async def _of_operators(self) -> None:
        admin, ids = self.admin, self.ids
        await admin.post("compute", f"/flavors/{ids['flavor_id']}/os-extra_specs", {"extra_specs": {"k": "v"}})
        made = await admin.post("volume", "/types", {"volume_type": {"name": "t", "extra_specs": {"k": "v"}}})
        ids |= {"type_id": made["volume_type"]["id"], "class_name": "default", "id": "default"}
        aggregate = await admin.post("compute", "/os-aggregates", {"aggregate": {"name": "a"}})
        ids["aggregate_id"] = str(aggregate["aggregate"]["id"])
        ids["host"] = (await admin.get("compute", "/os-hypervisors/detail"))["hypervisors"][0]["service"]["host"]
        ids["hypervisor_id"] = str((await admin.get("compute", "/os-hypervisors"))["hypervisors"][0]["id"])
        ids["agent_id"] = (await admin.get("network", "/agents"))["agents"][0]["id"]
        provider = await admin.post("placement", "/resource_providers", {"name": "walk"})
        ids |= {"uuid": provider["uuid"], "consumer_uuid": ids["server_id"], "resource_class": "VCPU"}
        inventory = {"resource_provider_generation": 0, "inventories": {"VCPU": {"total": 4}}}
        await admin.need("placement", "PUT", f"/resource_providers/{ids['uuid']}/inventories", inventory)
        await admin.need("placement", "PUT", "/resource_classes/CUSTOM_WALK")
        await admin.need("placement", "PUT", "/traits/CUSTOM_WALK")
        ids["name"] = "CUSTOM_WALK"
        await self._compute_service()

    async def _compute_service(self) -> None:
        services = (await self.admin.get("compute", "/os-services"))["services"]
        self.ids["compute_service_id"] = next(one["id"] for one in services if one["binary"] == "nova-compute")
        self.ids["alias"] = (await self.admin.get("network", "/extensions"))["extensions"][0]["alias"]
        self.ids["host_name"] = (await self.admin.get("volume", "/os-services"))["services"][0]["host"]
        self.ids["volume_alias"] = (await self.admin.get("volume", "/extensions"))["extensions"][0]["alias"]
