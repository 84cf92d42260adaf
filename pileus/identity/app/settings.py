"""What an operator may set about identity."""

from typing import Annotated

import msgspec

from pileus.foundation.config import decided_by, meaning
from pileus.identity.domain.password_rules import PasswordRules
from pileus.identity.domain.passwords import Cost


class Settings(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Identity."""

    token_lifetime_s: Annotated[int, meaning("How long a token lives.")] = 3600
    ended_window_s: Annotated[int, meaning("How long after its end a token still counts beside a service's token.")] = (
        172_800
    )
    password_threads: Annotated[int, meaning("Threads that check passwords.")] = 2
    password_queue: Annotated[int, meaning("Logins that may wait for their check.")] = 128
    access_log_rows: Annotated[int, meaning("Logins that traces of launches can still show.")] = 20_000
    validations_remembered: Annotated[int, meaning("Tokens that a process remembers to be valid.")] = 2_000
    validations_logged: Annotated[int, meaning("Records in memory of who asked about which token.")] = 5_000
    cloud_url: Annotated[str, decided_by("cloud.url")] = ""  # empty: as the request addressed us
    shares_database: Annotated[bool, decided_by("the shape")] = False  # others may revoke: read the epoch each time
    passwords: PasswordRules = PasswordRules()
    password_cost: Cost = Cost()
