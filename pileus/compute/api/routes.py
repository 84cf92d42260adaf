"""Every operation of compute as one table. The path begins at the service's root; the project id may stand in it."""

from typing import Any

from pileus.compute.api import (
    aggregates,
    discovery,
    external_events,
    flavor_schema,
    flavors,
    instance_actions,
    keypairs,
    operators,
    quotas,
    server_actions,
    server_devices,
    server_filters,
    server_groups,
    server_parts,
    server_schema,
    servers,
    usage,
)
from pileus.compute.api.dress import dress
from pileus.compute.api.paging import LIMIT, OFFSET
from pileus.compute.api.reach import NO_QUERY, query
from pileus.compute.api.versions import MICROVERSIONS
from pileus.compute.domain.server_states import Action
from pileus.foundation.http.app import Api
from pileus.foundation.http.route import Handler, Route
from pileus.foundation.http.schema import Body

_SERVER = "/servers/{server_id}"


def _route(method: str, path: str, handler: Handler, policy: str, success: int = 200, **facts: Any) -> Route:
    """A route under /v2.1; its row in the reference is named by method and path."""
    shape = "/".join("*" if part.startswith("{") else part for part in path[1:].split("/"))
    op = f"compute:{method.lower()}:{shape}"
    if facts.get("action"):
        op += f":{facts['action']}"
    facts.setdefault("query", NO_QUERY)
    rule = f"os_compute_api:{policy}" if policy else ""
    return Route(method, f"/v2.1{path}", handler, rule, op, success, **facts)


def _act(word: str, handler: Handler, policy: str, body: Body | None = None, **facts: Any) -> Route:
    """A key of POST /servers/{id}/action."""
    wanted = body if body is not None else server_schema.plain_action(word)
    success = facts.pop("success", 202)
    return _route("POST", f"{_SERVER}/action", handler, policy, success, action=word, body=wanted, late=True, **facts)


_DISCOVERY = (
    Route("GET", "/", discovery.list_versions, None, "compute:get:"),
    Route("GET", "/v2.1", discovery.show_version, None, "compute:get:v2.1"),
    Route("GET", "/v2.1/", discovery.show_version, None, "compute:get:v2.1"),
    Route("GET", "/v2", discovery.show_version, None, "compute:get:v2.1"),
    Route("GET", "/v2/", discovery.show_version, None, "compute:get:v2.1"),
)

_SERVERS = (
    _route("GET", "/servers", servers.list_servers, "servers:index", query=server_filters.LIST),
    _route("POST", "/servers", servers.launch_server, "servers:create", 202, body=server_schema.CREATE),
    _route("GET", "/servers/detail", servers.list_servers_detailed, "servers:detail", query=server_filters.LIST),
    _route("GET", _SERVER, servers.show_server, "servers:show", late=True),
    _route("PUT", _SERVER, servers.update_server, "servers:update", body=server_schema.UPDATE, late=True),
    _route("DELETE", _SERVER, servers.delete_server, "servers:delete", 204, late=True),
)

_SERVER_ACTIONS = (
    _act("os-start", server_actions.simple(Action.START), "servers:start"),
    _act("os-stop", server_actions.simple(Action.STOP), "servers:stop"),
    _act("reboot", server_actions.reboot_server, "servers:reboot", server_schema.REBOOT),
    _act("pause", server_actions.simple(Action.PAUSE), "os-pause-server:pause"),
    _act("unpause", server_actions.simple(Action.UNPAUSE), "os-pause-server:unpause"),
    _act("suspend", server_actions.simple(Action.SUSPEND), "os-suspend-server:suspend"),
    _act("resume", server_actions.simple(Action.RESUME), "os-suspend-server:resume"),
    _act("lock", server_actions.lock_server, "os-lock-server:lock", server_schema.LOCK),
    _act("unlock", server_actions.unlock_server, "os-lock-server:unlock"),
    _act("rebuild", server_actions.rebuild_server, "servers:rebuild", server_schema.REBUILD),
    _act("createImage", server_actions.create_image, "servers:create_image", server_schema.CREATE_IMAGE),
    _act(
        "os-getConsoleOutput",
        server_actions.console_output,
        "os-console-output",
        server_schema.CONSOLE_OUTPUT,
        success=200,
    ),
    _act("changePassword", server_actions.change_password, "os-admin-password", server_schema.CHANGE_PASSWORD),
    _act("forceDelete", server_actions.force_delete_server, "os-deferred-delete:force"),
    _act("restore", server_actions.simple(Action.RESTORE), "os-deferred-delete:restore"),
    _act("os-resetState", server_actions.reset_state, "os-admin-actions:reset_state", server_schema.RESET_STATE),
    _act(
        "addSecurityGroup",
        server_actions.add_security_group,
        "os-security-groups:add",
        server_schema.ADD_SECURITY_GROUP,
    ),
    _act(
        "removeSecurityGroup",
        server_actions.remove_security_group,
        "os-security-groups:remove",
        server_schema.REMOVE_SECURITY_GROUP,
    ),
)

