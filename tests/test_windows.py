"""What works without Linux: no signal, module or file of it is needed, and nothing that is open is deleted or renamed.

No test runs on Windows: `tests.windows` takes away what is not there.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nmt_cli import __version__
from nmt_cli.yaml12 import write_yaml
from tests.conftest import environment, in_float32, toy_content

IMPORTS = """
import importlib, pkgutil
from tests.windows import take_away

take_away()
import nmt_cli
for module in pkgutil.walk_packages(nmt_cli.__path__, "nmt_cli."):
    if not module.name.startswith("nmt_cli.serving.") and module.name != "nmt_cli.__main__":
        importlib.import_module(module.name)
"""


def windows(*arguments: object, stdin: bytes | Path = b"") -> bytes:
    """What a command line that succeeds there prints."""
    command = [sys.executable, "-m", "tests.windows", *map(str, arguments)]
    if isinstance(stdin, Path):
        with stdin.open("rb") as file:
            done = subprocess.run(command, stdin=file, capture_output=True, env=environment())
    else:
        done = subprocess.run(command, input=stdin, capture_output=True, env=environment())
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def test_the_command_line_starts() -> None:
    assert windows("--version") == f"{__version__}\r\n".encode()
    assert windows("perturb", "upper", stdin="größe\n".encode()) == "GRÖSSE\n".encode()


@pytest.mark.slow
def test_everything_but_the_server_can_be_imported() -> None:
    done = subprocess.run([sys.executable, "-c", IMPORTS], capture_output=True, env=environment())
    assert (done.returncode, done.stderr.decode()) == (0, "")


@pytest.mark.slow
def test_a_model_is_trained_resumed_and_translates(toy: Path) -> None:
    (toy / "toy.yaml").write_text(write_yaml(in_float32(toy_content(toy / "text", tokens_per_batch="auto"))))
    windows("train", "toy.yaml", "--out", "run", "--device", "cpu", "--quiet")
    windows("train", "toy.yaml", "--out", "run", "--device", "cpu", "--resume", "--set", "training.updates=18")
    names = {path.name for path in (toy / "run").iterdir()}
    assert "result.json" in names and "lock" not in names
    assert not [path for path in (*toy.rglob("*.json*"), *toy.rglob("*.txt")) if b"\r" in path.read_bytes()]

    text = b"".join(b"%s\n" % line for line in (toy / "text" / "dev.ab").read_bytes().split())
    (toy / "text.ab").write_bytes(text)
    command = ["translate", "run", "--device", "cpu", "--quiet"]
    translations = windows(*command, "--processes", 1, stdin=toy / "text.ab")
    assert translations.count(b"\n") == text.count(b"\n") and b"\r" not in translations
    for stdin in (toy / "text.ab", text):
        assert windows(*command, "--processes", 2, stdin=stdin) == translations
    windows(*command, "--input", "text.ab", "--shard", "all/2", "--out", "parts")
    assert windows("merge-shards", "parts") == translations
    assert not list((toy / "parts").glob("*.lock"))


@pytest.mark.slow
def test_a_run_is_exported_once_and_again(tiny_run: Path, tmp_path: Path) -> None:
    pytest.importorskip("ctranslate2")
    run = shutil.copytree(tiny_run, tmp_path / "run")
    command = ["translate", run, "--engine", "ctranslate2", "--device", "cpu"]
    translation = windows(*command, stdin=b"a book\n")
    (run / "exports" / "ctranslate2-float32" / "export.json").unlink()
    assert windows(*command, stdin=b"a book\n") == translation
