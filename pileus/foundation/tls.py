"""TLS of a process: its own certificate for whoever connects to it, and whose certificates it believes.

Every certificate is checked, and must be of the name that was asked for; there is no way to turn that off.
"""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pileus.foundation.errors import Unavailable
from pileus.foundation.private_file import check_private


class TlsUnusable(Unavailable):
    code = "tls.unusable"
    message = "TLS cannot be used with {what}: {reason}. See the section tls of the configuration."


@dataclass(frozen=True)
class Tls:
    """`certificate`, `key` and `authority` are PEM files; empty paths: none, none, and those the system believes."""

    certificate: str = ""
    key: str = ""
    authority: str = ""

    def check(self) -> None:
        """Raises: TlsUnusable, NotPrivate."""
        if bool(self.certificate) != bool(self.key):
            raise TlsUnusable(what=self.certificate or self.key, reason="certificate and key belong together")
        if self.key:
            check_private(Path(self.key))
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            try:
                context.load_cert_chain(self.certificate, self.key)
            except (OSError, ssl.SSLError) as error:
                raise TlsUnusable(what=f"{self.certificate} and {self.key}", reason=str(error)) from error
        if self.authority:
            self.client()

    def server(self) -> dict[str, Any]:
        """What a listener is told; nothing when it is to speak plainly."""
        return {"ssl_certfile": self.certificate, "ssl_keyfile": self.key} if self.certificate else {}

    def client(self) -> ssl.SSLContext:
        """Checks who answers: by name, against the authority; proves who we are where that is asked.

        Raises: TlsUnusable.
        """
        try:
            context = ssl.create_default_context(cafile=self.authority or None)
            if self.certificate:
                context.load_cert_chain(self.certificate, self.key)
        except (OSError, ssl.SSLError) as error:
            raise TlsUnusable(what=self.authority, reason=str(error)) from error
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context
