"""What compute refuses, each declared once with the text its callers know.

The texts are those of the published Compute API (release 2026.2); facts of an error fill its template. A kind's usual
HTTP status stands in `foundation.errors`; the codes are ours and never change.
"""

from pileus.foundation.errors import (
    BadRequest,
    Conflict,
    Error,
    Forbidden,
    NoCapacity,
    NotFound,
    NotSupported,
    OverQuota,
    Unavailable,
)

# -- the state of a server (409) ----------------------------------------------------------------------------------


class InvalidState(Conflict):
    """The action is not accepted in the state in which the server is."""

    message = "Cannot '{action}' instance {server_id} while it is in {attr} {state}"
    code = "compute.server.invalid-state"


class WrongState(InvalidState):
    """The server's vm_state does not admit the action."""

    code = "compute.server.wrong-state"


class ServerBusy(InvalidState):
    """Another action on this server is still running."""

    code = "compute.server.busy"


class NotLaunched(InvalidState):
    """The server has never been active, and the action needs that."""

    code = "compute.server.not-launched"


class Locked(Conflict):
    """The server is locked and the caller may not override the lock."""

    message = "Instance {server_id} is locked"
    code = "compute.server.locked"


class NotReady(Conflict):
    """The server is on no host (yet, or any more)."""

    message = "Instance {server_id} is not ready"
    code = "compute.server.not-ready"


class Superseded(Conflict):
    """A later action took the server over; whoever still runs the earlier one must stop and undo."""

    message = "Action '{action}' on instance {server_id} was superseded by '{current}'"
    code = "compute.server.superseded"


class StaleEpoch(Conflict):
    """A host speaks for an attempt that was fenced."""

    message = "Epoch {epoch} of instance {server_id} is over; the current one is {current}"
    code = "compute.server.stale-epoch"


class UnlockForbidden(Forbidden):
    """An administrator locked the server; its owner cannot unlock it."""

    message = "Policy doesn't allow os_compute_api:os-lock-server:unlock:unlock_override to be performed."
    code = "compute.server.unlock-forbidden"


class HostDown(Conflict):
    """The server's host does not answer, and the action needs it."""

    message = "Service is unavailable at this time."
    code = "compute.host.down"


class HostNotDown(BadRequest):
    """Evacuation is for servers of hosts that are down."""

    message = "Compute service of {host} is still in use."
    code = "compute.host.not-down"


class UnshelveTargetRefused(Conflict):
    """A zone or host may be chosen only for a server that has left its host."""

    message = (
        'Specifying an availability zone or a host when unshelving server "{server_id}" with status "{state}" is not '
        "supported. The server status must be SHELVED_OFFLOADED."
    )
    code = "compute.server.unshelve-target-refused"


# -- what is not there (404; 400 where it is named inside a body) -----------------------------------------------------


class ServerNotFound(NotFound):
    message = "Instance {server_id} could not be found."
    code = "compute.server.not-found"


class GuestPasswordKept(Conflict):
    message = "The guest of server {server_id} has left a password already."
    code = "compute.guest-password.kept"


class NoServerOfEvents(NotFound):
    message = "No instances found for any event"
    code = "compute.event.no-server"


class FlavorNotFound(NotFound):
    message = "Flavor {flavor_id} could not be found."
    code = "compute.flavor.not-found"


class FlavorAccessNotFound(NotFound):
    message = "Flavor access not found for {flavor_id} / {project_id} combination."
    code = "compute.flavor.access-not-found"


class FlavorExtraSpecNotFound(NotFound):
    message = "Flavor {flavor_id} has no extra specs with key {key}."
    code = "compute.flavor.extra-spec-not-found"


class KeypairNotFound(NotFound):
    message = "Keypair {name} not found for user {user_id}"
    code = "compute.keypair.not-found"


class ServerGroupNotFound(NotFound):
    message = "Instance group {group_id} could not be found."
    code = "compute.server-group.not-found"


class HostNotFound(NotFound):
    message = "Compute host {host} could not be found."
    code = "compute.host.not-found"


class ServiceNotFound(NotFound):
    message = "Service {service_id} could not be found."
    code = "compute.service.not-found"


class MigrationNotFound(NotFound):
    message = "Migration {migration_id} not found for instance {server_id}"
    code = "compute.migration.not-found"


class ActionNotFound(NotFound):
    message = "Action for request_id {request_id} on instance {server_id} not found"
    code = "compute.server-action.not-found"


class MetadataItemNotFound(NotFound):
    message = "Metadata item was not found"
    code = "compute.metadata.not-found"


class TagNotFound(NotFound):
    message = "Server {server_id} has no tag '{tag}'"
    code = "compute.tag.not-found"


class VolumeNotFound(NotFound):
    message = "Volume {volume_id} could not be found."
    code = "compute.volume.not-found"


