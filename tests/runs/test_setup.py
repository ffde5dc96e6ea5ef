"""What a training says when it is set up: what several processes see, and what resuming means."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from nmt_cli.errors import RunError
from nmt_cli.runs.folder import RunFolder
from nmt_cli.runs.setup import TrainingRun
from tests.conftest import Listener


def run_of(folder: Path, listener: Listener, updates_by_rank: list[int]) -> TrainingRun:
    """A run that so many processes train, which see the checkpoints of these updates."""
    processes: Any = SimpleNamespace(
        world_size=len(updates_by_rank), main_first=lambda read: read(), all_gather=lambda update: updates_by_rank
    )
    nothing: Any = None
    return TrainingRun(
        nothing, nothing, nothing, nothing, RunFolder(folder), torch.device("cpu"), "fp32", processes, listener
    )


def test_processes_that_see_different_checkpoints_are_refused(tiny_run: Path) -> None:
    trainer: Any = None
    with pytest.raises(RunError) as caught:
        run_of(tiny_run, Listener(), [30, 0])._find_checkpoint(trainer)
    assert str(caught.value) == (
        f"{tiny_run}: the processes see different checkpoints, of updates 30, 0: put the run on a disk that all "
        "machines share"
    )


@pytest.mark.parametrize(
    "batches, processes, said, warned",
    [
        (1, 3, ["keeping 1 batch per update, as the run was started, now over 3 processes"],
         "warning: 2 processes will have nothing to do: 1 would be as fast\n"),
        (2, 1, ["keeping 2 batches per update, as the run was started, now over 1 process"], ""),
        (2, 2, [], ""),
    ],
)  # fmt: skip
def test_what_resuming_with_other_processes_means_is_said(
    batches: int, processes: int, said: list[str], warned: str, tiny_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listener, restored = Listener(), []
    trainer: Any = SimpleNamespace(
        resume=restored.append,
        state=SimpleNamespace(batches_per_update=batches, update=30, stop_reason=None, computed_in=None),
        computes_in="fp32 on CPU, 2 threads",
        config=SimpleNamespace(gradient_accumulation=1, updates=4000),
    )
    checkpoint, _ = RunFolder(tiny_run).checkpoints.last()
    assert checkpoint is not None
    run_of(tiny_run, listener, [30] * processes)._resume(trainer, checkpoint)
    assert restored == [checkpoint]
    assert listener.said == [*said, "resuming at update 30 of 4,000"]
    assert capsys.readouterr().err == warned
