"""Translation speed: W4, alternately with CTranslate2 on the same weights.

    python benchmarks/translating.py [w1 w2] [--run RUN] [--rounds 2]

The test text over and over, greedy and beam 5. W1's and W2's shape after two updates, every output
15 (W1) or 20 (W2) pieces long; and, with --run, a run that was trained to its end, whose outputs
have the length that they have: there BLEU and chrF stand beside the speed. All systems read text
and write text. A system's time is that of its whole command, less that for the first lines (which
pays for loading) scaled out; the whole command stands beside it. Systems take turns.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from machine import describe
from workloads import FOLDER, Cost, keep, nmt, run, workload, write_recipe

from nmt_cli.evaluation.metrics import score

FEW = 64
OUTPUT = {"w1": 15, "w2": 20}  # pieces
LINES = {("w1", 1): 5000, ("w1", 5): 2000, ("w2", 1): 1000, ("w2", 5): 400}
BEAMS = (1, 5)


def made(name: str) -> Path:
    """A run of this shape; made once."""
    out = FOLDER / f"translate-{name}"
    recipe = workload(name, updates=2, validate_every=2)
    run(nmt("train", write_recipe(recipe), "--out", out, "--quiet", "--resume"))
    return out


def inputs(folder: Path, count: int) -> tuple[Path, Path]:
    """`count` lines, and the first few."""
    once = (folder / "test.source.txt").read_bytes().splitlines(keepends=True)
    lines = (once * (1 + count // len(once)))[:count]
    whole, few = FOLDER / "lines.txt", FOLDER / "few.txt"
    whole.write_bytes(b"".join(lines))
    few.write_bytes(b"".join(lines[:FEW]))
    return whole, few


def settings(beam: int, length: int) -> list[str]:
    """Guard and splitting off, lengths as the workload says (0: as they come).

    A sentence is done when as many of its hypotheses have ended as the beam is wide, which is how
    CTranslate2 does it.
    """
    options = [f"search.beam={beam}", "search.guard=false", "search.split=false"]
    options += ["search.patience=1"] if beam > 1 else []
    if length:
        options += [f"search.min_length={length}", f"search.max_length={length}"]
    return [word for one in options for word in ("--set", one)]


def exported(folder: Path) -> Path:
    """The run's weights for CTranslate2, in float32; it makes int8 of them when it loads them."""
    from nmt_cli.commands.runs import open_run
    from nmt_cli.device import find_device
    from nmt_cli.export import ctranslate2

    out = FOLDER / f"{folder.name}-ctranslate2"
    if not out.exists():
        opened = open_run(folder, find_device("cpu"), "fp32")
        out.mkdir(parents=True)
        ctranslate2.write(opened.model, opened.tokenizers, opened.recipe.search, out, "float32")  # type: ignore[arg-type]
        (out / "tokenizer.json").write_bytes((folder / "tokenizer.json").read_bytes())
    return out


def systems(folder: Path, beam: int, length: int) -> dict[str, list[str]]:
    """Command lines that read lines and write translations."""
    peer = Path(__file__).parent / "peers/ctranslate2_translating.py"
    found = {}
    for kind in ("fp32", "int8"):
        options = [*settings(beam, length), "--set", f"search.precision={kind}"]
        found[f"nmt {kind}"] = nmt("translate", folder, "--quiet", *options, "--processes", 2)
    for kind in ("int8", "float32"):
        words = [str(peer), str(exported(folder)), kind, str(beam), str(length)]
        found[f"CTranslate2 {kind}"] = [sys.executable, *words]
    if not length:  # beside a least length it scores every hypothesis again
        engine = ["--engine", "ctranslate2", *settings(beam, 0), "--set", "search.precision=int8"]
        found["nmt --engine ctranslate2"] = nmt("translate", folder, "--quiet", *engine)
    return found


def speed(command: list[str], whole: Path, few: Path, references: list[str]) -> dict[str, Any]:
    """Sentences a second, without loading and with it, and memory; quality where it is known."""
    lines = whole.read_bytes().count(b"\n")
    threads = {"OMP_NUM_THREADS": "1"}
    first: Cost = run(command, stdin=few, **threads)
    full: Cost = run(command, stdin=whole, **threads)
    assert full.stdout.count(b"\n") == lines, "a line went missing"
    found: dict[str, Any] = {
        "sentences_per_second": (lines - FEW) / (full.seconds - first.seconds),
        "whole_command": lines / full.seconds,
        "memory": full.peak_memory,
    }
    if references:
        texts = full.stdout.decode().splitlines()[: len(references)]
        for one in score(texts, [references], ["bleu", "chrf"]):
            found[one.name] = one.score
    return found


def measure(name: str, folder: Path, beam: int, rounds: int, count: int, length: int) -> None:
    whole, few = inputs(folder, count)
    references = [] if length else (folder / "test.target.txt").read_text("utf-8").splitlines()
    found: dict[str, list[Any]] = {}
    if not length:
        run(systems(folder, beam, length)["nmt --engine ctranslate2"], stdin=few)  # exports, once
    for _ in range(rounds):
        for label, command in systems(folder, beam, length).items():
            found.setdefault(label, []).append(speed(command, whole, few, references))
            print(name, beam, label, found[label][-1], flush=True)
    keep(f"translating-{name}-{beam}", {"machine": describe(), "lines": count, "runs": found})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shapes", nargs="*", default=list(OUTPUT))
    parser.add_argument("--run", type=Path, help="a trained run, in place of the shapes")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--beams", nargs="*", type=int, default=BEAMS)
    wanted = parser.parse_args()
    for beam in wanted.beams:
        if wanted.run:
            measure("run", wanted.run, beam, wanted.rounds, 5000 if beam == 1 else 2000, 0)
            continue
        for shape in wanted.shapes:
            lines = LINES[shape, beam]
            measure(shape, made(shape), beam, wanted.rounds, lines, OUTPUT[shape])


if __name__ == "__main__":
    main()
