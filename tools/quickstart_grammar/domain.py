"""Finite domains: sets of derivations that can be counted, drawn from and listed.

A domain stands for a finite set of derivations.  There are three ways to make one, and they are
those of any context-free grammar: a list of words (`OneOf`), a choice between alternative rules
(`Choice`) and a rule with several parts (`Product`).  The number of derivations is then the length
of the list, the sum over the alternatives, the product over the parts.

Weights say how often an alternative is drawn; they have no influence on what can be derived.
"""

import itertools
import math
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from random import Random
from typing import Any, Generic, TypeVar

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Domain(ABC, Generic[T_co]):
    """A finite set of derivations."""

    size: int

    @abstractmethod
    def draw(self, rng: Random) -> T_co:
        """Draw one derivation."""

    @abstractmethod
    def __iter__(self) -> Iterator[T_co]:
        """List every derivation once."""


class OneOf(Domain[T]):
    """The items of a list, all drawn equally often."""

    def __init__(self, items: Iterable[T]) -> None:
        """Keep the items, in their order."""
        self.items: Sequence[T] = tuple(items)
        self.size = len(self.items)

    def draw(self, rng: Random) -> T:
        """Draw one item."""
        # random() is the one method whose sequence Python promises never to change.
        return self.items[int(rng.random() * self.size)]

    def __iter__(self) -> Iterator[T]:
        """List the items."""
        return iter(self.items)


class Choice(Domain[T]):
    """A choice between domains that have no derivation in common; weights may be fractions."""

    def __init__(self, *alternatives: tuple[float, Domain[T]]) -> None:
        """Weighted alternatives; those that are empty or have weight zero are dropped."""
        kept = [(weight, domain) for weight, domain in alternatives if domain.size and weight]
        self.alternatives = [domain for _, domain in kept]
        self.bounds = list(itertools.accumulate(weight for weight, _ in kept))
        self.total = self.bounds[-1] if kept else 0.0
        # The upper limit guards against a product that rounds up to the last bound.
        self.last = len(kept) - 1
        self.size = sum(domain.size for domain in self.alternatives)

    def pick(self, rng: Random) -> int:
        """Draw the number of an alternative by weight."""
        return bisect_right(self.bounds, rng.random() * self.total, 0, self.last)

    def draw(self, rng: Random) -> T:
        """Draw an alternative by weight, then a derivation from it."""
        number = bisect_right(self.bounds, rng.random() * self.total, 0, self.last)
        return self.alternatives[number].draw(rng)

    def __iter__(self) -> Iterator[T]:
        """List the derivations of each alternative in turn."""
        return itertools.chain.from_iterable(self.alternatives)


class Product(Domain[T]):
    """A rule: one derivation from each part, put together by a function."""

    def __init__(self, build: Callable[..., T], *parts: Domain[Any]) -> None:
        """Take the function and the domain of each of its arguments."""
        self.build = build
        self.parts = parts
        self.size = math.prod(part.size for part in parts)

    def draw(self, rng: Random) -> T:
        """Draw every part and build the whole."""
        return self.build(*[part.draw(rng) for part in self.parts])

    def __iter__(self) -> Iterator[T]:
        """List all combinations of parts."""
        return itertools.starmap(self.build, itertools.product(*self.parts))


def just(item: T) -> Domain[T]:
    """The domain with one derivation."""
    return OneOf((item,))


def maybe(domain: Domain[T], probability: float) -> Domain[T | None]:
    """None, or with the given probability a derivation of the domain."""
    options: Choice[Any] = Choice((1 - probability, just(None)), (probability, domain))
    return options
