"""Training and translation speed on a GPU.

    python -m benchmarks.gpu [w1 w2 base big translate] [--updates 60] [--compile off]

Training: whole updates with the classes of `nmt train` (reading batches, masks, loss, clipping,
optimizer) on random ids with the length distribution of WMT14; the share of the GPU's bf16 peak
counts the matrix products of real tokens only. Translation: models with W1's and W2's shape and
random weights, 5,000 sources with Multi30k's lengths, outputs of 20 tokens, from ids to ids,
compared with MarianMT of Transformers where that is installed. Times include waiting for the
device. Every result is saved to docs/benchmarks/NAME.json as soon as it is measured.
"""

import argparse
import gc
import json
import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from benchmarks.machine import describe_machine
from benchmarks.workloads import MODELS, flops_per_token, save_result, workload
from nmt_cli.data.prepared.store import PairRange, SequenceStore
from nmt_cli.decoding.beam import search
from nmt_cli.decoding.config import SearchConfig
from nmt_cli.device import choose_dtype, find_device
from nmt_cli.models.contract import Sequences
from nmt_cli.recipe.loader import load_recipe
from nmt_cli.runs.loading import build_model
from nmt_cli.training.batches import BatchIterator
from nmt_cli.training.compilation import compiled_graph_count
from nmt_cli.training.gradients import GradientAccumulator
from nmt_cli.training.optimizer import FlatOptimizer
from nmt_cli.training.parameters import FlatParameters
from nmt_cli.training.state import TrainingState
from nmt_cli.vocabulary import Vocabulary

DEVICE = torch.device("cuda")
PAIRS, SENTENCES = 200_000, 5000
WARMUP_UPDATES = 12  # not timed; they include compilation
PAPER_TARGET_TOKENS = 100_000 * 25_000  # training of the base model (Vaswani et al. 2017, sections 5.1 and 5.2)
# vocabulary size, tokens per batch, batches per update
SIZES = {"w1": (8000, 4096, 1), "w2": (8000, 4096, 1), "base": (37000, 25000, 1), "big": (37000, 25000, 1)}


def wmt_lengths(count: int, seed: int) -> tuple[Any, Any]:
    """Source and target lengths in tokens: log-normal with mean and spread of WMT14 (mean about 29)."""
    rng = np.random.default_rng(seed)
    source = np.exp(rng.normal(3.2, 0.6, count))
    target = source * np.exp(rng.normal(0.03, 0.18, count))
    return source.clip(2, 150).astype(np.int64), target.clip(2, 150).astype(np.int64)


def random_store(lengths: Any, vocab_size: int, seed: int) -> SequenceStore:
    rng = np.random.default_rng(seed)
    ids = rng.integers(4, vocab_size, int(lengths.sum()), dtype=np.uint16)
    return SequenceStore(ids, np.concatenate([[0], np.cumsum(lengths)]))


def random_batch_iterator(vocab_size: int, tokens: int) -> BatchIterator:
    """Batches of random pairs."""
    source, target = wmt_lengths(PAIRS, 1)
    vocabulary = Vocabulary(source_size=vocab_size, target_size=vocab_size, joint=True)
    data = SimpleNamespace(
        tokenizers=SimpleNamespace(vocabulary=vocabulary),
        pair_ranges=[PairRange("random", 0, PAIRS, 1.0)],
        variants=[(random_store(source, vocab_size, 2), random_store(target, vocab_size, 3))],
    )  # fmt: skip
    return BatchIterator(data, tokens, 1)  # type: ignore[arg-type]


def measure_training(name: str, updates: int, compile_: bool, tokens: int | None) -> dict[str, Any]:
    """Target tokens per second of training, and what it takes."""
    torch._dynamo.reset()  # drops the graphs of the previous model
    gc.collect()
    vocab_size, tokens_per_batch, batches_per_update = SIZES[name]
    tokens_per_batch = tokens or tokens_per_batch
    recipe = workload(name) if name in MODELS else load_recipe(f"wmt14-en-de-{name}")
    batch_iterator = random_batch_iterator(vocab_size, tokens_per_batch)
    batch_iterator.batches_per_update = batches_per_update
    torch.manual_seed(1)
    model = build_model(recipe, batch_iterator.vocabulary).to(DEVICE).train()
    weights = FlatParameters(model, choose_dtype("auto", DEVICE))
    section = recipe.training
    gradients = GradientAccumulator(model, weights, device=DEVICE, seed=1, smoothing=section.label_smoothing)
    optimizer = FlatOptimizer(weights, "adam", (0.9, 0.98), 1e-9, 0.0)
    state, started = TrainingState(), time.perf_counter()
    if compile_:
        problem = gradients.compile(batch_iterator.largest_batches()[0], state)
        assert problem is None, problem
    gradients.dry_run(batch_iterator.largest_batches(), state, optimizer.state_numel())
    target_tokens = source_tokens = 0
    for update in range(1, WARMUP_UPDATES + updates + 1):
        if update == WARMUP_UPDATES + 1:
            torch.cuda.synchronize()
            setup_seconds, graphs_before = time.perf_counter() - started, compiled_graph_count()
            started = time.perf_counter()
        rank_batches = batch_iterator.next_micro_batches()
        state.update = update
        gradients.accumulate_gradients(rank_batches, state)
        optimizer.step(1e-4, section.clip_norm)
        if update > WARMUP_UPDATES:
            target_tokens += rank_batches.update_tokens
            source_tokens += sum(int(batch.source.lengths.sum()) for _, batch in rank_batches.batches)
    torch.cuda.synchronize()
    seconds = time.perf_counter() - started
    speed = target_tokens / seconds
    return {
        "tokens_per_second": speed,
        "milliseconds": 1000 * seconds / updates,
        "operations_per_token": flops_per_token(model, source_tokens / target_tokens),
        "target_tokens_per_update": target_tokens / updates,
        "compiled": compile_,
        "seconds_before": setup_seconds,
        "new_graphs": compiled_graph_count() - graphs_before,
        "peak_gib": torch.cuda.max_memory_allocated() / 2**30,
        "paper_hours": PAPER_TARGET_TOKENS / speed / 3600,
    }


