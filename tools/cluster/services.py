"""PostgreSQL, RabbitMQ and HAProxy of a cluster: Debian's programs with data, ports and accounts of their own.

Nothing here uses or touches the services that these packages may run on the machine.
"""

import os
import pwd
import shutil
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from pileus.foundation.bus.rabbit_accounts import control_account, definitions, host_rights
from pileus.foundation.runtime import Runtime
from tools.cluster.authority import Authority
from tools.cluster.nodes import INSIDE, Failed, Node, Process, which

POSTGRES_PROGRAMS = Path("/usr/lib/postgresql")
RABBIT_PROGRAMS = Path("/usr/lib/rabbitmq/bin")  # those in PATH insist on the service's own directories
DATABASE = ROLE = "pileus"


def password_in(path: Path, runtime: Runtime) -> str:
    """The password that the file holds, made when there is none."""
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "w") as file:
            file.write(runtime.random_bytes(24).hex())
    return path.read_text().strip()


def give(path: Path, user: str, mode: int) -> None:
    account = pwd.getpwnam(user)
    os.chown(path, account.pw_uid, account.pw_gid)
    path.chmod(mode)


def hand_over(authority: Authority, name: str, address: str, directory: Path, user: str) -> None:
    """A certificate for a server that runs as somebody else, in its own directory."""
    certificate, key = authority.issue(name, [address, "localhost"])
    for path, mode in ((certificate, 0o644), (key, 0o600)):
        target = directory / f"server{path.suffix}"
        shutil.copyfile(path, target)
        give(target, user, mode)


# -- PostgreSQL ---------------------------------------------------------------------------------------------------
class Postgres:
    """One server with one database, reached by TLS alone, from the cluster's own network alone."""

    PORT = 5432

    def __init__(self, directory: Path, node: Node, address: str, network: str, authority: Authority):
        self._directory = directory / "postgres"
        self._node, self._address, self._network, self._authority = node, address, network, authority
        self._inside = f"{INSIDE}/postgres"
        self.process = Process(directory, node, "postgres", [
            self._program("postgres"), "-D", f"{self._inside}/data", "-k", self._inside,
        ], user="postgres")  # fmt: skip

    def _program(self, name: str) -> str:
        found = sorted(POSTGRES_PROGRAMS.glob(f"*/bin/{name}"), key=lambda path: float(path.parts[-3]))
        if not found:
            raise Failed("PostgreSQL is not installed: run tools/setup --cluster")
        return str(found[-1])

    def start(self, password: str) -> None:
        """When it returns, the role and its database are there."""
        if not (self._directory / "data").exists():
            self._make()
        self._configure()
        self.process.start()
        self.process.wait_until(self._answers, "answers")
        self._prepare(password)

    def _make(self) -> None:
        self._directory.mkdir(exist_ok=True)
        give(self._directory, "postgres", 0o700)
        fresh = self._directory / "fresh"  # until it is whole: who made it may have ended in the midst
        shutil.rmtree(fresh, ignore_errors=True)
        self._node.run(
            self._program("initdb"), "-D", f"{self._inside}/fresh", "-U", "postgres", "-E", "UTF8",
            "--locale=C.UTF-8", "--auth=peer", user="postgres",
        )  # fmt: skip
        fresh.rename(self._directory / "data")

    def _configure(self) -> None:
        hand_over(self._authority, "postgres", self._address, self._directory, "postgres")
        settings = {
            "listen_addresses": f"'{self._address}'", "port": self.PORT, "max_connections": 400, "ssl": "on",
            "ssl_cert_file": f"'{self._inside}/server.pem'", "ssl_key_file": f"'{self._inside}/server.key'",
            "ssl_min_protocol_version": "'TLSv1.2'", "password_encryption": "'scram-sha-256'",
            "shared_buffers": "'128MB'", "log_line_prefix": "'%m [%p] %u@%d %a '",
        }  # fmt: skip
        text = "".join(f"{name} = {value}\n" for name, value in settings.items())
        rules = f"local all postgres peer\nhostssl {DATABASE} {ROLE} {self._network} scram-sha-256\n"
        for name, content in (("postgresql.auto.conf", text), ("pg_hba.conf", rules)):
            path = self._directory / "data" / name
            path.write_text(content)
            give(path, "postgres", 0o600)

    def _answers(self) -> bool:
        try:
            self.sql("SELECT 1")
        except Failed:
            return False
        return True

    def sql(self, text: str, database: str = "postgres") -> str:
        """What the server's administrator is told."""
        psql = ["psql", "-h", self._inside, "-U", "postgres", "-d", database, "-qAtX", "-v", "ON_ERROR_STOP=1"]
        return self._node.run(*psql, stdin=text, user="postgres").strip()

    def _prepare(self, password: str) -> None:
        if not self.sql(f"SELECT 1 FROM pg_roles WHERE rolname = '{ROLE}'"):
            self.sql(f"CREATE ROLE {ROLE} LOGIN")
        self.sql(f"ALTER ROLE {ROLE} PASSWORD '{password}'")
        if not self.sql(f"SELECT 1 FROM pg_database WHERE datname = '{DATABASE}'"):
            self.sql(f"CREATE DATABASE {DATABASE} OWNER {ROLE} TEMPLATE template0 ENCODING UTF8 LC_COLLATE 'C.UTF-8'")

    def stop(self) -> None:
        self.process.stop(number=signal.SIGINT)  # ends sessions and leaves a clean directory


