"""Translation speed, in turns with CTranslate2 on the same weights.

    python -m benchmarks.translating [w1 w2] [--run RUN] [--rounds 2]
    python -m benchmarks.translating --run RUN --text LINES [--rounds 3]

Translates the repeated test text, greedily and with beam 5: with W1's and W2's shape after two
updates and outputs of 15 (W1) or 20 (W2) tokens, or, with --run, with a trained run, whose outputs
have their natural length and are scored by BLEU and chrF. All systems read text and write text.
The second form translates the first 5,000 lines of a text instead, each a different one: by nmt as it is typed (the
engine that `auto` is), the same with search.patience=1, without guard and splitting, and CTranslate2's own API over the
same export, with the workers, threads and batches with which it is fastest on the first 1,000 lines.
Their speed is given for the whole command, and without the time of a command for the first lines
only, which is mostly loading.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.machine import describe_machine
from benchmarks.workloads import RUNS_DIR, Cost, nmt_command, run, save_result, workload, write_recipe
from nmt_cli.evaluation.metrics import corpus_scores
from nmt_cli.fs import read_json

WARMUP_LINES = 64
OUTPUT_TOKENS = {"w1": 15, "w2": 20}
LINES = {("w1", 1): 5000, ("w1", 5): 2000, ("w2", 1): 1000, ("w2", 5): 400}
BEAMS = (1, 5)
TEXT_LINES, TRIAL_LINES = 5000, 1000
API_WORKERS = (("2", "1"), ("1", "2"))  # workers, and threads of each
API_BATCHES = (("32", "examples"), ("64", "examples"), ("128", "examples"), ("1024", "tokens"), ("4096", "tokens"))


def make_run(name: str) -> Path:
    """A run of this shape, which is trained only once."""
    out = RUNS_DIR / f"translate-{name}"
    recipe = workload(name, updates=2, validate_every=2)
    run(nmt_command("train", write_recipe(recipe), "--out", out, "--quiet", "--resume"))
    return out


def write_lines(name: str, lines: list[bytes]) -> Path:
    RUNS_DIR.mkdir(parents=True, exist_ok=True)
    path = RUNS_DIR / name
    path.write_bytes(b"".join(lines))
    return path


def search_options(beam_size: int, length: int) -> list[str]:
    """Options without guard and splitting; with a length of 0, outputs have their natural length.

    As in CTranslate2, a sentence is finished when as many hypotheses have ended as the beam is wide.
    """
    options = [f"search.beam={beam_size}", "search.repair_degenerate=false", "search.split=none", "search.keep=none"]
    options += ["search.patience=1"] if beam_size > 1 else []
    if length:
        options += [f"search.min_length={length}", f"search.max_length={length}"]
    return [f"--set={option}" for option in options]


def export_to_ctranslate2(folder: Path) -> Path:
    """The run exported in float32, which CTranslate2 quantises to int8 when it loads it."""
    from nmt_cli.device import find_device
    from nmt_cli.export import ctranslate2
    from nmt_cli.runs.loading import open_run

    out = RUNS_DIR / f"{folder.name}-ctranslate2"
    if not out.exists():
        opened = open_run(folder, find_device("cpu"), "fp32")
        out.mkdir(parents=True)
        ctranslate2.export_model(opened.model, opened.tokenizers, opened.recipe.search, out, "float32")
        (out / "tokenizer.json").write_bytes((folder / "tokenizer.json").read_bytes())
    return out


def system_commands(folder: Path, beam_size: int, length: int, precisions: Sequence[str]) -> dict[str, list[str]]:
    """Commands that read lines and write translations, by system; our own search in these precisions."""
    commands = {}
    for kind in precisions:
        options = ["--engine", "torch", *search_options(beam_size, length), f"--set=search.precision={kind}"]
        commands[f"nmt {kind}"] = nmt_command("translate", folder, "--quiet", *options, "--processes", 2)
    for kind in ("int8", "float32"):
        commands[f"CTranslate2 {kind}"] = api_command(export_to_ctranslate2(folder), kind, beam_size, length)
    if not length:  # with a minimum length it would rescore every hypothesis
        engine = ["--engine", "ctranslate2", *search_options(beam_size, 0), "--set=search.precision=int8"]
        commands["nmt --engine ctranslate2"] = nmt_command("translate", folder, "--quiet", *engine)
    return commands


def api_command(exported: Path, weight_type: str, beam_size: int, length: int, *settings: str) -> list[str]:
    """The command that translates with CTranslate2's API."""
    peer = Path(__file__).parent / "peers/ctranslate2_translating.py"
    return [sys.executable, *map(str, (peer, exported, weight_type, beam_size, length, *settings))]


