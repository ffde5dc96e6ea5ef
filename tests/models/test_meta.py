"""What a GPU would do, without one: on the meta device nothing can be read back, nor tensors of two devices mixed.

What fails here would fail on a GPU, or make it wait.

Where an update waits: for the losses of every ten updates (LossMonitor.check), the log, validations and checkpoints.
Where a search waits: in `to_host`, once per step, once for the ids of the source where the options need them
(repeated n-grams, sampling, models that emit all at once), and once for what was sampled. Attention weights and
coverage penalties are read after the search. Nothing else waits.
"""

import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils import _foreach_utils

from nmt_cli.data.batching import Batch, PaddedSequences
from nmt_cli.decoding import beam, ctc_beam, host, sampling
from nmt_cli.decoding.config import SearchConfig
from nmt_cli.decoding.ensemble import Ensemble
from nmt_cli.models.contract import Autoregressive, ModelConfig, NonAutoregressive, Sequences, TranslationModel
from nmt_cli.training.batches import BatchIndex, RankBatches
from nmt_cli.training.gradients import GradientAccumulator
from nmt_cli.training.loss_monitor import LossMonitor
from nmt_cli.training.metrics import TrainMetrics
from nmt_cli.training.optimizer import FlatOptimizer
from nmt_cli.training.parameters import FlatParameters
from nmt_cli.training.state import TrainingState
from tests.models.conftest import build, every_configuration, one_of_each

META = torch.device("meta")
STEPS = 5
# The operations are written in Python there: an update takes a third of a second.
autoregressive = pytest.mark.parametrize("name, config", one_of_each(every_configuration(Autoregressive)))
non_autoregressive = pytest.mark.parametrize("name, config", one_of_each(every_configuration(NonAutoregressive)))
every_model = pytest.mark.parametrize("name, config", one_of_each(every_configuration(TranslationModel)))


def padded(lengths: list[int], width: int) -> PaddedSequences:
    return PaddedSequences(np.full((len(lengths), width), 5), np.array(lengths))


def source() -> Sequences:
    return Sequences.from_numpy(*padded([5, 2, 7, 1], 7), META)


def on_meta(name: str, config: ModelConfig) -> Any:
    return build(name, config).to(META)