class VolumeNotAttached(NotFound):
    message = "Instance {server_id} is not attached to volume {volume_id}"
    code = "compute.volume.not-attached"


class InterfaceNotFound(NotFound):
    message = "Port id {port_id} could not be found."
    code = "compute.interface.not-found"


# -- what cannot be asked for (400) ----------------------------------------------------------------------------------


class UnknownFlavor(BadRequest):
    """The body of a request names a flavor that is not there."""

    message = "Flavor {flavor_id} could not be found."
    code = "compute.request.unknown-flavor"


class UnknownImage(BadRequest):
    """The body of a request names an image that is not there."""

    message = "Can not find requested image"
    code = "compute.request.unknown-image"


class UnknownNetwork(BadRequest):
    message = "Network {network_id} could not be found."
    code = "compute.request.unknown-network"


class UnknownPort(BadRequest):
    message = "Port id {port_id} could not be found."
    code = "compute.request.unknown-port"


class UnknownSecurityGroup(BadRequest):
    message = "Security group {name} not found for project {project_id}."
    code = "compute.request.unknown-security-group"


class UnknownKeypair(BadRequest):
    message = "Invalid key_name provided."
    code = "compute.request.unknown-keypair"


class UnknownZone(BadRequest):
    message = "The requested availability zone is not available"
    code = "compute.request.unknown-zone"


class UnknownGroupHint(BadRequest):
    """A scheduler hint names a server group that is not there."""

    message = "Instance group {group_id} could not be found."
    code = "compute.request.unknown-server-group"


class NetworkAmbiguous(Conflict):
    """The project has several networks and the request names none."""

    message = "Multiple possible networks found, use a Network ID to be more specific."
    code = "compute.request.network-ambiguous"


class PortTaken(Conflict):
    message = "Port {port_id} is still in use."
    code = "compute.request.port-in-use"


class NetworkNeedsSubnet(BadRequest):
    message = "Network {network_id} requires a subnet in order to boot instances on."
    code = "compute.request.network-without-subnet"


class NetworkInvalid(BadRequest):
    """The requested networks contradict themselves; the text says how."""

    code = "compute.request.network-invalid"


class UserDataMalformed(BadRequest):
    message = "User data needs to be valid base 64."
    code = "compute.request.user-data-malformed"


class HostnameInvalid(BadRequest):
    message = "Invalid characters in hostname '{hostname}'"
    code = "compute.request.hostname-invalid"


class BlockDevicesInvalid(BadRequest):
    """The block devices contradict themselves, the image or the flavor."""

    message = "Block Device Mapping is Invalid: {details}"
    code = "compute.request.block-devices-invalid"


class BootSequenceInvalid(BlockDevicesInvalid):
    message = (
        "Block Device Mapping is Invalid: Boot sequence for the instance and image/block device mapping combination "
        "is not valid."
    )
    code = "compute.request.boot-sequence-invalid"


class EphemeralTooLarge(BlockDevicesInvalid):
    message = (
        "Ephemeral disks requested are larger than the instance type allows. If no size is given in one block device "
        "mapping, flavor ephemeral size will be used."
    )
    code = "compute.request.ephemeral-too-large"


class SwapTooLarge(BlockDevicesInvalid):
    message = "Swap drive requested is larger than instance type allows."
    code = "compute.request.swap-too-large"


class BlockDeviceLimit(BlockDevicesInvalid):
    message = "Block Device Mapping is Invalid: You specified more local devices than the limit allows"
    code = "compute.request.too-many-local-devices"


class ImageNotUsable(BadRequest):
    message = "Image {image_id} is not active."
    code = "compute.request.image-not-active"


class FlavorRamTooSmall(BadRequest):
    message = "Flavor's memory is too small for requested image."
    code = "compute.request.flavor-ram-too-small"


class FlavorDiskBelowImage(BadRequest):
    message = (
        "Flavor's disk is too small for requested image. Flavor disk is {flavor_size} bytes, image is {image_size} "
        "bytes."
    )
    code = "compute.request.flavor-disk-below-image"


class FlavorDiskBelowMinimum(BadRequest):
    message = (
        "Flavor's disk is smaller than the minimum size specified in image metadata. Flavor disk is {flavor_size} "
        "bytes, minimum size is {image_min_disk} bytes."
    )
    code = "compute.request.flavor-disk-below-minimum"


class VolumeBelowMinimum(BadRequest):
    message = (
        "Volume is smaller than the minimum size specified in image metadata. Volume size is {volume_size} bytes, "
        "minimum size is {image_min_disk} bytes."
    )
    code = "compute.request.volume-below-minimum"


class SameFlavor(BadRequest):
    message = "When resizing, instances must change flavor!"
    code = "compute.request.same-flavor"


