"""The contract between models and everything else: training, search and plots know nothing more.

Shapes: B sentences, S source positions, T target positions, D model width, V target vocabulary,
W hypotheses a sentence ("width").
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import ClassVar, Generic, NamedTuple, Self, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nmt_cli.config import Section
from nmt_cli.vocabulary import Vocabulary

MAX_CPU_CHUNK_POSITIONS = 1024  # positions, padding included, that a CPU encodes at once for a search


class Sequences(NamedTuple):
    """A batch of id sequences, padded at the end.

    Positions at or after a sequence's length never influence a result.
    """

    ids: Tensor  # [B, L] int64
    lengths: Tensor  # [B] int64, at least 1
    known_num_tokens: int | None = None  # the sum of lengths, where asking the device would cost a wait

    @classmethod
    def from_numpy(cls, ids: NDArray[np.int64], lengths: NDArray[np.int64], device: torch.device) -> "Sequences":
        """Copy padded ids [B, L] and their lengths [B] to a device, from page-locked memory if it is a GPU."""
        id_tensor, length_tensor = torch.from_numpy(ids), torch.from_numpy(lengths)
        if device.type == "cuda":
            id_tensor, length_tensor = id_tensor.pin_memory(), length_tensor.pin_memory()
        id_tensor, length_tensor = (tensor.to(device, non_blocking=True) for tensor in (id_tensor, length_tensor))
        return cls(id_tensor, length_tensor, int(lengths.sum()))

    def num_tokens(self) -> int:
        """Real positions; waits for the device where the number is not known."""
        return int(self.lengths.sum()) if self.known_num_tokens is None else self.known_num_tokens

    def padding_mask(self) -> Tensor | None:
        """True where a position is padding, [B, L]; None where the batch has none."""
        if self.num_tokens() == self.ids.numel():
            return None
        positions = torch.arange(self.ids.shape[1], device=self.ids.device)
        return positions >= self.lengths[:, None]

    def chunks(self) -> Iterator[tuple[slice, "Sequences"]]:
        """Neighbouring rows, each time with no more padding than their own longest one needs.

        What is computed of a part stays in a processor's caches; another device gets all at once.
        """
        if self.ids.device.type != "cpu" or self.ids.numel() <= MAX_CPU_CHUNK_POSITIONS:
            yield slice(None), self
            return
        start = longest = 0
        for row, length in enumerate(self.lengths.tolist()):
            if row > start and (row + 1 - start) * max(longest, length) > MAX_CPU_CHUNK_POSITIONS:
                yield self._chunk(start, row, longest)
                start, longest = row, 0
            longest = max(longest, length)
        yield self._chunk(start, len(self.ids), longest)

    def _chunk(self, start: int, end: int, longest: int) -> tuple[slice, "Sequences"]:
        rows = slice(start, end)
        return rows, Sequences(self.ids[rows, :longest], self.lengths[rows])


class ModelConfig(Section):
    """What every model's section of a recipe offers."""

    type: str
    """Name in the registry of models."""

    def errors(self, joint_vocabulary: bool) -> list[str]:
        """Options that do not fit together, each as `key: what is wrong`."""
        return []

    @classmethod
    def tiny_configs(cls) -> list[Self]:
        """Small configurations that between them use every value of every option."""
        raise NotImplementedError


class State(ABC):
    """What a model remembers between two steps of decoding, for [B, W] hypotheses."""

    @abstractmethod
    def reorder(self, parents: Tensor) -> None:
        """Let hypothesis w of sentence b continue hypothesis parents[b, w] of the same sentence.

        Called after every step of a search with width above 1. `parents` is [B, W] int64.
        """

    @abstractmethod
    def select(self, sentences: Tensor) -> None:
        """Drop all sentences but those at these indices ([K] int64), in this order."""


ConfigT = TypeVar("ConfigT", bound=ModelConfig)
StateT = TypeVar("StateT", bound=State)


class TranslationModel(nn.Module, ABC, Generic[ConfigT]):
    """What both contracts share; a contract decides the loss and the search of its models."""

    config_class: ClassVar[type[ModelConfig]]
    summary: ClassVar[str]

    def __init__(self, config: ConfigT, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.config = config
        self.vocabulary = vocabulary

    @property
    @abstractmethod
    def d_model(self) -> int:
        """The D of `forward`, which the noam schedule scales with."""

    @property
    def has_attention(self) -> bool:
        """Whether there are weights over the source to look at or to align words with."""
        return False

    @property
    def max_source_positions(self) -> int | None:
        """How many source tokens the model can read, end of sentence included; None: any number."""
        return None

    @property
    def max_target_positions(self) -> int | None:
        """How many target tokens the model can write, end of sentence included; None: any."""
        return None

    @property
    def kv_cache_per_token(self) -> int:
        """How many numbers a search keeps for a position of either text; 0: they are not known."""
        return 0

    def compilable_layers(self) -> list[nn.Module]:
        """Layers that are many of a kind and make up most of `forward`: worth compiling."""
        return []

    @abstractmethod
    def output_logits(self, hidden: Tensor) -> Tensor:
        """Unnormalised scores of tokens, [..., V], from hidden states [..., D]."""


class NonAutoregressive(TranslationModel[ConfigT]):
    """A model that emits all positions at once; repetitions and blanks collapse (CTC)."""

    @property
    def blank_id(self) -> int:
        """The id that stands for no token."""
        return self.vocabulary.pad

    @abstractmethod
    def forward(self, source: Sequences) -> tuple[Tensor, Tensor]:
        """Hidden states of the emitted positions [B, U, D], and how many are real [B]."""


class Autoregressive(TranslationModel[ConfigT], Generic[ConfigT, StateT]):
    """A model that predicts the target from left to right, one distribution a position."""

    @property
    def has_attention(self) -> bool:
        """See `TranslationModel.has_attention`."""
        return True

    @property
    def decoder_start_id(self) -> int:
        """The id that every target begins with; it is read, never predicted."""
        return self.vocabulary.start

    @abstractmethod
    def forward(self, source: Sequences, target_in: Sequences) -> Tensor:
        """Teacher forcing: the hidden states that predict the token after each of `target_in`.

        Returns [B, T, D].
        """

    @abstractmethod
    def init_state(self, source: Sequences, beam_size: int, max_steps: int) -> StateT:
        """Encode the source once, for `width` hypotheses a sentence of up to `capacity` steps."""

    @abstractmethod
    def decode_step(self, tokens: Tensor, state: StateT) -> tuple[Tensor, StateT]:
        """Extend each hypothesis by one token ([B * W] int64) and score the next: [B * W, V].

        The state handed in is spent: only the returned one may be used afterwards.
        """

    @abstractmethod
    def attention(self, source: Sequences, target_in: Sequences) -> Tensor | None:
        """Weights over the source for each prediction, [B, layers, heads, T, S]; None without any.

        One teacher-forced pass, for pictures and alignments.
        """
