"""What a process of many is given from outside: its secrets, the database, the bus, the addresses of the others."""

from pathlib import Path
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from pileus import secrets_file
from pileus.foundation.bus.senders import HOST
from pileus.foundation.config_file import WrongConfig
from pileus.foundation.private_file import check_private, is_private, read_private
from pileus.foundation.tls import Tls
from pileus.secrets_file import Secrets
from pileus.wiring.settings import Settings


def tls_of(settings: Settings) -> Tls:
    return Tls(settings.tls.certificate, settings.tls.key, settings.tls.authority)


def check(settings: Settings, file: Path | None) -> None:
    """Refuse what would be unsafe, or cannot work. Raises: WrongConfig, NotPrivate, TlsUnusable."""
    tls_of(settings).check()
    if file is not None and _has_password(file) and not is_private(file):
        raise WrongConfig(
            where=file, what=f"holds a password and others can read it. Run: chmod 600 {file}, or use password_file."
        )
    if settings.tls.certificate or settings.tls.authority:
        for name, url in _addresses(settings).items():
            if url.startswith(("http://", "amqp://")):
                raise WrongConfig(where=name, what=f"{_shown(url)} is not encrypted, but TLS is configured.")
        if "sslmode=disable" in settings.database.url:
            raise WrongConfig(
                where="database.url", what="says sslmode=disable, but TLS is configured. Leave it out, or verify-full."
            )


def _has_password(file: Path) -> bool:
    from pileus.foundation.config_file import read_config

    written = read_config(Settings, file, {})
    return any(urlsplit(url).password for url in (written.database.url, written.bus.url))


def _addresses(settings: Settings) -> dict[str, str]:
    services = {f"services.{name}": getattr(settings.services, name) for name in settings.services.__struct_fields__}
    return {"cloud.url": settings.cloud.url, "bus.url": settings.bus.url, **services}


def _shown(url: str) -> str:
    """An address without its password."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def secrets_path(settings: Settings) -> Path:
    return Path(settings.secrets.file) if settings.secrets.file else settings.state_dir / secrets_file.FILE


def secrets_of(settings: Settings) -> Secrets:
    """Raises: NotPrivate, SecretsUnreadable."""
    path = secrets_path(settings)
    check_private(path)
    return secrets_file.read(path)


def database_url(settings: Settings) -> str:
    """With password and TLS. Raises: WrongConfig, NotPrivate."""
    section = settings.database
    if not section.url:
        raise WrongConfig(where="database.url", what="is not set, and this part needs the database.")
    url = _with_password(section.url, section.password_file)
    if settings.tls.authority and url.startswith("postgres") and "sslmode=" not in url:
        url = _with_options(url, sslmode="verify-full", sslrootcert=settings.tls.authority)
    return url


def bus_url(settings: Settings) -> str:
    """With its password. Raises: WrongConfig, NotPrivate."""
    url = settings.bus.url
    if not url:
        raise WrongConfig(where="bus.url", what="is not set: every part needs the bus.")
    account = urlsplit(url)
    if (account.username or "").startswith(HOST) and not account.password and not settings.bus.password_file:
        return _with_key(url, secrets_of(settings).key_of(account.username or ""))  # a host has one key for everything
    return _with_password(url, settings.bus.password_file)


def _with_password(url: str, file: str) -> str:
    if not file:
        return url
    return _with_key(url, read_private(Path(file)).decode().strip())


def _with_key(url: str, password: str) -> str:
    parts = urlsplit(url)
    user, _, place = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user}:{quote(password, safe='')}@{place}"))


def _with_options(url: str, **options: str) -> str:
    parts = urlsplit(url)
    query = urlencode([*parse_qsl(parts.query), *options.items()])
    return urlunsplit(parts._replace(query=query))


def address_of(settings: Settings, path: str) -> str:
    """Where other parts reach the service behind a path. Raises: WrongConfig."""
    base = getattr(settings.services, path) or settings.cloud.url
    if not base:
        raise WrongConfig(where="cloud.url", what=f"is not set, nor services.{path}, and this part asks {path}.")
    return f"{base.rstrip('/')}/{path}"
