"""Tokens: what one says, and how it is sealed so that only identity can read or make it.

A token names who, where and since which revocation epoch; roles and names are looked up when it is validated, so that
it never says more than is true now. Nothing here reads a clock or draws a number.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

NONCE_BYTES = 12
KEY_BYTES = 32
AUDIT_BYTES = 16
LONGEST = 512  # characters; a longer text is no token of ours

METHODS = ("password", "token", "application_credential", "trust", "totp")
UNSCOPED, PROJECT, DOMAIN, SYSTEM = "", "project", "domain", "system"
_SCOPES = (UNSCOPED, PROJECT, DOMAIN, SYSTEM)
_VERSION = 1


class Unreadable(ValueError):
    """Not a token that these keys sealed."""


class Token(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a sealed token says. Ids are 32 hex digits or short words; times are UTC microseconds."""

    user_id: str
    scope: str = UNSCOPED
    scope_id: str = ""
    methods: tuple[str, ...]
    issued_at: int
    expires_at: int
    epoch: int  # of revocations, when it was issued: a later one may refuse it
    audit_ids: tuple[str, ...]  # its own, and that of the first token it was made from
    application_credential_id: str = ""
    trust_id: str = ""

    @property
    def audit_id(self) -> str:
        return self.audit_ids[0]


class _Payload(msgspec.Struct, array_like=True, omit_defaults=True):
    version: int
    user: Any  # ids are bytes where they are hex, else text
    scope: int
    scope_id: Any
    methods: int
    issued_at: int
    lifetime: int
    epoch: int
    audit: bytes
    application_credential: Any = ""
    trust: Any = ""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Payload).decode


class Keyring:
    """The keys that seal tokens: one seals, all open; a number from 1 to 255 names each."""

    __slots__ = ("_ciphers", "_keys", "_primary", "_sealing")

    def __init__(self, keys: Mapping[int, bytes], primary: int):
        if primary not in keys or not all(0 < number < 256 for number in keys):
            raise ValueError("the primary key must be one of the keys, numbered 1 to 255")
        self._keys = dict(keys)
        self._primary = primary
        self._ciphers = {number: ChaCha20Poly1305(key) for number, key in keys.items()}
        self._sealing = self._ciphers[primary]

    @classmethod
    def first(cls, key: bytes) -> "Keyring":
        """A keyring with one key of `KEY_BYTES` random bytes."""
        return cls({1: key}, 1)

    def rotated(self, key: bytes, keep: int = 3) -> "Keyring":
        """A keyring that seals with `key` and still opens what the last `keep - 1` keys sealed."""
        number = self._primary % 255 + 1
        newest_first = [(self._primary - back - 1) % 255 + 1 for back in range(254)]
        kept = [old for old in newest_first if old in self._keys][: keep - 1]
        return Keyring({number: key} | {old: self._keys[old] for old in kept}, number)

    def dump(self) -> bytes:
        """The keyring as a document for a file that only its owner may read."""
        keys = {str(number): base64.b64encode(key).decode() for number, key in self._keys.items()}
        return msgspec.json.encode({"version": 1, "primary": self._primary, "keys": keys})

    @classmethod
    def load(cls, document: bytes) -> "Keyring":
        """The keyring that `dump` wrote."""
        stored = msgspec.json.decode(document)
        keys = {int(number): base64.b64decode(key) for number, key in stored["keys"].items()}
        return cls(keys, stored["primary"])

    def seal(self, token: Token, nonce: bytes) -> str:
        """The token as text for a header; `nonce` are `NONCE_BYTES` random bytes, never used twice."""
        number = bytes((self._primary,))
        sealed = self._sealing.encrypt(nonce, _encode(_payload(token)), number)
        return base64.urlsafe_b64encode(number + nonce + sealed).rstrip(b"=").decode()

    def open(self, text: str) -> Token:
        """What a sealed token says.

        Raises: Unreadable.
        """
        if len(text) > LONGEST:
            raise Unreadable("too long")
        try:
            raw = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
            cipher = self._ciphers[raw[0]]
            return _token(_decode(cipher.decrypt(raw[1 : 1 + NONCE_BYTES], raw[1 + NONCE_BYTES :], raw[:1])))
        except (binascii.Error, ValueError, IndexError, KeyError, InvalidTag, msgspec.MsgspecError) as error:
            raise Unreadable("not sealed by these keys") from error


def audit_id(raw: bytes) -> str:
    """How an audit id of `AUDIT_BYTES` random bytes is written."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _payload(token: Token) -> _Payload:
    methods = 0
    for method in token.methods:
        methods |= 1 << METHODS.index(method)
    return _Payload(
        _VERSION,
        _packed(token.user_id),
        _SCOPES.index(token.scope),
        _packed(token.scope_id),
        methods,
        token.issued_at,
        token.expires_at - token.issued_at,
        token.epoch,
        b"".join(base64.urlsafe_b64decode(each + "==") for each in token.audit_ids),
        _packed(token.application_credential_id),
        _packed(token.trust_id),
    )


def _token(payload: _Payload) -> Token:
    if payload.version != _VERSION:
        raise Unreadable("of another version")
    audit = payload.audit
    return Token(
        user_id=_unpacked(payload.user),
        scope=_SCOPES[payload.scope],
        scope_id=_unpacked(payload.scope_id),
        methods=tuple(method for bit, method in enumerate(METHODS) if payload.methods >> bit & 1),
        issued_at=payload.issued_at,
        expires_at=payload.issued_at + payload.lifetime,
        epoch=payload.epoch,
        audit_ids=tuple(audit_id(audit[at : at + AUDIT_BYTES]) for at in range(0, len(audit), AUDIT_BYTES)),
        application_credential_id=_unpacked(payload.application_credential),
        trust_id=_unpacked(payload.trust),
    )


def _packed(id: str) -> bytes | str:
    """32 hex digits in half the room; any other id as it is."""
    if len(id) == 32:
        try:
            raw = bytes.fromhex(id)
        except ValueError:
            return id
        if raw.hex() == id:
            return raw
    return id


def _unpacked(id: bytes | str) -> str:
    return id.hex() if isinstance(id, bytes) else id
