"""A GPU: training and translating at the sizes that one is used for.

    PYTHONPATH=. python benchmarks/gpu.py [w1 w2 base big translate] [--updates 60] [--compile off]

Training: whole updates of `nmt train`'s own machinery (reading batches, masks, loss, clipping,
optimizer) on random ids whose lengths are distributed as WMT14's; the share of the card's bf16 peak
counts the matrix products of real tokens only. Translating: random weights of W1's and W2's shape,
5,000 sources of Multi30k's lengths, outputs of 20 pieces, from ids to ids, beside transformers'
MarianMT where that is installed. Times end after the device is done. Every part is kept in
docs/benchmarks/NAME.json as soon as it is there. Not run on a GPU yet.
"""

import argparse
import gc
import json
import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from machine import describe
from workloads import MODELS, keep, per_token, workload

from nmt_cli.commands.runs import build_model
from nmt_cli.data.prepared import PartRange, SequenceStore
from nmt_cli.decoding.hypothesis import SearchConfig
from nmt_cli.decoding.search import search
from nmt_cli.device import choose_precision, find_device
from nmt_cli.models.contract import Sequences
from nmt_cli.recipe import load_recipe
from nmt_cli.training.compilation import graphs
from nmt_cli.training.feed import BatchFeed
from nmt_cli.training.gradients import Gradients
from nmt_cli.training.state import TrainingState
from nmt_cli.training.weights import Optimizer, Weights
from nmt_cli.vocabulary import Vocabulary

DEVICE = torch.device("cuda")
PAIRS, SENTENCES = 200_000, 5000
WARM = 12  # updates that do not count, compilation among them
PAPER = 100_000 * 25_000  # target tokens that the paper's base model saw (section 5.1 and 5.2)
SIZES = {"w1": (8000, 4096, 1), "w2": (8000, 4096, 1)}  # vocabulary, tokens a batch, accumulate
SIZES |= {"base": (37000, 25000, 1), "big": (37000, 25000, 1)}


def wmt_lengths(count: int, seed: int) -> tuple[Any, Any]:
    """Pieces a sentence, source and target: log-normal with WMT14's mean of about 29 and spread."""
    draw = np.random.default_rng(seed)
    source = np.exp(draw.normal(3.2, 0.6, count))
    target = source * np.exp(draw.normal(0.03, 0.18, count))
    return source.clip(2, 150).astype(np.int64), target.clip(2, 150).astype(np.int64)


def random_store(lengths: Any, vocabulary: int, seed: int) -> SequenceStore:
    draw = np.random.default_rng(seed)
    ids = draw.integers(4, vocabulary, int(lengths.sum()), dtype=np.uint16)
    return SequenceStore(ids, np.concatenate([[0], np.cumsum(lengths)]))


def feed_of(size: int, tokens: int) -> BatchFeed:
    """Batches of random pairs."""
    source, target = wmt_lengths(PAIRS, 1)
    vocabulary = Vocabulary(source_size=size, target_size=size, joint=True)
    data = SimpleNamespace(
        tokenizers=SimpleNamespace(vocabulary=vocabulary),
        parts=[PartRange("random", 0, PAIRS, 1.0)],
        variants=[(random_store(source, size, 2), random_store(target, size, 3))],
    )  # fmt: skip
    return BatchFeed(data, tokens, 1)  # type: ignore[arg-type]


