"""The security groups of a server: those of its ports, which the network service keeps."""

from typing import Any

from pileus.compute.app.servers import change
from pileus.compute.domain.errors import UnknownSecurityGroup
from pileus.compute.domain.server import Server, changed
from pileus.compute.service import Compute
from pileus.foundation.context import Context
from pileus.foundation.errors import NotFound


class SecurityGroupNotFound(NotFound):
    code = "compute.security-group.not-found"
    message = "Security group {name} not found for project {project_id}."


class SecurityGroupNotThere(NotFound):
    code = "compute.security-group.not-on-server"
    message = "Security group {name} not associated with the instance {server_id}"


class NoPorts(NotFound):
    code = "compute.security-group.no-ports"
    message = "instance_id {server_id} could not be found as device id on any ports"


async def of_server(compute: Compute, context: Context, server: Server) -> tuple[list[Any], dict[str, Any]]:
    """The groups on the server's ports, and by id all groups that their rules name."""
    authority = compute.users_authority(context.token)
    ports = await compute.networks.interfaces(server.id, compute.own_authority())
    ids = list(dict.fromkeys(group_id for port in ports for group_id in port["security_groups"]))
    found = await compute.networks.security_groups(ids, authority)
    known = {group["id"]: group for group in found}
    remote = {rule["remote_group_id"] for group in found for rule in group["security_group_rules"]} - {None}
    for group in await compute.networks.security_groups(sorted(remote - known.keys()), authority):
        known[group["id"]] = group
    return found, known


async def add(compute: Compute, context: Context, server: Server, name: str) -> None:
    """Put a security group (its name or id) on every port of the server. Raises: SecurityGroupNotFound, NoPorts."""
    group_id, known_as = await _find(compute, context, server, name)
    authority = compute.users_authority(context.token)
    for port in await _ports(compute, server):
        if group_id not in port["security_groups"]:
            await compute.networks.set_port_groups(port["id"], [*port["security_groups"], group_id], authority)
    await _remember(compute, context, server, lambda names: names if known_as in names else (*names, known_as))


async def remove(compute: Compute, context: Context, server: Server, name: str) -> None:
    """Take a security group off every port. Raises: SecurityGroupNotFound, SecurityGroupNotThere, NoPorts (404)."""
    group_id, known_as = await _find(compute, context, server, name)
    authority = compute.users_authority(context.token)
    ports = [port for port in await _ports(compute, server) if group_id in port["security_groups"]]
    if not ports:
        raise SecurityGroupNotThere(name=name, server_id=server.id)
    for port in ports:
        left = [one for one in port["security_groups"] if one != group_id]
        await compute.networks.set_port_groups(port["id"], left, authority)
    await _remember(compute, context, server, lambda names: tuple(one for one in names if one != known_as))


async def _find(compute: Compute, context: Context, server: Server, name: str) -> tuple[str, str]:
    """A group's id, and what the server's document calls it."""
    authority = compute.users_authority(context.token)
    try:
        group_ids = await compute.networks.security_group_ids([name], server.project_id, authority)
        names = await compute.networks.security_group_names([name], server.project_id, authority)
        return group_ids[0], names[0]
    except UnknownSecurityGroup as missing:
        raise SecurityGroupNotFound(name=name, project_id=server.project_id) from missing


async def _ports(compute: Compute, server: Server) -> list[Any]:
    ports = await compute.networks.interfaces(server.id, compute.own_authority())
    if not ports:
        raise NoPorts(server_id=server.id)
    return ports


async def _remember(compute: Compute, context: Context, server: Server, decide: Any) -> None:
    """Change compute's copy of the groups' names, which the server's document shows."""

    def after(found: Server) -> Server:
        names = decide(found.security_groups)
        if names == found.security_groups:
            return found
        return changed(found, compute.runtime.now(), security_groups=names)

    await change(compute, context, server.id, after)
