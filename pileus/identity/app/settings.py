"""What an operator may set about identity."""

import msgspec

from pileus.identity.domain.password_rules import PasswordRules
from pileus.identity.domain.passwords import Cost


class Settings(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    token_lifetime_s: int = 3600
    ended_window_s: int = 172_800  # how long after its end a token still counts beside a service's token
    passwords: PasswordRules = PasswordRules()
    password_cost: Cost = Cost()
    password_threads: int = 2
    password_queue: int = 128  # logins that may wait for their check
    access_log_rows: int = 20_000
    validations_remembered: int = 2_000
    validations_logged: int = 5_000  # records in memory of who asked about which token
    cloud_url: str = ""  # "http://cloud.example.org:8800"; empty: as the request addressed us
    shares_database: bool = False  # another process may revoke: read the epoch each time
