"""Run a command and print its time, CPU time and the peak memory of its processes.

    python -m benchmarks.measure nmt translate RUN --processes 2 < text > translations

Memory is the sum of PSS over the command and all its descendants (a page shared by n processes
counts 1/n in each). Linux only. Reading PSS makes the kernel walk all pages of a process, which may
slow it down; so it is read only when the processes have grown, and every two seconds.
"""

import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from threading import Event, Thread

POLL_SECONDS, MAX_READ_INTERVAL_SECONDS = 0.25, 2.0
GROWTH_FACTOR = 1.02  # of resident memory, above which PSS is read


class MemorySampler(Thread):
    """Samples the memory of a process and its descendants until it is stopped."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.pid = pid
        self.peak_bytes, self.max_processes = 0, 1
        self._stop_requested = Event()

    def run(self) -> None:
        max_resident, last_read, started = 0.0, 0.0, time.monotonic()
        stopping = False
        while not stopping:
            age = time.monotonic() - started
            stopping = self._stop_requested.wait(min(POLL_SECONDS, max(0.005, age / 10)))  # often in a short command
            pids = _descendants(self.pid)
            self.max_processes = max(self.max_processes, len(pids))
            resident, now = sum(map(_resident_pages, pids)), time.monotonic()
            if resident > GROWTH_FACTOR * max_resident or now - last_read > MAX_READ_INTERVAL_SECONDS:
                max_resident, last_read = max(max_resident, resident), now
                self.peak_bytes = max(self.peak_bytes, sum(map(_pss_bytes, pids)))

    def stop(self) -> None:
        self._stop_requested.set()
        self.join()


def _descendants(root: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((entry / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])
        except OSError:
            continue  # it has just ended
        children.setdefault(parent, []).append(int(entry.name))
    pids = [root]
    for pid in pids:  # grows while it is walked
        pids += children.get(pid, [])
    return pids


def _resident_pages(pid: int) -> int:
    """Pages in memory, shared ones included."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text(encoding="utf-8").split()[1])
    except OSError:
        return 0


def _pss_bytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def main() -> None:
    started = time.monotonic()
    command = subprocess.Popen(sys.argv[1:])
    sampler = MemorySampler(command.pid)
    sampler.start()
    code = command.wait()
    seconds = time.monotonic() - started
    sampler.stop()
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(
        f"{seconds:.1f} s, {usage.ru_utime + usage.ru_stime:.1f} CPU s, "
        f"peak PSS {sampler.peak_bytes / 2**20:.0f} MiB in {sampler.max_processes} processes, "
        f"{os.cpu_count()} cores",
        file=sys.stderr,
    )
    sys.exit(code)


if __name__ == "__main__":
    main()
