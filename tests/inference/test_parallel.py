"""Blocks of lines handed out and put in order again, with workers that only count characters."""

import io
import random
from collections.abc import Sequence
from typing import Any

import pytest

from nmt_cli.errors import DataError
from nmt_cli.inference.blocks import MAX_BLOCK_LINES, MIN_BLOCK_HYPOTHESES, BlockPartitioner
from nmt_cli.inference.parallel import LineBlock, TranslationTuple, translate_in_order
from nmt_cli.workers import MAX_TASKS_PER_WORKER

SHORT = DataError("starts: fewer lines than the input")


class FakeWorkers:
    """Finishes one task whenever it is waited for, in any order."""

    def __init__(self, count: int) -> None:
        self.count, self.results = count, dict[int, list[TranslationTuple]]()
        self.under_way: dict[int, LineBlock] = {}
        self.sizes: list[int] = []
        self.most = 0
        self.draw = random.Random(1)

    def __len__(self) -> int:
        return self.count

    @property
    def idle_count(self) -> int:
        return self.count - len(self.under_way)

    def submit(self, task_number: int, task: LineBlock) -> None:
        assert self.idle_count
        self.under_way[task_number] = task
        self.sizes.append(len(task.texts))
        self.most = max(self.most, len(self.under_way) + len(self.results))

    def wait_for_results(self, other_files: Sequence[Any] = (), timeout: float | None = None) -> bool:
        if timeout is None and not other_files:
            number = self.draw.choice(list(self.under_way))
            block = self.under_way.pop(number)
            prefixes = block.prefixes or [""] * len(block.texts)
            pairs = zip(block.texts, prefixes, strict=True)
            self.results[number] = [
                ([(f"{prefix}{len(text)}", 0.0, 0.0, None)], [f"w{block.first_line}"], None, 0)
                for text, prefix in pairs
            ]
        return False


def translate(workers: FakeWorkers, raw: bytes, starts: list[str] | None = None, beam: int = 1) -> list[str]:
    given: Any = workers
    prefixes = None if starts is None else iter(starts)
    results = list(translate_in_order(given, io.BytesIO(raw), prefixes, SHORT, BlockPartitioner(workers.count, beam)))
    assert [line.number for line, _ in results] == list(range(1, len(results) + 1))
    return [translation.text for _, translation in results]


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("lines", [0, 1, 40, 5000])
def test_translations_come_in_the_order_of_the_lines(count: int, lines: int) -> None:
    raw = b"".join(b"%s\n" % (b"x" * (n % 50)) for n in range(lines))
    workers = FakeWorkers(count)
    assert translate(workers, raw) == [str(n % 50) for n in range(lines)]
    assert max(workers.sizes, default=0) <= MAX_BLOCK_LINES and workers.most <= MAX_TASKS_PER_WORKER * count


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
        assert workers.sizes[:4] == [MAX_BLOCK_LINES] * 4
        assert MIN_BLOCK_HYPOTHESES / 2 <= beam * workers.sizes[-1] <= 2 * MIN_BLOCK_HYPOTHESES


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("beam", [1, 5])
@pytest.mark.parametrize("lines", [1, 130, 1000, 7777])
def test_the_same_lines_are_together_whoever_translates_them(count: int, beam: int, lines: int) -> None:
    raw = b"".join(b"%s\n" % (b"x" * (n % 300)) for n in range(lines))
    alone = [len(block) for block in BlockPartitioner(2, beam).read_blocks(io.BytesIO(raw))]
    workers = FakeWorkers(count)
    given: Any = workers
    list(translate_in_order(given, io.BytesIO(raw), None, SHORT, BlockPartitioner(2, beam)))
    assert workers.sizes == alone and sum(alone) == lines


def test_every_block_has_the_beginnings_of_its_own_lines() -> None:
    starts = [f"{n}:" for n in range(2000)]
    assert translate(FakeWorkers(2), b"x\n" * 2000, starts) == [f"{n}:1" for n in range(2000)]
    with pytest.raises(DataError, match="starts: fewer lines than the input"):
        translate(FakeWorkers(2), b"x\n" * 2000, starts[:-1])
