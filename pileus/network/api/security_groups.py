"""Security groups and their rules on the wire."""

from collections.abc import Mapping, Sequence
from typing import Any

from pileus.foundation.http.request import Response, empty
from pileus.network.api import access, collection
from pileus.network.api.access import Call
from pileus.network.api.kinds import RULES, SECURITY_GROUPS
from pileus.network.app import security_groups
from pileus.network.app.security_groups import NewGroup
from pileus.network.domain.document import render
from pileus.network.domain.errors import SecurityGroupNotFound, SecurityGroupRuleNotFound
from pileus.network.domain.security_group import IPV4, IPV6, NewRule, Rule, SecurityGroup


async def list_groups(request: Call) -> Response:
    await security_groups.ensure_default(request.service, request.context.project_id)
    return await collection.many(SECURITY_GROUPS, request, _with_rules)


async def _with_rules(request: Call, rows: Sequence[Any], texts: list[str]) -> list[str]:
    rules = await security_groups.rule_documents(request.service, [row["id"] for row in rows])
    return [_complete(text, rules[row["id"]]) for row, text in zip(rows, texts, strict=True)]


def _complete(text: str, rules: Sequence[str]) -> str:
    return f'{text[:-1]},"security_group_rules":[{",".join(rules)}]}}'


async def _shown(request: Call, group: SecurityGroup) -> str:
    rules = await security_groups.rule_documents(request.service, [group.id])
    return _complete(render(group), rules[group.id])


async def show_group(request: Call) -> Response:
    group, _ = await _visible(request, request.params["security_group_id"])
    return collection.one_text(SECURITY_GROUPS, request, await _shown(request, group))


async def _visible(request: Call, group_id: str) -> tuple[SecurityGroup, dict[str, Any]]:
    """A group with its target. Raises: SecurityGroupNotFound (404)."""
    group = await security_groups.find(request.service, group_id)
    if group is None:
        raise SecurityGroupNotFound(id=group_id)
    target = {**access.of_project(group.project_id), "shared": group.shared}
    if not access.may_see(request, "get_security_group", target):
        raise SecurityGroupNotFound(id=group_id)
    return group, target


async def create_group(request: Call) -> Response:
    asked, is_bulk = access.items(request, "security_group", "security_groups")
    made = await security_groups.create(request.service, [_new(request, item) for item in asked])
    return collection.created(SECURITY_GROUPS, [await _shown(request, group) for group in made], is_bulk)


def _new(request: Call, item: Mapping[str, Any]) -> NewGroup:
    project_id = access.owner(request, item)
    access.enforce(request, access.of_project(project_id))
    return NewGroup(
        project_id=project_id,
        name=item.get("name", ""),
        description=item.get("description", ""),
        tags=tuple(sorted(set(item.get("tags", ())))),
    )


async def update_group(request: Call) -> Response:
    group, target = await _visible(request, request.params["security_group_id"])
    access.enforce(request, target)
    item = request.body["security_group"]
    changed = await security_groups.update(
        request.service,
        group.id,
        name=item.get("name"),
        description=item.get("description"),
        revision=access.expected_revision(request),
    )
    return collection.one_text(SECURITY_GROUPS, request, await _shown(request, changed))


async def delete_group(request: Call) -> Response:
    group, target = await _visible(request, request.params["security_group_id"])
    access.enforce(request, target)
    await security_groups.delete(
        request.service, group.id, access.actor(request), revision=access.expected_revision(request)
    )
    return empty()


# -- rules --------------------------------------------------------------------------------------------------------
async def list_rules(request: Call) -> Response:
    return await collection.many(RULES, request)


async def show_rule(request: Call) -> Response:
    rule, target = await _visible_rule(request)
    return collection.one(RULES, request, rule, target)


async def _visible_rule(request: Call) -> tuple[Rule, dict[str, Any]]:
    """The rule of the path with its target. Raises: SecurityGroupRuleNotFound (404)."""
    rule_id = request.params["security_group_rule_id"]
    rule = await security_groups.find_rule(request.service, rule_id)
    group = await security_groups.find(request.service, rule.security_group_id) if rule else None
    if rule is None or group is None:
        raise SecurityGroupRuleNotFound(id=rule_id)
    target = access.of_rule(group.project_id)
    if not access.may_see(request, "get_security_group_rule", target):
        raise SecurityGroupRuleNotFound(id=rule_id)
    return rule, target


async def create_rule(request: Call) -> Response:
    asked, is_bulk = access.items(request, "security_group_rule", "security_group_rules")
    wanted = []
    for item in asked:
        group, _ = await _visible(request, item["security_group_id"])
        access.owner(request, item)
        access.enforce(request, access.of_rule(group.project_id))
        wanted.append(_new_rule(item))
    made = await security_groups.create_rules(request.service, wanted, access.actor(request))
    return collection.created(RULES, [render(rule) for rule in made], is_bulk)


def _new_rule(item: Mapping[str, Any]) -> NewRule:
    low, high, protocol = item.get("port_range_min"), item.get("port_range_max"), item.get("protocol")
    return NewRule(
        security_group_id=item["security_group_id"],
        direction=item["direction"],
        ethertype=IPV6 if (item.get("ethertype") or IPV4).lower() == "ipv6" else IPV4,
        protocol=None if protocol is None else str(protocol),
        port_min=None if low is None else int(low),
        port_max=None if high is None else int(high),
        remote_ip_prefix=item.get("remote_ip_prefix") or None,
        remote_group_id=item.get("remote_group_id"),
        description=item.get("description", ""),
    )


async def delete_rule(request: Call) -> Response:
    rule, target = await _visible_rule(request)
    access.enforce(request, target)
    await security_groups.delete_rule(request.service, rule.id, revision=access.expected_revision(request))
    return empty()