_METADATA = f"{_SERVER}/metadata"
_METADATA_ITEM = f"{_METADATA}/{{key}}"
_TAGS = f"{_SERVER}/tags"
_TAG = f"{_TAGS}/{{tag}}"
_SERVER_PARTS = (
    _route("GET", _METADATA, server_parts.list_metadata, "server-metadata:index", late=True),
    _route(
        "POST", _METADATA, server_parts.merge_metadata, "server-metadata:create",
        body=server_schema.METADATA_ITEMS, late=True,
    ),
    _route(
        "PUT", _METADATA, server_parts.replace_metadata, "server-metadata:update_all",
        body=server_schema.METADATA_ITEMS, late=True,
    ),
    _route("GET", _METADATA_ITEM, server_parts.show_metadata_item, "server-metadata:show", late=True),
    _route(
        "PUT", _METADATA_ITEM, server_parts.set_metadata_item, "server-metadata:update",
        body=server_schema.METADATA_ITEM, late=True,
    ),
    _route("DELETE", _METADATA_ITEM, server_parts.delete_metadata_item, "server-metadata:delete", 204, late=True),
    _route("GET", _TAGS, server_parts.list_tags, "os-server-tags:index", since="2.26", late=True),
    _route(
        "PUT", _TAGS, server_parts.replace_tags, "os-server-tags:update_all",
        since="2.26", body=server_schema.ALL_TAGS, late=True,
    ),
    _route("DELETE", _TAGS, server_parts.delete_tags, "os-server-tags:delete_all", 204, since="2.26", late=True),
    _route("GET", _TAG, server_parts.show_tag, "os-server-tags:show", 204, since="2.26", late=True),
    _route("PUT", _TAG, server_parts.add_tag, "os-server-tags:update", 201, since="2.26", late=True),
    _route("DELETE", _TAG, server_parts.delete_tag, "os-server-tags:delete", 204, since="2.26", late=True),
    _route("GET", f"{_SERVER}/ips", server_parts.list_addresses, "ips:index", late=True),
    _route("GET", f"{_SERVER}/ips/{{network_label}}", server_parts.show_addresses, "ips:show", late=True),
    _route("GET", f"{_SERVER}/os-server-password", server_parts.show_password, "os-server-password:show", late=True),
    _route(
        "DELETE", f"{_SERVER}/os-server-password", server_parts.clear_password, "os-server-password:clear", 204,
        late=True,
    ),
    _route(
        "GET", f"{_SERVER}/os-security-groups", server_parts.list_security_groups, "os-security-groups:list", late=True
    ),
    _route(
        "POST", f"{_SERVER}/remote-consoles", server_parts.create_console, "os-remote-consoles",
        since="2.6", body=server_schema.REMOTE_CONSOLE, late=True,
    ),
    _route(
        "GET", f"{_SERVER}/os-instance-actions", instance_actions.list_actions, "os-instance-actions:list",
        query=instance_actions.LIST, late=True,
    ),
    _route(
        "GET", f"{_SERVER}/os-instance-actions/{{request_id}}", instance_actions.show_action,
        "os-instance-actions:show", late=True,
    ),
)  # fmt: skip

_VOLUMES = f"{_SERVER}/os-volume_attachments"
_VOLUME = f"{_VOLUMES}/{{volume_id}}"
_INTERFACES = f"{_SERVER}/os-interface"
_INTERFACE = f"{_INTERFACES}/{{port_id}}"
_SERVER_DEVICES = (
    _route(
        "GET", _VOLUMES, server_devices.list_volumes, "os-volumes-attachments:index",
        query=query(LIMIT, OFFSET, additional_until="2.74"), late=True,
    ),
    _route(
        "POST", _VOLUMES, server_devices.attach_volume, "os-volumes-attachments:create",
        body=server_schema.ATTACH_VOLUME, late=True,
    ),
    _route("GET", _VOLUME, server_devices.show_volume, "os-volumes-attachments:show", late=True),
    _route(
        "PUT", _VOLUME, server_devices.update_volume, "os-volumes-attachments:update", 202,
        body=server_schema.UPDATE_VOLUME, late=True,
    ),
    _route("DELETE", _VOLUME, server_devices.detach_volume, "os-volumes-attachments:delete", 202, late=True),
    _route("GET", _INTERFACES, server_devices.list_interfaces, "os-attach-interfaces:list", late=True),
    _route(
        "POST", _INTERFACES, server_devices.attach_interface, "os-attach-interfaces:create",
        body=server_schema.ATTACH_INTERFACE, late=True,
    ),
    _route("GET", _INTERFACE, server_devices.show_interface, "os-attach-interfaces:show", late=True),
    _route("DELETE", _INTERFACE, server_devices.detach_interface, "os-attach-interfaces:delete", 202, late=True),
)  # fmt: skip

