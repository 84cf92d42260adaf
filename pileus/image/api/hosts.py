"""What hypervisor hosts may ask of the image service: what the user may whose token comes along."""

from pileus.foundation.http.hosts import HostRule, with_users_rights

HOSTS: dict[str, HostRule] = dict.fromkeys(
    (
        "image:get:images/*", "image:get:images/*/file", "image:post:images", "image:put:images/*/file",
        "image:delete:images/*",
    ),
    with_users_rights,
)  # fmt: skip
