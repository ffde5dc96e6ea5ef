"""How cost grows: speed by length, batch, vocabulary and beam size, and time per step by output length.

    python -m benchmarks.growth

The models of W1 and W3 on random ids: the cost depends on shapes alone.
"""

import argparse
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch

from benchmarks.machine import describe_machine
from benchmarks.workloads import save_result, workload
from nmt_cli.allocator import keep_freed_memory
from nmt_cli.decoding.beam import search
from nmt_cli.decoding.config import SearchConfig
from nmt_cli.device import choose_dtype, find_device
from nmt_cli.models.contract import Sequences
from nmt_cli.runs.loading import build_model
from nmt_cli.training.loss import forward_backward
from nmt_cli.training.optimizer import FlatOptimizer
from nmt_cli.training.parameters import FlatParameters
from nmt_cli.vocabulary import Vocabulary

LENGTHS = (16, 32, 64, 128, 256, 512)
BATCHES = (512, 1024, 2048, 4096, 8192)
VOCABULARIES = (1000, 4000, 16000, 64000)
BEAMS = (1, 2, 5, 10, 20)
TOKENS_PER_BATCH = 4096


def make_model(name: str, vocab_size: int, device: torch.device) -> Any:
    vocabulary = Vocabulary(source_size=vocab_size, target_size=vocab_size, joint=True)
    torch.manual_seed(1)
    return build_model(workload(name), vocabulary).to(device)


def random_batch(count: int, length: int, vocab_size: int, device: torch.device) -> Sequences:
    generator = torch.Generator().manual_seed(1)
    values = torch.randint(4, vocab_size, (count, length), generator=generator)
    return Sequences(values.to(device), torch.full((count,), length, device=device))


def median_seconds(action: Callable[[], object], device: torch.device, seconds: float) -> float:
    """Median time of an action, after one untimed call."""
    action()
    times: list[float] = []
    while sum(times) < seconds or len(times) < 3:
        started = time.perf_counter()
        action()
        if device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - started)
    return median(times)


def measure_training(name: str, length: int, tokens: int, vocab_size: int, device: torch.device) -> float:
    """Target tokens per second of whole updates."""
    model = make_model(name, vocab_size, device).train()
    weights = FlatParameters(model, choose_dtype("auto", device))
    optimizer = FlatOptimizer(weights, "adam", (0.9, 0.98), 1e-9, 0.0)
    batch = random_batch(max(1, tokens // length), length, vocab_size, device)

    def update() -> None:
        forward_backward(model, batch, batch, batch, smoothing=0.1, scale=1 / tokens)
        weights.accumulate_grad()
        optimizer.step(1e-4, 1.0)

    return batch.ids.numel() / median_seconds(update, device, 3.0)


def measure_decoding(beam_size: int, length: int, device: torch.device, sentences: int = 32) -> float:
    """Seconds to decode `length` tokens for each of `sentences` sentences."""
    model = make_model("w1", 8000, device).eval().to(choose_dtype("auto", device))
    source = random_batch(sentences, 20, 8000, device)
    config = SearchConfig(beam=beam_size, min_length=length, max_length=length)
    return median_seconds(lambda: search(model, source, config), device, 2.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    device = find_device(parser.parse_args().device)
    keep_freed_memory()
    results: dict[str, Any] = {"machine": describe_machine(device.type)}
    for name in ("w1", "w3"):
        results[f"length {name}"] = {
            length: measure_training(name, length, TOKENS_PER_BATCH, 8000, device) for length in LENGTHS
        }
        results[f"batch {name}"] = {tokens: measure_training(name, 20, tokens, 8000, device) for tokens in BATCHES}
        print(results)
    results["vocabulary"] = {size: measure_training("w1", 20, TOKENS_PER_BATCH, size, device) for size in VOCABULARIES}
    results["beam"] = {beam_size: 32 * 20 / measure_decoding(beam_size, 20, device) for beam_size in BEAMS}
    times = {length: measure_decoding(5, length, device, 8) for length in (8, *LENGTHS[:5])}
    results["written"] = {length: seconds / length for length, seconds in times.items()}
    print(results)
    save_result(f"growth-{device.type}", results)


if __name__ == "__main__":
    main()
