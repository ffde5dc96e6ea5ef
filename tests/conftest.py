"""What tests share: text and recipes (syllables, to be written backwards), runs, command lines."""

import gc
import io
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import settings

from nmt_cli.cli import entry
from nmt_cli.data.tokenization.tokenizer import TextTokenizer, TokenizerConfig
from nmt_cli.data.tokenization.tokenizer_pair import Tokenizers
from nmt_cli.data.tokenization.training import train_tokenizer
from nmt_cli.device import AUTO_PRECISION_VARIABLE, automatic_precision, find_device
from nmt_cli.fs import atomic_write_text
from nmt_cli.models import MODELS
from nmt_cli.recipe.loader import Recipe, build_recipe
from nmt_cli.reporting import Reporter
from nmt_cli.runs.folder import RunFolder
from nmt_cli.runs.loading import build_model
from nmt_cli.translation.engine_choice import ENGINE_VARIABLE
from nmt_cli.workers import STOP_SIGNALS

if "PYTEST_XDIST_WORKER" in os.environ:  # a core each: threads of two workers wait for each other
    os.environ["OMP_NUM_THREADS"] = "1"  # for the processes that tests start
    torch.set_num_threads(1)

# Our own search, unless a test is about `--engine auto` (`auto_engine`); and nothing is exported after a training.
os.environ[ENGINE_VARIABLE] = "torch"

ROOT = Path(__file__).parent.parent
NMT = [sys.executable, "-m", "nmt_cli"]
Call = Callable[..., tuple[int, str, str]]
SYLLABLES = ["ba", "ce", "di", "fo", "gu", "ka", "le", "mi", "no", "pu", "ra", "se", "ti", "vo"]


# Which tests run, and how: `make test`, `make test-all`, `make test-precision`

QUICK, FULL = "quick", "full"  # Hypothesis profiles; pytest --hypothesis-profile full
settings.register_profile(QUICK, deadline=None, max_examples=25)
settings.register_profile(FULL, deadline=None, max_examples=200)
settings.load_profile(QUICK)


