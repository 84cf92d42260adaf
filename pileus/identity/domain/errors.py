"""What can go wrong in identity, in the words its clients know."""

from pileus.foundation.errors import BadRequest, Conflict, Forbidden, NotFound, Unauthorized, Unavailable

_MALFORMED = (
    "The server could not comply with the request since it is either malformed or otherwise incorrect. "
    "The client is assumed to be in error."
)


class Missing(NotFound):
    """There is no such thing; `what` is its noun: project, user, role ..."""

    code = "identity.missing"
    message = "Could not find {what}: {id}."


class MissingReference(BadRequest):
    """A body names a project or domain that does not exist."""

    code = "identity.missing-reference"
    message = "Could not find {what}: {id}."


class MissingAssignment(NotFound):
    """The role is not assigned as asked."""

    code = "identity.missing-assignment"
    message = (
        "Could not find role assignment with role: {role_id}, user or group: {actor_id}, "
        "project, domain, or system: {target_id}."
    )


class MissingMarker(NotFound):
    """The page after an entry that is not there."""

    code = "identity.missing-marker"
    message = "Marker {marker} could not be found."


class NoSubjectToken(NotFound):
    """The token that is asked about was not named."""

    code = "identity.no-subject-token"
    message = "No token in the request"


class UnknownToken(NotFound):
    """The token in question was not made by this cloud, has ended, or was revoked."""

    code = "identity.unknown-token"
    message = "Failed to validate token"


class LoginRefused(Unauthorized):
    """Unknown, disabled, locked or wrong: the caller never learns which."""

    code = "identity.login-refused"


class MethodUnknown(Unauthorized):
    """None of the ways to log in that this cloud knows; `methods` lists them."""

    code = "identity.method-unknown"
    message = "Attempted to authenticate with an unsupported method."


class TooManyLogins(Unavailable):
    """More logins wait for their password check than will be served in time."""

    code = "identity.too-many-logins"
    message = "Too many logins at once; try again in a moment."


class Expected(BadRequest):
    """A part of the body is missing: `attribute` inside `target`."""

    code = "identity.expected"
    message = "Expecting to find {attribute} in {target}. " + _MALFORMED


class Taken(Conflict):
    """The name is taken where names must differ."""

    code = "identity.taken"
    message = "Conflict occurred attempting to store {what} - {detail}."


class Immutable(Forbidden):
    """The thing is marked immutable; the mark goes first."""

    code = "identity.immutable"
    message = 'Unable to {verb} immutable {what} resource: `{id}. Set resource option "immutable" to false first.'


class DomainEnabled(Forbidden):
    code = "identity.domain-enabled"
    message = "Cannot delete a domain that is enabled, please disable it first."


class NotLeaf(Forbidden):
    """Deleting this project would leave projects without a parent."""

    code = "identity.not-leaf"
    message = (
        "Cannot delete the project {id} since it is not a leaf in the hierarchy. "
        "Use the cascade option if you want to delete a whole subtree."
    )


class EnabledBelow(Forbidden):
    code = "identity.enabled-below"
    message = "Cannot disable project {id} since its subtree contains enabled projects."


class DisabledAbove(Forbidden):
    code = "identity.disabled-above"
    message = "Cannot enable project {id} since it has disabled parents"


class BranchDisabled(BadRequest):
    code = "identity.branch-disabled"
    message = "cannot create a project in a branch containing a disabled project: {id}"


class TooDeep(Forbidden):
    code = "identity.too-deep"
    message = "Max hierarchy depth reached for {id} branch."


class Fixed(Forbidden):
    """The attribute never changes after the thing was made."""

    code = "identity.fixed"
    message = "Update of `{attribute}` is not allowed."


class NotMember(NotFound):
    code = "identity.not-member"
    message = "User '{user_id}' not found in group '{group_id}'"


class NeverImplied(Forbidden):
    code = "identity.never-implied"
    message = "{id} cannot be an implied roles."


class ForeignRole(Forbidden):
    """A domain's own role is good in that domain alone."""

    code = "identity.foreign-role"
    message = "{what} {id} must be in the same domain as the role {role_id} being assigned."


class NoSystemRole(BadRequest):
    code = "identity.no-system-role"
    message = "Role {role_id} is a domain-specific role. Unable to use a domain-specific role in a system assignment."


class NoImplication(NotFound):
    code = "identity.no-implication"
    message = "{prior_id} does not imply {implied_id}."


class DefaultProjectIsDomain(BadRequest):
    code = "identity.default-project-is-domain"
    message = "User's default project ID cannot be a domain ID: {id}"


class PasswordLocked(BadRequest):
    """The user's option lock_password keeps it as the administrator set it."""

    code = "identity.password-locked"
    message = "This user's password is locked and can only be changed by an administrator."


class UnusableUrl(BadRequest):
    code = "identity.unusable-url"
    message = "Cannot create an endpoint with an invalid URL: {url}."


class InUse(Forbidden):
    """Something still refers to it."""

    code = "identity.in-use"
    message = "Unable to delete region {id} because it or its child regions have associated endpoints."


class InUseByCredential(Forbidden):
    code = "identity.access-rule-in-use"
    message = "Could not delete the following access rule because it is in use: {id}."


class InvalidBlob(BadRequest):
    """An EC2 credential whose blob holds no key."""

    code = "identity.invalid-blob"
    message = "Invalid blob in credential"


class RolesNotHeld(BadRequest):
    """An application credential cannot have roles its user lacks in the project."""

    code = "identity.roles-not-held"
    message = "Invalid application credential: Could not find role assignment with role: {role_id}."


class NeedsProject(BadRequest):
    code = "identity.needs-project"
    message = "Application credentials are made for a project: use a token with project scope."


class NotSelf(Forbidden):
    """A credential or a token may not widen its own rights."""

    code = "identity.restricted"
    message = "Using method 'application_credential' is not allowed for managing additional application credentials."


class PasswordRule(BadRequest):
    """The new password breaks a rule of this cloud."""

    code = "identity.password-rule"
    message = "The password does not match the requirements: {detail}."


class NotUnique(BadRequest):
    """One of the last passwords is not accepted again."""

    code = "identity.password-reused"
    message = (
        "The new password cannot be identical to a previous password. "
        "The total number which includes the new password must be unique is {count}."
    )


class Unchangeable(BadRequest):
    """The attribute was fixed when the thing was made."""

    code = "identity.unchangeable"
    message = "Cannot change {attribute}"
