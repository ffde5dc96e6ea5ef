"""Run a command and say what it took: seconds, CPU seconds, and the peak memory of its processes.

    python benchmarks/measure.py nmt translate RUN --processes 2 < text > translations

Memory is the sum of PSS over the command and all its descendants (a page that n processes share
counts 1/n in each). Linux only. To read it the kernel walks all pages of a process, which may have
to wait meanwhile; so it is read only when processes have grown, and every two seconds.
"""

import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from threading import Event, Thread

PAUSE, SELDOM = 0.25, 2.0  # seconds between looks, and between readings where nothing grows
GROWN = 1.02


class Watch(Thread):
    """Samples the memory of a process and its descendants until it is stopped."""

    def __init__(self, process: int) -> None:
        super().__init__(daemon=True)
        self.process = process
        self.peak, self.processes = 0, 1  # bytes; most at a time
        self._over = Event()

    def run(self) -> None:
        highest, read = 0.0, 0.0
        over = False
        while not over:
            over = self._over.wait(PAUSE if read else 0.0)
            family = _descendants(self.process)
            self.processes = max(self.processes, len(family))
            resident, now = sum(map(_resident, family)), time.monotonic()
            if resident > GROWN * highest or now - read > SELDOM:
                highest, read = max(highest, resident), now
                self.peak = max(self.peak, sum(map(_proportional_share, family)))

    def stop(self) -> None:
        self._over.set()
        self.join()


def _descendants(root: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # it has just ended
        children.setdefault(parent, []).append(int(entry.name))
    found = [root]
    for one in found:  # grows while it is walked
        found += children.get(one, [])
    return found


def _resident(process: int) -> int:
    """Pages in memory, which the kernel counts anyway; shared ones too."""
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1])
    except OSError:
        return 0


def _proportional_share(process: int) -> int:
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def main() -> None:
    started = time.monotonic()
    command = subprocess.Popen(sys.argv[1:])
    watch = Watch(command.pid)
    watch.start()
    code = command.wait()
    seconds = time.monotonic() - started
    watch.stop()
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(
        f"{seconds:.1f} s, {usage.ru_utime + usage.ru_stime:.1f} CPU s, "
        f"peak PSS {watch.peak / 2**20:.0f} MiB in {watch.processes} processes, "
        f"{os.cpu_count()} cores",
        file=sys.stderr,
    )
    sys.exit(code)


if __name__ == "__main__":
    main()
