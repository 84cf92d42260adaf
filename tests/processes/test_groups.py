"""What tests start is gone when they are, however they end."""

import subprocess
import sys

from tests.process import is_alive, wait_until

PARENT = """
import time
from tests.process import Group

kept = Group(["sh", "-c", "sleep 600 & echo $!; wait"])
print("guarded", flush=True)
time.sleep(600)
"""


def test_a_program_and_what_it_started_go_with_a_test_run_that_is_killed() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    said = {parent.stdout.readline().strip() for _ in range(2)}  # in either order
    assert "guarded" in said
    (grandchild,) = (int(line) for line in said - {"guarded"})
    assert is_alive(grandchild)
    parent.kill()
    parent.wait()
    wait_until(lambda: not is_alive(grandchild), f"process {grandchild} ends")
