"""The part identity: users, tokens, the catalog."""

from msgspec.structs import replace

from pileus.foundation import revocation
from pileus.identity.api.policy import RULES
from pileus.identity.api.routes import API
from pileus.identity.app import service as identity_service
from pileus.identity.app.bootstrap import CatalogEntry, Plan, bootstrap
from pileus.identity.app.issued import serve_issued
from pileus.identity.app.service import Identity
from pileus.identity.app.sessions import LocalAuthenticator
from pileus.identity.domain.token import Keyring
from pileus.secrets_file import SecretMissing
from pileus.wiring.ground import Ground

CATALOG = (
    CatalogEntry(type="identity", name="keystone", url="/identity/v3"),
    CatalogEntry(type="compute", name="nova", url="/compute/v2.1"),
    CatalogEntry(type="image", name="glance", url="/image"),
    CatalogEntry(type="network", name="neutron", url="/networking"),
    CatalogEntry(type="block-storage", name="cinder", url="/volume/v3/$(project_id)s"),
    CatalogEntry(type="volumev3", name="cinderv3", url="/volume/v3/$(project_id)s"),
    CatalogEntry(type="placement", name="placement", url="/placement"),
    CatalogEntry(type="pileus", name="pileus", url="/pileus/v1"),
)
ACCOUNTS = {
    "compute": ("admin", "service"),
    "network": ("admin", "service"),
    "volume": ("admin", "service"),
    "image": ("admin", "service"),
    "placement": ("service",),
    "pileus": ("service",),
}


def build(ground: Ground) -> Identity:
    """The service over the ground's database and keys. Raises: SecretMissing."""
    keys = {int(number): key for number, key in ground.secrets.token_keys.items()}
    if not keys:
        raise SecretMissing(what="token_keys")
    settings = replace(
        ground.settings.identity, cloud_url=ground.settings.cloud.url, shares_database=not ground.is_alone
    )
    return identity_service.build(
        ground.database, ground.runtime, Keyring(keys, max(keys)), ground.epoch, settings, ground.sealer()
    )


async def first_rows(ground: Ground, identity: Identity) -> bool:
    """Bring the cloud's own users and its catalog up to date; says whether keys of accounts were made."""
    secrets = ground.secrets
    plan = Plan(
        admin_password=secrets.admin_password, region=ground.settings.cloud.region, catalog=CATALOG,
        accounts=ACCOUNTS, keys=secrets.accounts,
    )  # fmt: skip
    accounts = await bootstrap(identity, plan)
    if all(secrets.accounts.get(name) == key for name, key in accounts.items()):
        return False
    secrets.accounts = secrets.accounts | accounts
    return True


class IdentityPart:
    """Identity at work."""

    def __init__(self, ground: Ground):
        self._ground = ground
        self.service = build(ground)

    async def start(self) -> None:
        ground, identity = self._ground, self.service
        await identity_service.start(identity)
        ground.apps["identity"] = ground.app(API, identity, RULES, LocalAuthenticator(identity), "identity")
        serve_issued(identity, ground.bus)
        if not ground.is_alone:
            revocation.tell(ground.epoch, ground.bus)

    async def stop(self) -> None:
        await identity_service.stop(self.service)
