"""Tokens as their owners see them: looked at, ended; and who the caller of a request is."""

from collections.abc import Mapping

from pileus.foundation.context import Caller, Context
from pileus.foundation.errors import Unauthorized
from pileus.foundation.revocation import LEAP
from pileus.identity.app.change import Change, change
from pileus.identity.app.service import Identity
from pileus.identity.app.tokens import Validation, Worth
from pileus.identity.domain import revocation
from pileus.identity.domain.errors import UnknownToken


async def examine(identity: Identity, text: str, context: Context, *, even_ended: bool = False) -> Worth:
    """What a token is worth, for whoever asks; the asking is recorded.

    Raises: UnknownToken (404).
    """
    worth, _, was_remembered = await identity.tokens.look_up(text, even_ended=even_ended)
    identity.tokens.validations.append(
        Validation(
            worth.token.audit_id,
            context.request_id,
            context.global_request_id,
            context.user_id,
            context.started,
            identity.runtime.now() - context.started,
            was_remembered,
        )
    )
    return worth


async def end(identity: Identity, text: str) -> None:
    """Log a token out: it counts no more, except beside a service's token for work it began.

    Raises: UnknownToken (404).
    """
    worth, _, _ = await identity.tokens.look_up(text)
    audit_id = worth.token.audit_id

    async def work(step: Change) -> None:
        await step.revoke(revocation.of_audit(audit_id))

    await change(identity, work)


async def end_everything(identity: Identity) -> None:
    """Refuse every token there is: after a restore, or when a key was lost."""

    async def work(step: Change) -> None:
        await step.revoke(revocation.EVERYTHING)

    await change(identity, work, leap=LEAP)


def is_limited(worth: Worth) -> bool:
    """Whether the token is good only for requests that its access rules name."""
    return worth.application_credential is not None and worth.application_credential.access_rule_ids is not None


class LocalAuthenticator:
    """Tells identity's own application who calls, without asking itself over HTTP."""

    def __init__(self, identity: Identity):
        self._identity = identity

    async def authenticate(self, headers: Mapping[str, str], context: Context) -> Caller:
        """Raises: Unauthorized (401)."""
        text = headers.get("x-auth-token", "")
        if not text:
            raise Unauthorized()
        try:
            worth, caller, _ = await self._identity.tokens.look_up(text)
            if is_limited(worth):  # access rules are not enforced here, so such a token is good for nothing
                raise Unauthorized()
            beside = headers.get("x-service-token", "")
            if not beside:
                return caller
            _, service, _ = await self._identity.tokens.look_up(beside)
        except UnknownToken as error:
            raise Unauthorized() from error
        return _with_service(caller, service)


def _with_service(caller: Caller, service: Caller) -> Caller:
    facts = {name: getattr(caller, name) for name in caller.__slots__ if name not in ("credentials", "host", "is_host")}
    facts |= {
        "service_user_id": service.user_id,
        "service_user_name": service.user_name,
        "service_roles": service.roles,
    }
    return Caller(**facts)
