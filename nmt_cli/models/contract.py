"""The contract between models and everything else: no other package asks which model it is.

Shapes: B sentences, S source positions, T target positions, D model width, V target vocabulary,
W hypotheses per sentence (the beam size).
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Generic, NamedTuple, Self, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nmt_cli.models.configs import ModelConfig
from nmt_cli.models.linear import Linear
from nmt_cli.vocabulary import Vocabulary

MAX_CPU_CHUNK_POSITIONS = 1024  # padding included; `Sequences.chunks` are no larger
NamedTensors = dict[str, Tensor]


class Sequences(NamedTuple):
    """A batch of id sequences, padded at the end.

    Positions at or after a sequence's length never influence a result.
    """

    ids: Tensor  # [B, L] int64
    lengths: Tensor  # [B] int64, at least 1
    cpu_lengths: Tensor | None = None  # the same on the CPU, which saves waiting for the device

    @classmethod
    def from_numpy(cls, ids: NDArray[np.int64], lengths: NDArray[np.int64], device: torch.device) -> "Sequences":
        """Copy padded ids [B, L] and their lengths [B] to a device, from page-locked memory if it is a GPU."""
        id_tensor, cpu_lengths = torch.from_numpy(ids), torch.from_numpy(lengths)
        if device.type == "cuda":
            id_tensor, cpu_lengths = id_tensor.pin_memory(), cpu_lengths.pin_memory()
        return cls(id_tensor.to(device, non_blocking=True), cpu_lengths.to(device, non_blocking=True), cpu_lengths)

    def lengths_on_cpu(self) -> Tensor:
        """The lengths; waits for the device unless `cpu_lengths` is given."""
        return self.lengths.cpu() if self.cpu_lengths is None else self.cpu_lengths

    def num_tokens(self) -> int:
        """The number of real positions; waits as `lengths_on_cpu` does."""
        return int(self.lengths_on_cpu().sum())

    def padding_mask(self) -> Tensor | None:
        """True where a position is padding, [B, L]; None if the batch has no padding."""
        if self.num_tokens() == self.ids.numel():
            return None
        positions = torch.arange(self.ids.shape[1], device=self.ids.device)
        return positions >= self.lengths[:, None]

    def token_indices(self) -> Tensor:
        """Where the real positions are in `ids.flatten()`; waits as `lengths_on_cpu` does."""
        is_token = torch.arange(self.ids.shape[1]) < self.lengths_on_cpu()[:, None]
        indices, device = is_token.flatten().nonzero().squeeze(1), self.ids.device
        return (indices.pin_memory() if device.type == "cuda" else indices).to(device, non_blocking=True)

    def chunks(self) -> Iterator[tuple[slice, "Sequences"]]:
        """Neighbouring rows, each chunk padded only to its own longest row, as (rows, chunk).

        On a CPU the activations of a chunk stay in the caches; other devices get the batch as a whole.
        """
        if self.ids.device.type != "cpu" or self.ids.numel() <= MAX_CPU_CHUNK_POSITIONS:
            yield slice(None), self
            return
        start = longest = 0
        for row, length in enumerate(self.lengths_on_cpu().tolist()):
            if row > start and (row + 1 - start) * max(longest, length) > MAX_CPU_CHUNK_POSITIONS:
                yield self._chunk(start, row, longest)
                start, longest = row, 0
            longest = max(longest, length)
        yield self._chunk(start, len(self.ids), longest)

    def _chunk(self, start: int, end: int, longest: int) -> tuple[slice, "Sequences"]:
        rows = slice(start, end)
        return rows, Sequences(self.ids[rows, :longest], self.lengths[rows])


class SelfAttentionWeights(NamedTuple):
    """Attention within each text; None where the model has no such attention."""

    source: Tensor | None  # [B, layers, heads, S, S]
    target: Tensor | None  # [B, layers, heads, T, T]


class State(ABC):
    """What a model remembers between two decoding steps, for [B, W] hypotheses."""

    @abstractmethod
    def reorder(self, parents: Tensor) -> None:
        """Make hypothesis w of sentence b a continuation of hypothesis parents[b, w] of the same sentence.

        Called after every step of a search with W > 1. `parents` is [B, W] int64.
        """

    @abstractmethod
    def select(self, sentences: Tensor) -> None:
        """Keep only the sentences with these indices, in this order; [K] int64 on the CPU, wherever the state is."""


class ExportableState(State):
    """A state that can be taken apart into named tensors and put together again, as ONNX needs it."""

    @abstractmethod
    def tensors(self) -> "TensorState":
        """The tensors that make up this state of one hypothesis per sentence (W = 1); names never change."""

    @classmethod
    @abstractmethod
    def from_tensors(cls, tensors: "TensorState") -> Self:
        """The state with these tensors. A step may not write into them."""


@dataclass
class TensorState(ExportableState):
    """Named tensors with one row per hypothesis, [B * W, ...]: the simplest state a model can have."""

    memory: NamedTensors  # the encoded source: the same at every step and for every hypothesis of a sentence
    updated: NamedTensors  # what every step replaces
    beam_size: int = 1  # W

    def reorder(self, parents: Tensor) -> None:
        """Gather the rows of the parents."""
        sentence_offsets = torch.arange(len(parents), device=parents.device)[:, None] * self.beam_size
        self.updated = _select_rows(self.updated, (sentence_offsets + parents).flatten())

    def select(self, sentences: Tensor) -> None:
        """Gather the rows of these sentences."""
        rows = expand_to_hypotheses(sentences, self.beam_size)
        self.memory, self.updated = _select_rows(self.memory, rows), _select_rows(self.updated, rows)

    def tensors(self) -> "TensorState":
        """The state itself."""
        return self

    @classmethod
    def from_tensors(cls, tensors: "TensorState") -> Self:
        """A copy, which a step may change."""
        return cls(tensors.memory, dict(tensors.updated), tensors.beam_size)


def _select_rows(tensors: NamedTensors, rows: Tensor) -> NamedTensors:
    return {name: tensor[rows.to(tensor.device)] for name, tensor in tensors.items()}


def expand_to_hypotheses(sentences: Tensor, beam_size: int) -> Tensor:
    """The rows of all hypotheses of these sentences, [K * W]."""
    return (sentences[:, None] * beam_size + torch.arange(beam_size, device=sentences.device)).flatten()


ConfigT = TypeVar("ConfigT", bound=ModelConfig)
StateT = TypeVar("StateT", bound=State)


class TranslationModel(nn.Module, ABC, Generic[ConfigT]):
    """What the two contracts have in common; a model keeps one of them, which decides its loss and its search."""

    config_class: ClassVar[type[ModelConfig]]
    summary: ClassVar[str]  # for `nmt models`
    output: nn.Linear  # from hidden states to logits, with or without a bias; parametrized, or of a subclass

    def __init__(self, config: ConfigT, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.config = config
        self.vocabulary = vocabulary

    @property
    def d_model(self) -> int:
        """The D of `forward`; the noam schedule scales the learning rate with it."""
        return self.output.in_features

    @cached_property
    def has_affine_output(self) -> bool:
        """Whether logits are hidden states times `output.weight` plus `output.bias`, both parameters, and no more:
        training differentiates that by hand. Decided when it is first asked."""
        return (
            type(self).output_logits is TranslationModel.output_logits
            and type(self.output) in (nn.Linear, Linear)
            and all(isinstance(part, nn.Parameter) for part in (self.output.weight, self.output.bias))
        )

    @property
    def device(self) -> torch.device:
        """Where inputs must be; the CPU for a model without parameters of its own."""
        return next((parameter.device for parameter in self.parameters()), torch.device("cpu"))

    @property
    def has_attention(self) -> bool:
        """Whether there are weights over the source, to plot or to align words with."""
        return self.config.has_attention

    @property
    def max_source_positions(self) -> int | None:
        """The most source tokens the model can read, end of sentence included; None if there is no limit."""
        return None

    @property
    def max_target_positions(self) -> int | None:
        """The most target tokens the model can write, end of sentence included; None if there is no limit."""
        return None

    def output_length(self, source_length: int) -> int | None:
        """Positions the model emits for so many source tokens, end of sentence included; no target can be longer.

        None if the source does not decide it.
        """
        return None

    @property
    def kv_cache_per_token(self) -> int:
        """Elements that a search keeps per token of either text; 0 if the state does not grow with the text."""
        return 0

    def compilable_layers(self) -> list[nn.Module]:
        """The repeated layers that make up most of `forward` and are worth compiling."""
        return []

    def output_logits(self, hidden: Tensor) -> Tensor:
        """Unnormalised scores of tokens, [..., V], from hidden states [..., D]."""
        return self.output(hidden)


class NonAutoregressive(TranslationModel[ConfigT]):
    """A model that emits all positions at once; repetitions and blanks are then removed (CTC)."""

    @property
    def blank_id(self) -> int:
        """The id that represents no token."""
        return self.vocabulary.pad

    @abstractmethod
    def forward(self, source: Sequences) -> tuple[Tensor, Tensor]:
        """Hidden states of the emitted positions [B, U, D], and how many of them are real [B]."""


class Autoregressive(TranslationModel[ConfigT], Generic[ConfigT, StateT]):
    """A model that predicts the target from left to right, one token at a time."""

    exportable_state: ClassVar[type[ExportableState] | None] = None
    """The class of its states, with which the model can be exported to ONNX; None if it cannot."""

    @property
    def decoder_start_id(self) -> int:
        """The id that every target begins with; it is read, never predicted."""
        return self.vocabulary.start

    @abstractmethod
    def forward(self, source: Sequences, target_in: Sequences) -> Tensor:
        """Teacher forcing: the hidden states [B, T, D] that predict the token after each of `target_in`."""

    @abstractmethod
    def init_state(self, source: Sequences, beam_size: int, max_steps: int) -> StateT:
        """Encode the source for W = `beam_size` hypotheses per sentence of at most `max_steps` steps."""

    @abstractmethod
    def decode_step(self, tokens: Tensor, state: StateT) -> tuple[Tensor, StateT]:
        """Extend each hypothesis by one token ([B * W] int64); return the logits of the next token, [B * W, V].

        Consumes `state`: only the returned state may be used afterwards.
        """

    @abstractmethod
    def attention(self, source: Sequences, target_in: Sequences) -> Tensor | None:
        """Weights over the source for each prediction, [B, layers, heads, T, S], from one teacher-forced pass.

        None if the model has no attention.
        """

    def self_attention(self, source: Sequences, target_in: Sequences) -> SelfAttentionWeights:
        """Weights within the source and within the target, from one teacher-forced pass; none by default."""
        return SelfAttentionWeights(None, None)