# -- RabbitMQ -----------------------------------------------------------------------------------------------------
class Rabbit:
    """One broker, reached by TLS alone; every account has only the rights of its part."""

    PORT = 5671

    def __init__(self, directory: Path, node: Node, address: str, authority: Authority, hosts: int):
        self._memory_mb = 512 + 2 * hosts  # above it RabbitMQ takes nothing from anybody; each host has two queues
        self._directory = directory / "rabbitmq"
        self._node, self._address, self._authority = node, address, authority
        self._inside = f"{INSIDE}/rabbitmq"
        environment = self._environment()
        self._epmd = Process(directory, node, "epmd", ["epmd", "-address", "127.0.0.1"], user="rabbitmq",
                             env=environment)  # fmt: skip
        self.process = Process(directory, node, "rabbitmq", [str(RABBIT_PROGRAMS / "rabbitmq-server")], user="rabbitmq",
                               env=environment)  # fmt: skip

    def _environment(self) -> dict[str, str]:
        here = self._inside
        return {
            "HOME": here, "RABBITMQ_NODENAME": "pileus@localhost", "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_CONFIG_FILE": f"{here}/rabbitmq.conf", "RABBITMQ_MNESIA_BASE": f"{here}/data",
            "RABBITMQ_LOG_BASE": f"{here}/log", "RABBITMQ_ENABLED_PLUGINS_FILE": f"{here}/enabled_plugins",
            "RABBITMQ_PID_FILE": f"{here}/pid", "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1} +sbwt none",
        }  # fmt: skip

    def start(self, passwords: Mapping[str, str], backends: Mapping[str, Sequence[str]], runtime: Runtime) -> None:
        """`passwords` by account; `backends` are the hosts with the volume back ends that each holds."""
        if not RABBIT_PROGRAMS.exists():
            raise Failed("RabbitMQ is not installed: run tools/setup --cluster")
        self._directory.mkdir(exist_ok=True)
        give(self._directory, "rabbitmq", 0o700)
        hand_over(self._authority, "rabbitmq", self._address, self._directory, "rabbitmq")
        accounts = [control_account(), *(host_rights(host, held) for host, held in backends.items())]
        known = msgspec.json.encode(definitions(accounts, passwords, runtime))
        self._write("definitions.json", known, 0o600)
        self._write("enabled_plugins", b"[].\n")
        self._write("rabbitmq.conf", self._configuration().encode())
        if not (self._directory / ".erlang.cookie").exists():
            self._write(".erlang.cookie", runtime.random_bytes(16).hex().encode(), 0o400)
        self._epmd.start()
        was_up = not self.process.start()
        self.process.wait_until(self._answers, "answers")
        if was_up:
            self.control("import_definitions", f"{self._inside}/definitions.json")

    def _configuration(self) -> str:
        here = self._inside
        return "\n".join((
            "listeners.tcp = none",
            f"listeners.ssl.1 = {self._address}:{self.PORT}",
            f"ssl_options.cacertfile = {INSIDE}/tls/ca.pem",
            f"ssl_options.certfile = {here}/server.pem",
            f"ssl_options.keyfile = {here}/server.key",
            "ssl_options.verify = verify_peer",
            "ssl_options.fail_if_no_peer_cert = false",
            "ssl_options.versions.1 = tlsv1.3",
            "ssl_options.versions.2 = tlsv1.2",
            f"load_definitions = {here}/definitions.json",
            "disk_free_limit.absolute = 64MB",
            f"vm_memory_high_watermark.absolute = {self._memory_mb}MB",
            "",
        ))  # fmt: skip

    def _write(self, name: str, content: bytes, mode: int = 0o644) -> None:
        path = self._directory / name
        path.unlink(missing_ok=True)
        path.write_bytes(content)
        give(path, "rabbitmq", mode)

    def control(self, *words: str) -> str:
        """What `rabbitmqctl` says."""
        environment = {**self._environment(), "PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"}
        return self._node.run(str(RABBIT_PROGRAMS / "rabbitmqctl"), *words, user="rabbitmq", env=environment)

    def _answers(self) -> bool:
        try:
            self._node.run("bash", "-c", f"exec 3<>/dev/tcp/{self._address}/{self.PORT}")
        except Failed:
            return False
        return True

    def stop(self) -> None:
        self.process.stop()
        self._epmd.stop()


