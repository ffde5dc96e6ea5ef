"""ONNX: the encoder and one decoding step as graphs, for every model whose state is made of tensors.

PyTorch's older exporter traces the graphs. The newer one (`dynamo=True`) rejects packed sequences, which recurrent
encoders need, and takes many times as long; see docs/decisions.md.
"""

import copy
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nmt_cli.data.sources.base import Languages
from nmt_cli.data.tokenization.tokenizer_pair import Tokenizers
from nmt_cli.decoding.config import SearchConfig
from nmt_cli.decoding.engine import Engine
from nmt_cli.device import find_device
from nmt_cli.errors import UserError
from nmt_cli.export.format import position_limit
from nmt_cli.export.onnx_engine import OnnxEngine, is_text, unsupported_options
from nmt_cli.export.onnx_graphs import (
    DecodeStepGraph,
    InitStateGraph,
    NonAutoregressiveGraph,
    initial_tensors,
    make_traceable,
    next_tensors,
)
from nmt_cli.fs import write_json
from nmt_cli.models import MODELS
from nmt_cli.models.configs import ModelConfig
from nmt_cli.models.contract import Autoregressive, NonAutoregressive, Sequences, TensorState, TranslationModel
from nmt_cli.reporting import hidden_native_lines

PACKAGES: tuple[str, ...] = ("onnx", "onnxruntime")
QUANTIZATIONS: tuple[str, ...] = ("float32",)
OPSET = 17
EXPORTER_MODULES = r"(torch|nmt_cli\.export)\.onnx\b"  # the second as the caller of the first
SHAPE_INFERENCE_WARNING = re.compile(
    rb"\] Warning: The shape inference of prim::\w+ type is missing"
)  # of recurrent layers
MIN_POSITIONS = 1024  # tokens per side that position tables have room for, or more if the search allows more
FORMAT_VERSION = 1
SOURCE_AXES = {"source": {0: "batch", 1: "source_length"}, "lengths": {0: "batch"}}
ENCODER_FILE, DECODER_STEP_FILE, MODEL_FILE = "encoder.onnx", "decoder_step.onnx", "model.onnx"


def incompatibilities(config: ModelConfig, search: SearchConfig) -> list[str]:
    """See `ExportFormat.incompatibilities`."""
    reasons = []
    model_class = MODELS[config.type]
    if issubclass(model_class, Autoregressive) and model_class.exportable_state is None:
        reasons.append(f"model.type: the state of {config.type} is not made of named tensors (exportable_state)")
    return reasons + [f"{reason}: set it to 0" for reason in unsupported_options(search)]


def export_model(
    model: TranslationModel[Any],
    tokenizers: Tokenizers,
    search: SearchConfig,
    folder: Path,
    quantization: str,
    languages: Languages | None = None,
) -> None:
    """See `ExportFormat.export_model`: writes the graphs, and a config.json that names their inputs and outputs.

    UserError if PyTorch cannot trace the model.
    """
    assert quantization == "float32"
    max_positions = position_limit(model.max_source_positions, search, MIN_POSITIONS)
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
    try:
        with torch.no_grad():
            config |= _write_graphs(model, folder)
    except RuntimeError as error:
        reason = str(error).partition("\n")[0]
        raise UserError(f"model.type: {model.config.type} cannot be exported to onnx: {reason}") from error
    write_json(folder / "config.json", config)


def load_engine(folder: Path, device: str, quantization: str) -> Engine:
    """See `ExportFormat.load_engine`."""
    return OnnxEngine(folder, find_device(device))


def _write_graphs(model: TranslationModel[Any], folder: Path) -> dict[str, Any]:
    """Write the graphs; return what config.json says about them."""
    if isinstance(model, NonAutoregressive):
        return {"blank": model.blank_id, **_write_non_autoregressive(model, folder)}
    assert isinstance(model, Autoregressive)
    return {"first_token": model.decoder_start_id, **_write_autoregressive(model, folder)}


def _example_batch(vocabulary_size: int, source_length: int = 5) -> Sequences:
    """Three sentences of different lengths; the graphs do not depend on them."""
    ids = torch.arange(3 * source_length).view(3, source_length) % vocabulary_size
    return Sequences(ids, torch.tensor([source_length, 2, 4]))


def _write_non_autoregressive(model: NonAutoregressive[Any], folder: Path) -> dict[str, Any]:
    source = _example_batch(model.vocabulary.source_size)
    inputs, outputs = list(SOURCE_AXES), ["logits", "emitted"]
    axes = SOURCE_AXES | {"logits": {0: "batch", 1: "emitted"}, "emitted": {0: "batch"}}
    _trace(NonAutoregressiveGraph(model), (source.ids, source.lengths), folder / MODEL_FILE, inputs, outputs, axes)
    return {"whole": {"file": MODEL_FILE, "inputs": inputs, "outputs": outputs}}


