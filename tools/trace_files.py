"""How often a reader changes files when following one command through the package.

    python tools/trace_files.py translate RUN < ONE_LINE
    python tools/trace_files.py train RECIPE --out NEW --set training.updates=1

Runs `nmt` with these arguments in this process and notes every call from a function in one file of
nmt_cli to a function in another. Each such pair of functions counts once, however often a loop
comes by, because it is read once. Prints the pairs in the order in which they first occur, and
three numbers: the files visited, the changes of file (pairs), and how many of these go back to a
file that had been left before.
"""

import runpy
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

Edge = tuple[str, str, str, str]  # file and function of the caller, file and function called


class Trace:
    """Calls between files of one package, each pair of functions once."""

    def __init__(self, package: Path) -> None:
        self.package = package
        self.edges: dict[Edge, None] = {}

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        """A profile function, see sys.setprofile."""
        if event != "call" or (called := self._file(frame)) is None:
            return
        caller = frame.f_back
        while caller is not None and self._file(caller) is None:
            caller = caller.f_back
        if caller is None:
            return
        calling = self._file(caller)
        if calling is not None and calling != called:
            edge = (calling, caller.f_code.co_qualname, called, frame.f_code.co_qualname)
            self.edges.setdefault(edge)

    def _file(self, frame: FrameType) -> str | None:
        path = Path(frame.f_code.co_filename)
        if not path.is_relative_to(self.package) or frame.f_code.co_name == "<module>":
            return None
        return path.relative_to(self.package).as_posix()

    def report(self) -> str:
        """The pairs, a line each, and the sums."""
        lines, seen, returns = [], set[str](), 0
        for calling, caller, called, function in self.edges:
            back = called in seen
            returns += back
            seen |= {calling, called}
            lines.append(f"{calling} {caller} {'↩' if back else '→'} {called} {function}")
        total = f"{len(seen)} files, {len(self.edges)} changes of file, {returns} to one seen before"
        return "\n".join([*lines, total])


def main() -> None:
    """Run the command of the arguments and print its trace to standard error."""
    import nmt_cli

    trace = Trace(Path(nmt_cli.__file__).parent)
    sys.argv[0] = "nmt"
    threading.setprofile(trace)
    sys.setprofile(trace)
    try:
        runpy.run_module("nmt_cli", run_name="__main__")
    finally:
        sys.setprofile(None)
        print(trace.report(), file=sys.stderr)


if __name__ == "__main__":
    main()
