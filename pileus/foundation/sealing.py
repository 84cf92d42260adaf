"""Secrets at rest: sealed with the service's own key, so that rows, backups and journals hold no token in clear."""

from pileus.foundation.errors import Error
from pileus.foundation.runtime import Runtime

NONCE_BYTES = 12


class CannotUnseal(Error):
    code = "sealing.broken"
    message = "A stored secret cannot be read: the key in the state directory is not the one it was sealed with."


class Sealer:
    """ChaCha20-Poly1305 under one 256-bit key."""

    def __init__(self, key: bytes, runtime: Runtime):
        from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

        self._cipher = ChaCha20Poly1305(key)
        self._runtime = runtime

    def seal(self, secret: bytes, purpose: str) -> bytes:
        """Seal for one purpose; it can be opened for no other."""
        nonce = self._runtime.random_bytes(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, secret, purpose.encode())

    def open(self, sealed: bytes, purpose: str) -> bytes:
        """Raises: CannotUnseal."""
        from cryptography.exceptions import InvalidTag

        try:
            return self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], purpose.encode())
        except InvalidTag as broken:
            raise CannotUnseal() from broken
