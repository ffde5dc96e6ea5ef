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

from nmt_cli.data.prepared import Tokenizers
from nmt_cli.decoding.engine import Engine
from nmt_cli.decoding.hypothesis import SearchConfig
from nmt_cli.device import find_device
from nmt_cli.export.onnx_graphs import AlignedGraph, StartGraph, StepGraph, make_traceable, split
from nmt_cli.models.contract import (
    Aligned,
    Autoregressive,
    ModelConfig,
    Sequences,
    TranslationModel,
)

PACKAGES: tuple[str, ...] = ("onnx", "onnxruntime")
QUANTIZATIONS: tuple[str, ...] = ("float32",)
OPSET = 17
POSITIONS = 1024  # rows of tables of positions, where search asks for no more
FORMAT = 1
ENCODER, STEP, WHOLE = "encoder.onnx", "decoder_step.onnx", "model.onnx"


def problems(config: ModelConfig, search: SearchConfig, joint: bool) -> list[str]:
    """See `Format.problems`: every model fits, but its attention stays inside the graphs."""
    if search.coverage_penalty:
        return ["search.coverage_penalty: the graphs do not give attention: set it to 0"]
    return []


def write(
    model: TranslationModel[Any],
    tokenizers: Tokenizers,
    search: SearchConfig,
    folder: Path,
    quantization: str,
) -> None:
    """See `Format.write`: graphs, and a config.json that names what goes in and out."""
    assert quantization == "float32"
    rows = _positions(model, search)
    model = copy.deepcopy(model).eval()
    make_traceable(model, rows)
    special = {name: getattr(model.vocabulary, name) for name in ("pad", "unknown", "start", "end")}
    content: dict[str, Any] = {
        "format": FORMAT,
        "model": model.config.type,
        "special_tokens": special,
        "source_size": model.vocabulary.source_size,
        "target_size": model.vocabulary.target_size,
        "longest_source": rows,
        "longest_target": rows,
        "beam": search.beam,
    }
    with torch.no_grad():
        if isinstance(model, Aligned):
            content |= {"blank": model.blank, **_write_aligned(model, folder)}
        else:
            assert isinstance(model, Autoregressive)
            content |= {"first_token": model.first_token, **_write_steps(model, folder)}
    text = json.dumps(content, indent=2) + "\n"
    (folder / "config.json").write_text(text, encoding="utf-8")


def engine(folder: Path, device: str, quantization: str) -> Engine:
    """See `Format.engine`."""
    from nmt_cli.export.onnx_engine import OnnxEngine

    return OnnxEngine(folder, find_device(device))


def _positions(model: TranslationModel[Any], search: SearchConfig) -> int:
    """Tokens that a side may have, end of sentence included."""
    if model.longest_source is not None:
        return model.longest_source
    longest = search.max_source_length
    return max(POSITIONS, longest + 1, search.longest(longest) + 1)


def _example(size: int) -> Sequences:
    """Three sentences of different lengths; a graph does not depend on which."""
    lengths = torch.tensor([5, 2, 4])
    return Sequences(torch.arange(15).view(3, 5) % size, lengths)


def _write_aligned(model: Aligned[Any], folder: Path) -> dict[str, Any]:
    source, names = _example(model.vocabulary.source_size), ["logits", "emitted"]
    axes = {"logits": {0: "batch", 1: "emitted"}, "emitted": {0: "batch"}}
    inputs = ["source", "lengths"]
    _trace(
        AlignedGraph(model),
        (source.ids, source.lengths),
        folder / WHOLE,
        inputs,
        names,
        axes | _source_axes(),
    )
    return {"whole": {"file": WHOLE, "inputs": inputs, "outputs": names}}


def _write_steps(model: Autoregressive[Any, Any], folder: Path) -> dict[str, Any]:
    source = _example(model.vocabulary.source_size)
    start = StartGraph(model)
    tensors = start(source.ids, source.lengths)
    names, inputs = start.names, ["source", "lengths"]
    axes = {name: _axes(name, value) for name, value in zip(names, tensors, strict=True)}
    _trace(
        start, (source.ids, source.lengths), folder / ENCODER, inputs, names, axes | _source_axes()
    )
    parts = split(model, model.start(source, 1, 0))
    memory, state = list(parts.memory), list(parts.state)
    after = [f"next.{name}" for name in state]
    step_axes = axes | {f"next.{name}": axes[name] for name in state}
    step_axes |= {"tokens": {0: "batch"}, "logits": {0: "batch"}}
    tokens = torch.full((3,), model.first_token)
    arguments = (tokens, *_after_a_step(model, parts, tokens, tensors))
    inputs, outputs = ["tokens", *memory, *state], ["logits", *after]
    _trace(StepGraph(model, parts), arguments, folder / STEP, inputs, outputs, step_axes)
    return {
        "encoder": {"file": ENCODER, "inputs": ["source", "lengths"], "outputs": names},
        "decoder_step": {"file": STEP, "inputs": inputs, "outputs": outputs},
        "memory": memory,
        "state": state,
    }


def _after_a_step(
    model: Autoregressive[Any, Any], parts: Any, tokens: Tensor, tensors: Sequence[Tensor]
) -> list[Tensor]:
    """Memory and state after one step: nothing in them is empty any more, which tracing needs."""
    _, *state = StepGraph(model, parts)(tokens, *tensors)
    return [*tensors[: len(parts.memory)], *state]


def _source_axes() -> dict[str, dict[int, str]]:
    return {"source": {0: "batch", 1: "source_length"}, "lengths": {0: "batch"}}


def _axes(name: str, value: Tensor) -> dict[int, str]:
    """Which dimensions of a part may differ from call to call: rows, and a length."""
    kind = name.split(".")[0]
    places = {
        "source": (2, "source_length"),
        "source_bias": (3, "source_length"),
        "past": (2, "past_length"),
        "bias": (3, "past_length"),
        "memory": (1, "source_length"),
        "memory_keys": (1, "source_length"),
        "padding": (2, "source_length"),
    }
    place = {places[kind][0]: places[kind][1]} if kind in places and value.ndim > 1 else {}
    return {0: "batch", **place}


def _trace(
    graph: nn.Module,
    arguments: tuple[Tensor, ...],
    path: Path,
    inputs: list[str],
    outputs: list[str],
    axes: dict[str, dict[int, str]],
) -> None:
    register: Any = torch.onnx.register_custom_op_symbolic  # type: ignore[attr-defined]
    with _quiet():
        register("aten::rms_norm", _rms_norm, OPSET)
        register("aten::unflatten", _unflatten, OPSET)
        torch.onnx.export(
            graph.eval(), arguments, str(path), input_names=inputs, output_names=outputs,
            dynamic_axes={name: axes[name] for name in (*inputs, *outputs)},
            opset_version=OPSET, dynamo=False,
        )  # fmt: skip


@contextmanager
def _quiet() -> Iterator[None]:
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
    place = dim.node().t("value").item() % rank

    def constant(values: list[int]) -> Any:
        return graph.op("Constant", value_t=torch.tensor(values))

    wanted = sizes.node().t("value").tolist()
    if place == rank - 1 and -1 not in wanted:  # 0 copies a dimension, -1 is what is left
        return graph.op("Reshape", x, constant([-1, *[0] * (place - 1), *wanted]))
    shape = graph.op("Shape", x)
    ends = ((0, place), (place + 1, rank))
    head, rest = (
        graph.op("Slice", shape, constant([first]), constant([end])) for first, end in ends
    )
    return graph.op("Reshape", x, graph.op("Concat", head, sizes, rest, axis_i=0))
