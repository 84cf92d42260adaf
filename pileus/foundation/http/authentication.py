"""Tokens to callers: every service asks identity over its public API, and remembers for a while.

A remembered validation ends with identity's revocation epoch: embedded the next request sees a revocation, across
processes after at most `MAX_AGE_S` seconds.
"""

import datetime
from collections.abc import Mapping
from typing import Any

from pileus.foundation.context import Caller, Context
from pileus.foundation.errors import Error, Unauthorized, Unavailable
from pileus.foundation.http.authority import OwnToken
from pileus.foundation.http.client import Answer, Peer
from pileus.foundation.revocation import Epoch
from pileus.foundation.runtime import Runtime
from pileus.foundation.trace import Event

MAX_AGE_S = 5.0
MOST = 10_000


class _Remembered:
    __slots__ = ("at", "caller", "mark", "request_id")

    def __init__(self, caller: Caller, mark: object, at: float, request_id: str):
        self.caller = caller
        self.mark = mark  # of the revocation epoch
        self.at = at
        self.request_id = request_id


class TokenValidator:
    """Validates tokens with identity for one service, and caches the answers for that service alone.

    Events have step 0 and `data["kind"] == "validate"`; who called gives them their number.
    """

    def __init__(
        self,
        service: str,
        identity: Peer,
        own_token: OwnToken,
        epoch: Epoch,
        runtime: Runtime,
        *,
        max_age_s: float | None = None,
        caching: bool = True,
    ):
        self._service = service
        self._identity = identity
        self._own_token = own_token
        self._epoch = epoch
        self._runtime = runtime
        self._max_age_s = max_age_s  # None: the epoch alone decides (one process)
        self._caching = caching
        self._cache: dict[tuple[str, str], _Remembered] = {}

    async def authenticate(self, headers: Mapping[str, str], context: Context) -> Caller:
        token = headers.get("x-auth-token", "")
        if not token:
            raise Unauthorized()
        key = (token, headers.get("x-service-token", ""))
        started = self._runtime.now()
        known = self._cache.get(key)
        if known is not None and self._holds(known, started):
            self._record(context, started, 0, known.request_id)
            return known.caller
        mark, caller = await self._validate(*key, context)
        if self._caching and mark is not None:
            if len(self._cache) >= MOST:
                self._cache.clear()
            self._cache[key] = _Remembered(caller, mark, self._runtime.monotonic(), context.request_id)
        self._record(context, started, self._runtime.now() - started, "")
        return caller

    def _holds(self, known: _Remembered, now: int) -> bool:
        if known.mark is not self._epoch.mark or known.caller.token_expires_at <= now:
            return False
        return self._max_age_s is None or self._runtime.monotonic() - known.at < self._max_age_s

    def _record(self, context: Context, started: int, duration: int, validated_by: str) -> None:
        context.trace.add(
            Event(
                step=0,
                source=self._service,
                target="identity",
                start=started,
                duration_us=duration,
                process=self._runtime.name,
                cached=bool(validated_by),
                validated_by=validated_by,
                data={"kind": "validate"},
            )
        )

    async def _validate(self, token: str, service_token: str, context: Context) -> tuple[object | None, Caller]:
        """The caller, and the mark under which this may be remembered: of an epoch no newer than any answer's."""
        mark = self._epoch.mark
        service = await self._ask(service_token, "", context) if service_token else None
        service_caller = caller_from(service.json()["token"], service_token) if service is not None else None
        trusted = service_caller is not None and "service" in service_caller.roles
        answer = await self._ask(token, service_token if trusted else "", context)
        body = answer.json()["token"]
        heard = int(answer.headers.get("x-pileus-epoch", "0"))
        if heard > self._epoch.value:  # the news of it is still on its way
            self._epoch.advance(heard)
            mark = self._epoch.mark if service is None else None
        return mark, caller_from(body, token, service_caller)

    async def _ask(self, token: str, service_token: str, context: Context) -> Answer:
        """GET /v3/auth/tokens. With a trusted service token an expired one is looked at too."""
        for fresh in (False, True):
            own = await self._own_token()
            answer = await self._identity.request(
                "GET",
                "/v3/auth/tokens?allow_expired=1" if service_token else "/v3/auth/tokens",
                token=own,
                service_token=service_token,
                headers={"x-subject-token": token, "x-openstack-request-id": context.request_id},
            )
            if answer.status == 401 and not fresh:
                self._own_token.forget(own)
                continue
            break
        if answer.status in (401, 404):
            raise Unauthorized()
        if answer.status != 200:
            raise Unavailable("The identity service does not answer; try again later.", log=f"{answer.status}")
        return answer


def caller_from(body: Mapping[str, Any], token: str, service: Caller | None = None) -> Caller:
    """The caller that a validation's `token` object describes.

    Source: Identity API reference, "Validate and show information for token".
    """
    user, project, domain = body["user"], body.get("project"), body.get("domain")
    names = tuple(role["name"] for role in body.get("roles", ()))
    return Caller(
        user_id=user["id"],
        user_name=user["name"],
        user_domain_id=user["domain"]["id"],
        user_domain_name=user["domain"]["name"],
        project_id=project["id"] if project else "",
        project_name=project["name"] if project else "",
        project_domain_id=project["domain"]["id"] if project else "",
        project_domain_name=project["domain"]["name"] if project else "",
        domain_id=domain["id"] if domain else "",
        domain_name=domain["name"] if domain else "",
        is_system=bool(body.get("system", {}).get("all")),
        roles=frozenset(name.lower() for name in names),
        role_names=names,
        token=token,
        token_expires_at=_microseconds(body["expires_at"]),
        audit_id=body["audit_ids"][0],
        trust_id=body.get("OS-TRUST:trust", {}).get("id", ""),
        application_credential_id=body.get("application_credential", {}).get("id", ""),
        service_user_id=service.user_id if service else "",
        service_user_name=service.user_name if service else "",
        service_roles=service.roles if service else frozenset(),
    )


def _microseconds(text: str) -> int:
    moment = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    return int(moment.timestamp()) * 1_000_000 + moment.microsecond


class ServiceLogin:
    """The token of one service account, fetched by password when it is needed and renewed before it ends."""

    def __init__(
        self, identity: Peer, runtime: Runtime, *, user: str, password: str, project: str = "service"
    ):  # fmt: skip
        self._identity = identity
        self._runtime = runtime
        self._user, self._password, self._project = user, password, project
        self._token = ""
        self._ends = 0

    async def __call__(self) -> str:
        if not self._token or self._runtime.now() > self._ends - 300_000_000:
            await self._login()
        return self._token

    def forget(self, token: str) -> None:
        """Drop this token, if it is still ours: it was refused."""
        if token == self._token:
            self._token = ""

    async def _login(self) -> None:
        domain = {"id": "default"}
        answer = await self._identity.request(
            "POST",
            "/v3/auth/tokens?nocatalog",
            body={
                "auth": {
                    "identity": {
                        "methods": ["password"],
                        "password": {"user": {"name": self._user, "domain": domain, "password": self._password}},
                    },
                    "scope": {"project": {"name": self._project, "domain": domain}},
                }
            },
        )
        if answer.status != 201:
            raise ServiceLoginFailed(user=self._user, log=f"{answer.status} {answer.body[:200]!r}")
        self._token = answer.headers["x-subject-token"]
        self._ends = _microseconds(answer.json()["token"]["expires_at"])


class ServiceLoginFailed(Error):
    status, code = 503, "identity.service-login"
    message = "The service account {user} cannot log in to identity; run 'pileus doctor'."
