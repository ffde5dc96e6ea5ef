"""Training with real processes: the same as with one, whatever happens to one of them."""

import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file

from nmt_cli.commands.train import train
from nmt_cli.recipe.loader import load_recipe
from nmt_cli.reporting import Reporter
from nmt_cli.runs.folder import RunFolder
from tests.conftest import in_float32, toy_content, write_syllables
from tests.margins import clear_lines
from tests.opening import open_translator

ROOT = Path(__file__).parent.parent.parent
QUIET = Reporter(quiet=True)
pytestmark = pytest.mark.slow
TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


class Workplace:
    """A folder with text, a recipe, and the run of two processes that nothing happened to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        write_syllables(folder / "text", {"train": 300, "dev": 20, "test": 20})
        content = toy_content(
            folder / "text", updates=36, validate_every=12, log_every=1, warmup_updates=4,
            ema_decay=0.9,
        )  # fmt: skip
        content["search"] |= {"repair_degenerate": False}
        (folder / "toy.yaml").write_text(yaml.safe_dump(in_float32(content)))

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Python with these arguments, in the folder."""
        clean = {k: v for k, v in os.environ.items() if not k.startswith("TORCHELASTIC")}
        environment = {**clean, "PYTHONPATH": str(ROOT), "COLUMNS": "200", "OMP_NUM_THREADS": "1"}
        return subprocess.Popen(
            [sys.executable, *arguments], cwd=self.folder, env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def finish(self, process: "subprocess.Popen[str]") -> tuple[int, str]:
        """Its exit code and what it said on standard error."""
        _, said = process.communicate(timeout=300)
        return process.returncode, said

    def weights(self, run: str) -> dict[str, torch.Tensor]:
        newest = RunFolder(self.folder / run).checkpoints.step_folders()[-1]
        assert newest.name == "step-000036"
        return load_file(newest / "model.safetensors")

    def records(self, run: str, event: str = "train") -> list[dict[str, Any]]:
        lines = (self.folder / run / "log.jsonl").read_text().splitlines()
        return [record for line in lines if (record := json.loads(line))["event"] == event]

    def await_checkpoint(self, run: str, name: str, process: "subprocess.Popen[str]") -> None:
        path = self.folder / run / "checkpoints" / name
        while not path.exists():
            assert process.poll() is None, process.communicate()
            time.sleep(0.005)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    """With the run `two`, made by torchrun."""
    place = Workplace(tmp_path_factory.mktemp("together"))
    process = place.start(*TORCHRUN, "-m", "nmt_cli", "train", "toy.yaml", "--out", "two")
    code, said = place.finish(process)
    assert code == 0, said
    (place.folder / "said.txt").write_text(said)
    yield place


def assert_same_losses(single: list[dict[str, Any]], other: list[dict[str, Any]]) -> None:
    """Up to the order in which float32 numbers are added up.

    A loss is a sum over tokens and vocabulary (256 x 60), whose roundings, each 2^-24, grow with
    the root of their number; so do those of the gradients, and each update adds its own.
    """
    assert [record["update"] for record in single] == [record["update"] for record in other]
    for first, second in zip(single, other, strict=True):
        rounding = 2**-24 * math.sqrt(256 * 60) * (first["update"] + 1)
        assert first["loss"] == pytest.approx(second["loss"], rel=rounding)


def test_two_processes_train_as_one_that_accumulates_two_batches(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place.folder)
    train(load_recipe("toy.yaml", ["training.gradient_accumulation=2"]), Path("one"), QUIET)
    single, two = place.records("one"), place.records("two")
    assert len(single) == 36 and single[0]["loss"] - single[-1]["loss"] > 0.1  # there was something to learn
    assert_same_losses(single, two)
    assert_same_losses(place.records("one", "validation"), place.records("two", "validation"))
    results = [json.loads((Path(run) / "result.json").read_text()) for run in ("one", "two")]
    assert [result["processes"] for result in results] == [1, 2]


def test_two_processes_translate_the_test_text_as_one_does(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place.folder)
    source, written = (Path(f"two/test.{name}.txt").read_text().splitlines() for name in ("source", "hypotheses"))
    alone = open_translator([Path("two")], [], "cpu")
    texts = [translation.text for translation in alone.translate(source)]
    assert len(written) == 20 and len(set(texts)) > 1
    for sure, text, line in zip(clear_lines(alone, source), texts, written, strict=True):
        assert not sure or text == line


def test_only_rank_0_speaks_and_idle_time_is_logged(place: Workplace) -> None:
    said = (place.folder / "said.txt").read_text()
    assert said.count("parameters, fp32 on CPU") == 1
    assert said.count("test BLEU = ") == 1 and said.count("36 updates · ") == 1
    assert re.search(r"two: done in 0\.\d minutes of training, \d+\.\d% of it idle\n", said)
    for record in place.records("two"):
        assert 0 <= record["idle"] <= 1 and 0 <= record["exchange"] <= 1
    assert "idle" not in place.records("one")[0]


def workers(launcher: int) -> dict[int, int]:
    """Process ids of a launcher's workers by rank, as Linux tells them."""
    pids_by_rank = {}
    for child in Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split():
        environment = Path(f"/proc/{child}/environ").read_bytes().decode().split("\0")
        ranks = [line[5:] for line in environment if line.startswith("RANK=")]
        pids_by_rank |= {int(rank): int(child) for rank in ranks}
    return pids_by_rank


def test_a_killed_worker_costs_nothing_but_time(place: Workplace) -> None:
    process = place.start("-m", "nmt_cli", "train", "toy.yaml", "--out", "killed", "--processes", "2")
    place.await_checkpoint("killed", "step-000012", process)
    os.kill(workers(process.pid)[1], signal.SIGKILL)
    code, said = place.finish(process)
    assert code == 0, said
    assert "warning: rank 1 was killed by SIGKILL; restarting from the last checkpoint" in said
    assert re.search(r"nmt: rank 0 of 2: lost another process (after update|at the start)", said)
    assert re.search(r"resuming at update (12|24) of 36", said) and "Traceback" not in said
    expected, resumed = place.weights("two"), place.weights("killed")
    assert all(torch.equal(expected[name], resumed[name]) for name in expected)


def test_a_stuck_rank_ends_all_with_their_stacks_and_torchrun_goes_on(place: Workplace) -> None:
    script = str(ROOT / "tests/commands/stuck_worker.py")
    arguments = ["train", "toy.yaml", "--out", "stuck", "--resume"]
    arguments += ["--set", "training.timeout_minutes=0.1"]
    code, said = place.finish(place.start(*TORCHRUN, "--max-restarts", "1", script, *arguments))
    assert code == 0, said
    for rank in (0, 1):
        assert (
            f"nmt: rank {rank} of 2: no progress for 6 s after update 12 (training.timeout_minutes); its stacks:"
        ) in said
    assert "in sleeping" in said and "in all_reduce" in said
    assert "resuming at update 12 of 36" in said
    expected, resumed = place.weights("two"), place.weights("stuck")
    assert all(torch.equal(expected[name], resumed[name]) for name in expected)


def test_a_signal_saves_once_and_one_process_can_go_on(
    place: Workplace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    process = place.start("-m", "nmt_cli", "train", "toy.yaml", "--out", "stopped", "--processes", "2")
    place.await_checkpoint("stopped", "step-000012", process)
    process.send_signal(signal.SIGTERM)
    code, said = place.finish(process)
    assert code == 143 and "Traceback" not in said
    stopped = re.search(r"nmt: stopped by SIGTERM at update (\d+); saved\. Resume with: (.*)\n", said)
    assert stopped and stopped[2] == "nmt train toy.yaml --out stopped --processes 2 --resume"
    update = int(stopped[1])
    assert RunFolder(place.folder / "stopped").checkpoints.step_folders()[-1].name == f"step-{update:06d}"
    monkeypatch.chdir(place.folder)
    train(load_recipe("toy.yaml"), Path("stopped"), Reporter(), resume=True)
    said = capsys.readouterr().err
    assert "keeping 2 batches per update, as the run was started, now over 1 process" in said
    after = [record for record in place.records("stopped") if record["update"] > update]
    assert_same_losses(after, place.records("two")[update:])


def test_a_mistake_is_said_once_and_ends_all(place: Workplace) -> None:
    process = place.start("-m", "nmt_cli", "train", "toy.yaml", "--out", "two", "--processes", "2")
    code, said = place.finish(process)
    assert code == 2
    assert said == "nmt: two exists: continue with --resume, or choose another --out DIR\n"
