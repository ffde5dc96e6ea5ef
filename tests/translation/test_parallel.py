"""Blocks of lines handed out and put in order again, with workers that only count characters."""

import io
import random
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest
import torch

from nmt_cli.errors import DataError, UserError
from nmt_cli.inference.lines import MAX_BLOCK_LINES, MIN_BLOCK_HYPOTHESES, BlockPartitioner, BlockReader, LineBlock
from nmt_cli.inference.output import Candidate, Translation
from nmt_cli.reporting import Reporter
from nmt_cli.translation.opening import TranslatorSpec
from nmt_cli.translation.parallel import ParallelTranslator, _threads_disabled, translate_in_order
from nmt_cli.workers import MAX_TASKS_PER_WORKER


class FakeWorkers:
    """Finishes one task whenever it is waited for, in any order."""

    def __init__(self, count: int) -> None:
        self.count, self.results = count, dict[int, list[Translation]]()
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
                Translation([Candidate(f"{prefix}{len(text)}", 0.0, 0.0)], [f"w{block.lines[0].number}"])
                for text, prefix in pairs
            ]
        return False


def translate(workers: FakeWorkers, raw: bytes, prefix_path: Path | None = None, beam: int = 1) -> list[str]:
    pool: Any = workers
    blocks = BlockReader(io.BytesIO(raw), BlockPartitioner(workers.count, beam), prefix_path)
    results = []
    for translated in translate_in_order(pool, blocks):
        results.append(translated.translation.text)
        assert translated.line.number == len(results)
    return results


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


def test_a_wait_is_announced_once_all_translated_lines_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    workers = FakeWorkers(2)
    pool: Any = workers
    taken, marks = [0], [0]
    wait = workers.wait_for_results

    def checked_wait(other_files: Sequence[Any] = (), timeout: float | None = None) -> bool:
        assert timeout is not None or other_files or marks[-1] == taken[-1]
        return wait(other_files, timeout)

    monkeypatch.setattr(workers, "wait_for_results", checked_wait)
    blocks = BlockReader(io.BytesIO(b"x\n" * 5000), BlockPartitioner(2, 1))
    for translated in translate_in_order(pool, blocks, lambda: marks.append(taken[-1])):
        taken.append(translated.line.number)
    assert len(set(marks)) > 2 and set(marks) < {0, *accumulate(workers.sizes)}


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("beam", [1, 5])
@pytest.mark.parametrize("lines", [1, 130, 1000, 7777])
def test_the_same_lines_are_together_whoever_translates_them(count: int, beam: int, lines: int) -> None:
    raw = b"".join(b"%s\n" % (b"x" * (n % 300)) for n in range(lines))
    alone = [len(block.lines) for block in BlockReader(io.BytesIO(raw), BlockPartitioner(2, beam))]
    workers = FakeWorkers(count)
    pool: Any = workers
    list(translate_in_order(pool, BlockReader(io.BytesIO(raw), BlockPartitioner(2, beam))))
    assert workers.sizes == alone and sum(alone) == lines


def test_every_block_has_the_prefixes_of_its_own_lines(tmp_path: Path) -> None:
    path = tmp_path / "prefixes"
    path.write_text("".join(f"{n}:\n" for n in range(2000)))
    assert translate(FakeWorkers(2), b"x\n" * 2000, path) == [f"{n}:1" for n in range(2000)]
    with pytest.raises(DataError, match="prefixes: fewer lines than the input"):
        translate(FakeWorkers(2), b"x\n" * 2001, path)
    with pytest.raises(DataError, match="prefixes: more lines than the input, which has 1,999"):
        translate(FakeWorkers(2), b"x\n" * 1999, path)


def test_onnx_takes_one_process(tiny_run: Path) -> None:
    with pytest.raises(UserError) as caught:
        ParallelTranslator(TranslatorSpec((str(tiny_run),), engine="onnx"), "2", Reporter())
    assert str(caught.value) == "engine onnx: uses all cores in one process"
    assert caught.value.hint == "leave out --processes"


def test_a_line_that_strict_refuses_comes_after_the_lines_before_it() -> None:
    pool: Any = FakeWorkers(2)
    blocks = BlockReader(io.BytesIO(b"x\n" * 700 + b"\xff\n" + b"x\n" * 700), BlockPartitioner(2, 1), strict=True)
    numbers = []
    with pytest.raises(DataError, match="line 701: not UTF-8 text"):
        for translated in translate_in_order(pool, blocks):
            numbers.append(translated.line.number)
    assert numbers == list(range(1, 701))


def test_there_are_as_many_processes_as_the_container_has_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = [64]
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("nmt_cli.device.usable_cores", lambda: 3)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads[-1])
    monkeypatch.setattr(torch, "set_num_threads", threads.append)
    with _threads_disabled() as count:
        assert (count, threads[-1]) == (3, 1)
    assert threads == [64, 3, 1, 3]
