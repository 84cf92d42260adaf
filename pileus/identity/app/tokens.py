"""Tokens at work: issuing, looking up, remembering. What a token is worth is found in the rows each epoch anew."""

from collections import deque
from typing import Any

import msgspec

from pileus.foundation.context import Caller
from pileus.foundation.database import Database
from pileus.foundation.revocation import Epoch
from pileus.foundation.runtime import Runtime
from pileus.identity.app.issue_log import IssueLog
from pileus.identity.app.settings import Settings
from pileus.identity.domain import revocation
from pileus.identity.domain.application_credential import ApplicationCredential
from pileus.identity.domain.errors import UnknownToken
from pileus.identity.domain.password_rules import MICROSECONDS
from pileus.identity.domain.project import Project
from pileus.identity.domain.role import Role, RoleBook
from pileus.identity.domain.token import (
    AUDIT_BYTES,
    DOMAIN,
    NONCE_BYTES,
    PROJECT,
    SYSTEM,
    Keyring,
    Token,
    Unreadable,
    audit_id,
)  # fmt: skip
from pileus.identity.domain.user import User
from pileus.identity.store import (
    application_credentials,
    assignments,
    projects,
    revocations,
    roles,
    users,
)  # fmt: skip
from pileus.identity.store.access_log import Issue