def examples(full: int, **options: Any) -> settings:
    """So many examples in the profile `full`, an eighth of them, but 10 at least, otherwise."""
    whole = settings.get_current_profile_name() == FULL
    return settings(max_examples=full if whole else max(10, full // 8), deadline=None, **options)


def pytest_sessionstart(session: pytest.Session) -> None:
    """Say what `precision: auto` stands for, whatever -q leaves out."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and "PYTEST_XDIST_WORKER" not in os.environ:
        name, why = automatic_precision(find_device("auto"))
        reporter.write_line(f"precision: auto stands for {name} ({why})")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that are slow as a whole come first: no worker is left alone with one at the end."""

    def soon(item: pytest.Item) -> bool:
        module = item.getparent(pytest.Module)
        return module is None or all(mark.name != "slow" for mark in module.own_markers)

    items.sort(key=soon)


def pytest_collection_finish() -> None:
    """Keep garbage collection, which every training asks for, from walking thousands of collected tests each time."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Only tests with the mark `precision` may use what `precision: auto` stands for.

    For the others, for the fixtures that they are the first to need and for the processes that they
    start, it stands for nothing: nmt refuses it with a message that has these words. So the marked
    tests are all that must be run with both precisions.
    """
    before = os.environ.get(AUTO_PRECISION_VARIABLE)
    if item.get_closest_marker("precision") is None:
        os.environ[AUTO_PRECISION_VARIABLE] = "a test without the mark precision"
    try:
        return (yield)
    finally:
        os.environ.pop(AUTO_PRECISION_VARIABLE, None)
        if before is not None:
            os.environ[AUTO_PRECISION_VARIABLE] = before


# Text and recipes


TOY = {"train": 300, "dev": 20, "test": 20}  # lines


def syllable_lines(count: int, seed: int, longest: int = 7) -> list[str]:
    """Different lines of 1 to `longest` syllables."""
    draw = random.Random(seed)
    lines: dict[str, None] = {}
    while len(lines) < count:
        lines[" ".join(draw.choice(SYLLABLES) for _ in range(draw.randint(1, longest)))] = None
    return list(lines)


def backwards(line: str) -> str:
    """The right translation of a line."""
    return " ".join(reversed(line.split()))


def write_syllables(folder: Path, sizes: dict[str, int], longest: int = 7) -> None:
    """<name>.ab and <name>.ba for each name, all lines different."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = syllable_lines(sum(sizes.values()), 1, longest)
    for name, size in sizes.items():
        part, lines = lines[:size], lines[size:]
        (folder / f"{name}.ab").write_text("".join(f"{line}\n" for line in part))
        (folder / f"{name}.ba").write_text("".join(f"{backwards(line)}\n" for line in part))


TINY_MODELS: dict[str, dict[str, Any]] = {
    "transformer": {
        "type": "transformer", "d_model": 32, "heads": 2, "encoder_layers": 1,
        "decoder_layers": 1, "d_ff": 64, "dropout": 0.1,
    },
    "rnn": {"type": "rnn", "embedding_size": 24, "hidden_size": 32, "dropout": 0.1},
}  # fmt: skip


def toy_content(root: Path, model: str = "transformer", **training: Any) -> dict[str, Any]:
    """A recipe over syllables, as plain values."""
    return {
        "name": "toy",
        "corpus": {
            "root": str(root), "source": "ab", "target": "ba", "dev": "dev", "test": "test"
        },
        "tokenizer": {"type": "word", "vocab_size": 60},
        "model": dict(TINY_MODELS[model]),
        "training": {
            "updates": 12, "tokens_per_batch": 256, "validate_every": 6, "log_every": 3,
            "samples": 1, **training,
        },
        "search": {"beam": 2},
    }  # fmt: skip


def in_float32(content: dict[str, Any]) -> dict[str, Any]:
    """A recipe that leaves nothing to what `precision: auto` stands for."""
    for section in ("training", "search"):
        content[section] = {**content.get(section, {}), "precision": "fp32"}
    return content


@pytest.fixture
def auto_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `--engine auto` be what it is outside the tests."""
    pytest.importorskip("ctranslate2")
    monkeypatch.delenv(ENGINE_VARIABLE)


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a small corpus in text/."""
    write_syllables(tmp_path / "text", TOY)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def toy_recipe(root: Path, model: str = "transformer", **training: Any) -> Recipe:
    """The same, built."""
    return build_recipe(toy_content(root, model, **training))


@pytest.fixture
def nmt(monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> Iterator[Call]:
    """Run a command line in this process: exit code, standard output, standard error."""
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}

    def call(*arguments: object, stdin: bytes = b"") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["nmt", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        with pytest.raises(SystemExit) as left:
            entry.run()
        out, err = capfdbinary.readouterr()
        assert isinstance(left.value.code, int)
        return left.value.code, out.decode(), err.decode()

    monkeypatch.setenv("COLUMNS", "100")
    yield call
    for number, handler in before.items():
        signal.signal(number, handler)


def environment() -> dict[str, str]:
    """For processes that tests start: this checkout's package, and lines of 100 characters."""
    return os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "100"}


def run(*arguments: object, stdin: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
    """Run a command line in a process of its own."""
    command = [*NMT, *map(str, arguments)]
    return subprocess.run(command, input=stdin, capture_output=True, env=environment())


def start(*arguments: object, cwd: Path | None = None) -> "subprocess.Popen[bytes]":
    """A command line in a process of its own, to be spoken with."""
    return subprocess.Popen(
        [*NMT, *map(str, arguments)], cwd=cwd,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(),
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip


@pytest.fixture(scope="session")
def tokenizer() -> TextTokenizer:
    """A small BPE tokenizer with byte pieces."""
    lines = [
        "The old man reads a book.", "Two dogs don't see 1995 houses, do they?",
        "Der alte Mann liest ein Buch.", "ein Haus, zwei Häuser — „schön“",
        "我喜欢读书。他也喜欢。",
    ] * 4  # fmt: skip
    return train_tokenizer(lambda: lines, TokenizerConfig(vocab_size=420))


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory, tokenizer: TextTokenizer) -> Path:
    """A run folder that can be opened: random weights after updates 10, 20 and 30."""
    folder = RunFolder(tmp_path_factory.mktemp("runs") / "tiny")
    folder.checkpoints.folder.mkdir(parents=True)
    recipe = build_recipe(
        {
            "name": "tiny",
            "corpus": {"source": "en", "target": "de"},
            "model": MODELS["transformer"].config_class.tiny_configs()[0].model_dump(mode="json"),
            "search": {"beam": 2, "max_length": 8, "precision": "fp32", "repair_degenerate": False},
        }
    )
    atomic_write_text(folder.recipe_path, recipe.to_yaml())
    folder.write_json("manifest.json", {"fingerprint": "0"})
    tokenizers = Tokenizers(tokenizer, tokenizer)
    tokenizers.save(folder.path)
    parameters = build_model(recipe, tokenizers.vocabulary).named_parameters()
    weights = {name: value.detach() for name, value in parameters}
    for update in (10, 20, 30):
        tensors = {name: value * (update / 10) for name, value in weights.items()}
        folder.checkpoints.save(update, {"model": tensors}, {})
    folder.checkpoints.save_best(10, weights, {})
    return folder.path


@pytest.fixture(scope="session")
def exported(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with the exports of `--engine auto`; no test changes it."""
    pytest.importorskip("ctranslate2")
    from nmt_cli.export.automatic import export_automatically

    folder = shutil.copytree(tiny_run, tmp_path_factory.mktemp("exported") / "run")
    export_automatically(folder)
    return folder


def translated_by_documented(line: str, folder: Path, lines: list[str]) -> list[str]:
    """What the program in docs/export.md that has this line prints for an export, greedily."""
    text = (Path(__file__).parents[1] / "docs/export.md").read_text(encoding="utf-8")
    programs = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    program = next(candidate for candidate in programs if line in candidate.splitlines())
    done = subprocess.run(
        [sys.executable, "-c", program.replace("beam_size=5", "beam_size=1"), str(folder)],
        input="\n".join(lines).encode(), capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().split("\n")[: len(lines)]


def log_records(run: Path, event: str) -> list[dict[str, Any]]:
    """What a run has logged of an event: train, validation, divergence or split."""
    records = map(json.loads, (run / "log.jsonl").read_text().splitlines())
    return [record for record in records if record["event"] == event]


class Listener(Reporter):
    """Keeps what is said."""

    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.said: list[str] = []

    def info(self, text: str, style: str | None = None) -> None:
        self.said.append(text)
