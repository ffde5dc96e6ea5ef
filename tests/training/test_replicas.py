"""Threads with replicas of a model compute the gradient of the whole batch."""

import gc
import threading
import time
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nmt_cli.commands.train import train
from nmt_cli.models import MODELS, transformer
from nmt_cli.models.dropout import Dropout, seed_masks
from nmt_cli.recipe.loader import build_recipe
from nmt_cli.reporting import Reporter
from nmt_cli.runs.loading import build_model
from nmt_cli.runs.preparation import prepare_recipe
from nmt_cli.training import batch_size, gradients, replicas, trainer
from nmt_cli.training.batch_size import find_batch_size
from nmt_cli.training.batches import BatchIterator
from nmt_cli.training.gradients import GradientAccumulator, interleave_rows
from nmt_cli.training.parameters import FlatParameters
from nmt_cli.training.replicas import ReplicaThreads, replica_count
from nmt_cli.training.state import TrainingState
from tests.conftest import toy_content, toy_recipe
from tests.training.killing import differences

pytestmark = pytest.mark.precision

QUIET = Reporter(quiet=True)
CPU = torch.device("cpu")


def accumulated(recipe: Any, dtype: torch.dtype, count: int, updates: int = 1) -> tuple[Tensor, Tensor]:
    """The gradient, and the loss, of the first updates with so many replicas."""
    data = prepare_recipe(recipe, QUIET).data
    torch.manual_seed(1)
    model = build_model(recipe, data.tokenizers.vocabulary).train()
    parameters = FlatParameters(model, dtype)
    accumulator = GradientAccumulator(model, parameters, device=CPU, seed=1, smoothing=0.1, replica_count=count)
    batches, losses = BatchIterator(data, 256, 1), []
    with accumulator.replica_threads:
        for update in range(1, updates + 1):
            losses.append(accumulator.accumulate_gradients(batches.next_micro_batches(), TrainingState(update=update)))
    return parameters.gradient.clone(), torch.stack([synced.loss for synced in losses])


@pytest.mark.parametrize("model", list(MODELS))
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_gradient_of_replicas_is_the_gradient_of_the_batch(model: str, dtype: torch.dtype, toy: Path) -> None:
    content = toy_content(toy / "text")
    content["model"] = MODELS[model].config_class.tiny_configs()[0].model_dump(mode="json")
    content["model"] |= {"dropout": 0.0} if "dropout" in content["model"] else {}
    recipe = build_recipe(content)
    alone, loss_alone = accumulated(recipe, dtype, 1)
    for count in (2, 3):
        shared, loss = accumulated(recipe, dtype, count)
        if dtype == torch.float32:
            torch.testing.assert_close(shared, alone, rtol=1e-4, atol=1e-6)
            torch.testing.assert_close(loss, loss_alone)
        assert float((shared - alone).norm() / alone.norm()) < 0.02


@pytest.mark.parametrize("model", ["transformer", "rnn"])
def test_threads_draw_the_same_masks_whichever_is_first(model: str, toy: Path) -> None:
    content = toy_content(toy / "text", model)
    content["model"]["dropout"] = 0.3
    recipe = build_recipe(content)
    first, again, other = (accumulated(recipe, torch.float32, count, updates=5) for count in (2, 2, 1))
    assert torch.equal(first[0], again[0]) and torch.equal(first[1], again[1])
    assert not torch.equal(first[1], other[1])


def test_one_threads_masks_are_no_matter_of_another() -> None:
    x, dropout, others = torch.ones(64, 64), Dropout(0.3), []
    seed_masks(1)
    mask = dropout(x)

    def draw() -> None:
        seed_masks(2)
        others.append(dropout(x))

    seed_masks(1)
    thread = threading.Thread(target=draw)
    thread.start()
    thread.join()
    assert torch.equal(dropout(x), mask) and not torch.equal(others[0], mask)


