"""What the Network API can refuse, by the names its clients branch on.

The class name is the `type` of the answer's body; it travels in `code`, so that it survives a bus.
Source: Networking API reference, "Faults"; the reference implementation's messages.
"""

from pileus.foundation import errors

PREFIX = "network.type."


class Named(errors.Error):
    """An error whose class name clients know."""

    def __init_subclass__(cls) -> None:
        cls.code = PREFIX + cls.__name__


def type_of(error: errors.Error) -> str:
    """The name clients branch on; empty for an error of another part."""
    return error.code[len(PREFIX) :] if error.code.startswith(PREFIX) else ""


# -- 400 ----------------------------------------------------------------------------------------------------------
class HTTPBadRequest(Named, errors.BadRequest):
    message = "{reason}"


class BadRequest(Named, errors.BadRequest):
    message = "Bad {resource} request: {reason}."


class InvalidInput(Named, errors.BadRequest):
    message = "Invalid input for operation: {reason}."


class InvalidCIDR(Named, errors.BadRequest):
    message = "Invalid CIDR {input} given as IP prefix."


class InvalidIpForNetwork(Named, errors.BadRequest):
    message = "IP address {address} is not a valid IP for any of the subnets on the specified network."


class InvalidIpForSubnet(Named, errors.BadRequest):
    message = "IP address {address} is not a valid IP for the specified subnet."


class AllocationOnAutoAddressSubnet(Named, errors.BadRequest):
    message = (
        "IPv6 address {address} cannot be directly assigned to a port on subnet {subnet_id} as the subnet is "
        "configured for automatic addresses"
    )


class InvalidAllocationPool(Named, errors.BadRequest):
    message = "The allocation pool {pool} is not valid."


class OutOfBoundsAllocationPool(Named, errors.BadRequest):
    message = "The allocation pool {pool} spans beyond the subnet cidr {cidr}."


class HostRoutesExhausted(Named, errors.BadRequest):
    message = "Unable to complete operation for {subnet_id}. The number of host routes exceeds the limit {limit}."


class DNSNameServersExhausted(Named, errors.BadRequest):
    message = "Unable to complete operation for {subnet_id}. The number of DNS nameservers exceeds the limit {limit}."


class SubnetMismatchForPort(Named, errors.BadRequest):
    message = "Subnet on port {port_id} does not match the requested subnet {subnet_id}."


class ExternalIpAddressExhausted(Named, errors.BadRequest):
    message = "Unable to find any IP address on external network {network_id}."


class InvalidRoutes(Named, errors.BadRequest):
    message = "Invalid format for routes: {routes}, {reason}"


class RoutesExhausted(Named, errors.BadRequest):
    message = "Unable to complete operation for {router_id}. The number of routes exceeds the maximum {limit}."


class AllowedAddressPairExhausted(Named, errors.BadRequest):
    message = "The number of allowed address pair exceeds the maximum {limit}."


class DuplicateAddressPairInRequest(Named, errors.BadRequest):
    message = "Request contains duplicate address pair: mac_address {mac} ip_address {address}."


class PortSecurityAndIPRequiredForSecurityGroups(Named, errors.BadRequest):
    message = "Port security must be enabled and port must have an IP address in order to use security groups."


class SecurityGroupInvalidPortRange(Named, errors.BadRequest):
    message = "For TCP/UDP protocols, port_range_min must be <= port_range_max"


class SecurityGroupInvalidProtocolForPort(Named, errors.BadRequest):
    message = (
        "Ports cannot be specified for protocol {protocol}. Ports are only supported for DCCP, SCTP, TCP, UDP, UDPLITE."
    )


class SecurityGroupInvalidPortValue(Named, errors.BadRequest):
    message = "Invalid value for port {port}"


class SecurityGroupInvalidIcmpValue(Named, errors.BadRequest):
    message = "Invalid value for ICMP {field} ({attribute}) {value}. It must be 0 to 255."


class SecurityGroupEthertypeConflictWithProtocol(Named, errors.BadRequest):
    message = "Invalid ethertype {ethertype} for protocol {protocol}."


class SecurityGroupMissingIcmpType(Named, errors.BadRequest):
    message = "ICMP code (port-range-max) {value} is provided but ICMP type (port-range-min) is missing."


class SecurityGroupRuleInvalidProtocol(Named, errors.BadRequest):
    message = (
        "Security group rule protocol {protocol} not supported. Only protocol values {values} and integer "
        "representations [0 to 255] are supported."
    )


