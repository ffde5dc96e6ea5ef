"""Our own search over graphs that onnxruntime runs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nmt_cli.decoding.engine import ModelEngine
from nmt_cli.disk import read_json
from nmt_cli.models.contract import (
    Aligned,
    Autoregressive,
    ModelConfig,
    Sequences,
    State,
)
from nmt_cli.vocabulary import Vocabulary

Tensors = dict[str, Tensor]


class Graph:
    """A graph, opened by onnxruntime; tensors go in and out by name, on the CPU."""

    def __init__(self, path: Path, device: torch.device) -> None:
        import onnxruntime

        on_gpu = ["CUDAExecutionProvider"] if device.type == "cuda" else []
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        self.session = onnxruntime.InferenceSession(
            str(path), options, providers=[*on_gpu, "CPUExecutionProvider"]
        )
        self.inputs = [one.name for one in self.session.get_inputs()]
        self.outputs = [one.name for one in self.session.get_outputs()]

    def __call__(self, tensors: Tensors) -> Tensors:
        """What the graph makes of those tensors that it asks for."""
        given = {name: tensors[name].numpy() for name in self.inputs}
        found = self.session.run(None, given)
        values = map(torch.from_numpy, found)
        return dict(zip(self.outputs, values, strict=True))


@dataclass
class OnnxState(State):
    """Parts of a state by name; every hypothesis has a row in each."""

    parts: Tensors
    changing: list[str]
    beam: int

    def reorder(self, parents: Tensor) -> None:
        """See `State.reorder`."""
        first = torch.arange(parents.shape[0])[:, None] * self.beam
        self._select((first + parents).flatten(), self.changing)

    def keep(self, sentences: Tensor) -> None:
        """See `State.keep`."""
        rows = sentences[:, None] * self.beam + torch.arange(self.beam)
        self._select(rows.flatten(), list(self.parts))

    def _select(self, rows: Tensor, names: list[str]) -> None:
        self.parts |= {name: self.parts[name][rows] for name in names}


class OnnxSteps(Autoregressive[ModelConfig, OnnxState]):
    """encoder.onnx and decoder_step.onnx behind our contract, as far as search needs it."""

    config_class = ModelConfig
    summary = "graphs run by onnxruntime"

    def __init__(self, folder: Path, content: dict[str, Any], device: torch.device) -> None:
        super().__init__(ModelConfig(type=content["model"]), _vocabulary(content))
        self.content = content
        self.encoder = Graph(folder / content["encoder"]["file"], device)
        self.decoder = Graph(folder / content["decoder_step"]["file"], device)

    @property
    def width(self) -> int:
        """V: there is nothing before the scores."""
        return self.vocabulary.target_size

    @property
    def first_token(self) -> int:
        """See `Autoregressive.first_token`."""
        return int(self.content["first_token"])

    @property
    def longest_source(self) -> int:
        """Rows of the table of positions."""
        return int(self.content["longest_source"])

    @property
    def longest_target(self) -> int:
        """Rows of the table of positions."""
        return int(self.content["longest_target"])

    def start(self, source: Sequences, width: int, capacity: int) -> OnnxState:
        """See `Autoregressive.start`; hypotheses of a sentence have copies of its memory."""
        parts = self.encoder({"source": source.ids, "lengths": source.lengths})
        spread = {name: value.repeat_interleave(width, 0) for name, value in parts.items()}
        return OnnxState(spread, list(self.content["state"]), width)

    def step(self, tokens: Tensor, state: OnnxState) -> tuple[Tensor, OnnxState]:
        """See `Autoregressive.step`."""
        found = self.decoder(state.parts | {"tokens": tokens})
        state.parts |= {name: found[f"next.{name}"] for name in state.changing}
        return found["logits"], state

    def forward(self, source: Sequences, target_in: Sequences) -> Tensor:
        """Scores of all positions, step by step, [B, T, V]."""
        state, rows = self.start(source, 1, 0), []
        for tokens in target_in.ids.unbind(1):
            logits, state = self.step(tokens, state)
            rows.append(logits)
        return torch.stack(rows, 1)

    def project(self, hidden: Tensor) -> Tensor:
        """Nothing is left to do."""
        return hidden

    def attention(self, source: Sequences, target_in: Sequences) -> None:
        """The graphs do not tell."""
        return None


class OnnxAligned(Aligned[ModelConfig]):
    """model.onnx behind our contract."""

    config_class = ModelConfig
    summary = "a graph run by onnxruntime"

    def __init__(self, folder: Path, content: dict[str, Any], device: torch.device) -> None:
        super().__init__(ModelConfig(type=content["model"]), _vocabulary(content))
        self.content = content
        self.graph = Graph(folder / content["whole"]["file"], device)

    @property
    def width(self) -> int:
        """V: there is nothing before the scores."""
        return self.vocabulary.target_size

    @property
    def blank(self) -> int:
        """See `Aligned.blank`."""
        return int(self.content["blank"])

    @property
    def longest_source(self) -> int:
        """Rows of the table of positions."""
        return int(self.content["longest_source"])

    def forward(self, source: Sequences) -> tuple[Tensor, Tensor]:
        """Scores [B, U, V], and how many positions are real [B]."""
        found = self.graph({"source": source.ids, "lengths": source.lengths})
        return found["logits"], found["emitted"]

    def project(self, hidden: Tensor) -> Tensor:
        """Nothing is left to do."""
        return hidden


class OnnxEngine(ModelEngine):
    """Our own search over an exported folder: graphs run where `device` is, search on the CPU."""

    def __init__(self, folder: Path, device: torch.device) -> None:
        content = read_json(folder / "config.json")
        kind = OnnxAligned if "whole" in content else OnnxSteps
        super().__init__(kind(folder, content, device), torch.device("cpu"))


def _vocabulary(content: dict[str, Any]) -> Vocabulary:
    sizes = {name: content[name] for name in ("source_size", "target_size")}
    return Vocabulary(joint=False, **sizes, **content["special_tokens"])
