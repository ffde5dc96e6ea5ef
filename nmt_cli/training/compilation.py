"""Compiled layers: on a GPU many small operations become few kernels (torch.compile).

A layer's code is compiled once for all layers of its kind, with dynamic shapes: there is a graph
for batches with padding and one for those without, and another one where a size is 1 or happens to
equal a size that it need not equal. After the first batches there is nothing left to compile;
`graphs` counts them, and the log of a run shows the count. Validation and search run uncompiled, so
that they add no graphs of their own. Dropout masks are drawn by the compiled code itself: other
ones than without it, but from the same seeds. Not measured on a GPU.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch

from nmt_cli.models.contract import TranslationModel
from nmt_cli.training.loss import CrossEntropy, compilable_cross_entropy

CompileMode = Literal["auto", "on", "off"]

MAX_GRAPHS_PER_LAYER = 64  # of one layer's code; with PyTorch's 8, further kinds of batches would run slowly


def should_compile(mode: CompileMode, device: torch.device) -> bool:
    """Whether `training.compile` means that layers are compiled for this device."""
    return mode == "on" or (mode == "auto" and device.type == "cuda")


def compile_layers(model: TranslationModel[Any], backend: str = "inductor") -> CrossEntropy:
    """Let the model's repeated layers be compiled when they are first called; returns a loss that
    is, too."""
    torch._dynamo.config.recompile_limit = MAX_GRAPHS_PER_LAYER
    for layer in model.compilable_layers():
        layer.compile(dynamic=True, backend=backend)
    compiled_cross_entropy: CrossEntropy = torch.compile(compilable_cross_entropy, dynamic=True, backend=backend)
    return compiled_cross_entropy


def uncompile_layers(model: TranslationModel[Any]) -> None:
    """Undo `compile_layers`."""
    for layer in model.compilable_layers():
        layer._compiled_call_impl = None


def compiled_graph_count() -> int:
    """How many graphs have been compiled in this process."""
    from torch._dynamo.utils import counters

    return int(counters["stats"]["unique_graphs"])


@contextmanager
def force_eager(is_compiled: bool) -> Iterator[None]:
    """Run everything as written for a while, where it is compiled at all."""
    if not is_compiled:
        yield
        return
    with torch.compiler.set_stance("force_eager"):
        yield
