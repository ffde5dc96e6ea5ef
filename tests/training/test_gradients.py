"""A batch that does not fit into memory is taken in parts, to the same gradient."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nmt_cli.commands.train import train
from nmt_cli.errors import DeviceError
from nmt_cli.models import MODELS
from nmt_cli.recipe.loader import build_recipe
from nmt_cli.reporting import Reporter
from nmt_cli.runs.loading import build_model
from nmt_cli.runs.preparation import prepare_recipe
from nmt_cli.training import gradients
from nmt_cli.training.all_reduce import SyncedStep
from nmt_cli.training.batches import BatchIterator, RankBatches
from nmt_cli.training.gradients import GradientAccumulator, padded_positions, split_batch
from nmt_cli.training.parameters import FlatParameters
from nmt_cli.training.state import TrainingState
from tests.conftest import log_records, toy_content, toy_recipe
from tests.training.killing import differences

pytestmark = pytest.mark.precision

QUIET = Reporter(quiet=True)


def run_out_above(monkeypatch: pytest.MonkeyPatch, limit: int, error: BaseException) -> list[int]:
    """Let memory run out for more than `limit` positions, in the middle of the work; returns the
    sizes that were tried."""
    original = gradients.forward_backward
    tried: list[int] = []

    def backward(model: Any, source: Any, target_in: Any, *rest: Any, **options: Any) -> Any:
        tried.append(source.ids.numel() + target_in.ids.numel())
        loss = original(model, source, target_in, *rest, **options)
        if tried[-1] > limit:
            raise error
        return loss

    monkeypatch.setattr(gradients, "forward_backward", backward)
    return tried


ERRORS = [
    RuntimeError("[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't "
                 "allocate memory: you tried to allocate 4 bytes. Error code 12"),
    RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 4 bytes."),
    RuntimeError("std::bad_alloc"),
    RuntimeError("could not create a memory object"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    MemoryError(),
]  # fmt: skip


@pytest.mark.parametrize("model", list(MODELS))
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_gradient_of_the_parts_is_the_gradient_of_the_batch(
    model: str, dtype: torch.dtype, toy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = toy_content(toy / "text")
    content["model"] = MODELS[model].config_class.tiny_configs()[0].model_dump(mode="json")
    content["model"] |= {"dropout": 0.0} if "dropout" in content["model"] else {}
    recipe = build_recipe(content)
    data = prepare_recipe(recipe, QUIET).data
    feed = BatchIterator(data, 256, 1)
    one_batch, other = feed.next_micro_batches(), feed.next_micro_batches()
    batches = [(0, one_batch.batches[0][1]), (1, other.batches[0][1])]
    share = RankBatches(batches, one_batch.update_tokens + other.update_tokens, ())
    gradients_and_losses = []
    for limit in (None, 100):
        network = build_model(recipe, data.tokenizers.vocabulary).train()
        weights = FlatParameters(network, dtype)
        accumulator = GradientAccumulator(network, weights, device=torch.device("cpu"), seed=1, smoothing=0.1)
        with monkeypatch.context() as patched:
            if limit:
                tried = run_out_above(patched, limit, ERRORS[0])
            state = TrainingState(update=1)
            loss = accumulator.accumulate_gradients(share, state).loss
        gradients_and_losses.append((weights.gradient.clone(), loss))
    assert state.max_micro_batch_positions is not None and state.max_micro_batch_positions <= max(tried) // 2
    for whole, split in zip(*gradients_and_losses, strict=True):
        if dtype == torch.float32:
            torch.testing.assert_close(whole, split, rtol=1e-4, atol=1e-6)
        assert float((whole - split).norm() / whole.norm()) < 0.02


def test_a_shortage_in_another_process_makes_all_take_smaller_parts(toy: Path) -> None:
    """The sum that was exchanged is dropped: it lacks the other one's share."""
    recipe = toy_recipe(toy / "text")
    data = prepare_recipe(recipe, QUIET).data
    network = build_model(recipe, data.tokenizers.vocabulary).train()
    weights = FlatParameters(network, torch.float32)
    splits: list[tuple[int, int]] = []
    heard = [300, 120, 0]

    def exchange(loss: torch.Tensor, shortage: int) -> SyncedStep:
        weights.gradient.add_(1000.0)  # the other one's gradient
        assert shortage == 0
        return SyncedStep(loss, heard.pop(0))

    accumulator = GradientAccumulator(
        network, weights, device=torch.device("cpu"), seed=1, all_reduce=exchange,
        on_split=lambda largest, part: splits.append((largest, part)),
    )  # fmt: skip
    state = TrainingState(update=1)
    accumulator.accumulate_gradients(BatchIterator(data, 256, 1).next_micro_batches(), state)
    assert splits == [(300, 150), (120, 60)] and state.max_micro_batch_positions == 60
    assert float((weights.gradient - 1000.0).norm()) < 100.0
    heard[:] = [-70]
    with pytest.raises(DeviceError, match="not enough memory for one pair of 70 positions"):
        accumulator.accumulate_gradients(BatchIterator(data, 256, 1).next_micro_batches(), state)


