"""Search by CTranslate2, with the options of the search in decoding/.

How CTranslate2 differs, and what this engine does about it:

- It ranks by log-probability / length^alpha only. So all finished hypotheses are requested and ranked here,
  by search.length_normalization.
- It stops after `patience` * beam finished hypotheses (Kasai et al. 2024), whereas decoding/ continues until no
  live hypothesis can win. With enough patience both find the same; `DEFAULT_PATIENCE`, where there is no
  search.patience, is nearly enough.
- It leaves a hypothesis of the maximum length unfinished, whereas decoding/ forces its end and adds the cost. Such
  hypotheses are rescored, end of sentence included.
- Its beam never ends directly after a prefix; this hypothesis is added here.
- Its scores leave out prefixes, renormalise probabilities where search.min_length or search.no_repeat_ngram forbids
  tokens, and have the temperature of samples applied; these hypotheses are rescored as well.
- Its random numbers do not depend on search.seed: each worker has a generator, seeded when it first draws, and with
  a given seed all workers would draw the same.
- It refuses several samples with search.top_k 1, where all are the same, and a search.top_k above the size of the
  vocabulary.
- It applies search.no_repeat_ngram to every repetition; decoding/ allows as many as the source has.
- It has one maximum length per batch. Sentences of similar length share the longest of theirs, so that batches are
  large; one with a hypothesis that reaches its own maximum is searched once more with that (of a greedy search,
  cut to it, which gives the same).
"""

import math
import os
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nmt_cli.data.length_batching import batch_by_length
from nmt_cli.data.tokenization.tokenizer import MAX_TOKENIZER_FILE_BYTES
from nmt_cli.decoding.config import SearchConfig
from nmt_cli.decoding.engine import Engine, Hypothesis, TokenIds, abandon, after_fork, forked_from_gpu
from nmt_cli.errors import DeviceError
from nmt_cli.export.ctranslate2_support import (
    QUANTIZATIONS,
    import_ctranslate2,
    resolve_device,
    search_differences,
    unsupported_options,
)
from nmt_cli.fs import read_json, read_json_list
from nmt_cli.workers import usable_cores

if TYPE_CHECKING:
    from torch import Tensor

DEFAULT_PATIENCE = 1.5  # 2.0 gave 4 more of 3,000 texts as decoding/ does, in a tenth more time
LENGTH_STEP = 16  # source tokens; batches of 16 sentences took a third less processor time than with 1
MAX_BATCH_TOKENS = 512  # of source on a CPU; with 512 sentences instead of 32, a quarter more processor time
MAX_FLOAT32_BATCH_TOKENS = 2048  # whose larger matrix products gain from larger batches
MAX_POSITIONS_PER_CALL = 1 << 20  # `search` sorts and batches them


@dataclass
class _Candidate:
    """A hypothesis as CTranslate2 returns it."""

    tokens: list[str]  # without the end of sentence
    finished: bool
    log_probability: float  # of the tokens, and of the end of sentence if finished


@dataclass
class _Sentence:
    """A source with the beginning of its translation, and what a search has found."""

    source: TokenIds
    prefix: TokenIds
    candidates: list[_Candidate] = field(default_factory=list)


