"""How cost grows: tokens a second by length, batch, vocabulary and beam, and time by position.

    python benchmarks/growth.py

Synthetic ids, W1's and W3's models: what is measured depends on shapes alone.
"""

import argparse
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from machine import describe
from workloads import keep, workload

from nmt_cli.commands.runs import build_model
from nmt_cli.decoding.hypothesis import SearchConfig
from nmt_cli.decoding.search import search
from nmt_cli.device import choose_precision, find_device, keep_memory
from nmt_cli.models.contract import Sequences
from nmt_cli.training.loss import backward
from nmt_cli.training.weights import Optimizer, Weights
from nmt_cli.vocabulary import Vocabulary

LENGTHS = (16, 32, 64, 128, 256, 512)
BATCHES = (512, 1024, 2048, 4096, 8192)
VOCABULARIES = (1000, 4000, 16000, 64000)
BEAMS = (1, 2, 5, 10, 20)
BUDGET = 4096


def model_of(name: str, vocabulary: int, device: torch.device) -> Any:
    size = Vocabulary(source_size=vocabulary, target_size=vocabulary, joint=True)
    torch.manual_seed(1)
    return build_model(workload(name), size).to(device)


def ids(count: int, length: int, vocabulary: int, device: torch.device) -> Sequences:
    draw = torch.Generator().manual_seed(1)
    values = torch.randint(4, vocabulary, (count, length), generator=draw)
    return Sequences(values.to(device), torch.full((count,), length, device=device))


def timed(action: Callable[[], object], device: torch.device, seconds: float) -> float:
    """Median time of an action, after one that does not count."""
    action()
    times: list[float] = []
    while sum(times) < seconds or len(times) < 3:
        started = time.perf_counter()
        action()
        if device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - started)
    return median(times)


def training(name: str, length: int, tokens: int, vocabulary: int, device: torch.device) -> float:
    """Target tokens a second of whole updates."""
    model = model_of(name, vocabulary, device).train()
    weights = Weights(model, choose_precision("auto", device))
    optimizer = Optimizer(weights, "adam", (0.9, 0.98), 1e-9, 0.0)
    batch = ids(max(1, tokens // length), length, vocabulary, device)

    def update() -> None:
        backward(model, batch, batch, batch, smoothing=0.1, scale=1 / tokens)
        weights.collect_gradient()
        optimizer.update(1e-4, 1.0)

    return batch.ids.numel() / timed(update, device, 3.0)


def decoding(beam: int, length: int, device: torch.device, sentences: int = 32) -> float:
    """Seconds to write `length` tokens for `sentences` sentences."""
    model = model_of("w1", 8000, device).eval().to(choose_precision("auto", device))
    source = ids(sentences, 20, 8000, device)
    config = SearchConfig(beam=beam, min_length=length, max_length=length)
    return timed(lambda: search(model, source, config), device, 2.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    device = find_device(parser.parse_args().device)
    keep_memory()
    found: dict[str, Any] = {"machine": describe(device.type)}
    for name in ("w1", "w3"):
        found[f"length {name}"] = {
            length: training(name, length, BUDGET, 8000, device) for length in LENGTHS
        }
        found[f"batch {name}"] = {
            tokens: training(name, 20, tokens, 8000, device) for tokens in BATCHES
        }
        print(found)
    found["vocabulary"] = {size: training("w1", 20, BUDGET, size, device) for size in VOCABULARIES}
    found["beam"] = {beam: 32 * 20 / decoding(beam, 20, device) for beam in BEAMS}
    times = {length: decoding(5, length, device, 8) for length in (8, *LENGTHS[:5])}
    found["written"] = {length: seconds / length for length, seconds in times.items()}
    print(found)
    keep(f"growth-{device.type}", found)


if __name__ == "__main__":
    main()
