"""One benchmark of clouds on the embedded cloud and, right after it, on a cluster: what many processes cost.

    python -m bench.beside BENCHMARK [--write] [-- OPTIONS OF ITS RUN]

BENCHMARK is a program that measures whatever cloud the OS_* variables name: `BENCHMARK run --out FILE.json`. Both
clouds have fake hosts; the cluster needs root. `--write` puts the table into docs/reliability.md.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.clouds import clustered, embedded
from tools.paper import put


def measured(benchmark: Path, variables: dict[str, str], options: list[str]) -> dict[str, dict[str, Any]]:
    """The benchmark's rows by their titles."""
    trust = {"SSL_CERT_FILE": variables["OS_CACERT"]} if variables.get("OS_CACERT") else {}
    with tempfile.TemporaryDirectory() as directory:
        out = Path(directory) / "figures.json"
        argv = [sys.executable, str(benchmark), "run", "--out", str(out), *options]
        subprocess.run(argv, env=os.environ | variables | trust, check=True)
        rows = json.loads(out.read_text())["results"]
    return {_title(row): row for row in rows}


def _title(row: dict[str, Any]) -> str:
    params = row["params"]
    at_once = f", {params['concurrency']} at once" if "concurrency" in params else ""
    return f"{row['name']}{at_once}" + (f", {params['servers']} servers" if "servers" in params else "")


def table(one: dict[str, dict[str, Any]], many: dict[str, dict[str, Any]]) -> str:
    lines = ["| what | one process | the cluster | errors |", "| --- | --- | --- | --- |"]
    for title, row in one.items():
        other = many[title]
        lines.append(f"| {title} | {_shown(row)} | {_shown(other)} | {row['errors'] + other['errors']} |")
    return "\n".join(lines)


def _shown(row: dict[str, Any]) -> str:
    rate = f"{row['rate']:.0f}/s" if row.get("rate") is not None else ""
    median = f"p50 {row['p50_ms']:.1f} ms" if row.get("p50_ms") is not None else ""
    return ", ".join(text for text in (rate, median) if text)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("benchmark", type=Path)
    parser.add_argument("--write", action="store_true", help="put the table into docs/reliability.md")
    parser.add_argument("options", nargs="*", help="of the benchmark's run")
    given = parser.parse_args()
    with embedded(demo=True) as variables:
        one = measured(given.benchmark, variables, given.options)
    with clustered() as variables:
        many = measured(given.benchmark, variables, given.options)
    text = table(one, many)
    print(text)
    if given.write:
        put("beside", text)
    return int(any(row["errors"] for row in (*one.values(), *many.values())))


if __name__ == "__main__":
    sys.exit(main())