def test_replicas_share_weights_but_not_gradients() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 3))
    model[1].weight.data.copy_(model[0].weight.data.t())
    tied = nn.Linear(3, 4)
    tied.weight = model[0].weight
    model.append(tied)
    for dtype in (torch.float32, torch.bfloat16):
        parameters = FlatParameters(model, dtype)
        replica = parameters.replicate(model)
        assert replica[2].weight is replica[0].weight is not model[0].weight
        parameters.load_master(torch.arange(parameters.numel) / 8)
        for own, copy in zip(model.parameters(), replica.parameters(), strict=True):
            assert torch.equal(own, copy) and own.grad is not None and copy.grad is not None
            own.grad.fill_(1.0)
            copy.grad.fill_(2.0)
        parameters.accumulate_grad()
        assert bool((parameters.gradient == 3.0).all())
        parameters.accumulate_grad()
        assert bool((parameters.gradient == 3.0).all())  # added once
        parameters.zero_grad()
        parameters.accumulate_grad()
        assert not parameters.gradient.any()


def test_rows_are_dealt_and_padding_is_kept(toy: Path) -> None:
    batch = (
        BatchIterator(prepare_recipe(toy_recipe(toy / "text"), QUIET).data, 256, 1).next_micro_batches().batches[0][1]
    )
    rows = len(batch.source.ids)
    parts = interleave_rows(batch, 3)
    assert [len(part.source.ids) for part in parts] == [len(range(start, rows, 3)) for start in range(3)]
    for number, part in enumerate(parts):
        for dealt, padded in zip(part, batch, strict=True):
            assert (dealt.ids == padded.ids[number::3]).all() and (dealt.lengths == padded.lengths[number::3]).all()
    assert interleave_rows(batch, rows + 1) == [batch] == interleave_rows(batch, 1)


def test_an_error_waits_for_the_other_threads() -> None:
    threads = ReplicaThreads(nn.Linear(2, 2), FlatParameters(nn.Linear(2, 2), torch.float32))  # type: ignore[arg-type]
    threads.models = [nn.Linear(2, 2) for _ in range(3)]  # type: ignore[misc]
    failed, ended = threading.Event(), []

    def compute(model: Any, part: int) -> Tensor:
        if part == 1:
            failed.set()
            raise MemoryError(part)
        failed.wait()
        time.sleep(0.1 * part)
        ended.append(part)
        return torch.zeros(())

    with threads:
        with pytest.raises(MemoryError):
            threads.map(compute, [0, 1, 2])
        assert ended == [0, 2]


def test_of_several_errors_that_of_the_first_part_is_raised() -> None:
    threads = ReplicaThreads(nn.Linear(2, 2), FlatParameters(nn.Linear(2, 2), torch.float32))  # type: ignore[arg-type]
    threads.models = [nn.Linear(2, 2) for _ in range(3)]  # type: ignore[misc]
    last_failed = threading.Event()

    def compute(model: Any, part: int) -> Tensor:
        if part == 2:
            last_failed.set()
        last_failed.wait()
        if part > 0:
            raise MemoryError(f"part {part}")
        return torch.zeros(())

    with threads, pytest.raises(MemoryError, match="part 1"):
        threads.map(compute, [0, 1, 2])


