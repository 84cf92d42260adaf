"""What this service can do beyond the core, by the names that clients look for. Only what works is announced.

Source: Networking API reference, "Extensions"; names and texts as the reference implementation tells them.
"""

from typing import NamedTuple


class Extension(NamedTuple):
    alias: str
    name: str
    description: str
    updated: str

    def document(self) -> dict[str, object]:
        return {
            "name": self.name,
            "alias": self.alias,
            "description": self.description,
            "updated": self.updated,
            "links": [],
        }


_ALL = (
    Extension(
        "aap-reject-multicast", "Allowed address pairs reject multicast extension",
        "Reject multicast addresses in Allowed Address Pairs", "2026-04-01T00:00:00-00:00",
    ),
    Extension("agent", "agent", "The agent management extension.", "2013-02-03T10:00:00-00:00"),
    Extension(
        "allowed-address-pairs", "Allowed Address Pairs", "Provides allowed address pairs", "2013-07-23T10:00:00-00:00"
    ),
    Extension(
        "availability_zone", "Availability Zone", "The availability zone extension.", "2015-01-01T10:00:00-00:00"
    ),
    Extension(
        "binding", "Port Binding", "Expose port bindings of a virtual port to external application",
        "2014-02-03T10:00:00-00:00",
    ),
    Extension(
        "empty-string-filtering", "Empty String Filtering Extension",
        "Allow filtering by attributes with empty string value", "2018-05-01T10:00:00-00:00",
    ),
    Extension(
        "ext-gw-mode", "Neutron L3 Configurable external gateway mode",
        "Extension of the router abstraction for specifying whether SNAT should occur on the external gateway",
        "2013-03-28T10:00:00-00:00",
    ),
    Extension(
        "external-net", "Neutron external network", "Adds external network attribute to network resource.",
        "2013-01-14T10:00:00-00:00",
    ),
    Extension(
        "extra_dhcp_opt", "Neutron Extra DHCP options",
        "Extra options configuration for DHCP. For example PXE boot options to DHCP clients can be specified (e.g. "
        "tftp-server, server-ip-address, bootfile-name)",
        "2013-03-17T12:00:00-00:00",
    ),
    Extension(
        "extraroute", "Neutron Extra Route", "Extra routes configuration for L3 router", "2013-02-01T10:00:00-00:00"
    ),
    Extension(
        "filter-validation", "Filter parameters validation", "Provides validation on filter parameters.",
        "2018-07-04T10:00:00-00:00",
    ),
    Extension(
        "fip-port-details", "Floating IP Port Details Extension",
        "Add port_details attribute to Floating IP resource", "2018-04-09T10:00:00-00:00",
    ),
    Extension(
        "ip-substring-filtering", "IP address substring filtering",
        "Provides IP address substring filtering when listing ports", "2017-11-28T09:00:00-00:00",
    ),
    Extension(
        "l3-port-ip-change-not-allowed", "Prevent L3 router ports IP address change extension",
        "Prevent change of IP address for some L3 router ports", "2018-10-09T10:00:00-00:00",
    ),
    Extension("net-mtu", "Network MTU", "Provides MTU attribute for a network resource.", "2015-03-25T10:00:00-00:00"),
    Extension(
        "net-mtu-writable", "Network MTU (writable)", "Provides a writable MTU attribute for a network resource.",
        "2017-07-12T00:00:00-00:00",
    ),
    Extension(
        "network_availability_zone", "Network Availability Zone", "Availability zone support for network.",
        "2015-01-01T10:00:00-00:00",
    ),
    Extension(
        "pagination", "Pagination support", "Extension that indicates that pagination is enabled.",
        "2016-06-12T00:00:00-00:00",
    ),
    Extension(
        "port-mac-address-regenerate", "Neutron Port MAC address regenerate", "Network port MAC address regenerate",
        "2018-05-03T10:00:00-00:00",
    ),
    Extension("port-security", "Port Security", "Provides port security", "2012-07-23T10:00:00-00:00"),
    Extension(
        "port-security-groups-filtering", "Port filtering on security groups",
        "Provides security groups filtering when listing ports", "2018-01-09T09:00:00-00:00",
    ),
    Extension(
        "project-id", "project_id field enabled", "Extension that indicates that project_id field is enabled.",
        "2016-09-09T09:09:09-09:09",
    ),
    Extension(
        "provider", "Provider Network", "Expose mapping of virtual networks to physical networks",
        "2012-09-07T10:00:00-00:00",
    ),
    Extension(
        "quota-check-limit", "Quota engine limit check",
        "Support for checking the resource usage before applying a new quota limit", "2021-09-08T16:00:00-00:00",
    ),
    Extension(
        "quota-check-limit-default", "Quota engine limit check by default",
        "By default, the Neutron quota engine checks the resource usage before applying a new quota limit",
        "2024-08-21T16:00:00-00:00",
    ),
    Extension(
        "quota_details", "Quota details management support",
        "Expose functions for quotas usage statistics per project", "2017-02-10T10:00:00-00:00",
    ),
    Extension(
        "quotas", "Quota management support", "Expose functions for quotas management per project",
        "2012-07-29T10:00:00-00:00",
    ),
    Extension(
        "revision-if-match", "If-Match constraints based on revision_number",
        "Extension indicating that If-Match based on revision_number is supported.", "2016-12-11T00:00:00-00:00",
    ),
    Extension(
        "router", "Neutron L3 Router",
        "Router abstraction for basic L3 forwarding between L2 Neutron networks and access to external networks via a "
        "NAT gateway.",
        "2012-07-20T10:00:00-00:00",
    ),
    Extension(
        "router_availability_zone", "Router Availability Zone", "Availability zone support for router.",
        "2015-01-01T10:00:00-00:00",
    ),
    Extension("security-group", "security-group", "The security groups extension.", "2012-10-05T10:00:00-00:00"),
    Extension(
        "security-groups-normalized-cidr", "Normalized CIDR field for security group rules",
        "Add new field with normalized remote_ip_prefix cidr in SG rule", "2020-07-28T10:00:00-00:00",
    ),
    Extension(
        "security-groups-rules-belongs-to-default-sg",
        "Security group rule belongs to the project's default security group",
        "Flag to determine if the security group rule belongs to the project's default security group",
        "2023-05-23T10:00:00-00:00",
    ),
    Extension(
        "sort-key-validation", "Sort keys validation", "Provides validation on sort keys.", "2018-07-04T10:00:00-00:00"
    ),
    Extension(
        "sorting", "Sorting support", "Extension that indicates that sorting is enabled.", "2016-06-12T00:00:00-00:00"
    ),
    Extension(
        "standard-attr-description", "standard-attr-description",
        "Extension to add descriptions to standard attributes", "2016-02-10T10:00:00-00:00",
    ),
    Extension(
        "standard-attr-revisions", "Resource revision numbers",
        "This extension will display the revision number of neutron resources.", "2016-04-11T10:00:00-00:00",
    ),
    Extension(
        "standard-attr-tag", "Tag support for resources with standard attribute: port, subnet, network, "
        "security_group, router, floatingip", "Enables to set tag on resources with standard attribute.",
        "2017-01-01T00:00:00-00:00",
    ),
    Extension(
        "standard-attr-timestamp", "Resource timestamps",
        "Adds created_at and updated_at fields to all Neutron resources that have Neutron standard attributes.",
        "2016-09-12T10:00:00-00:00",
    ),
    Extension(
        "subnet-external-network", "Subnet belongs to an external network",
        "Informs if the subnet belongs to an external network", "2024-02-05T18:00:00-00:00",
    ),
    Extension(
        "tag-creation", "Tag creation extension", "Allow to create multiple tags for a resource",
        "2024-23-07T10:00:00-00:00",
    ),
    Extension(
        "tag-ports-during-bulk-creation", "Tag Ports During Bulk Creation",
        "Allow to tag ports during bulk creation", "2019-12-29T19:00:00-00:00",
    ),
)  # fmt: skip

EXTENSIONS = {extension.alias: extension for extension in _ALL}