@pytest.fixture
def fused_adam_on_meta(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch's list of devices with a fused optimizer does not name it, though the operation is there."""
    devices = [*_foreach_utils._get_fused_kernels_supported_devices(), "meta"]
    optimizers = sys.modules["torch.optim.optimizer"]  # torch.optim hides it behind the class
    monkeypatch.setattr(optimizers, "_get_fused_kernels_supported_devices", lambda: devices)


@pytest.fixture
def ctc_loss_on_meta(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch has none there; on a GPU it waits for lengths that are not on the CPU."""

    def ctc_loss(log_probs: Tensor, targets: Tensor, outputs: Tensor, lengths: Tensor, *_: Any, **__: Any) -> Tensor:
        assert outputs.device.type == lengths.device.type == "cpu"
        assert log_probs.device == targets.device == META
        return log_probs.sum()

    monkeypatch.setattr(functional, "ctc_loss", ctc_loss)


@every_model
@pytest.mark.parametrize("is_padded", [True, pytest.param(False, marks=pytest.mark.slow)])
@pytest.mark.usefixtures("fused_adam_on_meta", "ctc_loss_on_meta")
def test_an_update_reads_nothing_back(name: str, config: ModelConfig, is_padded: bool) -> None:
    model = on_meta(name, config.model_copy(update={"dropout": 0.1})).train()
    parameters = FlatParameters(model, torch.bfloat16 if is_padded else torch.float32)
    gradients = GradientAccumulator(model, parameters, device=META, seed=1, smoothing=0.1)
    optimizer = FlatOptimizer(parameters, "adamw", (0.9, 0.98), 1e-9, 0.01)
    monitor = LossMonitor(warmup_updates=4, vocabulary_size=23, clips_gradients=True, device=META)
    metrics, state = TrainMetrics.from_record({}, META), TrainingState()
    lengths = ([5, 2, 7, 1], [4, 6, 1, 3]) if is_padded else ([7] * 4, [6] * 4)
    batch = Batch(padded(lengths[0], 7), padded(lengths[1], 6), padded(lengths[1], 6))
    synced = gradients.accumulate_gradients(RankBatches([(0, batch)], 28, ()), state)
    norm = optimizer.step(1e-3, 1.0)
    monitor.record(state.update, (BatchIndex(0, 0),), synced.loss / 28, norm)
    metrics.add(synced, 28, 1.0)
    assert synced.loss.device == META
    assert all(parameter.device == META and parameter.grad is not None for parameter in model.parameters())


@autoregressive
@pytest.mark.parametrize("beam_size", [1, 3])
@torch.inference_mode()
def test_a_step_reads_nothing_back(name: str, config: ModelConfig, beam_size: int) -> None:
    model = on_meta(name, config)
    state = model.init_state(source(), beam_size, STEPS)
    sentences = 4
    for step in range(STEPS):
        tokens = torch.full((sentences * beam_size,), 5, device=META)
        logits, state = model.decode_step(tokens, state)
        assert logits.device == META and logits.shape == (sentences * beam_size, 23)
        state.reorder(torch.zeros((sentences, beam_size), dtype=torch.long, device=META))
        if step in (1, 3):
            kept = torch.tensor([0, 3, 2] if step == 1 else [2, 1])
            state.select(kept)
            sentences = len(kept)


class HostReads:
    """Stands for `to_host`: counts its calls, and makes up what cannot be read.

    The first sentence ends at the fourth.
    """

    def __init__(self) -> None:
        self.count, self.integer = 0, 0

    def __call__(self, *tensors: Tensor) -> list[Any]:
        self.count += 1
        assert all(tensor.device == META for tensor in tensors)
        arrays = [self._make_up(tensor) for tensor in tensors]
        for array in arrays:
            if array.dtype == bool:
                array[:1] = self.count == 4
        return arrays

    def _make_up(self, tensor: Tensor) -> Any:
        values: dict[torch.dtype, Any] = {
            torch.float32: np.float32(-1.0),
            torch.int64: np.int64(self.integer),
            torch.bool: np.False_,
        }
        return np.full(tuple(tensor.shape), values[tensor.dtype])


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Iterator[HostReads]:
    counter = HostReads()
    for module in (host, beam, sampling, ctc_beam):
        monkeypatch.setattr(module, "to_host", counter)
    yield counter


def count_steps(model: Any, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A list with an entry for every step of the model from now on."""
    steps: list[int] = []
    original: Callable[..., Any] = model.decode_step

    def record(tokens: Tensor, state: Any) -> Any:
        steps.append(len(tokens))
        return original(tokens, state)

    monkeypatch.setattr(model, "decode_step", record)
    return steps


BEAM: dict[str, Any] = {"max_length": STEPS}
OPTIONS = [
    pytest.param(BEAM | {"beam": 1}, None, 0, id="greedy"),
    pytest.param(BEAM | {"beam": 3, "n_best": 2, "patience": 1.0}, None, 0, id="beam"),
    pytest.param(
        BEAM | {"beam": 3, "no_repeat_ngram": 2, "min_length": 2}, [[5, 6], [], [7], []], 1, id="beam-constraints"
    ),
    pytest.param(BEAM | {"sampling": True, "n_best": 2, "top_k": 4, "top_p": 0.9}, None, 2, id="sampling"),
]


@autoregressive
@pytest.mark.parametrize("options, prefixes, extra", OPTIONS)
def test_a_search_reads_the_device_once_per_step(
    name: str,
    config: ModelConfig,
    options: dict[str, Any],
    prefixes: list[list[int]] | None,
    extra: int,
    reads: HostReads,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = on_meta(name, config)
    steps = count_steps(model, monkeypatch)
    beam.search(model, source(), SearchConfig(**options), prefixes)
    assert 0 < len(steps) <= STEPS + 1 and len(steps) <= reads.count <= len(steps) + extra


def test_an_ensemble_reads_the_device_once_per_step(reads: HostReads, monkeypatch: pytest.MonkeyPatch) -> None:
    cases = [case.values for case in every_configuration(Autoregressive) if case.values[1].tied_embeddings == "all"]
    cases = [next(case for case in cases if case[0] == name) for name in dict(cases)]  # type: ignore[arg-type]
    model = Ensemble([on_meta(name, config) for name, config in cases])  # type: ignore[arg-type]
    steps = count_steps(model, monkeypatch)
    beam.search(model, source(), SearchConfig(beam=3, max_length=STEPS))
    assert len({name for name, _ in cases}) > 1 and reads.count == len(steps) == STEPS + 1


@non_autoregressive
@pytest.mark.parametrize("beam_size", [1, 3])
def test_a_search_of_all_positions_at_once_reads_each_chunk_once(
    name: str, config: ModelConfig, beam_size: int, reads: HostReads
) -> None:
    reads.integer = 1  # ids and lengths
    beam.search(on_meta(name, config), source(), SearchConfig(beam=beam_size))
    assert reads.count == 3  # ids, output lengths, log-probabilities


def test_several_tensors_come_back_in_one_transfer(monkeypatch: pytest.MonkeyPatch) -> None:
    """As from another device: packed, and exact."""
    tensors = [
        torch.tensor([[1.5, -torch.inf], [1e-30, torch.nan]]),
        torch.tensor([7, 2**31 - 1]),
        torch.tensor([True]),
    ]
    packed = torch.cat([host._as_int32(tensor).flatten() for tensor in tensors]).numpy()
    parts = np.split(packed, [4, 6])
    for part, tensor in zip(parts, tensors, strict=True):
        restored = torch.from_numpy(host._from_int32(part, tensor).copy())
        assert restored.dtype == tensor.dtype and torch.equal(restored.nan_to_num(0.25), tensor.nan_to_num(0.25))
    assert all(
        np.array_equal(a, t.numpy(), equal_nan=True) for a, t in zip(host.to_host(*tensors), tensors, strict=True)
    )