# -- HAProxy ------------------------------------------------------------------------------------------------------
class Proxy:
    """The one address of all APIs. `paths` are the backends by the first segment of a path.

    The rule for taking a copy out: on SIGTERM it takes no connection any more, answers what it had begun, and ends. A
    request of which nothing was sent goes to the other copy, and the check sees the end within a second. `drain` spares
    even that: the proxy sends nothing new, what is under way ends, and then comes SIGTERM.
    """

    PORT = 443

    def __init__(self, directory: Path, node: Node, address: str, authority: Authority):
        self._directory = directory / "haproxy"
        self._node, self._address, self._authority = node, address, authority
        self._inside = f"{INSIDE}/haproxy"
        argv = [which("haproxy"), "-W", "-db", "-f", f"{self._inside}/haproxy.cfg"]
        self.process = Process(directory, node, "haproxy", argv)

    @property
    def url(self) -> str:
        return f"https://{self._address}"

    def start(self, backends: Mapping[str, Mapping[str, int]], paths: Mapping[str, str], default: str) -> None:
        """`backends`: the copies of each by name, with their ports."""
        self._directory.mkdir(mode=0o700, exist_ok=True)
        certificate, key = self._authority.issue("proxy", [self._address, "localhost"])
        bundle = self._directory / "proxy.pem"
        bundle.touch(mode=0o600)
        bundle.write_bytes(certificate.read_bytes() + key.read_bytes())
        text = self._configuration(backends, paths, default)
        path = self._directory / "haproxy.cfg"
        is_new = not path.exists() or path.read_text() != text
        path.write_text(text)
        if not self.process.start() and is_new:
            self.process.tell(signal.SIGUSR2)  # takes the new file without losing a connection
        self.process.wait_until(lambda: bool(self.ask("show info")), "answers")

    def _configuration(self, backends: Mapping[str, Mapping[str, int]], paths: Mapping[str, str], default: str) -> str:
        lines = [
            "global",
            f"  stats socket {self._inside}/admin.sock mode 600 level admin expose-fd listeners",
            "  ssl-default-bind-options ssl-min-ver TLSv1.2",
            "  ssl-default-server-options ssl-min-ver TLSv1.2",
            f"  ca-base {INSIDE}/tls",
            "  hard-stop-after 60s",
            "defaults",
            "  mode http",
            "  option httpchk GET /healthcheck",
            "  option redispatch",
            "  option forwardfor",
            "  retries 3",
            "  retry-on conn-failure",
            "  timeout connect 5s",
            "  timeout client 300s",
            "  timeout server 300s",
            "  timeout tunnel 1h",
            "  timeout http-keep-alive 60s",
            "  balance leastconn",
            "  default-server check check-ssl inter 1s fall 1 rise 1 ssl verify required ca-file ca.pem"
            f" sni str({self._node.name}) verifyhost {self._node.name}",  # it compares names alone, no addresses
            "frontend cloud",
            f"  bind {self._address}:{self.PORT} ssl crt {self._inside}/proxy.pem alpn h2,http/1.1",
            "  http-request set-header X-Forwarded-Proto https",
        ]
        lines += [f"  use_backend {name} if {{ path_reg ^/{path}(/|$) }}" for path, name in paths.items()]
        lines.append(f"  default_backend {default}")
        for name, copies in backends.items():
            lines.append(f"backend {name}")
            lines += [f"  server {copy} {self._address}:{port}" for copy, port in copies.items()]
        return "\n".join(lines) + "\n"

    def ask(self, command: str) -> str:
        """What the proxy answers its operator; "" when it does not."""
        script = (
            "import socket,sys;s=socket.socket(socket.AF_UNIX);s.connect(sys.argv[1]);s.sendall(sys.argv[2].encode())\n"
            "while (part:=s.recv(65536)): sys.stdout.write(part.decode())"
        )
        try:
            return self._node.run("python3", "-c", script, f"{self._inside}/admin.sock", f"{command}\n")
        except Failed:
            return ""

    def states(self) -> dict[str, tuple[str, int]]:
        """By copy: "UP", "DOWN" or "DRAIN", and how many requests it has at work."""
        lines = self.ask("show stat").splitlines()
        if not lines:
            return {}
        names = lines[0].lstrip("# ").split(",")
        rows = [dict(zip(names, line.split(","), strict=False)) for line in lines[1:] if line]
        return {
            row["svname"]: (row["status"].split()[0], int(row["scur"] or 0))
            for row in rows
            if row["svname"] not in ("FRONTEND", "BACKEND")
        }

    def set_state(self, backend: str, copy: str, state: str) -> None:
        """`state`: "drain" or "ready"."""
        self.ask(f"set server {backend}/{copy} state {state}")

    def stop(self) -> None:
        self.process.stop()
