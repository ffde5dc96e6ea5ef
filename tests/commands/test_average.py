"""nmt average: the mean of a run's last checkpoints, as a run of its own."""

import random
import shutil
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nmt_cli.commands import average as averaging
from nmt_cli.commands.average import average
from nmt_cli.errors import RunError
from nmt_cli.runs.folder import RunFolder
from nmt_cli.runs.loading import open_run
from nmt_cli.training.checkpoints import Checkpoint, NamedTensors, read_checkpoint
from tests.conftest import Call, examples


def weights(run: Path, update: int) -> NamedTensors:
    return next(
        checkpoint.tensors()
        for path in RunFolder(run).checkpoints.step_folders()
        if (checkpoint := read_checkpoint(path)).update == update
    )


@pytest.mark.parametrize("last, updates", [(None, [10, 20, 30]), (2, [20, 30]), (1, [30])])
def test_the_mean_of_the_last_checkpoints_is_what_is_translated_with(
    last: int | None, updates: list[int], tiny_run: Path, tmp_path: Path
) -> None:
    averaged = average(tiny_run, tmp_path / "mean", last)
    assert (averaged.folder, averaged.updates) == (tmp_path / "mean", updates)
    best = RunFolder(tmp_path / "mean").checkpoints.best()
    assert best.update == 30 and best.state["averaged"] == updates
    updates_weights = [weights(tiny_run, update) for update in updates]
    for name, value in best.tensors().items():
        torch.testing.assert_close(
            value, torch.stack([weights_at_update[name] for weights_at_update in updates_weights]).mean(0)
        )
    run = open_run(tmp_path / "mean", torch.device("cpu"), "fp32")
    assert run.recipe.name == "tiny" and run.update == 30


@dataclass(frozen=True)
class FakeCheckpoint:
    """Weights in memory."""

    weights_by_name: NamedTensors
    folder: Path = Path("step")

    def tensors(self) -> NamedTensors:
        return dict(self.weights_by_name)


NUMBERS = st.floats(-1e3, 1e3, width=32).filter(lambda x: x == 0 or abs(x) > 1e-3)


@given(
    rows=st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS), min_size=1, max_size=8), order=st.randoms(use_true_random=False)
)
@examples(200)
def test_the_mean_is_exact_and_does_not_depend_on_the_order(
    rows: list[tuple[float, float, float]], order: random.Random
) -> None:
    checkpoints = [FakeCheckpoint({"a": torch.tensor(row), "b": torch.tensor(row[:1])}) for row in rows]
    mean = averaging._average_weights(checkpoints)  # type: ignore[arg-type]
    exact = [float(sum(map(Fraction, column)) / len(rows)) for column in zip(*rows, strict=True)]
    torch.testing.assert_close(mean["a"], torch.tensor(exact), rtol=1e-6, atol=1e-30)
    assert mean["a"].dtype == torch.float32 and torch.equal(mean["b"], mean["a"][:1])
    order.shuffle(checkpoints)
    assert torch.equal(averaging._average_weights(checkpoints)["a"], mean["a"])  # type: ignore[arg-type]


def test_checkpoints_that_do_not_go_together_are_named() -> None:
    checkpoints = [FakeCheckpoint({"a": torch.ones(2)}), FakeCheckpoint({"a": torch.ones(1)})]
    with pytest.raises(RunError, match="step: its weights have other names or shapes than step"):
        averaging._average_weights(checkpoints)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["words.source.txt", "words.source.bloom"])
def test_the_list_of_words_goes_along(name: str, tiny_run: Path, tmp_path: Path) -> None:
    run = shutil.copytree(tiny_run, tmp_path / "run")
    (run / name).write_bytes(b"a\n")
    average(run, tmp_path / "mean")
    assert (tmp_path / "mean" / name).read_bytes() == b"a\n"


def test_the_averaged_run_is_left_as_it_was(tiny_run: Path, tmp_path: Path) -> None:
    before = sorted((path, path.stat().st_mtime_ns) for path in tiny_run.rglob("*"))
    average(tiny_run, tmp_path / "mean")
    assert sorted((path, path.stat().st_mtime_ns) for path in tiny_run.rglob("*")) == before


def test_what_cannot_be_averaged_is_named_and_nothing_is_written(tiny_run: Path, tmp_path: Path) -> None:
    out = tmp_path / "mean"
    with pytest.raises(RunError, match=r"tiny: has 3 checkpoints, not 4; training.average_checkpoints: N keeps"):
        average(tiny_run, out, 4)
    with pytest.raises(RunError, match=r"not a run folder: it has no recipe.yaml"):
        average(tmp_path, out)
    with pytest.raises(RunError, match=r"mean is inside the run that is averaged: choose another folder"):
        average(tiny_run, tiny_run / "mean")
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    (run / "checkpoints" / "step-000020" / "model.safetensors").write_bytes(b"x")
    with pytest.raises(RunError, match=r"step-000020: damaged checkpoint"):
        average(run, out)
    shutil.rmtree(run / "checkpoints")
    with pytest.raises(RunError, match="no checkpoint yet"):
        average(run, out)
    assert not out.exists()


def test_the_mean_of_one_checkpoint_is_warned_of(tiny_run: Path, tmp_path: Path, nmt: Call) -> None:
    for last, warns in ((1, True), (2, False)):
        code, _, err = nmt("average", tiny_run, "--out", tmp_path / str(last), "--last", last)
        assert code == 0 and ("warning: the mean of one checkpoint is that checkpoint" in err) == warns
    assert "mean of the checkpoints after updates" in err
    assert nmt("average", tiny_run, "--out", tmp_path / "quiet", "--quiet") == (0, "", "")


def test_a_run_that_has_only_its_best_weights_says_so(tiny_run: Path, tmp_path: Path) -> None:
    run = shutil.copytree(tiny_run, tmp_path / "run")
    for folder in RunFolder(run).checkpoints.step_folders():
        shutil.rmtree(folder)
    with pytest.raises(RunError, match="run: has no step checkpoints to average, only best-000010"):
        average(run, tmp_path / "mean")


def test_checkpoints_that_a_training_deletes_meanwhile_are_listed_again(
    tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = shutil.copytree(tiny_run, tmp_path / "run")
    checkpoints, original = RunFolder(run).checkpoints, averaging._average_weights

    def deleted_meanwhile(listed: list[Checkpoint]) -> NamedTensors:
        monkeypatch.setattr(averaging, "_average_weights", original)
        checkpoints.save(40, {"model": listed[0].tensors()}, {})
        checkpoints.prune(2)
        return original(listed)

    monkeypatch.setattr(averaging, "_average_weights", deleted_meanwhile)
    assert average(run, tmp_path / "mean").updates == [30, 40]


def test_a_folder_or_file_that_exists_is_not_written_to(tiny_run: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for out in (tmp_path, tmp_path / "file"):
        with pytest.raises(RunError, match="exists: choose another folder"):
            average(tiny_run, out)
    assert (tmp_path / "file").read_text() == "mine"
