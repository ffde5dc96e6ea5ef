"""ONNX: an encoder and one step of the decoder as graphs, for all models.

The graphs are traced by PyTorch's older exporter. The newer one (`dynamo=True`) refuses packed
sequences, which recurrent encoders read, and takes many times as long; see docs/decisions.md.
"""

import copy
import json
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nmt_cli.data.prepared.store import Tokenizers
from nmt_cli.decoding.config import SearchConfig
from nmt_cli.decoding.engine import Engine
from nmt_cli.device import find_device
from nmt_cli.export.onnx_graphs import (
    DecodeStepGraph,
    InitStateGraph,
    NonAutoregressiveGraph,
    flatten_state,
    make_traceable,
)
from nmt_cli.models.contract import Autoregressive, ModelConfig, NonAutoregressive, Sequences, TranslationModel

PACKAGES: tuple[str, ...] = ("onnx", "onnxruntime")
QUANTIZATIONS: tuple[str, ...] = ("float32",)
OPSET = 17
MIN_POSITIONS = 1024  # rows of tables of positions, where search asks for no more
FORMAT_VERSION = 1
ENCODER_FILE, DECODER_STEP_FILE, MODEL_FILE = "encoder.onnx", "decoder_step.onnx", "model.onnx"


def incompatibilities(config: ModelConfig, search: SearchConfig, joint: bool) -> list[str]:
    """See `Format.problems`: every model fits, but its attention stays inside the graphs."""
    if search.coverage_penalty:
        return ["search.coverage_penalty: the graphs do not give attention: set it to 0"]
    return []


def export_model(
    model: TranslationModel[Any], tokenizers: Tokenizers, search: SearchConfig, folder: Path, quantization: str
) -> None:
    """See `Format.write`: graphs, and a config.json that names what goes in and out."""
    assert quantization == "float32"
    max_positions = _max_positions(model, search)
    model = copy.deepcopy(model).eval()
    make_traceable(model, max_positions)
    special_tokens = {name: getattr(model.vocabulary, name) for name in ("pad", "unknown", "start", "end")}
    config: dict[str, Any] = {
        "format": FORMAT_VERSION,
        "model": model.config.type,
        "special_tokens": special_tokens,
        "source_size": model.vocabulary.source_size,
        "target_size": model.vocabulary.target_size,
        "longest_source": max_positions,
        "longest_target": max_positions,
        "beam": search.beam,
    }
    with torch.no_grad():
        if isinstance(model, NonAutoregressive):
            config |= {"blank": model.blank_id, **_write_non_autoregressive(model, folder)}
        else:
            assert isinstance(model, Autoregressive)
            config |= {"first_token": model.decoder_start_id, **_write_autoregressive(model, folder)}
    text = json.dumps(config, indent=2) + "\n"
    (folder / "config.json").write_text(text, encoding="utf-8")


def load_engine(folder: Path, device: str, quantization: str) -> Engine:
    """See `Format.engine`."""
    from nmt_cli.export.onnx_engine import OnnxEngine

    return OnnxEngine(folder, find_device(device))


def _max_positions(model: TranslationModel[Any], search: SearchConfig) -> int:
    """Tokens that a side may have, end of sentence included."""
    if model.max_source_positions is not None:
        return model.max_source_positions
    source_length = search.max_source_length
    return max(MIN_POSITIONS, source_length + 1, search.max_target_length(source_length) + 1)


def _example_batch(vocabulary_size: int) -> Sequences:
    """Three sentences of different lengths; a graph does not depend on which."""
    lengths = torch.tensor([5, 2, 4])
    return Sequences(torch.arange(15).view(3, 5) % vocabulary_size, lengths)


def _write_non_autoregressive(model: NonAutoregressive[Any], folder: Path) -> dict[str, Any]:
    source, outputs = _example_batch(model.vocabulary.source_size), ["logits", "emitted"]
    axes = {"logits": {0: "batch", 1: "emitted"}, "emitted": {0: "batch"}}
    inputs = ["source", "lengths"]
    _trace(
        NonAutoregressiveGraph(model),
        (source.ids, source.lengths),
        folder / MODEL_FILE,
        inputs,
        outputs,
        axes | _source_axes(),
    )
    return {"whole": {"file": MODEL_FILE, "inputs": inputs, "outputs": outputs}}