def test_parts_are_all_rows_without_their_padding(toy: Path) -> None:
    feed = BatchIterator(prepare_recipe(toy_recipe(toy / "text"), QUIET).data, 256, 1)
    batch = feed.next_micro_batches().batches[0][1]
    assert split_batch(batch, None) == [batch] and split_batch(batch, padded_positions(batch)) == [batch]
    for limit in (1, 40, 100, padded_positions(batch) - 1):
        cut = split_batch(batch, limit)
        assert all(
            padded_positions(micro_batch) <= max(limit, 20) or len(micro_batch.source.ids) == 1 for micro_batch in cut
        )
        for side in range(3):
            rows = [row[:n].tolist() for micro_batch in cut for row, n in zip(*micro_batch[side], strict=True)]
            assert rows == [row[:n].tolist() for row, n in zip(*batch[side], strict=True)]
            assert all(micro_batch[side].ids.shape[1] == micro_batch[side].lengths.max() for micro_batch in cut)
    assert [len(micro_batch.source.ids) for micro_batch in split_batch(batch, 1)] == [1] * len(batch.source.ids)


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(one, id=str(one)[:30], marks=pytest.mark.slow if number > 1 else [])
        for number, one in enumerate(ERRORS)
    ],
)
def test_a_run_whose_memory_runs_out_goes_on_in_parts_and_says_so_once(
    error: BaseException, toy: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    recipe = toy_recipe(toy / "text", gradient_accumulation=2, updates=6)
    prepare_recipe(recipe, QUIET)
    capsys.readouterr()
    tried = run_out_above(monkeypatch, 130, error)
    result = train(recipe, toy / "run", QUIET)
    said = " ".join(capsys.readouterr().err.split())
    assert said.count("warning") == 1 and said.startswith("warning: not enough memory for a batch")
    assert said.endswith(
        "positions: such batches are split and their gradients summed; training.tokens_per_batch makes them smaller"
    )
    assert result.state.max_micro_batch_positions is not None and max(tried[3:]) <= max(
        130, result.state.max_micro_batch_positions * 2
    )
    split = log_records(toy / "run", "split")
    assert split[-1]["part"] == result.state.max_micro_batch_positions and split[0]["update"] == 0  # in the rehearsal
    assert all(record["peak_rss_mib"] > 10 for record in log_records(toy / "run", "train"))
    assert json.loads((toy / "run" / "result.json").read_text())["peak_rss_mib"] > 10


@pytest.mark.slow
def test_a_stopped_run_goes_on_with_the_same_parts(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        run_out_above(patched, 130, MemoryError())
        train(toy_recipe(toy / "text"), toy / "straight", QUIET)
        train(toy_recipe(toy / "text", updates=6), toy / "broken", QUIET)
    train(toy_recipe(toy / "text"), toy / "broken", QUIET, resume=True)  # where memory is enough
    odd = differences(toy / "straight", toy / "broken")
    assert odd == ["log.jsonl"] or odd == []


def test_one_pair_that_does_not_fit_is_one_line_before_the_first_update(
    toy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_out_above(monkeypatch, 1, MemoryError())
    with pytest.raises(DeviceError, match=r"^not enough memory for one pair of \d+ positions: low"):
        train(toy_recipe(toy / "text"), toy / "run", QUIET)
    assert not list((toy / "run" / "checkpoints").iterdir())


def test_other_errors_are_not_taken_for_want_of_memory(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_out_above(monkeypatch, 1, RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        train(toy_recipe(toy / "text"), toy / "run", QUIET)


@pytest.mark.slow
def test_the_rehearsal_takes_the_largest_batches_and_changes_nothing(
    toy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = run_out_above(monkeypatch, 10**9, MemoryError())
    train(toy_recipe(toy / "text", updates=20), toy / "run", QUIET)
    data = prepare_recipe(toy_recipe(toy / "text"), QUIET).data
    feed = BatchIterator(data, 256, 1)
    sizes = [padded_positions(feed.next_micro_batches().batches[0][1]) for _ in feed.epoch_schedule().batches]
    assert tried[0] == max(sizes) or tried[1] == max(sizes)
    monkeypatch.undo()
    monkeypatch.chdir(toy)
    monkeypatch.setattr(GradientAccumulator, "dry_run", lambda *_: None)
    train(toy_recipe(toy / "text", updates=20), toy / "unrehearsed", QUIET)
    assert differences(toy / "run", toy / "unrehearsed") == []
    assert np.isfinite(tried).all()
