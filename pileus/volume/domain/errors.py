"""What block storage refuses, each declared once with the text its callers know.

The texts are those of the published Block Storage API (release 2026.2). A wrong state is 400 in this service, a quota
413; the codes are ours and never change.
"""

from pileus.foundation.errors import BadRequest, Conflict, Error, NotFound, OverQuota, Unavailable

# -- what is not there (404) ------------------------------------------------------------------------------------------


class VolumeNotFound(NotFound):
    message = "Volume {volume_id} could not be found."
    code = "volume.not-found"


class AttachmentNotFound(NotFound):
    message = "Volume attachment could not be found with filter: attachment_id = {attachment_id}."
    code = "volume.attachment.not-found"


class TypeNotFound(NotFound):
    message = "Volume type {type_id} could not be found."
    code = "volume.type.not-found"


class TypeNameNotFound(NotFound):
    message = "Volume type with name {name} could not be found."
    code = "volume.type.name-not-found"


class ExtraSpecNotFound(NotFound):
    message = "Volume Type {type_id} has no extra specs with key {key}."
    code = "volume.type.no-extra-spec"


class MetadataNotFound(NotFound):
    message = "Volume {volume_id} has no metadata with key {key}."
    code = "volume.metadata.not-found"


class MessageNotFound(NotFound):
    message = "Message {message_id} could not be found."
    code = "volume.message.not-found"


class SnapshotNotFound(NotFound):
    message = "Snapshot {snapshot_id} could not be found."
    code = "volume.snapshot.not-found"


class ImageNotFound(NotFound):
    message = "Image {image_id} could not be found."
    code = "volume.image.not-found"


class ServiceNotFound(NotFound):
    message = "Service {host} could not be found."
    code = "volume.service.not-found"


class MarkerNotFound(NotFound):
    """A page is to begin behind what is not there: this service says 404, others 400."""

    message = "{marker} could not be found."
    code = "volume.list.marker-not-found"


# -- what cannot be done (400) ----------------------------------------------------------------------------------------


class InvalidVolume(BadRequest):
    """The volume's state does not admit the request."""

    message = "Invalid volume: {reason}"
    code = "volume.invalid"


class WrongStatus(InvalidVolume):
    code = "volume.wrong-status"


class InvalidInput(BadRequest):
    message = "Invalid input received: {reason}"
    code = "volume.invalid-input"


class InvalidImage(BadRequest):
    message = "Image {image_id} is unacceptable: {reason}"
    code = "volume.invalid-image"


class InvalidSnapshot(BadRequest):
    message = "Invalid snapshot: {reason}"
    code = "volume.invalid-snapshot"


class InvalidType(BadRequest):
    message = "Invalid volume type: {reason}"
    code = "volume.invalid-type"


class SizeExceedsLimit(BadRequest):
    message = "Requested volume size {size}GB is larger than maximum allowed limit {limit}GB."
    code = "volume.size-exceeds-limit"


class NotSupportedHere(BadRequest):
    """The request is understood, and this release cannot do it."""

    message = "{what} is not supported by this cloud."
    code = "volume.not-supported-here"


# -- conflicts (409) --------------------------------------------------------------------------------------------------


class Superseded(Conflict):
    """A later action took the volume over; whoever still runs the earlier one must stop and undo."""

    message = "Action '{action}' on volume {volume_id} was superseded by '{current}'"
    code = "volume.superseded"


class StaleConnector(Conflict):
    """The connector speaks for a build of the server that was fenced."""

    message = "Epoch {epoch} of attachment {attachment_id} is over; the current one is {current}."
    code = "volume.attachment.stale-epoch"


class ServerUsesAttachment(Conflict):
    """Only compute may let go of a volume that a server has. Source: OSSA-2023-003."""

    message = "Detach volume from instance {server_id} using the Compute API"
    code = "volume.attachment.in-use"


class TypeExists(Conflict):
    message = "Volume Type {name} already exists."
    code = "volume.type.exists"


# -- quotas (413) -----------------------------------------------------------------------------------------------------


class VolumeLimitExceeded(OverQuota):
    status = 413
    message = "Maximum number of volumes allowed ({allowed}) exceeded for quota '{name}'."
    code = "volume.over-quota.volumes"


class SnapshotLimitExceeded(OverQuota):
    status = 413
    message = "Maximum number of snapshots allowed ({allowed}) exceeded"
    code = "volume.over-quota.snapshots"


class GigabytesExceeded(OverQuota):
    status = 413
    message = (
        "Requested volume or snapshot exceeds allowed {name} quota. Requested {requested}G, quota is {allowed}G and "
        "{consumed}G has been consumed."
    )
    code = "volume.over-quota.gigabytes"


# -- the back end -----------------------------------------------------------------------------------------------------


class NoBackendFits(Error):
    """No back end has what the volume's type asks for."""

    message = "No back end has what volume type {name} asks for; look at its extra specs."
    code = "volume.backend.none-fits"


class BackendFailed(Error):
    """The back end could not do it; trying again will not help."""

    message = "The storage back end failed to {action} volume {volume_id}."
    code = "volume.backend.failed"


class BackendUnavailable(Unavailable):
    message = "The storage back end does not answer; try again later."
    code = "volume.backend.unavailable"


class BackendUnusable(Unavailable):
    """The back end cannot begin its work."""

    message = "Volumes cannot be kept in {path}: {reason}. Free it, or name another state directory."
    code = "volume.backend.unusable"


class BackendFull(Error):
    status = 507
    message = "The storage back end has no room for volume {volume_id}: free space, or choose a smaller size."
    code = "volume.backend.full"


class CannotCopyLive(Error):
    """The back end has no way to copy what a server writes to, as of one moment."""

    message = "Volume {volume_id} is in use, and this storage back end cannot copy it meanwhile: detach it first."
    code = "volume.backend.cannot-copy-live"


class NoSuchVolumeThere(Error):
    """The back end has no such volume, though the cloud believes so."""

    message = "The data of volume {volume_id} are not in the storage back end."
    code = "volume.backend.missing"


class ImageDamaged(Error):
    """What arrived is not what the image service promised."""

    message = "The data of image {image_id} does not match its hash; upload the image again."
    code = "volume.image.damaged"


class ImageRefused(Error):
    """The image cannot become a volume."""

    message = "Image {image_id} cannot be written to a volume: {reason}."
    code = "volume.image.refused"
