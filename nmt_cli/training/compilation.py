"""Compiling layers with torch.compile, which fuses many small operations into few GPU kernels.

A layer is compiled once for all layers of its kind, with dynamic shapes: one graph for batches with
padding, one for those without, and others where a size is 1 or happens to equal another size. After
the first batches there is nothing left to compile; the log of a run shows the number of graphs.
Validation and search run uncompiled, so that they add no graphs. Dropout masks are drawn by the
compiled code: they differ from those of uncompiled code, but come from the same seeds. Not measured
on a GPU.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from nmt_cli.models.contract import TranslationModel
from nmt_cli.training.config import CompileMode
from nmt_cli.training.loss import LogitsGradientFunction, logits_gradient

MAX_GRAPHS_PER_LAYER = 64  # with PyTorch's default of 8, further kinds of batches would run uncompiled


def should_compile(mode: CompileMode, device: torch.device) -> bool:
    """Whether training.compile asks for compiled layers on this device."""
    return mode == "on" or (mode == "auto" and device.type == "cuda")


def compile_layers(model: TranslationModel[Any], backend: str = "inductor") -> LogitsGradientFunction:
    """Compile the model's repeated layers when they are first called; returns the gradient
    of the loss, compiled too."""
    torch._dynamo.config.recompile_limit = MAX_GRAPHS_PER_LAYER
    for layer in model.compilable_layers():
        layer.compile(dynamic=True, backend=backend)
    compiled_function: LogitsGradientFunction = torch.compile(logits_gradient, dynamic=True, backend=backend)
    return compiled_function


def uncompile_layers(model: TranslationModel[Any]) -> None:
    """Undo `compile_layers`."""
    for layer in model.compilable_layers():
        layer._compiled_call_impl = None


def compiled_graph_count() -> int:
    """The number of graphs compiled in this process."""
    from torch._dynamo.utils import counters

    return int(counters["stats"]["unique_graphs"])


def force_eager(is_compiled: bool) -> AbstractContextManager[object]:
    """Run compiled layers uncompiled inside the block."""
    return torch.compiler.set_stance("force_eager") if is_compiled else nullcontext()