@pytest.mark.parametrize("failing", [{0}, {1}, {0, 1}])
def test_want_of_memory_in_a_thread_splits_the_batch_and_frees_what_it_had(
    failing: set[int], toy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = toy_content(toy / "text")
    content["model"]["dropout"] = 0.0
    recipe = build_recipe(content)
    alone, _ = accumulated(recipe, torch.float32, 1)
    original, tried, held, models = gradients.forward_backward, [], [], []

    def backward(model: Any, source: Any, *rest: Any, **options: Any) -> Tensor:
        activations = torch.zeros(1)
        tried.append(source.ids.shape[0])
        assert len(tried) <= 2 or not any(reference() is not None for reference in held)
        loss = original(model, source, *rest, **options)
        if models.index(model) in failing and len(held) < len(failing):
            held.append(weakref.ref(activations))
            raise MemoryError
        return loss

    original_map = ReplicaThreads.map

    def remember_models(self: ReplicaThreads, compute: Any, parts: Any) -> list[Tensor]:
        models[:] = self.models
        return original_map(self, compute, parts)

    monkeypatch.setattr(gradients, "forward_backward", backward)
    monkeypatch.setattr(ReplicaThreads, "map", remember_models)
    gc.disable()
    try:
        split, _ = accumulated(recipe, torch.float32, 2)
    finally:
        gc.enable()
    assert len(held) == len(failing) and len(tried) >= 2 + 2 * 2 and max(tried[2:]) < max(tried[:2])
    torch.testing.assert_close(split, alone, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("dropout_class", [Dropout, nn.Dropout])
def test_a_model_that_draws_from_the_shared_generator_has_no_replicas(
    dropout_class: Any, toy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transformer, "Dropout", dropout_class)
    content = toy_content(toy / "text")
    content["model"]["dropout"] = 0.3
    recipe = build_recipe(content)
    data = prepare_recipe(recipe, QUIET).data
    model = build_model(recipe, data.tokenizers.vocabulary).train()
    for dtype in (torch.float32, torch.bfloat16):
        parameters = FlatParameters(model, dtype)
        accumulator = GradientAccumulator(model, parameters, device=CPU, seed=1, replica_count=2)
        batches = BatchIterator(data, 256, 1)
        with accumulator.replica_threads:
            accumulator.dry_run(batches.largest_batches(), TrainingState())
            assert len(accumulator.replica_threads.models) == (2 if dropout_class is Dropout else 1)
            accumulator.accumulate_gradients(batches.next_micro_batches(), TrainingState(update=1))
        assert parameters.gradient.any()


def test_auto_measures_batches_as_they_are_shared(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = toy_recipe(toy / "text")
    data = prepare_recipe(recipe, QUIET).data
    made: list[int] = []
    monkeypatch.setattr(batch_size, "replica_count", lambda *_: 2)
    original = replicas.ReplicaThreads.__init__

    def init(self: Any, model: Any, parameters: Any, count: int = 1) -> None:
        made.append(count)
        original(self, model, parameters, count)

    monkeypatch.setattr(replicas.ReplicaThreads, "__init__", init)
    model = build_model(recipe, data.tokenizers.vocabulary)
    for may_have_replicas in (True, False):
        tokens, needed, available = find_batch_size(
            model, data, device=CPU, dtype=torch.float32, seed=1, may_have_replicas=may_have_replicas
        )
        assert tokens >= 256 and needed is not None and needed < available
    assert made == [2, 1] and not any(thread.name.startswith("replica") for thread in threading.enumerate())


@pytest.mark.slow
def test_a_resumed_training_with_replicas_is_the_same(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer, "replica_count", lambda *_: 2)
    train(toy_recipe(toy / "text"), toy / "straight", QUIET)
    threads = {thread.name for thread in threading.enumerate()}
    assert not any(name.startswith("replica") for name in threads)
    train(toy_recipe(toy / "text", updates=6), toy / "broken", QUIET)
    train(toy_recipe(toy / "text"), toy / "broken", QUIET, resume=True)
    assert differences(toy / "straight", toy / "broken") == []
    monkeypatch.setattr(trainer, "replica_count", lambda *_: 1)
    train(toy_recipe(toy / "text"), toy / "alone", QUIET)
    assert "checkpoints/step-000012/model.safetensors" in " ".join(differences(toy / "straight", toy / "alone"))


def test_what_is_compiled_has_no_replicas(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    original = replicas.ReplicaThreads.__init__

    def init(self: Any, model: Any, parameters: Any, count: int = 1) -> None:
        made.append(count)
        original(self, model, parameters, count)

    monkeypatch.setattr(replicas.ReplicaThreads, "__init__", init)
    monkeypatch.setattr(trainer, "replica_count", lambda *_: 2)
    monkeypatch.setattr(trainer, "should_compile", lambda *_: True)
    monkeypatch.setattr(trainer.Trainer, "_dry_run", lambda _: None)
    train(toy_recipe(toy / "text", updates=1), toy / "run", QUIET)
    assert made == [1]


@pytest.mark.parametrize(
    ("threads", "parameter_count", "positions", "expected"),
    [
        (1, 10**8, 10**5, 1),
        (2, 921_040, 512, 1),  # quickstart
        (2, 2_400_000, 2048, 2),
        (2, 11_000_000, 4096, 2),
        (3, 11_000_000, 4096, 3),
        (4, 2_400_000, 2048, 1),
        (8, 11_000_000, 4096, 4),
        (16, 11_000_000, 4096, 2),
        (5, 10**8, 10**5, 4),
        (6, 10**8, 10**5, 3),
        (7, 10**8, 10**5, 3),
        (11, 10**8, 10**5, 3),
    ],
)
def test_replicas_need_work_enough_for_each_thread(
    threads: int, parameter_count: int, positions: int, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    assert replica_count(parameter_count, positions, CPU) == expected
    assert replica_count(parameter_count, positions, torch.device("cuda")) == 1
