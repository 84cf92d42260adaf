"""Public keys: which are keys, and their fingerprints."""

import base64
import struct

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st

from pileus.compute.domain.errors import KeypairInvalid
from pileus.compute.domain.keypair import fingerprint_of, generate_ssh, generate_x509, ssh_key_bytes

RECORDED = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDgrdM5qGkXW+7zZ9g1bqQe0xSOqfvH3n6mQ2mGd7kQk ref"


def line(key: ed25519.Ed25519PublicKey | rsa.RSAPublicKey | ec.EllipticCurvePublicKey) -> str:
    return key.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()


def wire(*fields: bytes) -> str:
    raw = b"".join(struct.pack(">I", len(field)) + field for field in fields)
    return f"{fields[0].decode()} {base64.b64encode(raw).decode()}"


def test_the_fingerprint_is_that_of_the_recorded_key() -> None:
    assert fingerprint_of(RECORDED) == "95:a2:34:01:79:02:f2:60:15:9b:0e:4b:f1:35:32:c5"
    assert fingerprint_of(RECORDED.removesuffix(" ref") + "\n") == fingerprint_of(RECORDED)


@pytest.mark.parametrize(
    "public_key",
    [
        line(ed25519.Ed25519PrivateKey.from_private_bytes(b"7" * 32).public_key()),
        line(ec.derive_private_key(7, ec.SECP256R1()).public_key()),
        line(ec.derive_private_key(7, ec.SECP384R1()).public_key()),
        line(ec.derive_private_key(7, ec.SECP521R1()).public_key()),
        wire(b"ssh-rsa", b"\x01\x00\x01", b"\x00" + b"\xff" * 256),
        wire(b"sk-ssh-ed25519@openssh.com", b"k" * 32, b"ssh:"),
        wire(b"sk-ecdsa-sha2-nistp256@openssh.com", b"nistp256", b"\x04" + b"k" * 64, b"ssh:"),
    ],
    ids=lambda public_key: public_key.split()[0],
)
def test_keys_of_every_kind_are_taken(public_key: str) -> None:
    assert len(fingerprint_of(public_key + " a comment with words")) == 47


@pytest.mark.parametrize(
    "public_key",
    [
        "",
        "ssh-rsa",
        "ssh-rsa !!!!",
        "ssh-ed25519 AAAA",
        RECORDED.replace("ssh-ed25519 ", "ssh-rsa "),
        RECORDED + "\n" + RECORDED,
        wire(b"ssh-ed25519", b"short"),
        wire(b"ssh-rsa", b"\x01\x00\x01", b"\xff" * 64),
        wire(b"ssh-dss", b"p", b"q", b"g", b"y"),
        wire(b"ecdsa-sha2-nistp256", b"nistp384", b"\x04" + b"k" * 64),
        wire(b"ssh-unknown", b"k" * 32),
    ],
)
def test_what_is_not_a_sound_key_is_refused(public_key: str) -> None:
    with pytest.raises(KeypairInvalid, match="Keypair data is invalid: failed to generate fingerprint"):
        fingerprint_of(public_key)


@given(st.binary(max_size=200))
def test_no_bytes_make_the_reader_stumble(raw: bytes) -> None:
    try:
        ssh_key_bytes(f"ssh-ed25519 {base64.b64encode(raw).decode()}")
    except KeypairInvalid:
        return
    assert raw.startswith(b"\x00\x00\x00\x0bssh-ed25519\x00\x00\x00\x20")


def test_a_generated_key_belongs_together_and_hides_itself() -> None:
    made = generate_ssh()
    private = serialization.load_pem_private_key(made.private_key.encode(), None)
    assert isinstance(private, rsa.RSAPrivateKey)
    assert made.private_key.startswith("-----BEGIN RSA PRIVATE KEY-----")
    assert made.public_key.split()[:2] == line(private.public_key()).split()
    assert made.fingerprint == fingerprint_of(made.public_key)
    assert "PRIVATE" not in repr(made)


def test_a_generated_certificate_names_its_user_and_its_fingerprint_is_of_the_certificate() -> None:
    made = generate_x509("u1", now=1_700_000_000_000_000)
    certificate = x509.load_pem_x509_certificate(made.public_key.encode())
    assert certificate.subject.rfc4514_string() == "CN=u1"
    assert made.fingerprint.replace(":", "") == certificate.fingerprint(hashes.SHA1()).hex()
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [other.value for other in names] == [b"\x0c\x0cu1@localhost"]


@pytest.mark.parametrize("text", ["", "hello", "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----"])
def test_what_is_not_a_certificate_is_refused(text: str) -> None:
    with pytest.raises(KeypairInvalid, match="X509"):
        fingerprint_of(text, "x509")
