"""What a client offers when it asks for a token: proofs of who it is, and the scope it wants."""

import msgspec


class DomainRef(msgspec.Struct, frozen=True, gc=False):
    """A domain by id or, with an empty id, by name."""

    id: str = ""
    name: str = ""


class UserRef(msgspec.Struct, frozen=True, gc=False):
    """A user by id or, with an empty id, by name within a domain."""

    id: str = ""
    name: str = ""
    domain: DomainRef = DomainRef()


class PasswordProof(msgspec.Struct, frozen=True, gc=False):
    user: UserRef
    password: str


class TokenProof(msgspec.Struct, frozen=True, gc=False):
    """A token this cloud issued before."""

    text: str


class SecretProof(msgspec.Struct, frozen=True, gc=False):
    """An application credential by id, or by name within its user."""

    secret: str
    id: str = ""
    name: str = ""
    user: UserRef = UserRef()


Proof = PasswordProof | TokenProof | SecretProof


class ScopeRef(msgspec.Struct, frozen=True, gc=False):
    """Where the token shall be good: a `token` module scope word, and the target by id or name."""

    kind: str
    id: str = ""
    name: str = ""
    domain: DomainRef = DomainRef()


class LoginRequest(msgspec.Struct, frozen=True, gc=False):
    """`scope` None leaves the choice to identity: the user's default project, else no scope."""

    proofs: tuple[Proof, ...]
    scope: ScopeRef | None = None


METHOD_OF = {PasswordProof: "password", TokenProof: "token", SecretProof: "application_credential"}