class SecurityGroupMultipleRemoteEntites(Named, errors.BadRequest):
    message = "Only one of remote_ip_prefix or remote_group_id or remote_address_group_id may be provided."


class SecurityGroupProtocolRequiredWithPorts(Named, errors.BadRequest):
    message = "Must also specify protocol if port range is given."


class SecurityGroupRuleParameterConflict(Named, errors.BadRequest):
    message = "Conflicting value ethertype {ethertype} for CIDR {cidr}"


class SecurityGroupNotSingleGroupRules(Named, errors.BadRequest):
    message = "Only allowed to update rules for one security profile at a time"


# -- 403, 404 -----------------------------------------------------------------------------------------------------
class PolicyNotAuthorized(Named, errors.Forbidden):
    message = "{rules} is disallowed by policy"


class NotAuthorized(Named, errors.Forbidden):
    message = "Not authorized."


class NetworkNotFound(Named, errors.NotFound):
    message = "Network {id} could not be found."


class SubnetNotFound(Named, errors.NotFound):
    message = "Subnet {id} could not be found."


class SubnetPoolNotFound(Named, errors.NotFound):
    message = "Subnet pool {id} could not be found."


class PortNotFound(Named, errors.NotFound):
    message = "Port {id} could not be found."


class RouterNotFound(Named, errors.NotFound):
    message = "Router {id} could not be found"


class RouterInterfaceNotFound(Named, errors.NotFound):
    message = "Router {router_id} does not have an interface with id {port_id}"


class RouterInterfaceNotFoundForSubnet(Named, errors.NotFound):
    message = "Router {router_id} has no interface on subnet {subnet_id}"


class FloatingIPNotFound(Named, errors.NotFound):
    message = "Floating IP {id} could not be found"


class ExternalGatewayForFloatingIPNotFound(Named, errors.NotFound):
    message = (
        "External network {network_id} is not reachable from subnet {subnet_id}.  Therefore, cannot associate Port "
        "{port_id} with a Floating IP."
    )


class SecurityGroupNotFound(Named, errors.NotFound):
    message = "Security group {id} does not exist"


class SecurityGroupRuleNotFound(Named, errors.NotFound):
    message = "Security group rule {id} does not exist"


class AvailabilityZoneNotFound(Named, errors.NotFound):
    message = "AvailabilityZone {zone} could not be found."


class AgentNotFound(Named, errors.NotFound):
    message = "Agent {id} could not be found."


class ExtensionNotFound(Named, errors.NotFound):
    message = "Extension with alias {alias} does not exist"


class TagNotFound(Named, errors.NotFound):
    message = "Tag {tag} could not be found."


class TenantQuotaNotFound(Named, errors.NotFound):
    message = "Quota for project {project_id} could not be found."


# -- 409, 412 -----------------------------------------------------------------------------------------------------
class NetworkInUse(Named, errors.Conflict):
    message = (
        "Unable to complete operation on network {network_id}. There are one or more ports still in use on the "
        "network, id for these ports is: {ports}."
    )


class SubnetInUse(Named, errors.Conflict):
    message = (
        "Unable to complete operation on subnet {subnet_id}: One or more ports have an IP allocation from this subnet."
    )


class PortInUse(Named, errors.Conflict):
    message = (
        "Unable to complete operation on port {port_id} for network {network_id}. Port already has an attached device "
        "{device_id}."
    )


class ServicePortInUse(Named, errors.Conflict):
    message = "Port {port_id} cannot be deleted directly via the port API: has device owner {owner}."


class PortBound(Named, errors.Conflict):
    message = (
        "Unable to complete operation on port {port_id}, port is already bound, port type: {vif_type}, old_mac "
        "{old_mac}, new_mac {new_mac}."
    )


class UnsupportedPortDeviceOwner(Named, errors.Conflict):
    message = "Operation {operation} is not supported for device_owner {owner} on port {port_id}."


class DeviceIDNotOwnedByTenant(Named, errors.Conflict):
    message = "The following device_id {device_id} is not owned by your project or matches another project router."


class StaleBinding(Named, errors.Conflict):
    message = "Port {port_id} is bound at epoch {newest}; a binding at epoch {epoch} comes too late."


class MacAddressInUse(Named, errors.Conflict):
    message = "Unable to complete operation for network {network_id}. The mac address {mac} is in use."