_FLAVOR = "/flavors/{flavor_id}"
_SPECS = f"{_FLAVOR}/os-extra_specs"
_SPEC = f"{_SPECS}/{{key}}"
_FLAVORS = (
    _route("GET", "/flavors", flavors.list_flavors, "", query=flavor_schema.LIST),
    _route("POST", "/flavors", flavors.create_flavor, "os-flavor-manage:create", body=flavor_schema.CREATE),
    _route("GET", "/flavors/detail", flavors.list_flavors_detailed, "", query=flavor_schema.LIST),
    _route("GET", _FLAVOR, flavors.show_flavor, ""),
    _route(
        "PUT", _FLAVOR, flavors.update_flavor, "os-flavor-manage:update", since="2.55", body=flavor_schema.UPDATE
    ),
    _route("DELETE", _FLAVOR, flavors.delete_flavor, "os-flavor-manage:delete", 202),
    _route("GET", _SPECS, flavors.list_extra_specs, "os-flavor-extra-specs:index"),
    _route(
        "POST", _SPECS, flavors.create_extra_specs, "os-flavor-extra-specs:create", body=flavor_schema.EXTRA_SPECS
    ),
    _route("GET", _SPEC, flavors.show_extra_spec, "os-flavor-extra-specs:show"),
    _route("PUT", _SPEC, flavors.update_extra_spec, "os-flavor-extra-specs:update", body=flavor_schema.EXTRA_SPEC),
    _route("DELETE", _SPEC, flavors.delete_extra_spec, "os-flavor-extra-specs:delete"),
    _route("GET", f"{_FLAVOR}/os-flavor-access", flavors.list_access, "os-flavor-access"),
    _route(
        "POST", f"{_FLAVOR}/action", flavors.add_access, "os-flavor-access:add_tenant_access",
        action="addTenantAccess", body=flavor_schema.ADD_ACCESS,
    ),
    _route(
        "POST", f"{_FLAVOR}/action", flavors.remove_access, "os-flavor-access:remove_tenant_access",
        action="removeTenantAccess", body=flavor_schema.REMOVE_ACCESS,
    ),
)  # fmt: skip

_KEYPAIR = "/os-keypairs/{keypair_name}"
_GROUP = "/os-server-groups/{server_group_id}"
_OF_PROJECTS = (
    _route("GET", "/os-keypairs", keypairs.list_keypairs, "os-keypairs:index", query=keypairs.LIST, late=True),
    _route("POST", "/os-keypairs", keypairs.create_keypair, "os-keypairs:create", body=keypairs.CREATE, late=True),
    _route("GET", _KEYPAIR, keypairs.show_keypair, "os-keypairs:show", query=keypairs.ONE, late=True),
    _route("DELETE", _KEYPAIR, keypairs.delete_keypair, "os-keypairs:delete", 202, query=keypairs.ONE, late=True),
    _route("GET", "/os-server-groups", server_groups.list_groups, "os-server-groups:index", query=server_groups.LIST),
    _route("POST", "/os-server-groups", server_groups.create_group, "os-server-groups:create",
           body=server_groups.CREATE),
    _route("GET", _GROUP, server_groups.show_group, "os-server-groups:show", late=True),
    _route("DELETE", _GROUP, server_groups.delete_group, "os-server-groups:delete", 204, late=True),
)  # fmt: skip

_QUOTAS = "/os-quota-sets/{project_id}"
_USAGE = "/os-simple-tenant-usage"
_QUOTA_CLASS = "/os-quota-class-sets/{id}"
_LIMITS = (
    _route("GET", "/limits", quotas.show_limits, "limits", query=quotas.LIMITS),
    _route("GET", _QUOTAS, quotas.show_quotas, "os-quota-sets:show", query=quotas.OF_USER, late=True),
    _route(
        "PUT", _QUOTAS, quotas.update_quotas, "os-quota-sets:update",
        query=quotas.OF_USER, body=quotas.UPDATE, late=True,
    ),
    _route("DELETE", _QUOTAS, quotas.delete_quotas, "os-quota-sets:delete", 202, query=quotas.OF_USER, late=True),
    _route("GET", f"{_QUOTAS}/defaults", quotas.show_defaults, "os-quota-sets:defaults", late=True),
    _route("GET", f"{_QUOTAS}/detail", quotas.show_usage, "os-quota-sets:detail", query=quotas.OF_USER, late=True),
    _route("GET", _QUOTA_CLASS, quotas.show_class, "os-quota-class-sets:show"),
    _route("GET", _USAGE, usage.list_usage, "os-simple-tenant-usage:list", query=usage.LIST),
    _route(
        "GET", f"{_USAGE}/{{project_id}}", usage.show_usage, "os-simple-tenant-usage:show",
        query=usage.SHOW, late=True,
    ),
    _route("PUT", _QUOTA_CLASS, quotas.update_class, "os-quota-class-sets:update", body=quotas.UPDATE_CLASS),
)  # fmt: skip

