"""Whether a device gives what the CPU gives: training, resuming, every search and every engine.

    python -m benchmarks.gpu check [--device cuda]

A small Transformer, an RNN and a CTC model are trained on a part of the quickstart corpus in fp32, on the device and
on the CPU, then resumed on the device from the middle, and the runs of the CPU are translated on both. Takes less than
four minutes; every result is printed at once. The exit status is 1 if something differs.
"""

import json
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import nmt_cli
from benchmarks.workloads import log_records
from nmt_cli.data.sources.quickstart import read_quickstart
from nmt_cli.errors import UserError

MODELS: dict[str, dict[str, Any]] = {
    "transformer": {
        "type": "transformer", "d_model": 64, "heads": 2, "encoder_layers": 1, "decoder_layers": 1, "d_ff": 128,
        "positions": "sinusoidal", "dropout": 0.0,
    },
    "rnn": {"type": "rnn", "embedding_size": 64, "hidden_size": 64, "dropout": 0.0},
    "ctc": {
        "type": "ctc", "d_model": 64, "heads": 2, "encoder_layers": 1, "decoder_layers": 1, "d_ff": 128, "dropout": 0.0,
    },
}  # fmt: skip
TRAINING: dict[str, Any] = {
    "training.tokens_per_batch": 2048, "training.learning_rate": 2e-3, "training.warmup_updates": 20,
    "training.precision": "fp32", "training.compile": "off", "training.metric": "loss", "training.log_every": 5,
    "tokenizer.vocab_size": 1000, "search.beam": 1, "search.max_length": 12, "search.precision": "fp32",
}  # fmt: skip
SEARCHES: dict[str, dict[str, Any]] = {
    "greedy": {"beam": 1},
    "beam": {"beam": 4, "n_best": 2},
    "constraints": {"beam": 3, "no_repeat_ngram": 2, "min_length": 3, "max_length": 20},
    "sampling": {"sampling": True, "n_best": 2, "top_k": 5, "beam": 1},
}
PAIRS = {"train": 10_000, "dev": 100, "test": 100}
MAX_LOSS_DIFFERENCE = 2e-3  # relative, over all updates: sums of a GPU have another order, and training amplifies it
MIN_EQUAL_TEXTS = 0.9  # of two computations in fp32; ties of a model that has hardly learned fall either way
Result = tuple[str, bool | None, str]  # what was compared, whether it is the same (None: not compared), and details


def check(device: str, updates: int, lines: int) -> bool:
    """Print each comparison; whether all are as they should be."""
    is_right = True
    with tempfile.TemporaryDirectory() as folder:
        _write_corpus(Path(folder))
        for name in MODELS:
            started = time.perf_counter()
            for label, is_same, detail in _compare(name, Path(folder), device, updates, lines):
                is_right &= is_same is not False
                seconds = time.perf_counter() - started
                verdict = {True: "same", False: "DIFFERENT", None: "skipped"}[is_same]
                print(f"{verdict:>9}  {name}: {label}: {detail} ({seconds:.0f} s)", flush=True)
    return is_right


def _write_corpus(folder: Path) -> None:
    for split, count in PAIRS.items():
        pairs = list(islice(read_quickstart(split), count))
        for language, lines in (("en", [pair.source for pair in pairs]), ("de", [pair.target for pair in pairs])):
            (folder / f"{split}.{language}").write_bytes(b"".join(line + b"\n" for line in lines))


def _compare(name: str, folder: Path, device: str, updates: int, lines: int) -> Iterator[Result]:
    on_cpu, on_device, resumed = (folder / f"{name}-{kind}" for kind in ("cpu", "device", "resumed"))
    _train(name, on_cpu, updates, "cpu")
    _train(name, on_device, updates, device)
    yield _compare_losses("training", on_cpu, on_device)
    _train(name, resumed, updates, device, stop_at=updates // 2)
    _train(name, resumed, updates, device, resume=True)
    yield _compare_losses("resuming", on_device, resumed)
    sources = (on_cpu / "test.source.txt").read_text(encoding="utf-8").splitlines()[:lines]
    for label, search in SEARCHES.items():
        if name == "ctc" and search.get("sampling"):
            continue
        yield _compare_texts(f"search {label}", on_cpu, sources, search, "torch", device)
    for engine in ("ctranslate2", "onnx"):
        try:
            yield _compare_texts(f"engine {engine}", on_cpu, sources, {"beam": 2}, engine, device)
        except (UserError, ImportError, ValueError) as error:
            yield f"engine {engine}", None, f"not here: {str(error).splitlines()[0]}"


def _train(
    name: str, run: Path, updates: int, device: str, *, stop_at: int | None = None, resume: bool = False
) -> None:
    overrides = TRAINING | {f"model.{key}": value for key, value in MODELS[name].items() if key != "type"}
    overrides |= {"training.updates": stop_at or updates, "training.validate_every": updates // 2}
    recipe = run.parent / f"{name}.yaml"
    corpus = {"source": "en", "target": "de", "dev": "dev", "test": "test"}
    content = {"name": name, "corpus": corpus, "tokenizer": {"type": "bpe", "joint": True}, "model": MODELS[name]}
    recipe.write_text(json.dumps(content), encoding="utf-8", newline="\n")
    nmt_cli.train(recipe, run, overrides, resume=resume, device=device)


def _compare_losses(label: str, expected: Path, actual: Path) -> Result:
    pairs = list(zip(_losses(expected), _losses(actual), strict=True))
    difference = max(abs(one - other) / one for one, other in pairs)
    return label, difference <= MAX_LOSS_DIFFERENCE, f"losses differ by up to {difference:.1e}"


def _losses(run: Path) -> list[float]:
    return [record["loss"] for record in log_records(run, "train")]


def _compare_texts(
    label: str, run: Path, sources: list[str], search: dict[str, Any], engine: str, device: str
) -> Result:
    search = search | {"precision": "fp32"}
    texts = []
    for kind, where in (("torch", "cpu"), (engine, device)):
        translator = nmt_cli.load_run(run, search=search, engine=kind, device=where)
        texts.append([translation.text for translation in translator.translate(sources)])
    equal = sum(one == other for one, other in zip(*texts, strict=True)) / len(sources)
    return label, equal >= MIN_EQUAL_TEXTS, f"{equal:.0%} of {len(sources)} texts are equal"