def _write_autoregressive(model: Autoregressive[Any, Any], folder: Path) -> dict[str, Any]:
    source = _example_batch(model.vocabulary.source_size)
    init_graph = InitStateGraph(model)
    tensors = init_graph(source.ids, source.lengths)
    state_names, inputs = init_graph.names, ["source", "lengths"]
    axes = {name: _dynamic_axes(name, value) for name, value in zip(state_names, tensors, strict=True)}
    _trace(init_graph, (source.ids, source.lengths), folder / ENCODER_FILE, inputs, state_names, axes | _source_axes())
    state_tensors = flatten_state(model, model.init_state(source, 1, 0))
    memory, state = list(state_tensors.memory), list(state_tensors.state)
    next_state = [f"next.{name}" for name in state]
    step_axes = axes | {f"next.{name}": axes[name] for name in state}
    step_axes |= {"tokens": {0: "batch"}, "logits": {0: "batch"}}
    tokens = torch.full((3,), model.decoder_start_id)
    arguments = (tokens, *_tensors_after_step(model, state_tensors, tokens, tensors))
    inputs, outputs = ["tokens", *memory, *state], ["logits", *next_state]
    _trace(DecodeStepGraph(model, state_tensors), arguments, folder / DECODER_STEP_FILE, inputs, outputs, step_axes)
    return {
        "encoder": {"file": ENCODER_FILE, "inputs": ["source", "lengths"], "outputs": state_names},
        "decoder_step": {"file": DECODER_STEP_FILE, "inputs": inputs, "outputs": outputs},
        "memory": memory,
        "state": state,
    }


def _tensors_after_step(
    model: Autoregressive[Any, Any], state_tensors: Any, tokens: Tensor, tensors: Sequence[Tensor]
) -> list[Tensor]:
    """Memory and state after one step: nothing in them is empty any more, which tracing needs."""
    _, *state = DecodeStepGraph(model, state_tensors)(tokens, *tensors)
    return [*tensors[: len(state_tensors.memory)], *state]


def _source_axes() -> dict[str, dict[int, str]]:
    return {"source": {0: "batch", 1: "source_length"}, "lengths": {0: "batch"}}


def _dynamic_axes(name: str, value: Tensor) -> dict[int, str]:
    """Which dimensions of a part may differ from call to call: rows, and a length."""
    kind = name.split(".")[0]
    axis_by_kind = {
        "source": (2, "source_length"),
        "source_bias": (3, "source_length"),
        "past": (2, "past_length"),
        "bias": (3, "past_length"),
        "memory": (1, "source_length"),
        "memory_keys": (1, "source_length"),
        "padding": (2, "source_length"),
    }
    dynamic_axis = {axis_by_kind[kind][0]: axis_by_kind[kind][1]} if kind in axis_by_kind and value.ndim > 1 else {}
    return {0: "batch", **dynamic_axis}


def _trace(
    graph: nn.Module,
    arguments: tuple[Tensor, ...],
    path: Path,
    inputs: list[str],
    outputs: list[str],
    axes: dict[str, dict[int, str]],
) -> None:
    register: Any = torch.onnx.register_custom_op_symbolic  # type: ignore[attr-defined]
    with _suppress_tracer_warnings():
        register("aten::rms_norm", _rms_norm, OPSET)
        register("aten::unflatten", _unflatten, OPSET)
        torch.onnx.export(
            graph.eval(), arguments, str(path), input_names=inputs, output_names=outputs,
            dynamic_axes={name: axes[name] for name in (*inputs, *outputs)},
            opset_version=OPSET, dynamo=False,
        )  # fmt: skip


@contextmanager
def _suppress_tracer_warnings() -> Iterator[None]:
    """The tracer warns of Python numbers that it cannot follow; parity shows that none matters."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _rms_norm(graph: Any, x: Any, shape: Any, weight: Any, epsilon: Any) -> Any:
    """x / sqrt(mean(x^2) + epsilon) * weight (Zhang and Sennrich 2019, eq. 4), over the last
    dimension."""
    square = graph.op("Mul", x, x)
    mean = graph.op("ReduceMean", square, axes_i=[-1], keepdims_i=1)
    root = graph.op("Sqrt", graph.op("Add", mean, epsilon))
    return graph.op("Mul", graph.op("Div", x, root), weight)


def _unflatten(graph: Any, x: Any, dim: Any, sizes: Any) -> Any:
    """PyTorch's own takes the lengths of the traced example for constants afterwards."""
    rank = x.type().dim()
    axis = dim.node().t("value").item() % rank

    def constant(values: list[int]) -> Any:
        return graph.op("Constant", value_t=torch.tensor(values))

    new_sizes = sizes.node().t("value").tolist()
    if axis == rank - 1 and -1 not in new_sizes:  # 0 copies a dimension, -1 is what is left
        return graph.op("Reshape", x, constant([-1, *[0] * (axis - 1), *new_sizes]))
    shape = graph.op("Shape", x)
    slice_bounds = ((0, axis), (axis + 1, rank))
    leading, trailing = (graph.op("Slice", shape, constant([start]), constant([end])) for start, end in slice_bounds)
    return graph.op("Reshape", x, graph.op("Concat", leading, sizes, trailing, axis_i=0))
