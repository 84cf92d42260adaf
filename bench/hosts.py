"""What choosing a host takes among so many: clouds of fake hosts in one process, some servers launched in each.

    python -m bench.hosts [--hosts 100,1000,10000] [--servers 40] [--write]

The figures are the cloud's own, from the traces of the launches. `--write` puts the table into docs/reliability.md.
"""

import argparse
import asyncio
import sys

from bench.clouds import embedded, named
from bench.load import Tally, entered, grow
from tools.paper import put

AT_ONCE = 4


async def measure(servers: int) -> Tally:
    async with entered(AT_ONCE) as cloud:
        return await grow(cloud, [servers], AT_ONCE, [])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", default="100,1000,10000")
    parser.add_argument("--servers", type=int, default=40)
    parser.add_argument("--write", action="store_true", help="put the table into docs/reliability.md")
    options = parser.parse_args()
    found = Tally()
    for hosts in map(int, options.hosts.split(",")):
        with embedded(hosts=hosts) as variables, named(variables):
            tally = asyncio.run(measure(options.servers))
        found.lines += tally.lines
        found.errors += tally.errors
    print(found.table())
    if options.write:
        put("hosts", found.table())
    return int(bool(found.errors))


if __name__ == "__main__":
    sys.exit(main())