class IpAddressAlreadyAllocated(Named, errors.Conflict):
    message = "IP address {address} already allocated in subnet {subnet_id}"


class IpAddressGenerationFailure(Named, errors.Conflict):
    message = "No more IP addresses available on network {network_id}."


class OverlappingAllocationPools(Named, errors.Conflict):
    message = "Found overlapping allocation pools: {one} {two} for subnet {cidr}."


class GatewayConflictWithAllocationPools(Named, errors.Conflict):
    message = "Gateway ip {address} conflicts with allocation pool {pool}."


class GatewayIpInUse(Named, errors.Conflict):
    message = "Current gateway ip {address} already in use by port {port_id}. Unable to update."


class NetworkMTUSubnetConflict(Named, errors.Conflict):
    message = "MTU of {network_id} is not valid, subnet requires a minimum of {mtu}"


class FlatNetworkInUse(Named, errors.Conflict):
    message = "Unable to create the flat network. Physical network {physical} is in use."


class VlanIdInUse(Named, errors.Conflict):
    message = "Unable to create the network. The VLAN {number} on physical network {physical} is in use."


class TunnelIdInUse(Named, errors.Conflict):
    message = "Unable to create the network. The tunnel ID {number} is in use."


class TunnelAddressInUse(Named, errors.Conflict):
    message = (
        "The tunnel address {address} of host {host} is that of host {other}, which lives. "
        "Give each host an address of its own as tunnel_address."
    )


class InvalidSharedSetting(Named, errors.Conflict):
    message = "Unable to reconfigure sharing settings for network {network}. Multiple projects are using it."


class ExternalNetworkInUse(Named, errors.Conflict):
    message = (
        "External network {network_id} cannot be updated to be made non-external, since it has existing gateway ports."
    )


class PortSecurityPortHasSecurityGroup(Named, errors.Conflict):
    message = (
        "Port has security group associated. Cannot disable port security or IP address until security group is "
        "removed."
    )


class AddressPairAndPortSecurityRequired(Named, errors.Conflict):
    message = "Port Security must be enabled in order to have allowed address pairs on a port."


class RouterInUse(Named, errors.Conflict):
    message = "Router {router_id} has ports still attached: {ports}"


class RouterInterfaceInUseByFloatingIP(Named, errors.Conflict):
    message = (
        "Router interface for subnet {subnet_id} on router {router_id} cannot be deleted, as it is required by one or "
        "more floating IPs."
    )


class RouterInterfaceInUseByRoute(Named, errors.Conflict):
    message = (
        "Router interface for subnet {subnet_id} on router {router_id} cannot be deleted, as it is required by one or "
        "more routes."
    )


class RouterExternalGatewayInUseByFloatingIp(Named, errors.Conflict):
    message = (
        "Gateway cannot be updated for router {router_id}, since a gateway to external network {network_id} is "
        "required by one or more floating IPs."
    )


class FloatingIPPortAlreadyAssociated(Named, errors.Conflict):
    message = (
        "Cannot associate floating IP {floating_address} ({floatingip_id}) with port {port_id} using fixed IP "
        "{fixed_address}, as that fixed IP already has a floating IP on external network {network_id}."
    )


class SecurityGroupInUse(Named, errors.Conflict):
    message = "Security Group {id} in use."


class SecurityGroupCannotRemoveDefault(Named, errors.Conflict):
    message = "Insufficient rights for removing default security group."


class SecurityGroupCannotUpdateDefault(Named, errors.Conflict):
    message = "Updating default security group not allowed."


class SecurityGroupDefaultAlreadyExists(Named, errors.Conflict):
    message = "Default security group already exists."


class SecurityGroupRuleExists(Named, errors.Conflict):
    message = "Security group rule already exists. Rule id is {rule_id}."


class DuplicateSecurityGroupRuleInPost(Named, errors.Conflict):
    message = "Duplicate Security Group Rule in POST."


class OverQuota(Named, errors.OverQuota):
    status = 409
    message = "Quota exceeded for resources: {resources}."


class RevisionNumberConstraintFailed(Named, errors.PreconditionFailed):
    message = "Constrained to {expected}, but current revision is {found}"


# -- 503 ----------------------------------------------------------------------------------------------------------
class NoNetworkAvailable(Named, errors.NoCapacity):
    message = "Unable to create the network. No project network is available for allocation."
