"""The public API as the command line uses it: log in, find the endpoints, ask."""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

from pileus.foundation.http.client import Answer, refusal
from pileus.foundation.http.plain_client import PlainClient


class Rest:
    """A login of one user in one project of the same name; `authority` is whose certificates are believed."""

    def __init__(self, url: str, user: str, password: str, *, authority: str = ""):
        self._authority = authority
        answer = PlainClient(url, authority=authority).request(
            "POST",
            "/identity/v3/auth/tokens",
            {
                "auth": {
                    "identity": {
                        "methods": ["password"],
                        "password": {"user": {"name": user, "domain": {"id": "default"}, "password": password}},
                    },
                    "scope": {"project": {"name": user, "domain": {"id": "default"}}},
                }
            },
        )
        if answer.status != 201:
            raise refusal(answer, "identity")
        self._token = answer.headers["x-subject-token"]
        token = answer.json()["token"]
        self.project_id: str = token["project"]["id"]
        self._endpoints = {
            service["type"]: next(end["url"] for end in service["endpoints"] if end["interface"] == "public")
            for service in token["catalog"]
        }

    def send(
        self,
        service: str,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        chunks: Iterator[bytes] | None = None,
        timeout_s: float = 120.0,
    ) -> Answer:
        """One request; raises what a refusal says."""
        parts = urlsplit(self._endpoints[service])
        base = {"network": "/v2.0", "image": "/v2"}.get(service, "")
        target = f"{parts.path}{base}{path}" + (f"?{urlencode(query)}" if query else "")
        sent = {"x-auth-token": self._token, **(headers or {})}
        client = PlainClient(f"{parts.scheme}://{parts.netloc}", timeout_s, authority=self._authority)
        answer = client.request(method, target, body, sent, chunks)
        if answer.status >= 400:
            raise refusal(answer, service)
        return answer

    def get(self, service: str, path: str, *, query: Mapping[str, str] | None = None, version: str = "") -> Any:
        return self.send(service, "GET", path, query=query, headers=_version(service, version)).json()

    def post(self, service: str, path: str, body: Any, *, version: str = "") -> Any:
        answer = self.send(service, "POST", path, body, headers=_version(service, version))
        return answer.json() if answer.body else None


def _version(service: str, version: str) -> dict[str, str]:
    return {"openstack-api-version": f"{service} {version}"} if version else {}