class CannotResizeDisk(BadRequest):
    message = "Server disk was unable to be resized because: {reason}"
    code = "compute.request.cannot-resize-disk"


class NotResized(BadRequest):
    message = "Instance has not been resized."
    code = "compute.server.not-resized"


class RootVolumeDetach(BadRequest):
    message = "Cannot detach a root device volume"
    code = "compute.volume.is-root"


class KeypairInvalid(BadRequest):
    message = "Keypair data is invalid: {reason}"
    code = "compute.keypair.invalid"


class ForcedHostInvalid(BadRequest):
    """The zone:host:node of a request is malformed."""

    message = 'Unable to parse availability_zone "{zone}": use zone:host:node, zone:host or zone::node'
    code = "compute.request.forced-host-invalid"


class ZeroDiskFlavor(Forbidden):
    """A flavor without a disk boots from volumes only."""

    message = "Only volume-backed servers are allowed for flavors with zero disk."
    code = "compute.request.zero-disk-flavor"


class DeviceTaken(Conflict):
    message = "The supplied device path ({path}) is in use."
    code = "compute.device.in-use"


class DeviceInvalid(BadRequest):
    message = "The supplied device path ({path}) is invalid."
    code = "compute.device.invalid"


class TooManyDisks(Forbidden):
    message = "The maximum allowed number of disk devices ({maximum}) to attach to a single instance has been exceeded."
    code = "compute.device.too-many"


# -- what exists already (409) -----------------------------------------------------------------------------------------


class FlavorIdExists(Conflict):
    message = "Flavor with ID {flavor_id} already exists."
    code = "compute.flavor.id-exists"


class FlavorNameExists(Conflict):
    message = "Flavor with name {name} already exists."
    code = "compute.flavor.name-exists"


class FlavorAccessExists(Conflict):
    message = "Flavor access already exists for flavor {flavor_id} and project {project_id} combination."
    code = "compute.flavor.access-exists"


class KeypairExists(Conflict):
    message = "Key pair '{name}' already exists."
    code = "compute.keypair.exists"


# -- quota (403) -------------------------------------------------------------------------------------------------------


class QuotaExceeded(OverQuota):
    """The project's quota of cores, instances or RAM does not hold the request.

    `overs` are the resources' names; `req`, `used` and `allowed` list their numbers in the same order.
    """

    message = "Quota exceeded for {overs}: Requested {req}, but already used {used} of {allowed} {overs}"
    code = "compute.quota.exceeded"


class MetadataQuotaExceeded(OverQuota):
    message = "Maximum number of metadata items exceeds {allowed}"
    code = "compute.quota.metadata-items"


class KeypairQuotaExceeded(OverQuota):
    message = "Quota exceeded, too many key pairs."
    code = "compute.quota.key-pairs"


class ServerGroupQuotaExceeded(OverQuota):
    message = "Quota exceeded, too many server groups."
    code = "compute.quota.server-groups"


class GroupMemberQuotaExceeded(OverQuota):
    message = "Quota exceeded, too many servers in group"
    code = "compute.quota.server-group-members"


class InjectedFileQuotaExceeded(OverQuota):
    message = "Personality file limit exceeded"
    code = "compute.quota.injected-files"


class InjectedPathQuotaExceeded(OverQuota):
    message = "Personality file path exceeds maximum {allowed}"
    code = "compute.quota.injected-file-path-bytes"


class InjectedContentQuotaExceeded(OverQuota):
    message = "Personality file content exceeds maximum {allowed}"
    code = "compute.quota.injected-file-content-bytes"


# -- places -----------------------------------------------------------------------------------------------------------


class NoValidHost(NoCapacity):
    """No host fits the request.

    The text is for tenants and names no host; `table` among the facts holds what each filter removed, for admins.
    """

    message = "No valid host was found. {reason}"
    code = "compute.no-valid-host"


class AttemptsUsedUp(NoValidHost):
    """Every attempt that the configuration grants failed on its host."""

    message = "Exceeded maximum number of retries. {reason}"
    code = "compute.attempts-used-up"


class BuildFailed(Error):
    """The build on a host failed; another host may do."""

    message = "Build of instance {server_id} was re-scheduled: {reason}"
    code = "compute.build.failed"


class BuildAborted(Error):
    """The build failed in a way that no other host mends."""

    message = "Build of instance {server_id} aborted: {reason}"
    code = "compute.build.aborted"


class HostUnavailable(Unavailable):
    message = "Compute service of {host} is unavailable at this time."
    code = "compute.host.unavailable"


class ActionNotSupported(NotSupported):
    """The host's hypervisor driver does not do this."""

    message = "Unable to {action}: the hypervisor of this server does not support it"
    code = "compute.action.not-supported"
