"""The plan of the house: floors, wings, rooms, and who may import whom. Data only; `rules.py` reads it.

A new package or module at the top of `pileus/` gets its floor here, and nowhere else.
"""

WINGS = frozenset({"compute", "network", "volume", "image", "placement", "identity", "operations"})

# An import goes to a lower floor, or stays in its own unit.
FLOORS: dict[str, int] = {
    "foundation": 0,
    **dict.fromkeys(WINGS, 1),
    "guest_image": 1,
    "settings": 1,
    "secrets_file": 1,
    "dashboard": 1,
    "running": 1,
    "rest": 1,
    "doctor": 2,
    "credentials": 2,
    "tracing": 3,
    "archive": 3,
    "demo": 4,
    "starting": 5,
    "serving": 5,
    "wiring": 2,
    "cli": 6,
    "__main__": 7,
    "": 0,  # pileus/__init__.py: the version
}

# The only unit that may know more than one wing.
KNOWS_ALL_WINGS = "wiring"

# What a room may import of its own wing, besides itself.
ROOMS: dict[str, frozenset[str]] = {
    "domain": frozenset(),
    "store": frozenset({"domain"}),
    "peers": frozenset({"domain"}),
    "drivers": frozenset({"domain"}),
    "service": frozenset({"domain", "store", "peers", "drivers"}),  # the wing's own objects, made by the wiring
    "flows": frozenset({"domain", "store", "peers", "service"}),
    "app": frozenset({"domain", "store", "peers", "service", "flows", "drivers"}),
    "host": frozenset({"domain", "drivers", "peers"}),
    "api": frozenset({"domain", "service", "app"}),
}

# Rooms that run on a hypervisor host, where there is no database.
ROOMS_WITHOUT_DATABASE = frozenset({"host", "drivers", "peers"})
DATABASE_MODULES = frozenset({"pileus.foundation.database", "sqlite3", "asyncpg"})
DATABASE_NAMES = frozenset({"SqlJournal", "flow_tables", "SqliteDatabase"})

# What pure values and decisions have no use for.
NOT_IN_DOMAIN = frozenset(
    {
        "asyncio", "io", "os", "pathlib", "shutil", "sqlite3", "tempfile", "logging", "contextvars",
        "pileus.foundation.runtime", "pileus.foundation.database", "pileus.foundation.bus", "pileus.foundation.flow",
        "pileus.foundation.http",
    }
)  # fmt: skip

# Clock, chance, threads, processes, sockets: only the ground touches them.
MACHINE_MODULES = frozenset(
    {
        "time", "random", "secrets", "sched", "threading", "_thread", "concurrent", "multiprocessing", "subprocess",
        "pty", "socket", "socketserver", "select", "selectors", "ssl",
        "http.client", "http.server", "urllib.request", "ftplib", "smtplib",
        "xmlrpc", "aiohttp", "httpx", "requests", "urllib3", "aiormq", "aio_pika", "nats", "asyncpg", "sqlite3",
        "websockets",
    }
)  # fmt: skip
MACHINE_NAMES = frozenset(
    {
        "asyncio.sleep", "asyncio.to_thread", "asyncio.timeout", "asyncio.timeout_at", "asyncio.wait_for",
        "asyncio.create_subprocess_exec", "asyncio.create_subprocess_shell", "asyncio.open_connection",
        "asyncio.open_unix_connection", "asyncio.start_server", "asyncio.start_unix_server",
        "datetime.datetime.now", "datetime.datetime.utcnow", "datetime.datetime.today", "datetime.date.today",
        "uuid.uuid1", "uuid.uuid4", "uuid.getnode",
        "os.urandom", "os.getrandom", "os.fork", "os.forkpty", "os.posix_spawn", "os.posix_spawnp", "os.times",
    }
)  # fmt: skip
MACHINE_NAME_PREFIXES = ("os.exec", "os.spawn")
# Methods of an event loop, whoever holds it.
MACHINE_METHODS = frozenset(
    {
        "run_in_executor", "call_later", "call_at", "create_connection", "create_server", "create_unix_connection",
        "create_unix_server", "create_datagram_endpoint", "subprocess_exec", "subprocess_shell", "sock_connect",
    }
)  # fmt: skip

# Bindings to the outside world that only a wing's drivers hold.
DRIVER_MODULES = frozenset({"libvirt", "libvirt_qemu", "libvirtaio", "pyroute2", "nftables"})

# Nobody at all.
FORBIDDEN_MODULES = frozenset({"pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle", "jsonpickle", "pdb"})
FORBIDDEN_CALLS = frozenset(
    {
        "eval", "exec", "compile", "__import__", "os.system", "os.popen", "subprocess.getoutput",
        "subprocess.getstatusoutput", "asyncio.create_subprocess_shell", "yaml.load", "yaml.unsafe_load",
    }
)  # fmt: skip

FILE_LINES = 600
