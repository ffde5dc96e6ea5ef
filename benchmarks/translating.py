"""Translation speed: W4, alternately with CTranslate2 on the same weights.

    python benchmarks/translating.py --rounds 3

test_2016_flickr five times over (5,000 lines), greedy and beam 5, W1's and W2's shape; W2's
outputs have 20 pieces each. Both read text and write text. A system's time is that of its whole
command for all lines, less that for the first hundred of them (which pays for loading) scaled out;
the whole command stands beside it.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from machine import describe
from workloads import FOLDER, Cost, keep, nmt, run, workload, write_recipe

FEW = 100
LENGTH = 20
SHAPES = {"w1": 1500, "w2": 2}  # updates; W2's output lengths are forced, so few are enough
BEAMS = (1, 5)


def trained(name: str, updates: int) -> Path:
    """A run of this shape; made once."""
    out = FOLDER / f"translate-{name}"
    recipe = workload(name, updates=updates, validate_every=updates)
    run(nmt("train", write_recipe(recipe), "--out", out, "--quiet", "--resume"))
    return out


def inputs(run_folder: Path) -> tuple[Path, Path]:
    """All lines, and the first few."""
    lines = (run_folder / "test.source.txt").read_bytes().splitlines(keepends=True) * 5
    whole, few = FOLDER / "lines.txt", FOLDER / "few.txt"
    whole.write_bytes(b"".join(lines))
    few.write_bytes(b"".join(lines[:FEW]))
    return whole, few


def settings(shape: str, beam: int) -> list[str]:
    """Guard and splitting off, lengths as the workload says."""
    options = [f"search.beam={beam}", "search.guard=false", "search.split=false"]
    if shape == "w2":
        options += [f"search.min_length={LENGTH}", f"search.max_length={LENGTH}"]
    return [word for one in options for word in ("--set", one)]


def systems(folder: Path, shape: str, beam: int, precision: str) -> dict[str, list[str]]:
    """Command lines that read lines and write translations."""
    common = [folder, "--quiet", *settings(shape, beam)]
    exported = FOLDER / f"{folder.name}-ctranslate2"
    if not exported.exists():
        run(nmt("export", folder, "--to", "ctranslate2", "--out", exported))
    peer = Path(__file__).parent / "peers/ctranslate2_translating.py"
    length = str(LENGTH if shape == "w2" else 0)
    found = {
        f"nmt {precision}": nmt(
            "translate", *common, "--processes", 2, "--set", f"search.precision={precision}"
        )
    }
    for kind in ("int8", "float32"):
        found[f"CTranslate2 {kind}"] = [
            sys.executable, str(peer), str(exported), kind, str(beam), length
        ]  # fmt: skip
    return found


def speed(command: list[str], whole: Path, few: Path, lines: int) -> dict[str, Any]:
    """Sentences a second, without loading and with it, and memory."""
    first: Cost = run(command, stdin=few)
    full: Cost = run(command, stdin=whole)
    assert full.stdout.count(b"\n") == lines, "a line went missing"
    inner = (full.seconds - first.seconds) / (lines - FEW)
    return {
        "sentences_per_second": 1 / inner,
        "whole_command": lines / full.seconds,
        "memory": full.peak_memory,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=list(SHAPES))
    parser.add_argument("--beams", nargs="*", type=int, default=BEAMS)
    parser.add_argument("--precision", default="auto", help="search.precision of our side")
    wanted = parser.parse_args()
    for shape in wanted.only:
        folder = trained(shape, SHAPES[shape])
        whole, few = inputs(folder)
        lines = whole.read_bytes().count(b"\n")
        for beam in wanted.beams:
            found: dict[str, list[Any]] = {}
            for _ in range(wanted.rounds):
                for name, command in systems(folder, shape, beam, wanted.precision).items():
                    found.setdefault(name, []).append(speed(command, whole, few, lines))
                    print(shape, beam, name, found[name][-1])
            keep(f"translating-{shape}-{beam}", {"machine": describe(), "runs": found})


if __name__ == "__main__":
    main()