def random_source_batches(vocab_size: int) -> list[Sequences]:
    """Random sources with Multi30k's lengths, in batches of similar length."""
    rng = np.random.default_rng(4)
    lengths = np.sort(rng.normal(15, 4.5, SENTENCES).clip(5, 40).astype(np.int64))[::-1]
    batches = []
    for batch_lengths in np.array_split(lengths, 10):
        ids = torch.from_numpy(rng.integers(4, vocab_size, (len(batch_lengths), int(batch_lengths.max()))))
        length_tensor = torch.from_numpy(batch_lengths.copy())
        batches.append(Sequences(ids.to(DEVICE), length_tensor.to(DEVICE), length_tensor))
    return batches


def marian_model(shape: dict[str, Any]) -> Any:
    """MarianMT of this shape, None where Transformers is not installed."""
    try:
        from transformers import MarianConfig, MarianMTModel
    except ImportError:
        return None
    config = MarianConfig(
        vocab_size=8000, decoder_vocab_size=8000, d_model=shape["d_model"],
        encoder_layers=shape["encoder_layers"], decoder_layers=shape["decoder_layers"],
        encoder_ffn_dim=shape["d_ff"], decoder_ffn_dim=shape["d_ff"],
        encoder_attention_heads=shape["heads"], decoder_attention_heads=shape["heads"],
        pad_token_id=0, eos_token_id=3, bos_token_id=3, decoder_start_token_id=0,
        forced_eos_token_id=None, max_position_embeddings=512,
    )  # fmt: skip
    return MarianMTModel(config).to(DEVICE, torch.bfloat16).eval()


def measure_translation(name: str, beam_size: int) -> dict[str, float]:
    """Sentences per second of nmt and MarianMT."""
    vocabulary = Vocabulary(source_size=8000, target_size=8000, joint=True)
    torch.manual_seed(1)
    model = build_model(workload(name), vocabulary).to(DEVICE, torch.bfloat16).eval()
    peer = marian_model(MODELS[name])
    options = SearchConfig(beam=beam_size, min_length=20, max_length=20)
    batches = random_source_batches(8000)

    def translate_with_nmt() -> None:
        for batch in batches:
            search(model, batch, options)

    @torch.inference_mode()
    def translate_with_marian() -> None:
        for batch in batches:
            mask = (torch.arange(batch.ids.shape[1], device=DEVICE) < batch.lengths[:, None]).long()
            peer.generate(
                input_ids=batch.ids, attention_mask=mask, num_beams=beam_size, do_sample=False,
                min_new_tokens=20, max_new_tokens=20,
            )  # fmt: skip

    speeds = {}
    actions = {"nmt bf16": translate_with_nmt} | ({} if peer is None else {"transformers bf16": translate_with_marian})
    for label, action in actions.items():
        action()
        times = []
        for _ in range(2):
            torch.cuda.synchronize()
            started = time.perf_counter()
            action()
            torch.cuda.synchronize()
            times.append(time.perf_counter() - started)
        speeds[label] = SENTENCES / min(times)
    return speeds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", nargs="*", default=["w1", "w2", "base", "big", "translate"])
    parser.add_argument("--updates", type=int, default=60)
    parser.add_argument("--tokens", type=int, help="tokens per batch")
    parser.add_argument("--compile", choices=("on", "off"), default="on")
    parser.add_argument("--name", default="gpu", help="name of the result in docs/benchmarks")
    arguments = parser.parse_args()
    find_device("cuda")
    results: dict[str, Any] = {"machine": describe_machine("cuda")}
    peak = results["machine"]["peak_bf16"]
    print(json.dumps(results["machine"]), flush=True)
    for name in arguments.work:
        if name == "translate":
            for shape in ("w1", "w2"):
                for beam_size in (1, 5):
                    results[f"translate {shape} {beam_size}"] = measure_translation(shape, beam_size)
                    print(shape, beam_size, results[f"translate {shape} {beam_size}"], flush=True)
                    save_result(arguments.name, results)
            continue
        result = measure_training(name, arguments.updates, arguments.compile == "on", arguments.tokens)
        result["share_of_peak"] = result["tokens_per_second"] * result["operations_per_token"] / peak
        results[name] = result
        print(name, json.dumps(result), flush=True)
        save_result(arguments.name, results)
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


if __name__ == "__main__":
    main()
