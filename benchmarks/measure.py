"""Run a command and say what it took: seconds, CPU seconds, and the peak memory of its processes.

    python benchmarks/measure.py nmt translate RUN --processes 2 < text > translations

Memory is the sum of PSS over the command and all its descendants (a page that n processes share
counts 1/n in each), read from /proc/*/smaps_rollup ten times a second. Linux only.
"""

import os
import resource
import subprocess
import sys
import time
from pathlib import Path


def descendants(root: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue  # it has just ended
            children.setdefault(parent, []).append(int(entry.name))
    found = [root]
    for one in found:  # grows while it is walked
        found += children.get(one, [])
    return found


def pss(process: int) -> int:
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def main() -> None:
    started = time.monotonic()
    command = subprocess.Popen(sys.argv[1:])
    peak, most = 0, 1
    while command.poll() is None:
        family = descendants(command.pid)
        peak, most = max(peak, sum(map(pss, family))), max(most, len(family))
        time.sleep(0.1)
    seconds = time.monotonic() - started
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(
        f"{seconds:.1f} s, {usage.ru_utime + usage.ru_stime:.1f} CPU s, "
        f"peak PSS {peak / 2**20:.0f} MiB in {most} processes, {os.cpu_count()} cores",
        file=sys.stderr,
    )
    sys.exit(command.returncode)


if __name__ == "__main__":
    main()
