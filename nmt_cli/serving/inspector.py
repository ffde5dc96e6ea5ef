"""A process of its own with our own engine, started at its first request, that says how a translation came about.

Translating never waits for it: it has one thread, and yields the processor to the engine workers.
"""

import asyncio
import os
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from nmt_cli.data.protected_spans import has_nothing_to_translate
from nmt_cli.errors import UserError, WorkerError
from nmt_cli.inference.inspection import inspect_sentence
from nmt_cli.inference.text_edits import Alignment
from nmt_cli.inference.translator import Translator
from nmt_cli.reporting import Reporter
from nmt_cli.serving.errors import RequestError
from nmt_cli.serving.jobs import OpenRun
from nmt_cli.serving.processes import AsyncWorker, WorkerDied
from nmt_cli.serving.texts import SentencePair
from nmt_cli.translation.opening import TranslatorSpec

MAX_WAITING = 32  # requests
MAX_OPEN_RUNS = 8
NICENESS = 5


class InspectSentence(NamedTuple):
    """The task to say how a sentence is translated; see `inspect_sentence`."""

    run: str
    text: str
    prefix: str = ""
    translation: str | None = None
    alternatives: bool = True
    beam: bool = False


class AlignSentences(NamedTuple):
    """The task to align the words of sentences, without their language tags, with those of their translations."""

    run: str
    pairs: list[SentencePair]


class Inspector:
    """Our end of the process. A task whose process dies is tried once more."""

    def __init__(self, work_factory: Callable[[int], "InspectionWork"], reporter: Reporter, timeout: float) -> None:
        self._open_work, self.reporter, self.timeout = work_factory, reporter, timeout
        self._worker: AsyncWorker | None = None
        self._lock = asyncio.Lock()
        self._calls: set[asyncio.Future[Any]] = set()

    async def inspect(self, task: InspectSentence) -> dict[str, Any]:
        """As `inspect_sentence`."""
        record: dict[str, Any] = await self._call(task)
        return record

    async def align(self, task: AlignSentences) -> list[Alignment | None]:
        """The alignment of each pair; None where the run has no attention."""
        alignments: list[Alignment | None] = await self._call(task)
        return alignments

    async def stop(self) -> None:
        """End the process."""
        if self._worker is not None:
            self._worker.kill()
            self._worker = None

    async def _call(self, task: InspectSentence | AlignSentences) -> Any:
        """The result of a task; RequestError where it cannot be had."""
        if len(self._calls) >= MAX_WAITING:
            raise RequestError(503, "Too many requests of this kind are waiting: try again later", retry_after=5)
        abandoned = asyncio.Event()
        # The call is not cancelled with its request: its answer would be taken for that of the next one.
        call = asyncio.ensure_future(self._call_in_turn(task, abandoned))
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        call.add_done_callback(lambda done: done.cancelled() or done.exception())  # somebody has seen its error
        try:
            return await asyncio.shield(call)
        finally:
            abandoned.set()

    async def _call_in_turn(self, task: InspectSentence | AlignSentences, abandoned: asyncio.Event) -> Any:
        async with self._lock:
            for _ in range(2):
                if abandoned.is_set():
                    return None
                try:
                    self._worker = self._worker or AsyncWorker(self._open_work, 0)
                    await self._worker.call(OpenRun(task.run))  # however long it takes
                    return await self._worker.call(task, self.timeout)
                except WorkerDied as death:
                    self.reporter.warning(f"the process for inspections died ({death}) and is replaced")
                    await self.stop()
                except UserError as error:
                    raise RequestError(400, f"Invalid request: {error}") from error
                except WorkerError as error:
                    self.reporter.warning("\n".join([f"an inspection failed: {error}", *error.__notes__]))
                    raise RequestError(500, f"The engine failed on this text: {error}") from error
        raise RequestError(500, "The engine failed twice on this text")


@dataclass
class InspectionWork:
    """The work of the process, which keeps the runs that were asked for last."""

    specs: dict[str, TranslatorSpec]
    translators: "OrderedDict[str, Translator]" = field(default_factory=OrderedDict)

    def __call__(self, task: OpenRun | InspectSentence | AlignSentences) -> Any:
        """The result of a task."""
        translator = self._translator(task.run)
        if isinstance(task, OpenRun):
            return None
        if isinstance(task, AlignSentences):
            return _align(translator, task.pairs)
        return inspect_sentence(
            translator,
            task.text,
            task.prefix,
            translation=task.translation,
            alternatives=task.alternatives,
            beam=task.beam,
        )

    def _translator(self, run: str) -> Translator:
        if run not in self.translators:
            self.translators[run] = self.specs[run].open(Reporter(quiet=True))
            if len(self.translators) > MAX_OPEN_RUNS:
                self.translators.popitem(last=False)
        self.translators.move_to_end(run)
        return self.translators[run]


def _align(translator: Translator, pairs: list[SentencePair]) -> list[Alignment | None]:
    normalizer, tokenizers = translator.planner.normalizer, translator.tokenizers
    sources = tokenizers.source.encode([pair.language_tag + normalizer(pair.source) for pair in pairs])
    targets = tokenizers.target.encode([normalizer(pair.target) for pair in pairs])
    planner = translator.planner
    tokens = [
        (source_ids[: planner.max_source_tokens], target_ids[: planner.max_target_tokens])
        for source_ids, target_ids in zip(sources, targets, strict=True)
    ]
    alignments = translator.word_alignments(tokens)
    for index, (pair, alignment) in enumerate(zip(pairs, alignments, strict=True)):
        tag_words = len(pair.language_tag.split())
        if pair.source == pair.target and has_nothing_to_translate(pair.source):  # copied
            alignments[index] = [(word, word) for word in range(len(pair.source.split()))]
        elif alignment is not None:
            alignments[index] = [(source - tag_words, target) for source, target in alignment if source >= tag_words]
    return alignments


def open_inspection_work(specs: dict[str, TranslatorSpec], worker_index: int) -> InspectionWork:
    """The work of the process, in one thread of low priority."""
    os.environ["OMP_NUM_THREADS"] = "1"
    with suppress(OSError):
        os.nice(NICENESS)
    return InspectionWork(specs)
