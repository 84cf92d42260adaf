"""The administrator's credentials for the users' own clients, quoted so that no value can become a command."""

import shlex
from pathlib import Path

import msgspec

from pileus.rest import Rest
from pileus.running import Facts, facts
from pileus.secrets_file import FILE, Secrets

SHARED = {
    "OS_PROJECT_NAME": "admin",
    "OS_USERNAME": "admin",
    "OS_USER_DOMAIN_NAME": "Default",
    "OS_PROJECT_DOMAIN_NAME": "Default",
    "OS_IDENTITY_API_VERSION": "3",
}


def admin_password(state_dir: Path) -> str:
    """As the first start made it; an administrator may have changed it since."""
    path = facts(state_dir).secrets_file or state_dir / FILE
    return msgspec.json.decode(Path(path).read_bytes(), type=Secrets).admin_password


def login(state_dir: Path) -> Rest:
    """The administrator at the public API."""
    found = facts(state_dir)
    return Rest(found.url, "admin", admin_password(state_dir), authority=found.authority)


def openrc(state_dir: Path) -> str:
    """Lines to `eval` or to source."""
    found: Facts = facts(state_dir)
    values = {
        "OS_AUTH_URL": f"{found.url}/identity/v3",
        **SHARED,
        "OS_REGION_NAME": found.region,
        "OS_PASSWORD": admin_password(state_dir),
    } | ({"OS_CACERT": found.authority} if found.authority else {})
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in values.items())


def clouds_yaml(state_dir: Path, name: str = "pileus") -> str:
    """A clouds.yaml with one cloud; JSON strings are YAML strings, whatever is in them."""
    found = facts(state_dir)

    def quoted(value: str) -> str:
        return msgspec.json.encode(value).decode()

    lines = [
        "clouds:",
        f"  {quoted(name)}:",
        "    auth:",
        f"      auth_url: {quoted(found.url + '/identity/v3')}",
        f"      username: {quoted('admin')}",
        f"      password: {quoted(admin_password(state_dir))}",
        f"      project_name: {quoted('admin')}",
        f"      user_domain_name: {quoted('Default')}",
        f"      project_domain_name: {quoted('Default')}",
        f"    region_name: {quoted(found.region)}",
        "    identity_api_version: 3",
    ]
    if found.authority:
        lines.append(f"    cacert: {quoted(found.authority)}")
    return "\n".join(lines) + "\n"
