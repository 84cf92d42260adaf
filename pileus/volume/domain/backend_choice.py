"""Which back end a new volume goes to: the first that has what its type asks for."""

from collections.abc import Mapping, Sequence

VENDOR = "Pileus"
PROTOCOL = "file"


def capabilities_of(backend: str) -> dict[str, str]:
    """What a back end can do, in the words of volume types' extra specs."""
    return {
        "volume_backend_name": backend,
        "vendor_name": VENDOR,
        "storage_protocol": PROTOCOL,
        "multiattach": "True",
        "thin_provisioning_support": "True",
    }


def choose_backend(specs: Mapping[str, str], backends: Sequence[str]) -> str | None:
    """The back end for a volume whose type has these extra specs; None when none fits."""
    return next((backend for backend in backends if fits(specs, capabilities_of(backend))), None)


def fits(specs: Mapping[str, str], capabilities: Mapping[str, str]) -> bool:
    """Whether the capabilities satisfy every spec; specs with another scope than `capabilities:` are not ours.

    Source: Block Storage documentation, "Capabilities filter".
    """
    for key, wanted in specs.items():
        scope, colon, name = key.partition(":")
        if colon and scope != "capabilities":
            continue
        has = capabilities.get(name if colon else key)
        if has is None or not _satisfies(wanted.strip(), has):
            return False
    return True


def _satisfies(wanted: str, has: str) -> bool:
    word, _, rest = wanted.partition(" ")
    rest = rest.strip()
    if word == "<is>":
        return has.lower() == rest.lower()
    if word == "<in>":
        return rest in has
    if word == "s==":
        return has == rest
    if word == "<or>":
        return has in [part.strip() for part in wanted.split("<or>")]
    return has == wanted
