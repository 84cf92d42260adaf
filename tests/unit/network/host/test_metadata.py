"""What a guest gets for a path, and that only network and address decide whose it is."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from pileus.foundation.plain_http import PlainRequest
from pileus.foundation.runtime import Runtime
from pileus.network.host.metadata import MetadataService, find_document

Run = Callable[..., Any]

DOCUMENTS = {
    "openstack/": b"2012-08-10\nlatest",
    "openstack/latest/meta_data.json": b"{}",
    "openstack/latest/user_data": b"#!/bin/sh",
    "openstack/latest/password": b"",
    "openstack/content/0000": b"\0\1",
    "/": b"1.0\nlatest",
    "latest/user-data": b"#!/bin/sh",
    "latest/meta-data/ami-id": b"ami-1",
    "latest/meta-data/placement/availability-zone": b"nova",
    "latest/meta-data/public-keys/": b"0=mine",
    "latest/meta-data/public-keys/0/openssh-key": b"ssh-ed25519 AAAA",
}
JSON, BYTES, TEXT = "application/json", "application/octet-stream", "text/plain; charset=UTF-8"


@pytest.mark.parametrize(
    ("path", "body", "kind"),
    [
        ("/openstack/latest/meta_data.json", b"{}", JSON),
        ("//openstack///latest/meta_data.json/", b"{}", JSON),
        ("/openstack/latest/user_data", b"#!/bin/sh", BYTES),
        ("/openstack/content/0000", b"\0\1", BYTES),
        ("/openstack/latest/password", b"", TEXT),
        ("/openstack", b"2012-08-10\nlatest", TEXT),
        ("/openstack/", b"2012-08-10\nlatest", TEXT),
        ("/openstack/latest", b"meta_data.json\npassword\nuser_data", TEXT),
        ("/openstack/latest/", b"meta_data.json\npassword\nuser_data", TEXT),
        ("/", b"1.0\nlatest", TEXT),
        ("/latest", b"meta-data/\nuser-data", TEXT),
        ("/latest/meta-data/", b"ami-id\nplacement/\npublic-keys/", TEXT),
        ("/latest/meta-data", b"ami-id\nplacement/\npublic-keys/", TEXT),
        ("/latest/meta-data/placement", b"availability-zone", TEXT),
        ("/latest/meta-data/public-keys/", b"0=mine", TEXT),
        ("/latest/meta-data/public-keys", b"0=mine", TEXT),
        ("/latest/meta-data/public-keys/0", b"openssh-key", TEXT),
        ("/latest/user-data", b"#!/bin/sh", BYTES),
    ],
)
def test_a_path_is_a_document_or_a_listing(path: str, body: bytes, kind: str) -> None:
    answer = find_document(DOCUMENTS, path)
    assert (answer.status, answer.body, answer.content_type) == (200, body, kind)


@pytest.mark.parametrize(
    "path",
    [
        "/openstack/1999-01-01", "/openstack/latest/meta_data", "/openstack/latest/meta_data.json/x", "/latest/ami-id",
        "/openstack/../openstack/latest/user_data", "/%6fpenstack", "/openstack/latest/meta_data.json%00", "/late",
    ],
)  # fmt: skip
def test_any_other_path_is_not_found(path: str) -> None:
    assert find_document(DOCUMENTS, path).status == 404


class Guests:
    def __init__(self) -> None:
        self.password = ""

    async def keep_password(self, network_id: str, fixed_ip: str, password: str) -> bool:
        assert (network_id, fixed_ip) == ("mine", "10.0.0.5")
        if self.password:
            return False
        self.password = password
        return True

    async def documents(self, network_id: str, fixed_ip: str) -> Mapping[str, bytes] | None:
        return DOCUMENTS if (network_id, fixed_ip) == ("mine", "10.0.0.5") else None


@pytest.mark.parametrize(
    ("network", "address", "method", "status"),
    [
        ("mine", "10.0.0.5", "GET", 200),
        ("mine", "10.0.0.5", "HEAD", 200),
        ("mine", "10.0.0.6", "GET", 404),
        ("other", "10.0.0.5", "GET", 404),
        ("mine", "10.0.0.5", "POST", 405),
        ("mine", "10.0.0.5", "PUT", 405),
        ("mine", "10.0.0.5", "DELETE", 405),
    ],
)
def test_network_and_address_decide_and_nothing_can_be_changed(
    run: Run, runtime: Runtime, network: str, address: str, method: str, status: int
) -> None:
    service = MetadataService(runtime, Guests())
    answer = run(service.answer, network, PlainRequest(method, "/openstack/latest/meta_data.json", address))
    assert answer.status == status


def test_a_guest_leaves_its_password_once(run: Run, runtime: Runtime) -> None:
    guests = Guests()
    service = MetadataService(runtime, guests)

    def leave(path: str, body: bytes, address: str = "10.0.0.5") -> int:
        return int(run(service.answer, "mine", PlainRequest("POST", path, address, body)).status)

    assert leave("/openstack/latest/password", b"x", "10.0.0.6") == 404
    assert leave("/openstack/1999-01-01/password", b"x") == 405
    assert leave("/openstack/latest/password", "ü".encode()) == 400
    assert leave("//openstack/latest/password/", b"first") == 200
    assert leave("/openstack/latest/password", b"second") == 409
    assert guests.password == "first"


def test_without_a_namespace_nobody_listens(run: Run, runtime: Runtime) -> None:
    service = MetadataService(runtime, Guests())
    run(service.ensure_listener, "mine", "")
    run(service.ensure_listener, "mine", "no-such-namespace")
    assert service.networks() == frozenset()