def _write_autoregressive(model: Autoregressive[Any, Any], folder: Path) -> dict[str, Any]:
    source = _example_batch(model.vocabulary.source_size)
    tokens = torch.full((len(source.ids),), model.decoder_start_id)
    first = initial_tensors(model, source)
    second = TensorState(first.memory, next_tensors(model, tokens, first)[1])  # tracing needs tensors that aren't empty
    longer = initial_tensors(model, _example_batch(model.vocabulary.source_size, source.ids.shape[1] + 1))
    memory, state = list(first.memory), list(first.updated)
    axes = SOURCE_AXES | {"tokens": {0: "batch"}, "logits": {0: "batch"}}
    for name, tensor in (first.memory | first.updated).items():
        lengthened = {"source_length": (longer.memory | longer.updated)[name]}
        lengthened["past_length"] = (second.memory | second.updated)[name]
        axes[name] = axes[f"next.{name}"] = _dynamic_axes(tensor, lengthened)
    names, inputs, outputs = [*memory, *state], ["tokens", *memory, *state], ["logits", *(f"next.{n}" for n in state)]
    _trace(InitStateGraph(model), (source.ids, source.lengths), folder / ENCODER_FILE, list(SOURCE_AXES), names, axes)
    arguments = (tokens, *second.memory.values(), *(second.updated[name] for name in state))
    _trace(DecodeStepGraph(model, first), arguments, folder / DECODER_STEP_FILE, inputs, outputs, axes)
    return {
        "encoder": {"file": ENCODER_FILE, "inputs": list(SOURCE_AXES), "outputs": names},
        "decoder_step": {"file": DECODER_STEP_FILE, "inputs": inputs, "outputs": outputs},
        "memory": memory,
        "state": state,
    }


def _dynamic_axes(tensor: Tensor, lengthened: dict[str, Tensor]) -> dict[int, str]:
    """Names of the dimensions that vary between calls: rows, and those that grow in a lengthened example.

    `lengthened` holds the same tensor for a longer source and after one more step, by the name of that length.
    """
    axes = {0: "batch"}
    for length_name, longer in lengthened.items():
        sizes = zip(tensor.shape, longer.shape, strict=True)
        axes |= {axis: length_name for axis, (size, longer_size) in enumerate(sizes) if size != longer_size}
    return axes


@contextmanager
def _hidden_exporter_warnings() -> Iterator[None]:
    """Without what PyTorch's exporter says of itself, and of what tracing may turn into a constant: the parity check
    finds what matters of that. Warnings of models are shown."""
    with warnings.catch_warnings(), hidden_native_lines(SHAPE_INFERENCE_WARNING):
        warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)  # type: ignore[attr-defined]
        for category in (UserWarning, DeprecationWarning):
            warnings.filterwarnings("ignore", category=category, module=EXPORTER_MODULES)
        yield


def _trace(
    graph: nn.Module,
    arguments: tuple[Tensor, ...],
    path: Path,
    inputs: list[str],
    outputs: list[str],
    axes: dict[str, dict[int, str]],
) -> None:
    target: Any = str(path) if is_text(path) else BytesIO()  # graphs of more than 2 GiB need a path
    register: Any = torch.onnx.register_custom_op_symbolic  # type: ignore[attr-defined]
    with _hidden_exporter_warnings():
        register("aten::rms_norm", _rms_norm, OPSET)
        register("aten::unflatten", _unflatten, OPSET)
        torch.onnx.export(
            graph.eval(), arguments, target, input_names=inputs, output_names=outputs,
            dynamic_axes={name: axes[name] for name in (*inputs, *outputs)},
            opset_version=OPSET, dynamo=False,
        )  # fmt: skip
    if isinstance(target, BytesIO):
        path.write_bytes(target.getvalue())


def _rms_norm(graph: Any, x: Any, shape: Any, weight: Any, epsilon: Any) -> Any:
    """x / sqrt(mean(x^2) + epsilon) * weight over the last dimension (Zhang and Sennrich 2019, eq. 4)."""
    square = graph.op("Mul", x, x)
    mean = graph.op("ReduceMean", square, axes_i=[-1], keepdims_i=1)
    root = graph.op("Sqrt", graph.op("Add", mean, epsilon))
    return graph.op("Mul", graph.op("Div", x, root), weight)


def _unflatten(graph: Any, x: Any, dim: Any, sizes: Any) -> Any:
    """After PyTorch's own translation, lengths of the traced example would become constants."""
    rank = x.type().dim()
    axis = dim.node().t("value").item() % rank

    def constant(values: list[int]) -> Any:
        return graph.op("Constant", value_t=torch.tensor(values))

    new_sizes = sizes.node().t("value").tolist()
    if axis == rank - 1 and -1 not in new_sizes:  # 0 copies a dimension, -1 is inferred
        return graph.op("Reshape", x, constant([-1, *[0] * (axis - 1), *new_sizes]))
    shape = graph.op("Shape", x)
    slice_bounds = ((0, axis), (axis + 1, rank))
    leading, trailing = (graph.op("Slice", shape, constant([start]), constant([end])) for start, end in slice_bounds)
    return graph.op("Reshape", x, graph.op("Concat", leading, sizes, trailing, axis_i=0))
