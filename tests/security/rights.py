"""Who may do what, by the published default of every operation: `rights.csv`, transcribed, independent of our rules.

A default is words joined by `|`: a role (`reader`, `member`, `manager`, `admin`, `service`), a role in a scope
(`reader@system`, `manager@domain`), a relation to the thing (`owner`, `shared`), or `any` token.
"""

import csv
from pathlib import Path

from pileus.foundation.http.route import Route

NONE = "none (no token)"
DEFAULTS = {row["op"]: row["default_policy"] for row in csv.DictReader((Path(__file__).parent / "rights.csv").open())}

OURS = {
    "pileus:get:root": NONE, "pileus:get:traces/*": "admin|reader", "pileus:get:flows": "admin",
    "pileus:get:flows/*": "admin", "pileus:post:flows/*/resume": "admin", "pileus:post:flows/*/abandon": "admin",
    "pileus:get:audit": "admin", "pileus:get:status": "admin",
}  # fmt: skip
"""Of our own API, which nobody published."""
OTHERWISE = {
    # The row has the rule of what the call does beside; these are the ones of the call itself.
    "compute:put:servers/*/os-volume_attachments/*": "admin|member",
    "block-storage:post:volumes/*/action:os-attach": "admin|member",
    "compute:get:flavors/detail": "any", "compute:get:flavors/*": "any", "network:get:v2.0": "any",
    # Only the project that an image was shared with answers for itself; nobody of that one walks here.
    "image:put:images/*/members/*": "admin",
    # What one's own project may use, everybody in it may know.
    "network:get:quotas/*": "admin|any@project", "network:get:quotas/*/default": "admin|any@project",
    "network:get:quotas/*/details": "admin|any@project",
}  # fmt: skip
FOR_SERVICES = {
    "block-storage:get:volumes", "block-storage:get:volumes/detail", "block-storage:get:volumes/summary",
    "block-storage:get:volumes/*", "block-storage:delete:volumes/*", "block-storage:get:attachments",
    "block-storage:post:attachments", "block-storage:get:attachments/detail", "block-storage:get:attachments/*",
    "block-storage:put:attachments/*", "block-storage:delete:attachments/*",
    "block-storage:post:attachments/*/action:os-complete", "block-storage:post:volumes/*/action:os-reserve",
    "block-storage:post:volumes/*/action:os-unreserve", "block-storage:post:volumes/*/action:os-detach",
    "block-storage:post:volumes/*/action:os-begin_detaching", "block-storage:post:volumes/*/action:os-roll_detaching",
    "block-storage:post:volumes/*/action:os-initialize_connection",
    "block-storage:post:volumes/*/action:os-terminate_connection",
}  # fmt: skip
"""What compute does to volumes without a user: deletes, reconcilers and resumed flows act as the service alone."""
PARENT_IN_BODY = {
    "compute:post:servers", "network:post:subnets", "network:post:ports", "network:post:security-group-rules",
    "block-storage:post:attachments", "block-storage:post:snapshots", "placement:get:usages",
}  # fmt: skip
"""What names something of project red in its body or query."""
OWNER_IN_BODY = {"identity:post:credentials", "identity:get:auth/tokens", "identity:head:auth/tokens",
                 "identity:delete:auth/tokens"}  # fmt: skip

PEOPLE = (
    "nobody", "outsider@red", "reader@red", "member@red", "manager@red", "member@blue", "manager@blue", "admin",
    "service", "reader@system", "manager@domain",
)  # fmt: skip
"""`outsider@red` has a role in the project that means nothing; `member@red` owns what belongs to a user."""
ROLES = {
    "reader": {"reader"}, "member": {"member", "reader"}, "manager": {"manager", "member", "reader"}, "outsider": set(),
    "nobody": set(), "admin": {"admin", "manager", "member", "reader"}, "service": {"service"},
}  # fmt: skip

OF_A_PROJECT = {
    "server_id", "volume_id", "image_id", "network_id", "subnet_id", "port_id", "router_id", "floatingip_id",
    "security_group_id", "security_group_rule_id", "attachment_id", "message_id", "server_group_id", "member_id",
    "project_id", "target_project_id", "snapshot_id",
}  # fmt: skip
OF_A_USER = {"user_id", "credential_id", "keypair_name", "application_credential_id", "access_rule_id"}


def words(route: Route) -> set[str]:
    """The published default of a route, as words."""
    if route.policy is None and route.success >= 300:
        return {NONE}  # sends to where the answer is
    default = OURS.get(route.op) or OTHERWISE.get(route.op) or DEFAULTS[route.op]
    if default.startswith(("none", "owner (knows")):
        return {NONE}
    asked = set(default.split("|"))
    if route.op in FOR_SERVICES or (route.op.endswith(("/tags", "/tags/*")) and _is_of_services(route)):
        asked.add("service")
    return asked


def _is_of_services(route: Route) -> bool:
    """Whether these are the tags of a network, a subnet or a port: services reach those as they reach the thing."""
    kind = route.path.split("/")[2]
    return kind == "ports" or (kind in ("networks", "subnets") and route.method == "GET")


def parameters(route: Route) -> set[str]:
    return {part[1:-1] for part in route.path.split("/") if part.startswith("{")}


def belongs_to_a_project(route: Route) -> bool:
    """Whether the request names something of project red; otherwise the caller's own project is meant."""
    named = bool(parameters(route) & OF_A_PROJECT) or route.op in PARENT_IN_BODY
    return named and not route.op.startswith("identity:")


def may(route: Route, who: str) -> bool:
    """Whether the published default lets `who` do this to a thing of project red and of member@red."""
    asked = words(route)
    if NONE in asked:
        return True
    if who == "nobody":
        return False
    if {"any", "any@domain"} & asked:
        return True
    role, _, scope = who.partition("@")
    is_owned = bool(parameters(route) & OF_A_USER) or route.op in OWNER_IN_BODY
    if "owner" in asked and (who == "member@red" or not is_owned):
        return True
    if "member@user" in asked and who == "member@red":
        return True
    if scope in ("system", "domain"):
        anywhere = ROLES[role] & asked if route.op.startswith("identity:") else set()
        return bool(anywhere) or any(f"{name}@{scope}" in asked for name in ROLES[role])
    if role in ("admin", "service"):
        return role in asked or (role == "service" and "advsvc" in asked)
    if "any@project" in asked:
        return scope == "red"
    inside = scope == "red" or not belongs_to_a_project(route)
    return inside and bool((ROLES[role] | {f"{name}@parent-owner" for name in ROLES[role]}) & asked)
