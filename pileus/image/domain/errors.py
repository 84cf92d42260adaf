"""What can go wrong with an image, in the words of the Image API's users."""

from pileus.foundation import errors


class ImageNotFound(errors.NotFound):
    """There is no such image, or the caller may not know of it."""

    code, message = "image.not-found", "No image found with ID {image_id}"


class NotYourImage(errors.Forbidden):
    code, message = "image.owner", "You are not permitted to create images owned by '{owner}'"


class TagNotFound(errors.NotFound):
    code, message = "image.tag-not-found", "Tag {tag} not found for image {image_id}"


class ImageExists(errors.Conflict):
    """The id is taken, or was once: an id is never given to other bytes."""

    code, message = "image.exists", "Image ID {image_id} already exists!"


class WrongStatus(errors.Conflict):
    code, message = "image.status", "Image status transition from {status} to {wanted} is not allowed"


class NotNowActive(errors.Forbidden):
    """Deactivate and reactivate answer 403, not 409. Source: Image API reference, "Deactivate image"."""

    code, message = "image.status", "Not allowed to {action} image in status '{status}'"


class FormatMissing(errors.BadRequest):
    code, message = "image.format-missing", "{names} must be set prior to saving data."


class FormatFixed(errors.Forbidden):
    code, message = "image.format-fixed", "Attribute {name} can be only replaced for a queued image."


class ProtectedImage(errors.Forbidden):
    code, message = "image.protected", "Image {image_id} is protected and cannot be deleted."


class Deactivated(errors.Forbidden):
    code, message = "image.deactivated", "The requested image has been deactivated. Image data download is forbidden."


class ReadOnly(errors.Forbidden):
    code, message = "image.read-only", "Attribute '{name}' is read-only."


class Reserved(errors.Forbidden):
    code, message = "image.reserved", "Attribute '{name}' is reserved."


class MayNotBeRemoved(errors.Forbidden):
    code, message = "image.property-stays", "Property {name} may not be removed."


class NoSuchProperty(errors.Conflict):
    code, message = "image.property-missing", "Property {name} does not exist."


class PropertyPresent(errors.Conflict):
    """The older form of JSON patch adds only what is absent. Source: Image API reference, "HTTP PATCH media types"."""

    code, message = "image.property-present", "Property {name} already present."


class OwnerFixed(errors.Forbidden):
    code, message = "image.owner", "Owner can't be updated by non admin."


class LocationsOff(errors.Forbidden):
    """Where bytes lie is nobody's business: it let users swap an image's data (OSSN-0090)."""

    code, message = "image.locations", "It's not allowed to change the locations of an image."


class BadPatch(errors.BadRequest):
    code = "image.patch"


class BadImport(errors.BadRequest):
    code = "image.import"


class ImportConflict(errors.Conflict):
    """The image is not in the state that this way of importing begins in."""

    code = "image.import-state"


class BadFilter(errors.BadRequest):
    code = "image.filter"


class OverLimit(errors.OverQuota):
    """More of something than one image or one project may have."""

    status, code, message = 413, "image.limit", "The limit for the image has been exceeded: {what}, at most {most}."


class TooLarge(errors.TooLarge):
    """More bytes than an image may have, or than the project's quota has left."""

    code, message = "image.too-large", "The incoming image is too large: at most {most} bytes are accepted."


class StoreFull(errors.TooLarge):
    """The disk under the images is full; nothing of the upload was kept.

    413, as the reference implementation answers StorageFull.
    """

    code = "image.store-full"
    message = "Image storage media is full: free space in the image store, or upload a smaller image."


class StoreUnavailable(errors.Unavailable):
    code = "image.store-unavailable"
    message = "The image store cannot be used now; ask the operator to look at its log."


class NotStored(Exception):
    """The store does not have these bytes; whoever asked it knows what that means."""


class DataMissing(errors.Unavailable):
    """The row says that there are bytes, the store does not have them."""

    code = "image.data-missing"
    message = "The data of image {image_id} cannot be read from the image store; upload the image again."


class DataGone(errors.Gone):
    """The image was deleted while its bytes came in."""

    code = "image.gone"
    message = (
        "Image {image_id} could not be found after upload. The image may have been deleted during the upload, "
        "cleaning up the chunks uploaded."
    )


class UnsafeImage(errors.UnsupportedMedia):
    """The bytes are not what they are declared to be, or could make a tool touch what is not theirs."""

    code, message = "image.unsafe", "The image is refused: {reason}."


class FormatMismatch(UnsafeImage):
    code = "image.format-mismatch"
    message = "Image disk_format {declared} does not match stream data {found}"


class TruncatedImage(UnsafeImage):
    code, message = "image.truncated", "The image is refused: it is truncated ({reason})."


class VirtualSizeTooLarge(UnsafeImage):
    code = "image.virtual-size"
    message = "The image is refused: its disk has {size} bytes, at most {most} are accepted here."


class HashMismatch(errors.Conflict):
    """The stored bytes are not those that were uploaded."""

    code, message = "image.hash-mismatch", "The stored data of image {image_id} does not match its hash."


class BadRange(errors.Error):
    status, code = 416, "image.range"
    message = "The requested range cannot be met: the image has {size} bytes."


class MemberNotFound(errors.NotFound):
    code, message = "image.member-not-found", "{member_id} not found in the member list of the image {image_id}."


class MemberExists(errors.Conflict):
    code, message = "image.member-exists", "Member {member_id} is duplicated for image {image_id}"


class NotShared(errors.Forbidden):
    code, message = "image.not-shared", "Only shared images have members."


class NotTheMember(errors.Forbidden):
    """Only the project that an image is shared with answers to that."""

    code, message = "image.not-the-member", "You are not permitted to modify 'status' on this image member."
