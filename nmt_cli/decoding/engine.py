"""What translates ids: the interface of our own search and of other runtimes. Imports no torch."""

import ctypes
import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakMethod

from nmt_cli.decoding.config import SearchConfig
from nmt_cli.errors import DeviceError, UserError

if TYPE_CHECKING:
    from torch import Tensor

TokenIds = list[int]


@dataclass(frozen=True)
class Hypothesis:
    """A finished translation."""

    ids: TokenIds  # without the end of sentence
    log_probability: float  # sum over ids and end of sentence, natural logarithm
    score: float  # what hypotheses are ranked by
    truncated: bool = False  # it ended only because it reached the longest length allowed


class TokenInspection(NamedTuple):
    """What a model assigns to the tokens of one translation; S source and T target tokens, each with its end."""

    log_probabilities: list[float]  # T
    alternatives: list[list[tuple[int, float]]]
    """The most probable tokens at each position, T, with their log-probabilities, best first."""
    attention: "Tensor | None"  # [layers, heads, T, S]; these three None where the model has none
    source_attention: "Tensor | None"  # [layers, heads, S, S]
    target_attention: "Tensor | None"
    """[layers, heads, T, T]; row t predicts token t, column t reads the token before it."""


class BeamNode(NamedTuple):
    """A hypothesis of a beam, by its last token."""

    token: int
    parent: int  # its index among the hypotheses of the previous step
    log_probability: float  # of the whole hypothesis
    score: float | None = None  # what finished hypotheses are ranked by; None for others


class BeamTrace(NamedTuple):
    """The hypotheses of every step of a beam search, best first; those that ended come last."""

    beam_size: int
    steps: list[list[BeamNode]]


class Engine(ABC):
    """A model that is ready to translate: ids in, hypotheses out; it knows nothing of text."""

    max_source_positions: int | None = None
    """Most source tokens the model can read, end of sentence included; None: any number."""
    max_target_positions: int | None = None
    """Most target tokens the model can write, end of sentence included; None: any number."""
    concurrent_searches = 1
    """How many calls at a time keep it busy: more than one only where several threads may call it."""

    @abstractmethod
    def max_batch_positions(self, config: SearchConfig) -> int:
        """Most source positions, padding included, that one call of `search` should get."""

    def max_attention_positions(self, config: SearchConfig) -> int:
        """Most positions of the longer side, padding included, that one call of `attention` should get."""
        return self.max_batch_positions(config)

    @abstractmethod
    def search(
        self, sources: list[TokenIds], config: SearchConfig, prefixes: list[TokenIds] | None = None
    ) -> list[list[Hypothesis]]:
        """The `n_best` hypotheses of each source, best first.

        Each source has at least one id and no end of sentence. `prefixes`, one per source, are ids
        that the translations must begin with.
        """

    def search_differences(self, config: SearchConfig) -> list[str]:
        """The options that do nothing here, or something else than in our own search, as `search.key: reason`."""
        return []

    def attention(self, sources: list[TokenIds], targets: list[TokenIds]) -> "list[Tensor] | None":
        """Attention weights [layers, heads, T, S] of each pair; None where the engine has none."""
        return None

    def log_probabilities(
        self, sources: list[TokenIds], targets: list[TokenIds], config: SearchConfig
    ) -> list[float] | None:
        """log p(target | source) of each pair in nats; None where the engine cannot compute it."""
        pairs = self.token_log_probabilities(sources, targets, config)
        return None if pairs is None else [sum(log_probs) for log_probs in pairs]

    def token_log_probabilities(
        self, sources: list[TokenIds], targets: list[TokenIds], config: SearchConfig
    ) -> list[list[float]] | None:
        """The terms of `log_probabilities`: one for each target token and for the end of sentence.

        None where the engine cannot compute them, or where the model emits all tokens at once.
        """
        return None

    def inspect(self, source: TokenIds, target: TokenIds, alternatives: int) -> TokenInspection | None:
        """What the model assigns to each token of a translation, with this many alternatives; None if unknown."""
        return None

    def trace_beam(self, source: TokenIds, config: SearchConfig, prefix: TokenIds) -> BeamTrace | None:
        """Every step of a beam search; None where the engine shows none."""
        return None

    def __reduce__(self) -> str:
        raise UserError("a translator cannot be pickled: open it in the process that translates, by load_run")


def after_fork(method: Callable[[], None]) -> None:
    """Call a method in every process that is forked while its object lives: threads are not there any more."""
    reference = WeakMethod(method)

    def call() -> None:
        living = reference()
        if living is not None:
            living()

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=call)


def abandon(runtime: Any) -> None:
    """Never destroy an object of a runtime in a forked process, where it would wait for threads that are gone."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(runtime))


def forked_from_gpu() -> DeviceError:
    """What is to be raised where a process was forked from one that uses a GPU."""
    return DeviceError("a translator on a GPU does not work after a fork: open it in the process that translates")