class Worth(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a token says and what that amounts to in one epoch."""

    token: Token
    user: User
    user_domain: Project
    project: Project | None = None
    project_domain: Project | None = None
    domain: Project | None = None
    roles: tuple[Role, ...] = ()
    application_credential: ApplicationCredential | None = None
    is_logged_out: bool = False


class _Known:
    __slots__ = ("caller", "epoch", "worth")

    def __init__(self, worth: Worth, caller: Caller, epoch: int):
        self.worth = worth
        self.caller = caller
        self.epoch = epoch


class Validation(msgspec.Struct, frozen=True, gc=False):
    """One time that somebody asked about a token: kept in memory, for the trace and for whoever checks it."""

    audit_id: str
    request_id: str  # of the request that asked us
    for_request_id: str  # of the request for whose sake it asked
    asked_by: str  # user id
    at: int  # UTC microseconds
    duration_us: int
    was_remembered: bool


class Tokens:
    """Issues tokens and tells what they are worth."""

    def __init__(self, database: Database, runtime: Runtime, keyring: Keyring, epoch: Epoch, settings: Settings):
        self.keyring = keyring  # replaced by a rotated one while running
        self.issues = IssueLog(database, runtime, settings.access_log_rows, is_shared=settings.shares_database)
        self.validations: deque[Validation] = deque(maxlen=settings.validations_logged)
        self._database = database
        self._runtime = runtime
        self._epoch = epoch
        self._settings = settings
        self._known: dict[str, _Known] = {}
        self._book: tuple[int, RoleBook] | None = None
        self._last_revocation = (-1, 0)  # in which epoch we looked, and what we found
        self._domains: tuple[int, dict[str, Project]] = (-1, {})

    async def current_epoch(self) -> int:
        if self._settings.shares_database:
            self._epoch.advance(await revocations.read_epoch(self._database))
        return self._epoch.value

    # -- what a token is worth ----------------------------------------------------------------------------
    async def look_up(self, text: str, *, even_ended: bool = False) -> tuple[Worth, Caller, bool]:
        """What a token is worth, its caller, and whether we still knew.

        With `even_ended` a token counts that ran out not too long ago, or that was only logged out; nothing else that
        was revoked does. Raises: UnknownToken (404).
        """
        epoch = await self.current_epoch()
        known = self._known.get(text)
        was_known = known is not None and known.epoch == epoch
        if known is None or not was_known:
            known = await self._learn(text, epoch)
        self._check_end(known.worth, even_ended)
        return known.worth, known.caller, was_known

    def _check_end(self, worth: Worth, even_ended: bool) -> None:
        until = worth.token.expires_at + (self._settings.ended_window_s * MICROSECONDS if even_ended else 0)
        if until <= self._runtime.now() or (worth.is_logged_out and not even_ended):
            raise UnknownToken()

    async def _learn(self, text: str, epoch: int) -> _Known:
        try:
            token = self.keyring.open(text)
        except Unreadable as error:
            raise UnknownToken("Could not recognize token") from error
        worth = await self.appraise(token)
        return self._remember(text, worth, epoch)

    def _remember(self, text: str, worth: Worth, epoch: int) -> _Known:
        if len(self._known) >= self._settings.validations_remembered:
            self._known.clear()
        known = self._known[text] = _Known(worth, _caller(text, worth), epoch)
        return known

    async def appraise(self, token: Token) -> Worth:
        """Look in the rows what a token amounts to now; its end is not looked at.

        Raises: UnknownToken when its user, scope or roles are gone, disabled, or were revoked after it was issued.
        """
        db = self._database
        epoch = await self.current_epoch()  # now, not when the token was drafted: much may have happened since
        user = await users.find(db, token.user_id)
        if user is None or not user.enabled:
            raise UnknownToken()
        user_domain = await self._domain(user.domain_id, epoch)
        domain = await self._domain(token.scope_id, epoch) if token.scope == DOMAIN else None
        project = await projects.find_untagged(db, token.scope_id) if token.scope == PROJECT else None
        if token.scope == PROJECT and (project is None or not project.enabled):
            raise UnknownToken()
        project_domain = await self._domain(project.domain_id or project.id, epoch) if project is not None else None
        credential = await self._credential(token)
        granted = await self._roles(token, project, credential) if token.scope else []
        if token.scope and not granted:
            raise UnknownToken()
        project_domain_id = project_domain.id if project_domain else ""
        is_logged_out = await self._check_revoked(token, epoch, user_domain.id, project_domain_id)
        return Worth(
            token=token,
            user=user,
            user_domain=user_domain,
            project=project,
            project_domain=project_domain,
            domain=domain,
            roles=tuple(granted),
            application_credential=credential,
            is_logged_out=is_logged_out,
        )

    async def _domain(self, id: str, epoch: int) -> Project:
        """An enabled domain, looked up once in an epoch. Raises: UnknownToken."""
        if self._domains[0] != epoch:
            self._domains = (epoch, {})
        found = self._domains[1].get(id) or await projects.find_untagged(self._database, id)
        if found is None or not found.is_domain or not found.enabled:
            raise UnknownToken()
        self._domains[1][id] = found
        return found

    async def _check_revoked(self, token: Token, epoch: int, user_domain_id: str, project_domain_id: str) -> bool:
        """Whether the token was logged out. Raises: UnknownToken when more than that happened to it."""
        if token.epoch > epoch:  # of a later history than this database knows
            raise UnknownToken()
        if self._last_revocation[0] != epoch:
            self._last_revocation = (epoch, await revocations.latest_of_all(self._database))
        if self._last_revocation[1] <= token.epoch:
            return False
        subjects = revocation.subjects(token, user_domain_id, project_domain_id)
        if await revocations.latest(self._database, subjects) > token.epoch:
            raise UnknownToken()
        return await revocations.is_revoked(self._database, revocation.of_audit(token.audit_id))

    async def _credential(self, token: Token) -> ApplicationCredential | None:
        if not token.application_credential_id:
            return None
        credential = await application_credentials.find(self._database, token.application_credential_id)
        if credential is None or credential.user_id != token.user_id or credential.project_id != token.scope_id:
            raise UnknownToken()
        return credential

    async def _roles(
        self, token: Token, project: Project | None, credential: ApplicationCredential | None
    ) -> list[Role]:
        book = await self.role_book()
        granted = book.effective(await self.assigned(token.user_id, token.scope, token.scope_id, project))
        if credential is None:
            return granted
        if not set(credential.role_ids) <= {role.id for role in granted}:
            raise UnknownToken()
        return book.effective(credential.role_ids)

    async def assigned(self, user_id: str, kind: str, target_id: str, project: Project | None = None) -> list[str]:
        """The ids of the roles assigned to a user on a target, inherited ones included, implied ones not."""
        above: list[str] = []
        if project is not None and project.parent_id is not None:
            above = [project.parent_id]
            if project.parent_id != project.domain_id:
                above = await projects.above(self._database, project.id)
        return await assignments.roles_on(self._database, user_id, kind, target_id, above)

    async def role_book(self) -> RoleBook:
        """All roles and implications of this epoch."""
        epoch = await self.current_epoch()
        if self._book is None or self._book[0] != epoch:
            self._book = (epoch, await roles.book(self._database))
        return self._book[1]

    # -- making one ---------------------------------------------------------------------------------------
    def draft(
        self,
        user_id: str,
        methods: tuple[str, ...],
        epoch: int,
        *,
        scope: str = "",
        scope_id: str = "",
        parent: Token | None = None,
        credential: ApplicationCredential | None = None,
    ) -> Token:
        """A token with an audit id of its own; it ends no later than the token or credential it was made from."""
        now = self._runtime.now()
        ends = parent.expires_at if parent else now + self._settings.token_lifetime_s * MICROSECONDS
        if credential is not None and credential.expires_at is not None:
            ends = min(ends, credential.expires_at)
        own = audit_id(self._runtime.random_bytes(AUDIT_BYTES))
        return Token(
            user_id=user_id,
            scope=scope,
            scope_id=scope_id,
            methods=methods,
            issued_at=now,
            expires_at=ends,
            epoch=epoch,
            audit_ids=(own, parent.audit_ids[-1]) if parent else (own,),
            application_credential_id=credential.id if credential else "",
            trust_id=parent.trust_id if parent else "",
        )

    def issue(self, worth: Worth, epoch: int, request_id: str, started_at: int) -> str:
        """Seal an appraised token, write it into the log of issues, and return its text."""
        token = worth.token
        text = self.keyring.seal(token, self._runtime.random_bytes(NONCE_BYTES))
        self._remember(text, worth, epoch)
        issue = Issue(
            audit_id=token.audit_id,
            request_id=request_id,
            user_id=token.user_id,
            project_id=token.scope_id if token.scope == PROJECT else "",
            methods=token.methods,
            started_at=started_at,
            duration_us=max(self._runtime.now() - started_at, 0),
            process=self._runtime.name,
        )
        self.issues.add(issue)
        return text

    async def find_issue(self, audit_id: str) -> Issue | None:
        """Steps 1 and 2 of a launch: how the token with this audit id came to be, while the log remembers."""
        return await self.issues.find(audit_id)


def _caller(text: str, worth: Worth) -> Caller:
    token, project, project_domain, domain = worth.token, worth.project, worth.project_domain, worth.domain
    names = tuple(role.name for role in worth.roles)
    facts: dict[str, Any] = {}
    if project is not None and project_domain is not None:
        facts = {
            "project_id": project.id,
            "project_name": project.name,
            "project_domain_id": project_domain.id,
            "project_domain_name": project_domain.name,
        }
    if domain is not None:
        facts = {"domain_id": domain.id, "domain_name": domain.name}
    return Caller(
        user_id=worth.user.id,
        user_name=worth.user.name,
        user_domain_id=worth.user_domain.id,
        user_domain_name=worth.user_domain.name,
        is_system=token.scope == SYSTEM,
        roles=frozenset(name.lower() for name in names),
        role_names=names,
        token=text,
        token_expires_at=token.expires_at,
        audit_id=token.audit_id,
        trust_id=token.trust_id,
        application_credential_id=token.application_credential_id,
        **facts,
    )
