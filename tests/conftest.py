"""Text and recipes that tests share: sequences of syllables, to be written backwards."""

import io
import os
import random
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from nmt_cli.cli import entry
from nmt_cli.commands.runs import build_model
from nmt_cli.data.prepared import Tokenizers
from nmt_cli.data.tokenizer import TextTokenizer, TokenizerConfig
from nmt_cli.data.tokenizer_training import train_tokenizer
from nmt_cli.disk import write_whole
from nmt_cli.models import MODELS
from nmt_cli.recipe import Recipe, build_recipe
from nmt_cli.reporting import Reporter
from nmt_cli.run_folder import RunFolder

if "PYTEST_XDIST_WORKER" in os.environ:  # a core each: threads of two workers wait for each other
    os.environ["OMP_NUM_THREADS"] = "1"  # for the processes that tests start
    torch.set_num_threads(1)

ROOT = Path(__file__).parent.parent
NMT = [sys.executable, "-m", "nmt_cli"]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "100"}
Call = Callable[..., tuple[int, str, str]]
SYLLABLES = ["ba", "ce", "di", "fo", "gu", "ka", "le", "mi", "no", "pu", "ra", "se", "ti", "vo"]


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


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a small corpus in text/."""
    write_syllables(tmp_path / "text", {"train": 300, "dev": 20, "test": 20})
    monkeypatch.chdir(tmp_path)
    return tmp_path


def toy_recipe(root: Path, model: str = "transformer", **training: Any) -> Recipe:
    """The same, built."""
    return build_recipe(toy_content(root, model, **training))


@pytest.fixture
def nmt(
    monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> Iterator[Call]:
    """Run a command line in this process: exit code, standard output, standard error."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def call(*arguments: object, stdin: bytes = b"") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["nmt", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        with pytest.raises(SystemExit) as left:
            entry.main()
        out, err = capfdbinary.readouterr()
        assert isinstance(left.value.code, int)
        return left.value.code, out.decode(), err.decode()

    monkeypatch.setenv("COLUMNS", "100")
    yield call
    for number, handler in before.items():
        signal.signal(number, handler)


def run(*arguments: object, stdin: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
    """Run a command line in a process of its own."""
    command = [*NMT, *map(str, arguments)]
    return subprocess.run(command, input=stdin, capture_output=True, env=ENVIRONMENT)


def start(*arguments: object, cwd: Path | None = None) -> "subprocess.Popen[bytes]":
    """A command line in a process of its own, to be spoken with."""
    return subprocess.Popen(
        [*NMT, *map(str, arguments)], cwd=cwd,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT,
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
    folder.checkpoints.mkdir(parents=True)
    recipe = build_recipe(
        {
            "name": "tiny",
            "corpus": {"source": "en", "target": "de"},
            "model": MODELS["transformer"].config_class.tiny()[0].model_dump(mode="json"),
            "search": {"beam": 2, "max_length": 8, "precision": "fp32", "guard": False},
        }
    )
    write_whole(folder.recipe, recipe.to_yaml())
    folder.write_json("manifest.json", {"fingerprint": "0"})
    tokenizers = Tokenizers(tokenizer, tokenizer)
    tokenizers.save(folder.path)
    parameters = build_model(recipe, tokenizers.vocabulary).named_parameters()
    weights = {name: value.detach() for name, value in parameters}
    for update in (10, 20, 30):
        tensors = {name: value * (update / 10) for name, value in weights.items()}
        folder.save(update, {"model": tensors}, {})
    folder.save_best(10, weights, {})
    return folder.path


def translated_by_documented(line: str, folder: Path, lines: list[str]) -> list[str]:
    """What the program in docs/export.md that has this line prints for an export, greedily."""
    text = (Path(__file__).parents[1] / "docs/export.md").read_text(encoding="utf-8")
    programs = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    program = next(one for one in programs if line in one.splitlines())
    done = subprocess.run(
        [sys.executable, "-c", program.replace("beam_size=5", "beam_size=1"), str(folder)],
        input="\n".join(lines).encode(), capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().split("\n")[: len(lines)]


class Listener(Reporter):
    """Keeps what is said."""

    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.said: list[str] = []

    def say(self, text: str, style: str | None = None) -> None:
        self.said.append(text)
