"""The workloads that are measured, the cost of commands, and the results in docs/benchmarks/*.json."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from statistics import median
from types import MappingProxyType
from typing import Any

import torch

from benchmarks.measure import MemorySampler
from nmt_cli.data.prepared.store import PreparedData
from nmt_cli.recipe.loader import Recipe, build_recipe
from nmt_cli.runs.loading import build_model
from nmt_cli.yaml12 import write_yaml

ROOT = Path(__file__).resolve().parents[1]
RUNS_DIR, RESULTS_DIR = ROOT / "runs/bench", ROOT / "docs/benchmarks"
CORPUS = {
    "root": "multi30k", "source": "en", "target": "de", "train": "train", "dev": "val",
    "test": "test_2016_flickr",
}  # fmt: skip
TRAINING = {
    "tokens_per_batch": 4096, "learning_rate": 1.0e-3, "warmup_updates": 400, "label_smoothing": 0.1,
    "metric": "loss", "log_every": 5, "seed": 1,
}  # fmt: skip
MODELS: dict[str, dict[str, Any]] = {
    "w1": {
        "type": "transformer", "d_model": 256, "heads": 4, "encoder_layers": 4,
        "decoder_layers": 4, "d_ff": 1024, "dropout": 0.1,
    },
    "w2": {
        "type": "transformer", "d_model": 512, "heads": 8, "encoder_layers": 6,
        "decoder_layers": 6, "d_ff": 2048, "dropout": 0.1,
    },
    "w3": {
        "type": "rnn", "attention": "additive", "cell": "gru", "embedding_size": 256,
        "hidden_size": 512, "dropout": 0.1,
    },
}  # fmt: skip


def workload(name: str, **training: Any) -> Recipe:
    """The recipe of W1, W2 or W3."""
    content = {
        "name": f"bench-{name}",
        "corpus": CORPUS,
        "tokenizer": {"type": "bpe", "vocab_size": 8000, "joint": True},
        "model": MODELS[name],
        "training": TRAINING | training,
        "search": {"beam": 1, "max_length": 8},  # keeps validations short
    }
    return build_recipe(content)


def write_recipe(recipe: Recipe) -> Path:
    """The recipe as a file."""
    RUNS_DIR.mkdir(parents=True, exist_ok=True)
    path = RUNS_DIR / f"{recipe.name}.yaml"
    path.write_text(write_yaml(recipe.to_dict()), encoding="utf-8", newline="\n")
    return path


@dataclass(frozen=True)
class Cost:
    """Time and memory of a command, and its output."""

    seconds: float
    peak_memory: int  # bytes, PSS summed over all processes
    stdout: bytes
    stderr: str


def run(
    command: list[str], *, stdin: Path | None = None, environment: Mapping[str, str] = MappingProxyType({})
) -> Cost:
    """Run a command and measure time and peak memory; RuntimeError where it fails.

    Python keeps its bytecode, as it does where nmt is installed, whatever this process was told.
    """
    started = time.perf_counter()
    with open(stdin or os.devnull, "rb") as source:
        process = subprocess.Popen(
            command, stdin=source, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "", **environment},
        )  # fmt: skip
    sampler = MemorySampler(process.pid)
    sampler.start()
    out, err = process.communicate()
    seconds = time.perf_counter() - started
    sampler.stop()
    if process.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: exit {process.returncode}\n{err.decode()}")
    return Cost(seconds, sampler.peak_bytes, out, err.decode())


def nmt_command(*arguments: object) -> list[str]:
    """The command line that runs nmt of this checkout."""
    return [sys.executable, "-m", "nmt_cli", *map(str, arguments)]


def log_records(run: Path, event: str) -> list[dict[str, Any]]:
    """The records of one kind in a run's log."""
    lines = (run / "log.jsonl").read_text(encoding="utf-8").splitlines()
    return [record for record in map(json.loads, lines) if record["event"] == event]


def training_windows(run: Path) -> list[dict[str, Any]]:
    """The records of a training, each of `log_every` updates but for the first, whose window lacks update 1."""
    return [record for record in log_records(run, "train") if record["update"] > 1]


def training_speed(folder: Path, skip: int) -> dict[str, float]:
    """Target tokens per second in a run's log without the first `skip` windows."""
    speeds = [record["tokens_per_second"] for record in training_windows(folder)][skip:]
    return {"median": median(speeds), "least": min(speeds), "most": max(speeds)}


def recipe_flops_per_token(recipe: Recipe, data: PreparedData) -> float:
    """Floating-point operations of matrix products per target token, forward and backward.

    Six per weight of each matrix that a token passes through (Kaplan et al. 2020, section 2.1);
    source tokens pass through the encoder and the keys and values of cross-attention. Products of
    activations are left out: at sentence lengths they are a few per cent.
    """
    source, target = (sum(store.lengths() + 1) for store in data.variants[0])
    return flops_per_token(build_model(recipe, data.tokenizers.vocabulary), source / target)


def flops_per_token(model: torch.nn.Module, ratio: float) -> float:
    """The same with `ratio` source tokens per target token."""
    total = 0.0
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear):
            by_source = name.startswith("encoder") or "cross_attention.attend.key_value" in name
            total += 6 * module.weight.numel() * (ratio if by_source else 1.0)
    return total


def save_result(name: str, value: Any) -> None:
    """Write a result with its date and command to docs/benchmarks."""
    command = " ".join([f"python -m benchmarks.{Path(sys.argv[0]).stem}", *sys.argv[1:]])
    value = {"date": date.today().isoformat(), "command": command} | value
    RESULTS_DIR.mkdir(parents=True, exist_ok=True)
    (RESULTS_DIR / f"{name}.json").write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8", newline="\n")


def load_result(name: str) -> Any:
    """A result from docs/benchmarks, None where there is none."""
    path = RESULTS_DIR / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
