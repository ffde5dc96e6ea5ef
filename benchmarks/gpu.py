"""Whether a GPU gives what a CPU gives, and how fast it trains and translates.

    python -m benchmarks.gpu check
    python -m benchmarks.gpu measure w1|w2|base|big|translate ... [--updates 60] [--compile off]
    python -m benchmarks.gpu wheels FOLDER

`check` takes less than four minutes, each part of `measure` less than three. `wheels` downloads what both need, for a
machine without a package index: there, `pip install --no-index --find-links FOLDER nmt-cli[export] transformers`.

Training: whole updates with the classes of `nmt train` (reading batches, masks, loss, clipping,
optimizer) on random ids with the length distribution of WMT14; the share of the GPU's bf16 peak
counts the matrix products of real tokens only. Translation: models with W1's and W2's shape and
random weights, 5,000 sources with Multi30k's lengths, outputs of 20 tokens, from ids to ids,
compared with MarianMT of Transformers and CTranslate2 in float16 where they are installed. Times include
waiting for the device. Every result is saved to docs/benchmarks/NAME.json as soon as it is measured. Not yet
measured on a GPU.
"""

import argparse
import copy
import gc
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from benchmarks.gpu_check import check
from benchmarks.machine import describe_machine
from benchmarks.workloads import MODELS, ROOT, flops_per_token, save_result, workload
from nmt_cli.data.prepared.store import PairRange, SequenceStore
from nmt_cli.decoding.beam import search
from nmt_cli.decoding.config import SearchConfig
from nmt_cli.device import choose_dtype, find_device
from nmt_cli.export.ctranslate2 import build_spec
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
    gradients.dry_run(batch_iterator.largest_batches(), state)
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
    """Sentences per second of nmt, MarianMT and CTranslate2."""
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
    if find_spec("ctranslate2"):
        actions["ctranslate2 float16"] = ctranslate2_action(model, batches, beam_size)
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


def ctranslate2_action(model: Any, batches: list[Sequences], beam_size: int) -> Callable[[], None]:
    """Translates with the same weights in CTranslate2, in float16 on a GPU; from tokens to tokens."""
    import ctranslate2

    tokens = [f"token{number}" for number in range(model.vocabulary.target_size)]
    spec = build_spec(copy.deepcopy(model).cpu().float(), position_rows=512)
    spec.register_source_vocabulary(tokens)
    spec.register_target_vocabulary(tokens)
    start, end, pad = (tokens[getattr(model.vocabulary, name)] for name in ("start", "end", "pad"))
    spec.config.bos_token = spec.config.decoder_start_token = start
    spec.config.eos_token, spec.config.unk_token, spec.config.add_source_eos = end, pad, True
    spec.validate()
    spec.optimize()
    with tempfile.TemporaryDirectory() as folder:
        spec.save(folder)
        compute_type = "float16" if DEVICE.type == "cuda" else "default"
        translator = ctranslate2.Translator(folder, device=DEVICE.type, compute_type=compute_type)
    sources = []
    for batch in batches:
        rows = zip(batch.ids.tolist(), batch.lengths_on_cpu().tolist(), strict=True)
        sources.append([[tokens[number] for number in ids[:length]] for ids, length in rows])

    def translate() -> None:
        for texts in sources:
            translator.translate_batch(texts, beam_size=beam_size, min_decoding_length=20, max_decoding_length=20)

    return translate


def download_wheels(folder: Path) -> None:
    """All that `check` and `measure` need, with the versions of constraints.txt, and nmt itself."""
    subprocess.run([sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", folder, ROOT], check=True)
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "--dest", folder, "-c", ROOT / "constraints.txt",
         f"{ROOT}[export]", "transformers"],
        check=True,
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    check_parser = commands.add_parser("check")
    check_parser.add_argument("--device", default="cuda")
    check_parser.add_argument("--updates", type=int, default=200)
    check_parser.add_argument("--lines", type=int, default=100)
    commands.add_parser("wheels").add_argument("folder", type=Path)
    add_measure_arguments(commands.add_parser("measure"))
    arguments = parser.parse_args()
    if arguments.command == "check":
        sys.exit(not check(arguments.device, arguments.updates, arguments.lines))
    if arguments.command == "wheels":
        download_wheels(arguments.folder)
    else:
        measure(arguments)


def add_measure_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("work", nargs="+", help="w1, w2, base, big or translate")
    parser.add_argument("--updates", type=int, default=60)
    parser.add_argument("--tokens", type=int, help="tokens per batch")
    parser.add_argument("--compile", choices=("on", "off"), default="on")
    parser.add_argument("--name", default="gpu", help="name of the result in docs/benchmarks")


def measure(arguments: argparse.Namespace) -> None:
    """Measure each part, and save it at once."""
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
