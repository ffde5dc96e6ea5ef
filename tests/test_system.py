"""Both models learn to write syllables backwards, through all commands, as a user runs them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from nmt_cli.yaml12 import write_yaml
from tests.conftest import in_float32, toy_content, write_syllables

pytestmark = pytest.mark.slow

LEARNING = {"transformer": {"updates": 700, "learning_rate": 1e-2}, "rnn": {"updates": 500, "learning_rate": 1e-2}}


def nmt(*arguments: str, stdin: bytes = b"", cwd: Path) -> str:
    command = [sys.executable, "-m", "nmt_cli", *arguments]
    done = subprocess.run(command, input=stdin, capture_output=True, cwd=cwd, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


@pytest.mark.parametrize("model", [pytest.param("transformer", marks=pytest.mark.precision), "rnn"])
def test_a_model_learns_through_all_commands(tmp_path: Path, model: str) -> None:
    write_syllables(tmp_path / "text", {"train": 4000, "dev": 100, "test": 200}, longest=5)
    content = toy_content(tmp_path / "text", model)
    content["model"] = content["model"] | {"dropout": 0.0}
    content["training"] = {
        "tokens_per_batch": 1024, "validate_every": 250, "schedule": "cosine", "warmup_updates": 50,
        "label_smoothing": 0.0, **LEARNING[model],
    }  # fmt: skip
    (tmp_path / "toy.yaml").write_text(write_yaml(content if model == "transformer" else in_float32(content)))
    nmt("prepare", "toy.yaml", cwd=tmp_path)
    nmt("train", "toy.yaml", cwd=tmp_path)
    source = (tmp_path / "text" / "test.ab").read_bytes()
    pieces = nmt("tokenize", "runs/toy", stdin=source, cwd=tmp_path)
    assert nmt("detokenize", "runs/toy", stdin=pieces.encode(), cwd=tmp_path).encode() == source
    hypotheses = nmt("translate", "runs/toy", stdin=source, cwd=tmp_path)
    answer = nmt("score", "text/test.ba", "--json", stdin=hypotheses.encode(), cwd=tmp_path)
    assert json.loads(answer)["chrf"]["score"] > 95
