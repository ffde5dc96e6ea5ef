"""Translating the texts of a request with the served runs, whatever API they came through."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from nmt_cli.data.config import CorpusConfig
from nmt_cli.data.filtering.corpus_profile import load_language_model
from nmt_cli.data.filtering.language_model import LanguageModel
from nmt_cli.data.known_words import WordSet, normalized_words
from nmt_cli.data.text_profile import TextProfile
from nmt_cli.data.tokenization.imported import VOCABULARY_FILE, load_imported
from nmt_cli.inference.lines import SURROGATES_REPLACED, replace_surrogates
from nmt_cli.inference.output import Translation
from nmt_cli.serving.errors import RequestError, quote
from nmt_cli.serving.jobs import JobGroup, JobOptions, JobQueue
from nmt_cli.serving.languages import AUTO, Detection, Languages, Route, language_name
from nmt_cli.serving.settings import Limits, ServedRun
from nmt_cli.serving.texts import TextLine, TextPlanner, TranslatedText, join_text

T = TypeVar("T")
MAX_CHARACTERS_AT_ONCE = 5_000  # that are read in the event loop
MAX_TEXTS_AT_ONCE = 10  # likewise, since each costs something by itself
MIN_TARGET_CONFIDENCE = 80  # of 100, that a text is in a language that is translated into only: it is left as it is


@dataclass(frozen=True)
class TranslationRequest:
    """What an API asks for."""

    texts: list[str]
    source: str
    target: str
    alternatives: int = 0
    split: bool = True
    assess: bool = False
    """Whether to say how sure each translation is."""
    run: str | None = None
    is_file: bool = False
    """Whether the limits of files hold instead of those of requests."""


@dataclass(frozen=True)
class TextResult:
    """What became of a text."""

    route: Route
    translation: TranslatedText
    detection: Detection | None = None
    """The detected language, where it was asked for."""


class TranslationService:
    """The languages and runs that are served, and the queue of their engines."""

    def __init__(self, runs: Sequence[ServedRun], queue: JobQueue, limits: Limits) -> None:
        self.languages, self.queue, self.limits = Languages(runs), queue, limits
        self._planners: dict[str, TextPlanner] = {}
        self._evidence: dict[str, tuple[list[WordSet], list[tuple[LanguageModel, int]]]] = {}

    async def translate(self, request: TranslationRequest) -> list[TextResult]:
        """The results in the order of the texts; RequestError for what cannot be done."""
        target = self.require(request.target)
        source = None if request.source == AUTO else self.require(request.source)
        texts = [replace_surrogates(text) for text in request.texts]
        limit = self.limits.max_characters
        if sum(map(len, texts)) > limit and not request.is_file:
            raise RequestError(400, f"Invalid request: request exceeds text limit ({limit:,} characters)")
        detections: Sequence[Detection | None] = [None] * len(texts)
        if source is None:
            detections = await _without_blocking(texts, lambda: self.detect_all(texts, target, request.run))
        routes = [
            self.languages.route(detection.language if detection else source or "", target, request.run)
            for detection in detections
        ]
        translations = await self._follow_routes(texts, routes, request)
        return [
            TextResult(route, translation, detection)
            for route, translation, detection in zip(routes, translations, detections, strict=True)
        ]

    def require(self, code: str) -> str:
        """The served language that a code means; RequestError 400 for another."""
        language = self.languages.match(code)
        if language is None:
            raise RequestError(400, f"{quote(code)} is not supported; {', '.join(self.languages.codes)} are")
        return language

    def detect(self, text: str) -> list[Detection]:
        """The languages that a text may be in, the likeliest first."""
        others = [code for code in self.languages.codes if code not in self.languages.sources and self._knows(code)]
        return self.languages.detect(replace_surrogates(text), self._familiarity, [*self.languages.sources, *others])

    def detect_all(self, texts: list[str], target: str, run: str | None) -> list[Detection]:
        """The language of each text, of those that lead to the target, or the target itself; of one without letters
        that of all the texts."""
        sources = self.languages.sources_for(target, run)
        is_only_target = run is None and target not in self.languages.sources and self._knows(target)
        candidates = [*sources, target] if is_only_target else sources

        def detect(text: str) -> Detection:
            first, *others = self.languages.detect(text, self._familiarity, candidates)
            is_doubtful = is_only_target and first.language == target and first.confidence < MIN_TARGET_CONFIDENCE
            return others[0] if is_doubtful else first

        of_all = detect("\n".join(texts))
        return [detect(text) if any(map(str.isalpha, text)) else of_all for text in texts]

    def _knows(self, code: str) -> bool:
        """Whether the runs can tell how familiar a text in a language is."""
        return self._familiarity("", code) is not None

    async def _follow_routes(
        self, texts: list[str], routes: list[Route], request: TranslationRequest
    ) -> list[TranslatedText]:
        """Translate each text with the runs of its route, one after the other."""
        results = []
        for text, given, route in zip(texts, request.texts, routes, strict=True):
            warnings = [SURROGATES_REPLACED] if text != given else []
            if request.source == AUTO and not route.runs and any(map(str.isalpha, text)):
                language = language_name(route.target)
                warnings.append(
                    f"seems to be {language} already, and was left as it is: if it is not, name its language"
                )
            results.append(TranslatedText([text], [], warnings))
        for step in range(max((len(route.runs) for route in routes), default=0)):
            indices = [index for index, route in enumerate(routes) if step < len(route.runs)]
            translated = await self._translate_with(
                [results[index].texts[0] for index in indices],
                [routes[index].runs[step] for index in indices],
                [1 + request.alternatives if step == len(routes[index].runs) - 1 else 1 for index in indices],
                request,
            )
            for index, result in zip(indices, translated, strict=True):
                warnings = list(dict.fromkeys([*results[index].warnings, *result.warnings]))
                confidence = result.confidence if step == 0 else _product(results[index].confidence, result.confidence)
                results[index] = replace(result, warnings=warnings, confidence=confidence)
        return results

    async def _translate_with(
        self, texts: list[str], runs: list[ServedRun], counts: list[int], request: TranslationRequest
    ) -> list[TranslatedText]:
        """Translate each text with its run, all of them at once."""
        lines_by_text = await _without_blocking(texts, lambda: self._plan(texts, runs, request))
        pieces = [
            (JobOptions(run.name, count, request.split, request.assess), piece.text)
            for lines, run, count in zip(lines_by_text, runs, counts, strict=True)
            for line in lines
            for piece in line.pieces
        ]
        limit = self.limits.max_file_sentences if request.is_file else self.limits.max_sentences
        if len(pieces) > limit:
            raise RequestError(413, f"More than {limit:,} pieces of text: send them in parts")
        translations = iter(await self._translate_pieces(pieces))
        return await _without_blocking(
            texts,
            lambda: [
                join_text(lines, [next(translations) for line in lines for _ in line.pieces], count)
                for lines, count in zip(lines_by_text, counts, strict=True)
            ],
        )

    async def _translate_pieces(self, pieces: list[tuple[JobOptions, str]]) -> list[Translation]:
        """Their translations; of a file, those of a part after those of the part before, so that its pieces do not fill
        the queue."""
        translations: list[Translation] = []
        for first in range(0, len(pieces), self.limits.max_sentences):
            group = JobGroup()
            for options, text in pieces[first : first + self.limits.max_sentences]:
                group.add(options, text)
            self.queue.submit(group, is_admitted=first > 0)
            await group.future  # cancelled with the request
            translations += [job.translation for job in group.jobs if job.translation is not None]
        return translations

    def _plan(self, texts: list[str], runs: list[ServedRun], request: TranslationRequest) -> list[list[TextLine]]:
        return [
            self._planner(run).plan(text, split=request.split, short_pieces=request.assess)
            for text, run in zip(texts, runs, strict=True)
        ]

    def _planner(self, run: ServedRun) -> TextPlanner:
        if run.name not in self._planners:
            profile = TextProfile.load(run.path, CorpusConfig(source=run.source, target=run.target))
            is_imported = (run.path / VOCABULARY_FILE).exists()
            self._planners[run.name] = TextPlanner(profile, load_imported(run.path)[0] if is_imported else None)
        return self._planners[run.name]

    def _familiarity(self, text: str, code: str) -> float | None:
        """How familiar a text is to the runs of a source language: the mean of the share of its words that they know
        and of the probability that their language models give it; None where they have neither. Of a language that is
        translated into only, by the language models alone."""
        if code not in self._evidence:
            side = 0 if code in self.languages.sources else 1
            runs = [run.path for run in self.languages.runs.values() if (run.source, run.target)[side] == code]
            self._evidence[code] = (
                [words for words in map(WordSet.load, runs) if words is not None and side == 0],
                [(model, side) for model in map(load_language_model, runs) if model is not None],
            )
        (word_sets, models), words = self._evidence[code], normalized_words(text)
        evidence = [_probability(model, side, text) for model, side in models]
        if word_sets and words:
            evidence.append(sum(any(word in word_set for word_set in word_sets) for word in words) / len(words))
        return sum(evidence) / len(evidence) if evidence else None


async def _without_blocking(texts: Sequence[str], work: Callable[[], T]) -> T:
    """What comes of work on texts; where they are so many or so long that other requests would wait, in a thread."""
    if len(texts) > MAX_TEXTS_AT_ONCE or sum(map(len, texts)) > MAX_CHARACTERS_AT_ONCE:
        return await asyncio.to_thread(work)
    return work()


def _product(first: float | None, second: float | None) -> float | None:
    """The confidence of a translation of a translation; None where one of them is unknown."""
    return None if first is None or second is None else first * second


def _probability(model: LanguageModel, side: int, text: str) -> float:
    """That a text is in one of the two languages of a model; 0 for a text in neither."""
    language, probability = model.identify(text)
    if language is None:
        return 0.0
    return probability if language == model.languages[side] else 1.0 - probability
