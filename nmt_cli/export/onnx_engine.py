"""Our own search over graphs that onnxruntime runs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nmt_cli.decoding.torch_engine import ModelEngine
from nmt_cli.fs import read_json
from nmt_cli.models.contract import Autoregressive, ModelConfig, NonAutoregressive, Sequences, State
from nmt_cli.vocabulary import Vocabulary

Tensors = dict[str, Tensor]


class OnnxGraph:
    """A graph, opened by onnxruntime; tensors go in and out by name, on the CPU."""

    def __init__(self, path: Path, device: torch.device) -> None:
        import onnxruntime

        on_gpu = ["CUDAExecutionProvider"] if device.type == "cuda" else []
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        self.session = onnxruntime.InferenceSession(str(path), options, providers=[*on_gpu, "CPUExecutionProvider"])
        self.inputs = [node.name for node in self.session.get_inputs()]
        self.outputs = [node.name for node in self.session.get_outputs()]

    def __call__(self, tensors: Tensors) -> Tensors:
        """What the graph makes of those tensors that it asks for."""
        feeds = {name: tensors[name].numpy() for name in self.inputs}
        outputs = self.session.run(None, feeds)
        values = map(torch.from_numpy, outputs)
        return dict(zip(self.outputs, values, strict=True))


@dataclass
class OnnxState(State):
    """Parts of a state by name; every hypothesis has a row in each."""

    tensors: Tensors
    updated_names: list[str]
    beam_size: int

    def reorder(self, parents: Tensor) -> None:
        """See `State.reorder`."""
        sentence_offsets = torch.arange(parents.shape[0])[:, None] * self.beam_size
        self._select_rows((sentence_offsets + parents).flatten(), self.updated_names)

    def select(self, sentences: Tensor) -> None:
        """See `State.keep`."""
        rows = sentences[:, None] * self.beam_size + torch.arange(self.beam_size)
        self._select_rows(rows.flatten(), list(self.tensors))

    def _select_rows(self, rows: Tensor, names: list[str]) -> None:
        self.tensors |= {name: self.tensors[name][rows] for name in names}


class OnnxAutoregressive(Autoregressive[ModelConfig, OnnxState]):
    """encoder.onnx and decoder_step.onnx behind our contract, as far as search needs it."""

    config_class = ModelConfig
    summary = "graphs run by onnxruntime"

    def __init__(self, folder: Path, export_config: dict[str, Any], device: torch.device) -> None:
        super().__init__(ModelConfig(type=export_config["model"]), _read_vocabulary(export_config))
        self.export_config = export_config
        self.encoder = OnnxGraph(folder / export_config["encoder"]["file"], device)
        self.decoder = OnnxGraph(folder / export_config["decoder_step"]["file"], device)

    @property
    def d_model(self) -> int:
        """V: there is nothing before the scores."""
        return self.vocabulary.target_size

    @property
    def decoder_start_id(self) -> int:
        """See `Autoregressive.first_token`."""
        return int(self.export_config["first_token"])

    @property
    def max_source_positions(self) -> int:
        """Rows of the table of positions."""
        return int(self.export_config["longest_source"])

    @property
    def max_target_positions(self) -> int:
        """Rows of the table of positions."""
        return int(self.export_config["longest_target"])

    def init_state(self, source: Sequences, beam_size: int, max_steps: int) -> OnnxState:
        """See `Autoregressive.start`; hypotheses of a sentence have copies of its memory."""
        tensors = self.encoder({"source": source.ids, "lengths": source.lengths})
        expanded = {name: value.repeat_interleave(beam_size, 0) for name, value in tensors.items()}
        return OnnxState(expanded, list(self.export_config["state"]), beam_size)

    def decode_step(self, tokens: Tensor, state: OnnxState) -> tuple[Tensor, OnnxState]:
        """See `Autoregressive.step`."""
        outputs = self.decoder(state.tensors | {"tokens": tokens})
        state.tensors |= {name: outputs[f"next.{name}"] for name in state.updated_names}
        return outputs["logits"], state

    def forward(self, source: Sequences, target_in: Sequences) -> Tensor:
        """Scores of all positions, step by step, [B, T, V]."""
        state, step_logits = self.init_state(source, 1, 0), []
        for tokens in target_in.ids.unbind(1):
            logits, state = self.decode_step(tokens, state)
            step_logits.append(logits)
        return torch.stack(step_logits, 1)

    def output_logits(self, hidden: Tensor) -> Tensor:
        """Nothing is left to do."""
        return hidden

    def attention(self, source: Sequences, target_in: Sequences) -> None:
        """The graphs do not tell."""
        return None


class OnnxNonAutoregressive(NonAutoregressive[ModelConfig]):
    """model.onnx behind our contract."""

    config_class = ModelConfig
    summary = "a graph run by onnxruntime"

    def __init__(self, folder: Path, export_config: dict[str, Any], device: torch.device) -> None:
        super().__init__(ModelConfig(type=export_config["model"]), _read_vocabulary(export_config))
        self.export_config = export_config
        self.graph = OnnxGraph(folder / export_config["whole"]["file"], device)

    @property
    def d_model(self) -> int:
        """V: there is nothing before the scores."""
        return self.vocabulary.target_size

    @property
    def blank_id(self) -> int:
        """See `Aligned.blank`."""
        return int(self.export_config["blank"])

    @property
    def max_source_positions(self) -> int:
        """Rows of the table of positions."""
        return int(self.export_config["longest_source"])

    def forward(self, source: Sequences) -> tuple[Tensor, Tensor]:
        """Scores [B, U, V], and how many positions are real [B]."""
        outputs = self.graph({"source": source.ids, "lengths": source.lengths})
        return outputs["logits"], outputs["emitted"]

    def output_logits(self, hidden: Tensor) -> Tensor:
        """Nothing is left to do."""
        return hidden


class OnnxEngine(ModelEngine):
    """Our own search over an exported folder: graphs run where `device` is, search on the CPU."""

    def __init__(self, folder: Path, device: torch.device) -> None:
        export_config = read_json(folder / "config.json")
        model_class = OnnxNonAutoregressive if "whole" in export_config else OnnxAutoregressive
        super().__init__(model_class(folder, export_config, device), torch.device("cpu"))


def _read_vocabulary(export_config: dict[str, Any]) -> Vocabulary:
    sizes = {name: export_config[name] for name in ("source_size", "target_size")}
    return Vocabulary(joint=False, **sizes, **export_config["special_tokens"])