_ZONES = "/os-availability-zone"
_SERVICE = "/os-services/{service_id}"
_HYPERVISORS = "/os-hypervisors"
_HYPERVISOR = f"{_HYPERVISORS}/{{hypervisor_id}}"
_OPERATORS = (
    _route("GET", _ZONES, operators.list_zones, "os-availability-zone:list"),
    _route("GET", f"{_ZONES}/detail", operators.list_zones_detailed, "os-availability-zone:detail"),
    _route("GET", "/os-services", operators.list_services, "os-services:list", query=operators.LIST_SERVICES),
    _route(
        "PUT", _SERVICE, operators.change_service_by_name, "os-services:update",
        until="2.52", body=operators.CHANGE_SERVICE_BY_NAME,
    ),
    _route(
        "PUT", _SERVICE, operators.change_service, "os-services:update", since="2.53", body=operators.CHANGE_SERVICE
    ),
    _route("DELETE", _SERVICE, operators.delete_service, "os-services:delete", 204),
    _route(
        "GET", _HYPERVISORS, operators.list_hypervisors, "os-hypervisors:list", query=operators.LIST_HYPERVISORS
    ),
    _route(
        "GET", f"{_HYPERVISORS}/detail", operators.list_hypervisors_detailed, "os-hypervisors:list-detail",
        query=operators.LIST_HYPERVISORS,
    ),
    _route(
        "GET", f"{_HYPERVISORS}/statistics", operators.show_statistics, "os-hypervisors:statistics", until="2.87"
    ),
    _route("GET", _HYPERVISOR, operators.show_hypervisor, "os-hypervisors:show", query=operators.SHOW_HYPERVISOR),
    _route("GET", f"{_HYPERVISOR}/search", operators.search_hypervisors, "os-hypervisors:search", until="2.52"),
    _route(
        "GET", f"{_HYPERVISOR}/servers", operators.list_hypervisor_servers, "os-hypervisors:servers", until="2.52"
    ),
    _route("GET", f"{_HYPERVISOR}/uptime", operators.show_uptime, "os-hypervisors:uptime", until="2.87"),
)  # fmt: skip

_AGGREGATE = "/os-aggregates/{aggregate_id}"
_AGGREGATES = (
    _route("GET", "/os-aggregates", aggregates.list_aggregates, "os-aggregates:index"),
    _route("POST", "/os-aggregates", aggregates.create_aggregate, "os-aggregates:create", body=aggregates.CREATE),
    _route("GET", _AGGREGATE, aggregates.show_aggregate, "os-aggregates:show"),
    _route("PUT", _AGGREGATE, aggregates.update_aggregate, "os-aggregates:update", body=aggregates.UPDATE),
    _route("DELETE", _AGGREGATE, aggregates.delete_aggregate, "os-aggregates:delete"),
    _route(
        "POST", f"{_AGGREGATE}/action", aggregates.add_host, "os-aggregates:add_host",
        action="add_host", body=aggregates.ADD_HOST,
    ),
    _route(
        "POST", f"{_AGGREGATE}/action", aggregates.remove_host, "os-aggregates:remove_host",
        action="remove_host", body=aggregates.REMOVE_HOST,
    ),
    _route(
        "POST", f"{_AGGREGATE}/action", aggregates.set_metadata, "os-aggregates:set_metadata",
        action="set_metadata", body=aggregates.SET_METADATA,
    ),
)  # fmt: skip

_EVENTS = (
    _route(
        "POST", "/os-server-external-events", external_events.take_events, "os-server-external-events:create",
        body=external_events.EVENTS,
    ),
)  # fmt: skip

ROUTES: tuple[Route, ...] = (
    *_DISCOVERY,
    *_SERVERS,
    *_SERVER_ACTIONS,
    *_SERVER_PARTS,
    *_SERVER_DEVICES,
    *_FLAVORS,
    *_OF_PROJECTS,
    *_LIMITS,
    *_OPERATORS,
    *_AGGREGATES,
    *_EVENTS,
)

API = Api(
    "compute",
    ROUTES,
    dress,
    microversions=MICROVERSIONS,
    id_headers=("x-openstack-request-id", "x-compute-request-id"),
    vary=("OpenStack-API-Version", "X-OpenStack-Nova-API-Version"),
    project_segment=True,
)
