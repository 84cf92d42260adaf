"""What a cluster needs before its first process starts: tables, secrets, the cloud's own users; accounts of hosts."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from pileus import secrets_file
from pileus.foundation.bus import Broker, Bus
from pileus.foundation.bus.rabbit_accounts import Account, control_account, definitions, host_rights
from pileus.foundation.config_file import WrongConfig
from pileus.foundation.database import Database, open_database
from pileus.foundation.http.client import Transport
from pileus.foundation.private_file import check_private
from pileus.foundation.runtime import Runtime
from pileus.foundation.state_directory import ensure_state
from pileus.identity.app import service as identity_service
from pileus.identity.app.bootstrap import ensure_host
from pileus.identity.app.service import Identity
from pileus.identity.app.sessions import end_everything
from pileus.secrets_file import Secrets
from pileus.wiring import identity, opening
from pileus.wiring.ground import Ground
from pileus.wiring.hosts import account_of
from pileus.wiring.schemas import SCHEMAS
from pileus.wiring.settings import Settings


@asynccontextmanager
async def _open(settings: Settings) -> AsyncIterator[tuple[Runtime, Database]]:
    runtime = Runtime("preparing")
    try:
        database = open_database(opening.database_url(settings), runtime)
        await database.open()
        try:
            yield runtime, database
        finally:
            await database.close()
    finally:
        await runtime.stop()


def _reach_nobody(path: str) -> Transport:
    raise AssertionError(f"nothing here asks {path}")


def _identity(settings: Settings, runtime: Runtime, database: Database, secrets: Secrets) -> tuple[Ground, Identity]:
    ground = Ground(
        settings, runtime, Bus(Broker(), runtime), secrets, _reach_nobody, database, is_alone=False
    )  # fmt: skip
    return ground, identity.build(ground)


async def prepare(settings: Settings) -> None:
    """Bring tables, secrets and the cloud's own rows to this version. Running it again changes nothing."""
    if not settings.cloud.url:
        raise WrongConfig(where="cloud.url", what="is not set: the catalog must name an address.")
    path = opening.secrets_path(settings)
    ensure_state(settings.state_dir)
    async with _open(settings) as (runtime, database):
        if path.exists():
            check_private(path)
        secrets = secrets_file.ensure(path, runtime)
        for schema in SCHEMAS:
            await database.migrate(schema)
        ground, service = _identity(settings, runtime, database, secrets)
        await identity_service.start(service)
        if await identity.first_rows(ground, service):
            secrets_file.write(path, secrets)
        await identity_service.stop(service)


async def end_tokens(settings: Settings) -> None:
    """Refuse every token there is."""
    async with _open(settings) as (runtime, database):
        _, service = _identity(settings, runtime, database, opening.secrets_of(settings))
        await identity_service.start(service)
        await end_everything(service)


async def enroll_hosts(
    settings: Settings, hosts: Sequence[str], out: Path, *, backends: Sequence[str] = (), rabbitmq: Path | None = None
) -> None:
    """Write new keys of these hosts' accounts into a file; keys that they had before are worth nothing from then on.

    `rabbitmq` becomes a file that the broker imports: the same accounts with the same keys, salted and hashed, and the
    control plane's; the hosts may hold the volume `backends`.
    """
    async with _open(settings) as (runtime, database):
        _, service = _identity(settings, runtime, database, opening.secrets_of(settings))
        await identity_service.start(service)
        accounts = {account_of(host): await ensure_host(service, account_of(host)) for host in hosts}
        secrets_file.write(out, Secrets(accounts=accounts))
        if rabbitmq is not None:
            rights = [host_rights(host, backends) for host in hosts]
            secrets_file.write_private(rabbitmq, _definitions(settings, rights, accounts, runtime))


def _definitions(
    settings: Settings, rights: Sequence[Account], keys: Mapping[str, str], runtime: Runtime
) -> dict[str, Any]:
    """Raises: WrongConfig."""
    control = urlsplit(opening.bus_url(settings))
    if control.scheme not in ("amqp", "amqps") or not control.password:
        raise WrongConfig(where="bus.url", what="names no RabbitMQ, or no password of the control plane's account.")
    name, vhost = unquote(control.username or ""), unquote(control.path.removeprefix("/")) or "/"
    accounts = [control_account(name), *rights]
    return definitions(accounts, {**keys, name: unquote(control.password)}, runtime, vhost)