def train(name: str, updates: int, compile_: bool, tokens: int | None) -> dict[str, Any]:
    """Target tokens a second and what they are of the card's peak."""
    torch._dynamo.reset()  # each model compiles anew, and lets the one before it go
    gc.collect()
    size, budget, accumulate = SIZES[name]
    budget = tokens or budget
    recipe = workload(name) if name in MODELS else load_recipe(f"wmt14-en-de-{name}")
    feed = feed_of(size, budget)
    feed.group = accumulate
    torch.manual_seed(1)
    model = build_model(recipe, feed.vocabulary).to(DEVICE).train()
    weights = Weights(model, choose_precision("auto", DEVICE))
    section = recipe.training
    gradients = Gradients(model, weights, device=DEVICE, seed=1, smoothing=section.label_smoothing)
    optimizer = Optimizer(weights, "adam", (0.9, 0.98), 1e-9, 0.0)
    state, started = TrainingState(), time.perf_counter()
    if compile_:
        problem = gradients.compile(feed.largest()[0], state)
        assert problem is None, problem
    gradients.rehearse(feed.largest(), state, optimizer.memory())
    counted = real = 0
    for update in range(1, WARM + updates + 1):
        if update == WARM + 1:
            torch.cuda.synchronize()
            preparing, before = time.perf_counter() - started, graphs()
            started = time.perf_counter()
        share = feed.share()
        state.update = update
        gradients.add_up(share, state)
        optimizer.update(1e-4, section.clip_norm)
        if update > WARM:
            counted += share.tokens
            real += sum(int(batch.source.lengths.sum()) for _, batch in share.batches)
    torch.cuda.synchronize()
    seconds = time.perf_counter() - started
    speed = counted / seconds
    return {
        "tokens_per_second": speed,
        "milliseconds": 1000 * seconds / updates,
        "operations_per_token": per_token(model, real / counted),
        "target_tokens_per_update": counted / updates,
        "compiled": compile_,
        "seconds_before": preparing,
        "new_graphs": graphs() - before,
        "peak_gib": torch.cuda.max_memory_allocated() / 2**30,
        "paper_hours": PAPER / speed / 3600,
    }


def sources(vocabulary: int) -> list[Sequences]:
    """Random sources of Multi30k's lengths in batches of similar length."""
    draw = np.random.default_rng(4)
    lengths = np.sort(draw.normal(15, 4.5, SENTENCES).clip(5, 40).astype(np.int64))[::-1]
    found = []
    for some in np.array_split(lengths, 10):
        ids = torch.from_numpy(draw.integers(4, vocabulary, (len(some), int(some.max()))))
        sizes = torch.from_numpy(some.copy())
        found.append(Sequences(ids.to(DEVICE), sizes.to(DEVICE), int(some.sum())))
    return found


def marian(shape: dict[str, Any]) -> Any:
    """transformers' MarianMT of this shape; None where transformers is not installed."""
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


def translate(name: str, beam: int) -> dict[str, float]:
    """Sentences a second, ours and the peer's."""
    vocabulary = Vocabulary(source_size=8000, target_size=8000, joint=True)
    torch.manual_seed(1)
    ours = build_model(workload(name), vocabulary).to(DEVICE, torch.bfloat16).eval()
    peer = marian(MODELS[name])
    options = SearchConfig(beam=beam, min_length=20, max_length=20)
    batches = sources(8000)

    def ours_all() -> None:
        for batch in batches:
            search(ours, batch, options)

    @torch.inference_mode()
    def peer_all() -> None:
        for batch in batches:
            mask = (torch.arange(batch.ids.shape[1], device=DEVICE) < batch.lengths[:, None]).long()
            peer.generate(
                input_ids=batch.ids, attention_mask=mask, num_beams=beam, do_sample=False,
                min_new_tokens=20, max_new_tokens=20,
            )  # fmt: skip

    found = {}
    actions = {"nmt bf16": ours_all} | ({} if peer is None else {"transformers bf16": peer_all})
    for label, action in actions.items():
        action()
        times = []
        for _ in range(2):
            torch.cuda.synchronize()
            started = time.perf_counter()
            action()
            torch.cuda.synchronize()
            times.append(time.perf_counter() - started)
        found[label] = SENTENCES / min(times)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", nargs="*", default=["w1", "w2", "base", "big", "translate"])
    parser.add_argument("--updates", type=int, default=60)
    parser.add_argument("--tokens", type=int, help="tokens a batch other than the usual")
    parser.add_argument("--compile", choices=("on", "off"), default="on")
    parser.add_argument("--name", default="gpu", help="of the file in docs/benchmarks")
    wanted = parser.parse_args()
    find_device("cuda")
    found: dict[str, Any] = {"machine": describe("cuda")}
    peak = found["machine"]["peak_bf16"]
    print(json.dumps(found["machine"]), flush=True)
    for name in wanted.work:
        if name == "translate":
            for shape in ("w1", "w2"):
                for beam in (1, 5):
                    found[f"translate {shape} {beam}"] = translate(shape, beam)
                    print(shape, beam, found[f"translate {shape} {beam}"], flush=True)
                    keep(wanted.name, found)
            continue
        one = train(name, wanted.updates, wanted.compile == "on", wanted.tokens)
        one["share_of_peak"] = one["tokens_per_second"] * one["operations_per_token"] / peak
        found[name] = one
        print(name, json.dumps(one), flush=True)
        keep(wanted.name, found)
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


if __name__ == "__main__":
    main()
