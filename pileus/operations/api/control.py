"""Who opens the cloud's own socket file is its owner: the file system has checked that already."""

from collections.abc import Mapping

from pileus.foundation.context import Caller, Context

OWNER = Caller(
    user_id="owner", user_name="owner", is_system=True, roles=frozenset({"admin", "manager", "member", "reader"})
)


class OwnerAuthenticator:
    """Takes every caller for the cloud's owner. Only for applications behind the socket file."""

    async def authenticate(self, headers: Mapping[str, str], context: Context) -> Caller:
        return OWNER
