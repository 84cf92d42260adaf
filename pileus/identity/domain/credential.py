"""Credentials that users keep here for other doors: EC2 keys, certificates. What they hold is sealed at rest."""

import hashlib
from typing import Any

import msgspec

EC2 = "ec2"


class Credential(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """`blob` is the secret itself; `application_credential_id` names the one it was made with, and ends with."""

    id: str
    user_id: str
    type: str
    blob: str
    project_id: str | None = None
    application_credential_id: str = ""
    extra: dict[str, Any] = {}


class Ec2Key(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What the blob of an EC2 credential says."""

    access: str
    secret: str
    trust_id: str | None = None


def ec2_id(access: str) -> str:
    """The id of the credential with this access key: one for each key."""
    return hashlib.sha256(access.encode()).hexdigest()


def read_ec2(blob: str) -> Ec2Key | None:
    """The key in a blob; None when it holds none."""
    try:
        found = msgspec.json.decode(blob, type=Ec2Key)
    except msgspec.DecodeError:
        return None
    return found if found.access else None


def write_ec2(key: Ec2Key) -> str:
    return msgspec.json.encode(key).decode()
