"""The work that is measured, the same for every toolkit, and what a command costs.

Runs lie in runs/bench; what has been measured is in docs/benchmarks/*.json.
"""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any

import torch
from measure import MemorySampler

from nmt_cli.data.prepared.store import PreparedData
from nmt_cli.recipe.loader import Recipe, build_recipe
from nmt_cli.runs.loading import build_model
from nmt_cli.yaml12 import write_yaml

RUNS_DIR, RESULTS_DIR = Path("runs/bench"), Path("docs/benchmarks")
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
        "search": {"beam": 1, "max_length": 8},  # training is what is measured
    }
    return build_recipe(content)


def write_recipe(recipe: Recipe) -> Path:
    """The recipe as a file that commands can be given."""
    RUNS_DIR.mkdir(parents=True, exist_ok=True)
    path = RUNS_DIR / f"{recipe.name}.yaml"
    path.write_text(write_yaml(recipe.to_dict()))
    return path


@dataclass(frozen=True)
class Cost:
    """What a command took."""

    seconds: float
    peak_memory: int  # bytes, of the largest process; proportional share summed over processes
    stdout: bytes
    stderr: str


def run(command: list[str], *, stdin: Path | None = None, **environment: str) -> Cost:
    """Run a command to its end, watching the memory of all its processes."""
    started = time.perf_counter()
    with open(stdin or os.devnull, "rb") as source:
        process = subprocess.Popen(
            command, stdin=source, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=os.environ | environment,
        )  # fmt: skip
    sampler = MemorySampler(process.pid)
    sampler.start()
    out, err = process.communicate()
    seconds = time.perf_counter() - started
    sampler.stop()
    if process.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: exit {process.returncode}\n{err.decode()}")
    return Cost(seconds, sampler.peak, out, err.decode())


def nmt(*arguments: object) -> list[str]:
    """This checkout's command line."""
    return [sys.executable, "-m", "nmt_cli", *map(str, arguments)]


def training_speed(folder: Path, skip: int) -> dict[str, float]:
    """Target tokens a second of a run's log, without the first `skip` records."""
    records = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    speeds = [record["tokens_per_second"] for record in records if record["event"] == "train"][skip:]
    return {"median": median(speeds), "least": min(speeds), "most": max(speeds)}


def operations_per_token(recipe: Recipe, data: PreparedData) -> float:
    """Multiplications and additions of matrix products a target token, forward and backward.

    Six for each weight of a matrix that a token passes through (Kaplan et al. 2020, section 2.1);
    source tokens pass through the encoder and the keys and values of attention to it. Products
    between activations are left out: at the lengths of sentences they are a few per cent.
    """
    source, target = (sum(store.lengths() + 1) for store in data.variants[0])
    return flops_per_token(build_model(recipe, data.tokenizers.vocabulary), source / target)


def flops_per_token(model: torch.nn.Module, ratio: float) -> float:
    """The same for `ratio` source tokens a target token."""
    total = 0.0
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear):
            by_source = name.startswith("encoder") or "cross_attention.attend.key_value" in name
            total += 6 * module.weight.numel() * (ratio if by_source else 1.0)
    return total


def save_result(name: str, value: Any) -> None:
    """Remember what was measured, when, and by which command."""
    words = [Path(sys.argv[0]).name, *sys.argv[1:]]
    value = {"date": date.today().isoformat(), "command": " ".join(words)} | value
    RESULTS_DIR.mkdir(parents=True, exist_ok=True)
    (RESULTS_DIR / f"{name}.json").write_text(json.dumps(value, indent=1) + "\n")


def load_result(name: str) -> Any:
    """What was measured earlier; None where nothing was."""
    path = RESULTS_DIR / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None
