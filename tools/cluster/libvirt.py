"""A libvirtd of a host's own: its configuration, guests and logs are the node's, and end with it."""

import uuid
from pathlib import Path

from tools.cluster.nodes import Failed, Node, Process, which

MOUNTED = {"etc": "/etc/libvirt", "lib": "/var/lib/libvirt", "log": "/var/log/libvirt", "cache": "/var/cache/libvirt"}
QEMU_CONF = """user = "root"
group = "root"
security_driver = "none"
namespaces = []
cgroup_controllers = []
dynamic_ownership = 0
remember_owner = 0
stdio_handler = "logd"
"""


def mounts(directory: Path, host: str) -> dict[str, str]:
    """The directories of the host's libvirt, made when they are not there, and where they belong."""
    found = {}
    for name, at in MOUNTED.items():
        path = directory / "hosts" / host / "libvirt" / name
        path.mkdir(parents=True, exist_ok=True)
        found[str(path.relative_to(directory))] = at
    return found


def start(directory: Path, node: Node) -> None:
    """When it returns, qemu:///system answers on the node."""
    etc = directory / "hosts" / node.name / "libvirt" / "etc"
    if not (etc / "libvirtd.conf").exists():
        (etc / "qemu.conf").write_text(QEMU_CONF)
        (etc / "libvirtd.conf").write_text(f'auth_unix_rw = "none"\nhost_uuid = "{uuid.uuid4()}"\n')
    node.run("mkdir", "-p", "/run/libvirt")
    daemons = [Process(directory, node, f"{name}-{node.name}", [which(name)]) for name in ("virtlogd", "libvirtd")]
    for daemon in daemons:
        daemon.start()
    daemons[-1].wait_until(lambda: _answers(node), "answers")


def _answers(node: Node) -> bool:
    try:
        node.run("virsh", "-q", "-c", "qemu:///system", "uri")
    except Failed:
        return False
    return True
