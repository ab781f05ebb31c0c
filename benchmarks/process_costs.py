"""Run a command to its end and write what it cost as JSON: exit code, processor and wall seconds, largest MiB held.

It imports little: a process counts as its own the memory that the one which started it had reached.

    python benchmarks/process_costs.py costs.json COMMAND [ARGUMENT ...]
"""

import json
import os
import subprocess
import sys
import time


def main() -> None:
    """Run the command; its exit code is in the file alone."""
    path, *command = sys.argv[1:]
    begun = time.perf_counter()
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    wall, process.returncode = time.perf_counter() - begun, os.waitstatus_to_exitcode(status)
    costs = {"processor": usage.ru_utime + usage.ru_stime, "wall": wall, "memory": usage.ru_maxrss / 1024}
    with open(path, "w") as file:
        json.dump({"code": process.returncode, **costs}, file)


if __name__ == "__main__":
    main()