def measure_speed(command: list[str], all_path: Path, warmup_path: Path, references: list[str]) -> dict[str, Any]:
    """Sentences per second without and with loading, memory, and quality where there are references."""
    lines = all_path.read_bytes().count(b"\n")
    threads = {"OMP_NUM_THREADS": "1"}
    warmup_cost: Cost = run(command, stdin=warmup_path, environment=threads)
    full_cost: Cost = run(command, stdin=all_path, environment=threads)
    assert full_cost.stdout.count(b"\n") == lines, "a line went missing"
    measurement: dict[str, Any] = {
        "sentences_per_second": (lines - WARMUP_LINES) / (full_cost.seconds - warmup_cost.seconds),
        "whole_command": lines / full_cost.seconds,
        "memory": full_cost.peak_memory,
    }
    if references:
        texts = full_cost.stdout.decode().splitlines()[: len(references)]
        for metric in corpus_scores(texts, [references], ["bleu", "chrf"]):
            measurement[metric.name] = metric.score
    return measurement


def measure_in_turns(
    name: str, commands: dict[str, list[str]], rounds: int, all_path: Path, warmup_path: Path, references: list[str]
) -> dict[str, list[Any]]:
    """What each command costs in each round, by system."""
    runs: dict[str, list[Any]] = {label: [] for label in commands}
    for _ in range(rounds):
        for label, command in commands.items():
            runs[label].append(measure_speed(command, all_path, warmup_path, references))
            print(name, label, runs[label][-1], flush=True)
    return runs


def measure(name: str, folder: Path, beam_size: int, rounds: int, count: int, length: int) -> None:
    test_lines = (folder / "test.source.txt").read_bytes().splitlines(keepends=True)
    lines = (test_lines * (1 + count // len(test_lines)))[:count]
    all_path, warmup_path = write_lines("lines.txt", lines), write_lines("few.txt", lines[:WARMUP_LINES])
    references = [] if length else (folder / "test.target.txt").read_text("utf-8").splitlines()
    machine = describe_machine()
    precisions = ("fp32", "bf16", "int8") if "peak_bf16" in machine else ("fp32", "int8")
    commands = system_commands(folder, beam_size, length, precisions)
    if not length:
        run(commands["nmt --engine ctranslate2"], stdin=warmup_path)  # exports
    runs = measure_in_turns(f"{name} {beam_size}", commands, rounds, all_path, warmup_path, references)
    save_result(f"translating-{name}-{beam_size}", {"machine": machine, "lines": count, "runs": runs})


def fastest_api_command(exported: Path, weight_type: str, beam_size: int, trial_path: Path) -> list[str]:
    """The command of CTranslate2's API with the settings that translate the trial lines fastest."""
    seconds: dict[float, list[str]] = {}
    for workers in API_WORKERS:
        for batches in API_BATCHES:
            command = api_command(exported, weight_type, beam_size, 0, *workers, *batches)
            seconds[run(command, stdin=trial_path, environment={"OMP_NUM_THREADS": "1"}).seconds] = command
    return seconds[min(seconds)]


def measure_text(folder: Path, text: Path, beam_size: int, rounds: int) -> None:
    """Real text through `nmt translate` as typed and through CTranslate2's API, in float32 and int8, in turns."""
    lines = text.read_bytes().splitlines(keepends=True)[:TEXT_LINES]
    all_path, warmup_path = write_lines("lines.txt", lines), write_lines("few.txt", lines[:WARMUP_LINES])
    trial_path = write_lines("trial.txt", lines[:TRIAL_LINES])
    commands = {"nmt as typed": nmt_command("translate", folder, "--quiet", "--beam", beam_size)}
    for precision, weight_type in (("int8", "int8"), ("fp32", "float32")):
        plain = [*search_options(beam_size, 0), f"--set=search.precision={precision}"]
        command = nmt_command("translate", folder, "--quiet", "--engine", "ctranslate2", *plain)
        run(command, stdin=warmup_path)  # exports where the run has no such export
        commands[f"nmt {weight_type}"] = command
        exported = folder / "exports" / f"ctranslate2-{weight_type}"
        commands[f"CTranslate2's API {weight_type}"] = fastest_api_command(exported, weight_type, beam_size, trial_path)
    runs = measure_in_turns(f"text {beam_size}", commands, rounds, all_path, warmup_path, [])
    settings = {label: command[-4:] for label, command in commands.items() if "API" in label}
    as_typed = read_json(folder / "exports/auto.json").get("quantization", "int8")
    result = {"machine": describe_machine(), "lines": len(lines), "runs": runs}
    result |= {"as_typed": as_typed, "settings": settings}
    save_result(f"translating-text-{beam_size}", result)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shapes", nargs="*", default=list(OUTPUT_TOKENS))
    parser.add_argument("--run", type=Path, help="a trained run instead of the shapes")
    parser.add_argument("--text", type=Path, help="with --run: real text, at least 5,000 lines")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--beams", nargs="*", type=int, default=BEAMS)
    arguments = parser.parse_args()
    for beam_size in arguments.beams:
        if arguments.run and arguments.text:
            measure_text(arguments.run, arguments.text, beam_size, arguments.rounds)
            continue
        if arguments.run:
            measure("run", arguments.run, beam_size, arguments.rounds, 5000 if beam_size == 1 else 2000, 0)
            continue
        for shape in arguments.shapes:
            lines = LINES[shape, beam_size]
            measure(shape, make_run(shape), beam_size, arguments.rounds, lines, OUTPUT_TOKENS[shape])


if __name__ == "__main__":
    main()
