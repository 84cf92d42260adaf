"""Keypairs: public keys that users put into their servers. Private keys are made on request and never kept."""

import base64
import binascii
import hashlib
from typing import Literal

from msgspec import Struct

from pileus.compute.domain.errors import KeypairInvalid

KeyType = Literal["ssh", "x509"]

MIN_RSA_BITS = 1024
GENERATED_RSA_BITS = 2048

_CURVES = {
    "ecdsa-sha2-nistp256": (b"nistp256", 65),
    "ecdsa-sha2-nistp384": (b"nistp384", 97),
    "ecdsa-sha2-nistp521": (b"nistp521", 133),
}
_SECURITY_KEYS = {"sk-ssh-ed25519@openssh.com": 1, "sk-ecdsa-sha2-nistp256@openssh.com": 2}
"""Keys on hardware tokens, and how many fields stand between the type and the application's name."""


class Keypair(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A user's public key; `number` is the old integer id of the API."""

    name: str
    user_id: str
    public_key: str
    fingerprint: str
    type: KeyType = "ssh"
    number: int = 0
    created_at: int = 0


class Generated(Struct, frozen=True):
    """A fresh pair. The private key goes to its user once and nowhere else."""

    private_key: str
    public_key: str
    fingerprint: str

    def __repr__(self) -> str:
        return f"Generated({self.fingerprint})"


def fingerprint_of(public_key: str, key_type: KeyType = "ssh") -> str:
    """Return the fingerprint by which the API shows a key: MD5 of an SSH key, SHA-1 of a certificate, colons between.

    Raises: KeypairInvalid (400) for anything that is not such a key.
    """
    if key_type == "x509":
        return _colons(hashlib.sha1(_certificate_bytes(public_key), usedforsecurity=False).hexdigest())
    return _colons(hashlib.md5(ssh_key_bytes(public_key), usedforsecurity=False).hexdigest())


def ssh_key_bytes(public_key: str) -> bytes:
    """Return the key's own bytes, which must be what the first word says. Raises: KeypairInvalid (400)."""
    words = public_key.split(None, 2)
    if len(words) < 2 or "\n" in public_key.strip():
        raise KeypairInvalid(reason="failed to generate fingerprint: an SSH public key is one line 'type base64 name'")
    name, encoded = words[0], words[1]
    try:
        raw = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as wrong:
        raise KeypairInvalid(reason="failed to generate fingerprint: the key is not base64") from wrong
    fields = _fields(raw)
    if fields[:1] != [name.encode()] or not _is_sound(name, fields[1:]):
        raise KeypairInvalid(reason=f"failed to generate fingerprint: not a sound key of type '{name}'")
    return raw


def generate_ssh(comment: str = "Generated-by-Pileus") -> Generated:
    """Make an RSA pair: PEM and one OpenSSH line. Takes some 100 ms of CPU: call it in a thread."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=GENERATED_RSA_BITS)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    line = f"{public.decode()} {comment}"
    return Generated(private.decode(), line, fingerprint_of(line))


def generate_x509(user_id: str, now: int) -> Generated:
    """Make a certificate for logging in to Windows: a client certificate that names `user_id`@localhost, for ten years.

    `now` in UTC microseconds. Takes some 100 ms of CPU: call it in a thread.
    """
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

    key = rsa.generate_private_key(public_exponent=65537, key_size=GENERATED_RSA_BITS)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, user_id[:64])])
    since = datetime.fromtimestamp(now / 1_000_000, UTC)
    principal = f"{user_id}@localhost".encode()
    upn = x509.OtherName(ObjectIdentifier("1.3.6.1.4.1.311.20.2.3"), bytes((0x0C, len(principal))) + principal)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(since)
        .not_valid_after(since + timedelta(days=3650))
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([upn]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = certificate.public_bytes(serialization.Encoding.PEM).decode()
    return Generated(private.decode(), public, fingerprint_of(public, "x509"))


def _certificate_bytes(pem: str) -> bytes:
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    text = pem.strip()
    if not (text.startswith(begin) and text.endswith(end)):
        raise KeypairInvalid(reason="failed to generate X509 fingerprint: not a PEM certificate")
    try:
        raw = base64.b64decode("".join(text[len(begin) : -len(end)].split()), validate=True)
    except (binascii.Error, ValueError) as wrong:
        raise KeypairInvalid(reason="failed to generate X509 fingerprint: the certificate is not base64") from wrong
    if raw[:1] != b"\x30":
        raise KeypairInvalid(reason="failed to generate X509 fingerprint: not a certificate")
    return raw


def _fields(raw: bytes) -> list[bytes]:
    """The strings of SSH's wire form: each a length of four bytes and that many more. Empty when it does not add up."""
    fields, at = [], 0
    while at < len(raw):
        end = at + 4 + int.from_bytes(raw[at : at + 4], "big")
        if at + 4 > len(raw) or end > len(raw):
            return []
        fields.append(raw[at + 4 : end])
        at = end
    return fields


def _is_sound(name: str, fields: list[bytes]) -> bool:
    if name == "ssh-ed25519":
        return len(fields) == 1 and len(fields[0]) == 32
    if name == "ssh-rsa":
        return len(fields) == 2 and int.from_bytes(fields[1], "big").bit_length() >= MIN_RSA_BITS
    if name in _CURVES:
        curve, size = _CURVES[name]
        return len(fields) == 2 and fields[0] == curve and len(fields[1]) == size and fields[1][:1] == b"\x04"
    return name in _SECURITY_KEYS and len(fields) == _SECURITY_KEYS[name] + 1 and fields[-1].startswith(b"ssh:")


def _colons(digest: str) -> str:
    return ":".join(digest[at : at + 2] for at in range(0, len(digest), 2))
