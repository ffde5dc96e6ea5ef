"""The search of decoding/ over graphs that onnxruntime runs."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nmt_cli.decoding.config import SearchConfig
from nmt_cli.decoding.engine import abandon, after_fork
from nmt_cli.decoding.torch_engine import ModelEngine
from nmt_cli.fs import read_json
from nmt_cli.models.configs import ModelConfig
from nmt_cli.models.contract import (
    Autoregressive,
    NamedTensors,
    NonAutoregressive,
    Sequences,
    TensorState,
    TranslationModel,
)
from nmt_cli.vocabulary import Vocabulary

MAX_LOGITS = 1 << 25  # of one batch of pairs that are scored: 128 MiB


def unsupported_options(search: SearchConfig) -> list[str]:
    """The options that the graphs cannot serve, each as `search.key: reason`."""
    return ["search.coverage_penalty: the graphs do not return attention"] if search.coverage_penalty else []


def is_text(path: Path) -> bool:
    """Whether a path can be given to onnxruntime: it has no bytes that the locale does not decode."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


class OnnxGraph:
    """A graph in onnxruntime; its inputs and outputs are CPU tensors by name."""

    def __init__(self, path: Path, device: torch.device) -> None:
        import onnxruntime

        on_gpu = ["CUDAExecutionProvider"] if device.type == "cuda" else []
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        providers = [*on_gpu, "CPUExecutionProvider"]
        open_session = partial(onnxruntime.InferenceSession, sess_options=options, providers=providers)
        self._open: Callable[[], Any] = lambda: open_session(str(path) if is_text(path) else path.read_bytes())
        self._session = self._open()
        self.inputs = [node.name for node in self._session.get_inputs()]
        self.outputs = [node.name for node in self._session.get_outputs()]
        after_fork(self._follow_fork)

    def _follow_fork(self) -> None:
        abandon(self._session)
        self._session = None

    def __call__(self, tensors: NamedTensors) -> NamedTensors:
        """Run the graph on those tensors that are its inputs; return its outputs."""
        feeds = {name: tensors[name].numpy() for name in self.inputs}
        if self._session is None:  # after a fork
            self._session = self._open()
        outputs = self._session.run(None, feeds)
        values = map(torch.from_numpy, outputs)
        return dict(zip(self.outputs, values, strict=True))


class _OnnxModel(TranslationModel[ModelConfig]):
    """What graphs that return logits have in common."""

    config_class = ModelConfig
    summary = "graphs run by onnxruntime"

    def __init__(self, export_config: dict[str, Any]) -> None:
        sizes = {name: export_config[name] for name in ("source_size", "target_size")}
        vocabulary = Vocabulary(joint=False, **sizes, **export_config["special_tokens"])
        super().__init__(ModelConfig(type=export_config["model"]), vocabulary)
        self.export_config = export_config

    @property
    def d_model(self) -> int:
        """V: the graphs return logits."""
        return self.vocabulary.target_size

    @property
    def max_source_positions(self) -> int:
        """Rows of the position table."""
        return int(self.export_config["longest_source"])

    def output_logits(self, hidden: Tensor) -> Tensor:
        """The same: `hidden` is logits already."""
        return hidden


class OnnxAutoregressive(_OnnxModel, Autoregressive[ModelConfig, TensorState]):
    """encoder.onnx and decoder_step.onnx as an autoregressive model."""

    def __init__(self, folder: Path, export_config: dict[str, Any], device: torch.device) -> None:
        super().__init__(export_config)
        self.encoder = OnnxGraph(folder / export_config["encoder"]["file"], device)
        self.decoder = OnnxGraph(folder / export_config["decoder_step"]["file"], device)

    @property
    def decoder_start_id(self) -> int:
        """See `Autoregressive.decoder_start_id`."""
        return int(self.export_config["first_token"])

    @property
    def max_target_positions(self) -> int:
        """Rows of the position table."""
        return int(self.export_config["longest_target"])

    def init_state(self, source: Sequences, beam_size: int, max_steps: int) -> TensorState:
        """See `Autoregressive.init_state`; each hypothesis has its own copy of the memory."""
        tensors = self.encoder({"source": source.ids, "lengths": source.lengths})
        expanded = {name: value.repeat_interleave(beam_size, 0) for name, value in tensors.items()}
        memory = {name: expanded[name] for name in self.export_config["memory"]}
        updated = {name: expanded[name] for name in self.export_config["state"]}
        return TensorState(memory, updated, beam_size)

    def decode_step(self, tokens: Tensor, state: TensorState) -> tuple[Tensor, TensorState]:
        """See `Autoregressive.decode_step`."""
        outputs = self.decoder({"tokens": tokens, **state.memory, **state.updated})
        state.updated = {name: outputs[f"next.{name}"] for name in state.updated}
        return outputs["logits"], state

    def forward(self, source: Sequences, target_in: Sequences) -> Tensor:
        """Logits of all positions, computed step by step, [B, T, V]."""
        state, step_logits = self.init_state(source, 1, 0), []
        for tokens in target_in.ids.unbind(1):
            logits, state = self.decode_step(tokens, state)
            step_logits.append(logits)
        return torch.stack(step_logits, 1)

    def attention(self, source: Sequences, target_in: Sequences) -> None:
        """The graphs do not return it."""
        return None


class OnnxNonAutoregressive(_OnnxModel, NonAutoregressive[ModelConfig]):
    """model.onnx as a non-autoregressive model."""

    def __init__(self, folder: Path, export_config: dict[str, Any], device: torch.device) -> None:
        super().__init__(export_config)
        self.graph = OnnxGraph(folder / export_config["whole"]["file"], device)

    @property
    def blank_id(self) -> int:
        """See `NonAutoregressive.blank_id`."""
        return int(self.export_config["blank"])

    def forward(self, source: Sequences) -> tuple[Tensor, Tensor]:
        """Logits [B, U, V], and the number of real positions [B]."""
        outputs = self.graph({"source": source.ids, "lengths": source.lengths})
        return outputs["logits"], outputs["emitted"]


class OnnxEngine(ModelEngine):
    """Translates with an exported folder: graphs run on `device`, the search on the CPU."""

    def __init__(self, folder: Path, device: torch.device) -> None:
        export_config = read_json(folder / "config.json")
        model_class = OnnxNonAutoregressive if "whole" in export_config else OnnxAutoregressive
        super().__init__(model_class(folder, export_config, device))

    def _max_pair_positions(self, config: SearchConfig) -> int:
        """As of our own models, but no more than keep within bounds what the graphs return: logits of all positions."""
        return max(1, min(super()._max_pair_positions(config), MAX_LOGITS // self.model.vocabulary.target_size))

    def search_differences(self, config: SearchConfig) -> list[str]:
        """See `Engine.search_differences`."""
        return unsupported_options(config)
