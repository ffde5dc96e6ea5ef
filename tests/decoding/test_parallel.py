"""Blocks of lines handed out and put in order again, with workers that only count characters."""

import io
import random
from collections.abc import Sequence
from typing import Any

import pytest

from nmt_cli.decoding.blocks import BLOCK, USEFUL, Division
from nmt_cli.decoding.parallel import Block, Plain, translate_in_order
from nmt_cli.errors import DataError
from nmt_cli.workers import AHEAD

SHORT = DataError("starts: fewer lines than the input")


class FakeWorkers:
    """Finishes one task whenever it is waited for, in any order."""

    def __init__(self, count: int) -> None:
        self.count, self.results = count, dict[int, list[Plain]]()
        self.under_way: dict[int, Block] = {}
        self.sizes: list[int] = []
        self.most = 0
        self.draw = random.Random(1)

    def __len__(self) -> int:
        return self.count

    @property
    def idle(self) -> int:
        return self.count - len(self.under_way)

    def give(self, number: int, task: Block) -> None:
        assert self.idle
        self.under_way[number] = task
        self.sizes.append(len(task.texts))
        self.most = max(self.most, len(self.under_way) + len(self.results))

    def collect(self, also: Sequence[Any] = (), timeout: float | None = None) -> bool:
        if timeout is None and not also:
            number = self.draw.choice(list(self.under_way))
            block = self.under_way.pop(number)
            prefixes = block.prefixes or [""] * len(block.texts)
            pairs = zip(block.texts, prefixes, strict=True)
            self.results[number] = [
                ([(f"{prefix}{len(text)}", 0.0, 0.0, None)], [f"w{block.first}"], None, 0)
                for text, prefix in pairs
            ]
        return False


def translate(
    workers: FakeWorkers, raw: bytes, starts: list[str] | None = None, beam: int = 1
) -> list[str]:
    given: Any = workers
    some = None if starts is None else iter(starts)
    found = list(
        translate_in_order(given, io.BytesIO(raw), some, SHORT, Division(workers.count, beam))
    )
    assert [line.number for line, _ in found] == list(range(1, len(found) + 1))
    return [translation.text for _, translation in found]


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("lines", [0, 1, 40, 5000])
def test_translations_come_in_the_order_of_the_lines(count: int, lines: int) -> None:
    raw = b"".join(b"%s\n" % (b"x" * (n % 50)) for n in range(lines))
    workers = FakeWorkers(count)
    assert translate(workers, raw) == [str(n % 50) for n in range(lines)]
    assert max(workers.sizes, default=0) <= BLOCK and workers.most <= AHEAD * count


def test_a_short_input_is_shared_out_evenly_and_the_end_of_a_long_one_too() -> None:
    workers = FakeWorkers(4)
    translate(workers, b"x\n" * 200)
    assert workers.sizes == [50, 50, 50, 50]
    workers = FakeWorkers(16)
    translate(workers, b"x\n" * 2000, beam=5)
    assert workers.sizes[:15] == [125] * 15
    for beam in (1, 5):
        workers = FakeWorkers(2)
        translate(workers, b"x\n" * 10_000, beam=beam)
        assert workers.sizes[:4] == [BLOCK] * 4
        assert USEFUL / 2 <= beam * workers.sizes[-1] <= 2 * USEFUL


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("beam", [1, 5])
@pytest.mark.parametrize("lines", [1, 130, 1000, 7777])
def test_the_same_lines_are_together_whoever_translates_them(
    count: int, beam: int, lines: int
) -> None:
    raw = b"".join(b"%s\n" % (b"x" * (n % 300)) for n in range(lines))
    alone = [len(block) for block in Division(2, beam).blocks(io.BytesIO(raw))]
    workers = FakeWorkers(count)
    given: Any = workers
    list(translate_in_order(given, io.BytesIO(raw), None, SHORT, Division(2, beam)))
    assert workers.sizes == alone and sum(alone) == lines


def test_every_block_has_the_beginnings_of_its_own_lines() -> None:
    starts = [f"{n}:" for n in range(2000)]
    assert translate(FakeWorkers(2), b"x\n" * 2000, starts) == [f"{n}:1" for n in range(2000)]
    with pytest.raises(DataError, match="starts: fewer lines than the input"):
        translate(FakeWorkers(2), b"x\n" * 2000, starts[:-1])
