"""The tables of the network service.

Each resource's row holds its rendered document, and beside it the columns that queries and constraints need. Addresses
are 16 bytes, so that bytes order as numbers do; which family they are the subnet tells, and the row repeats.
"""

from pileus.foundation.database import Migration, Schema

_ROW = "created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL, revision INTEGER NOT NULL, document TEXT NOT NULL"

_NETWORKS = (
    f"""CREATE TABLE network_networks (
        id TEXT PRIMARY KEY, project_id TEXT NOT NULL, name TEXT NOT NULL, status TEXT NOT NULL,
        admin_state_up INTEGER NOT NULL, shared INTEGER NOT NULL, is_external INTEGER NOT NULL, segment TEXT UNIQUE,
        {_ROW})""",
    "CREATE INDEX network_networks_project ON network_networks (project_id, id)",
    "CREATE INDEX network_networks_shared ON network_networks (shared, id) WHERE shared = 1",
    "CREATE INDEX network_networks_external ON network_networks (is_external, id) WHERE is_external = 1",
)

_SUBNETS = (
    f"""CREATE TABLE network_subnets (
        id TEXT PRIMARY KEY, project_id TEXT NOT NULL, network_id TEXT NOT NULL REFERENCES network_networks (id),
        network_project_id TEXT NOT NULL, name TEXT NOT NULL, family INTEGER NOT NULL, next_address BLOB NOT NULL,
        {_ROW})""",
    "CREATE INDEX network_subnets_project ON network_subnets (project_id, id)",
    "CREATE INDEX network_subnets_network ON network_subnets (network_id, id)",
    # What of a subnet's pools is free: as few rows as there are gaps. Keyed by the end, so that the first free
    # address at or after another is the first row found.
    """CREATE TABLE network_free (
        subnet_id TEXT NOT NULL REFERENCES network_subnets (id), last_address BLOB NOT NULL,
        first_address BLOB NOT NULL, PRIMARY KEY (subnet_id, last_address))""",
)

_PORTS = (
    f"""CREATE TABLE network_ports (
        id TEXT PRIMARY KEY, project_id TEXT NOT NULL, network_id TEXT NOT NULL REFERENCES network_networks (id),
        network_project_id TEXT NOT NULL, name TEXT NOT NULL, mac TEXT NOT NULL, status TEXT NOT NULL,
        device_id TEXT NOT NULL, device_owner TEXT NOT NULL, host TEXT NOT NULL, fence_device TEXT NOT NULL,
        fence_epoch BIGINT NOT NULL, binding_number BIGINT NOT NULL, router_id TEXT, {_ROW},
        UNIQUE (network_id, mac))""",
    "CREATE INDEX network_ports_project ON network_ports (project_id, id)",
    "CREATE INDEX network_ports_guests ON network_ports (network_project_id, id) "
    "WHERE network_project_id <> project_id",
    "CREATE INDEX network_ports_device ON network_ports (device_id, id)",
    "CREATE INDEX network_ports_host ON network_ports (host) WHERE host <> ''",
    # A launch asks for them; without this it would read every port of the network.
    "CREATE INDEX network_ports_dhcp ON network_ports (network_id, host) WHERE device_owner = 'network:dhcp'",
    "CREATE INDEX network_ports_router ON network_ports (router_id) WHERE router_id IS NOT NULL",
    # The invariant of allocation: nobody else has this address in this subnet.
    """CREATE TABLE network_addresses (
        subnet_id TEXT NOT NULL REFERENCES network_subnets (id), address BLOB NOT NULL, family INTEGER NOT NULL,
        port_id TEXT NOT NULL REFERENCES network_ports (id) DEFERRABLE INITIALLY DEFERRED,
        PRIMARY KEY (subnet_id, address))""",
    "CREATE INDEX network_addresses_port ON network_addresses (port_id)",
    "CREATE INDEX network_addresses_address ON network_addresses (address)",
)

_SECURITY_GROUPS = (
    f"""CREATE TABLE network_security_groups (
        id TEXT PRIMARY KEY, project_id TEXT NOT NULL, name TEXT NOT NULL, is_default INTEGER NOT NULL, {_ROW})""",
    "CREATE INDEX network_security_groups_project ON network_security_groups (project_id, id)",
    "CREATE UNIQUE INDEX network_security_groups_default ON network_security_groups (project_id) WHERE is_default = 1",
    f"""CREATE TABLE network_security_group_rules (
        id TEXT PRIMARY KEY, project_id TEXT NOT NULL,
        group_id TEXT NOT NULL REFERENCES network_security_groups (id),
        remote_group_id TEXT REFERENCES network_security_groups (id), fingerprint TEXT NOT NULL, {_ROW},
        UNIQUE (group_id, fingerprint))""",
    "CREATE INDEX network_security_group_rules_project ON network_security_group_rules (project_id, id)",
    "CREATE INDEX network_security_group_rules_remote ON network_security_group_rules (remote_group_id) "
    "WHERE remote_group_id IS NOT NULL",
    # Without a reference to the port, which would need an index of its own: the port's document names its groups.
    """CREATE TABLE network_port_groups (
        group_id TEXT NOT NULL REFERENCES network_security_groups (id), port_id TEXT NOT NULL,
        PRIMARY KEY (group_id, port_id))""",
)

_ROUTERS = (
    f"""CREATE TABLE network_routers (
        id TEXT PRIMARY KEY, project_id TEXT NOT NULL, name TEXT NOT NULL, external_network_id TEXT,
        gateway_port_id TEXT, {_ROW})""",
    "CREATE INDEX network_routers_project ON network_routers (project_id, id)",
    f"""CREATE TABLE network_floating_ips (
        id TEXT PRIMARY KEY, project_id TEXT NOT NULL,
        floating_network_id TEXT NOT NULL REFERENCES network_networks (id), floating_port_id TEXT NOT NULL,
        port_id TEXT REFERENCES network_ports (id), fixed_address TEXT,
        router_id TEXT REFERENCES network_routers (id), {_ROW})""",
    "CREATE INDEX network_floating_ips_project ON network_floating_ips (project_id, id)",
    "CREATE INDEX network_floating_ips_network ON network_floating_ips (floating_network_id)",
    "CREATE INDEX network_floating_ips_router ON network_floating_ips (router_id) WHERE router_id IS NOT NULL",
    "CREATE UNIQUE INDEX network_floating_ips_fixed ON network_floating_ips "
    "(port_id, fixed_address, floating_network_id) WHERE port_id IS NOT NULL",
)

_QUOTAS = (
    """CREATE TABLE network_quotas (
        project_id TEXT NOT NULL, resource TEXT NOT NULL, quota BIGINT NOT NULL, PRIMARY KEY (project_id, resource))""",
)

_AGENTS = (
    """CREATE TABLE network_agents (
        id TEXT PRIMARY KEY, host TEXT NOT NULL UNIQUE, heartbeat_at BIGINT NOT NULL, document TEXT NOT NULL)""",
)

SCHEMA = Schema(
    "network",
    (Migration(1, "first tables", _NETWORKS + _SUBNETS + _PORTS + _SECURITY_GROUPS + _ROUTERS + _QUOTAS + _AGENTS),),
)