class CTranslate2Engine(Engine):
    """An exported folder in CTranslate2."""

    concurrent_searches = 3  # so that batches are queued while others are tokenized, searched again or joined

    def __init__(self, folder: Path, device: str, compute_type: str, *, workers: int | None = None) -> None:
        """`device` is auto, cpu, cuda or cuda:N; DeviceError if it is not there or does not support `compute_type`.

        On a CPU `workers` threads translate a batch each, with one copy of the weights; None: one on each core.
        """
        kind, index = resolve_device(device)
        _check_compute_type(kind, index, compute_type)
        on_cpu = kind == "cpu"
        self.worker_count = workers or usable_cores() if on_cpu else 1
        cpu_tokens = MAX_FLOAT32_BATCH_TOKENS if compute_type == "float32" else MAX_BATCH_TOKENS
        self.max_batch_tokens = cpu_tokens if on_cpu else MAX_POSITIONS_PER_CALL
        self._open = partial(
            import_ctranslate2().Translator,
            os.fsencode(folder),  # text cannot have bytes that the locale does not decode
            kind,
            device_index=index,
            compute_type=compute_type,
            inter_threads=self.worker_count,
            intra_threads=1 if on_cpu else 0,
            max_queued_batches=-1,  # else queueing waits for a worker
        )
        self._translator: Any = self._open()
        self._on_gpu = not on_cpu
        after_fork(self._follow_fork)
        self.patience = DEFAULT_PATIENCE
        self.scores_greedy = True
        """Whether greedy search says how probable its translations are, which takes 5 to 8 % of its time; else nan."""
        self.open_own_engine: Callable[[], Engine | None] | None = None
        """Opens the run in our own engine, which has the attention that CTranslate2 does not return; called once. None
        where it cannot be opened."""
        self._own_engine: Engine | None = None
        self._own_thread = ThreadPoolExecutor(1)
        self._lock = threading.Lock()
        self.source_tokens = _read_vocabulary(folder, "source")
        self.target_tokens = _read_vocabulary(folder, "target")
        self.target_token_ids = {token: token_id for token_id, token in enumerate(self.target_tokens)}
        config = read_json(folder / "config.json")
        self.eos_token: str = config["eos_token"]
        self.max_source_positions = self.max_target_positions = config.get("max_position_embeddings")

    def _follow_fork(self) -> None:
        abandon(self._translator)
        self._translator, self._lock = None, threading.Lock()
        self._own_thread = ThreadPoolExecutor(1)

    @property
    def translator(self) -> Any:
        """CTranslate2's, opened again after a fork; DeviceError where that cannot be."""
        if self._translator is None:
            if self._on_gpu:
                raise forked_from_gpu()
            with self._lock:
                self._translator = self._translator or self._open()
        return self._translator

    def max_batch_positions(self, config: SearchConfig) -> int:
        """As many as possible: `search` makes batches of them that run on all cores."""
        return MAX_POSITIONS_PER_CALL

    def search_differences(self, config: SearchConfig) -> list[str]:
        """See `Engine.search_differences`; of n_best, where little differs, nothing is said."""
        return unsupported_options(config) + search_differences(config.model_copy(update={"n_best": 1}))

    def search(
        self, sources: list[TokenIds], config: SearchConfig, prefixes: list[TokenIds] | None = None
    ) -> list[list[Hypothesis]]:
        """See `Engine.search`: batches are queued, and the next free worker takes the next one."""
        sentences = [
            _Sentence(source, prefix) for source, prefix in zip(sources, prefixes or [[] for _ in sources], strict=True)
        ]
        self._search(sentences, config, LENGTH_STEP)
        self._limit_lengths(sentences, config)
        if prefixes and config.beam > 1 and not config.sampling:
            self._add_bare_prefixes(sentences, config)
        keep_finished_scores = not (config.sampling or config.min_length or config.no_repeat_ngram or prefixes)
        self._rescore(sentences, unfinished_only=keep_finished_scores)
        copies = config.n_best if config.sampling and config.top_k == 1 else 1  # of the only sample that there is
        return [self._rank(sentence.candidates * copies, config) for sentence in sentences]

    def _search(self, sentences: list[_Sentence], config: SearchConfig, length_step: int) -> None:
        """Set the candidates of each sentence, in batches of equal maximum length."""
        pending: list[tuple[_Sentence, Any]] = []
        for batch, max_length in self._batches(sentences, config, length_step):
            source_tokens, prefix_tokens = self._to_tokens(batch)
            futures = self.translator.translate_batch(
                source_tokens,
                prefix_tokens if batch[0].prefix else None,
                max_decoding_length=max_length,
                asynchronous=True,
                **self._options(config),
            )
            pending += zip(batch, futures, strict=True)
        for sentence, future in pending:
            translation = future.result()
            scores = translation.scores or [math.nan] * len(translation.hypotheses)
            sentence.candidates = [
                self._make_candidate(tokens, score)
                for tokens, score in zip(translation.hypotheses, scores, strict=True)
            ]

    def _limit_lengths(self, sentences: list[_Sentence], config: SearchConfig) -> None:
        """Give sentences that reached their own maximum length the candidates of a search with it.

        A greedy search with a smaller maximum writes the beginning of the same.
        """
        runaways = []
        for sentence in sentences:
            longest = max((len(candidate.tokens) for candidate in sentence.candidates), default=0)
            max_length = self._max_length(sentence, config)
            if not longest >= max_length < self._max_length(sentence, config, LENGTH_STEP):
                continue
            if config.beam == 1 and not config.sampling:
                (candidate,) = sentence.candidates
                candidate.tokens = candidate.tokens[:max_length]
                candidate.finished = False  # so `_rescore` computes its log-probability
            else:
                runaways.append(sentence)
        if runaways:
            self._search(runaways, config, 1)

    def _max_length(self, sentence: _Sentence, config: SearchConfig, length_step: int = 1) -> int:
        """The most target tokens of a source whose length is rounded up to a multiple of `length_step`.

        At least the length of the prefix, but at most what the model can write.
        """
        source_length = -(-len(sentence.source) // length_step) * length_step
        max_length = max(config.max_target_length(source_length), len(sentence.prefix))
        return max_length if self.max_target_positions is None else min(max_length, self.max_target_positions - 1)

    def _batches(
        self, sentences: list[_Sentence], config: SearchConfig, length_step: int
    ) -> Iterator[tuple[list[_Sentence], int]]:
        """The sentences of each batch, and the maximum length of their translations.

        All prefixes of a batch are equally long: beside a longer prefix, a hypothesis with a shorter one could not
        end early enough.
        """
        by_limits: dict[tuple[int, int], list[_Sentence]] = defaultdict(list)
        for sentence in sentences:
            by_limits[self._max_length(sentence, config, length_step), len(sentence.prefix)].append(sentence)
        total = sum(len(sentence.source) + 1 for sentence in sentences)
        share = total // self.worker_count  # no worker is left without a batch
        max_positions = max(1, min(config.max_positions() // config.beam, share, self.max_batch_tokens))
        for max_length, prefix_length in sorted(by_limits, reverse=True):  # the longest first
            alike = by_limits[max_length, prefix_length]
            for batch in batch_by_length([len(sentence.source) + 1 for sentence in alike], max_positions):
                yield [alike[index] for index in batch], max_length

    def _options(self, config: SearchConfig) -> dict[str, Any]:
        common = {
            "return_scores": True,
            "return_end_token": True,
            "min_decoding_length": config.min_length,
            "no_repeat_ngram_size": config.no_repeat_ngram or 0,
            "max_input_length": 0,
            "length_penalty": 1.0,  # 0 would stop at the first finished hypothesis
        }
        if config.sampling:
            return common | {
                "beam_size": 1,
                "num_hypotheses": 1 if config.top_k == 1 else config.n_best,
                "sampling_topk": min(config.top_k or 0, len(self.target_tokens)),
                "sampling_topp": config.top_p or 1.0,
                "sampling_temperature": config.temperature,
            }
        if config.beam == 1:
            return common | {"beam_size": 1, "return_scores": self.scores_greedy}
        patience = max(config.patience or self.patience, config.n_best / config.beam)  # less is refused
        num_hypotheses = max(config.n_best, round(patience * config.beam))
        return common | {"beam_size": config.beam, "patience": patience, "num_hypotheses": num_hypotheses}

    def _make_candidate(self, tokens: list[str], score: float) -> _Candidate:
        finished = bool(tokens) and tokens[-1] == self.eos_token
        return _Candidate(tokens[:-1] if finished else tokens, finished, score * len(tokens))

    def _add_bare_prefixes(self, sentences: list[_Sentence], config: SearchConfig) -> None:
        """Add the prefix itself as a hypothesis if the end is among the `beam` best tokens after it."""
        for batch, max_length in self._batches(sentences, config, 1):
            prefix_length = len(batch[0].prefix)
            if not config.min_length <= prefix_length < max_length or prefix_length == 0:
                continue
            sources_and_prefixes = self._to_tokens(batch)
            alternatives = self.translator.translate_batch(  # the best tokens except the end
                *sources_and_prefixes,
                beam_size=1,
                num_hypotheses=config.beam,
                return_alternatives=True,
                return_scores=True,
                length_penalty=0,
                max_decoding_length=prefix_length + 1,
                max_input_length=0,
            )
            eos_scores = self.translator.score_batch(*sources_and_prefixes, max_input_length=0)
            for sentence, alternative, eos_score in zip(batch, alternatives, eos_scores, strict=True):
                if eos_score.log_probs[-1] >= alternative.scores[-1]:
                    tokens = self._to_target_tokens(sentence.prefix)
                    sentence.candidates.append(_Candidate(tokens, True, sum(eos_score.log_probs)))

    def _rescore(self, sentences: list[_Sentence], *, unfinished_only: bool) -> None:
        """Replace log-probabilities by those of whole hypotheses, end of sentence included."""
        to_rescore = [
            (sentence.source, candidate)
            for sentence in sentences
            for candidate in sentence.candidates
            if not (candidate.finished and unfinished_only)
        ]
        if not to_rescore:
            return
        scores = self._score([source for source, _ in to_rescore], [candidate.tokens for _, candidate in to_rescore])
        for (_, candidate), log_probs in zip(to_rescore, scores, strict=True):
            candidate.log_probability = sum(log_probs)

    def max_attention_positions(self, config: SearchConfig) -> int:
        """See `Engine.max_attention_positions`: those of our own engine, for which a call is one batch."""
        return self._own_thread.submit(self._own_attention_positions, config).result()

    def attention(self, sources: list[TokenIds], targets: list[TokenIds]) -> "list[Tensor] | None":
        """See `Engine.attention`: by our own engine, one call at a time; None without one."""
        return self._own_thread.submit(self._own_attention, sources, targets).result()

    def _own_attention_positions(self, config: SearchConfig) -> int:
        own_engine = self._open_own_engine()
        return MAX_POSITIONS_PER_CALL if own_engine is None else own_engine.max_attention_positions(config)

    def _own_attention(self, sources: list[TokenIds], targets: list[TokenIds]) -> "list[Tensor] | None":
        own_engine = self._open_own_engine()
        return None if own_engine is None else own_engine.attention(sources, targets)

    def _open_own_engine(self) -> Engine | None:
        """Our own engine, opened the first time.

        Called in a thread of its own: the C allocator keeps freed memory for each thread that used it.
        """
        if self.open_own_engine is not None:
            self._own_engine, self.open_own_engine = self.open_own_engine(), None
        return self._own_engine

    def token_log_probabilities(
        self, sources: list[TokenIds], targets: list[TokenIds], config: SearchConfig
    ) -> list[list[float]]:
        """See `Engine.token_log_probabilities`."""
        return self._score(sources, [self._to_target_tokens(ids) for ids in targets])

    def _score(self, sources: list[TokenIds], targets: list[list[str]]) -> list[list[float]]:
        """log p of each token of a target and of its end, given the source and the tokens before it."""
        results = self.translator.score_batch(
            [self._to_source_tokens(ids) for ids in sources],
            targets,
            max_batch_size=4096,
            batch_type="tokens",
            max_input_length=0,
        )
        return [list(map(float, result.log_probs)) for result in results]

    def _rank(self, candidates: list[_Candidate], config: SearchConfig) -> list[Hypothesis]:
        scored = [
            (config.normalize(candidate.log_probability, len(candidate.tokens) + 1), candidate)
            for candidate in candidates
        ]
        scored.sort(key=lambda entry: -entry[0])
        return [
            Hypothesis(
                [self.target_token_ids[token] for token in candidate.tokens],
                candidate.log_probability,
                score,
                truncated=not candidate.finished,
            )
            for score, candidate in scored[: config.n_best]
        ]

    def _to_tokens(self, sentences: list[_Sentence]) -> tuple[list[list[str]], list[list[str]]]:
        """Sources and prefixes."""
        return (
            [self._to_source_tokens(sentence.source) for sentence in sentences],
            [self._to_target_tokens(sentence.prefix) for sentence in sentences],
        )

    def _to_source_tokens(self, ids: TokenIds) -> list[str]:
        return [self.source_tokens[token_id] for token_id in ids]

    def _to_target_tokens(self, ids: TokenIds) -> list[str]:
        return [self.target_tokens[token_id] for token_id in ids]


def _read_vocabulary(folder: Path, side: str) -> list[str]:
    shared = folder / "shared_vocabulary.json"
    path = shared if shared.exists() else folder / f"{side}_vocabulary.json"
    return read_json_list(path, MAX_TOKENIZER_FILE_BYTES)


def _check_compute_type(device_kind: str, device_index: int, compute_type: str) -> None:
    supported_types = import_ctranslate2().get_supported_compute_types(device_kind, device_index)
    if compute_type not in supported_types:
        raise DeviceError(
            f"CTranslate2 does not support {compute_type} on this {device_kind}; "
            f"it supports {', '.join(name for name in QUANTIZATIONS if name in supported_types)}"
        )
