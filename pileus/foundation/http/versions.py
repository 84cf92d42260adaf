"""Microversions: read from the header, echoed in the answer, refused with 400 or 406."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from pileus.foundation.errors import BadRequest, NotAcceptable

Version = tuple[int, int]

_FORM = re.compile(r"^([1-9]\d*)\.(0|[1-9]\d*)$")


def parse_version(text: str) -> Version | None:
    """(2, 37) of "2.37"; None when it is no version."""
    match = _FORM.match(text)
    return (int(match[1]), int(match[2])) if match else None


def version(text: str) -> Version:
    """(2, 37) of "2.37", for versions written in code."""
    found = parse_version(text)
    if found is None:
        raise ValueError(f"{text!r} is not a version")
    return found


class BadVersion(BadRequest):
    code = "version.bad"
    message = "API Version String {text} is of invalid format. Must be of format MajorNum.MinorNum."


class VersionOutOfRange(NotAcceptable):
    code = "version.out-of-range"
    message = "Version {version} is not supported by the API. Minimum is {minimum} and maximum is {maximum}."


@dataclass(frozen=True)
class Microversions:
    """The range that a service speaks. `type` is its name in the OpenStack-API-Version header."""

    type: str
    minimum: Version
    maximum: Version
    legacy_header: str = ""  # lower case; compute's own header of before 2.27

    def negotiate(self, headers: Mapping[str, str]) -> Version:
        """The version a request asks for; the minimum when it asks for none.

        Raises: BadVersion (400), VersionOutOfRange (406).
        Source: API SIG guideline "Microversion Specification".
        """
        asked = self._asked(headers)
        if asked is None:
            return self.minimum
        if asked == "latest":
            return self.maximum
        found = parse_version(asked)
        if found is None:
            raise BadVersion(text=asked)
        if not self.minimum <= found <= self.maximum:
            raise VersionOutOfRange(
                version=asked, minimum=as_text(self.minimum), maximum=as_text(self.maximum), type=self.type
            )
        return found

    def _asked(self, headers: Mapping[str, str]) -> str | None:
        header = headers.get("openstack-api-version")
        if header is not None:
            for part in header.split(","):
                words = part.split()
                if len(words) == 2 and words[0].lower() == self.type:
                    return words[1].lower()
        return headers.get(self.legacy_header, None) if self.legacy_header else None


def as_text(value: Version) -> str:
    return f"{value[0]}.{value[1]}"
