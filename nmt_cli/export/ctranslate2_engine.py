"""Search by CTranslate2, with the settings of our own search.

What the two do differently, and what is done about it here:

- CTranslate2 ranks by log-probability / length^alpha only. So it is asked for every hypothesis that
  it finished, and they are ranked here, by whatever search.length_normalization says.
- Ours goes on until no live hypothesis can win; CTranslate2 stops after `patience` * beam finished
  ones (Kasai et al. 2024), those of search.patience or else `PATIENCE`. Both find the same with
  enough of it.
- Ours ends a hypothesis of the greatest length by force and counts what that costs; CTranslate2
  leaves it open. Such hypotheses are scored once more, end of sentence included.
- CTranslate2's beam never ends right after a prefix, so that this hypothesis is added by hand.
- CTranslate2 leaves prefixes out of a score, scales probabilities up where search.min_length rules
  the end out, and scores samples at their temperature: all these are scored once more as well.
- search.no_repeat_ngram bans every repetition there; ours allows as many as the source has.
- A batch has one greatest length there, so sentences are batched by their own.
"""

import os
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

import torch

from nmt_cli.data.batching import in_batches_of
from nmt_cli.data.tokenizer import LARGEST
from nmt_cli.decoding.engine import Engine, Ids
from nmt_cli.decoding.hypothesis import Hypothesis, SearchConfig
from nmt_cli.disk import read_json, read_json_list
from nmt_cli.errors import DeviceError

PATIENCE = 2.0
AT_ONCE = 1 << 20  # positions handed over together: it cuts and sorts them itself


class _Draft(NamedTuple):
    """A hypothesis as CTranslate2 gave it."""

    ids: Ids  # without the end of sentence
    ended: bool
    log_probability: float  # of ids, and of the end of sentence where it ended


class CTranslate2Engine(Engine):
    """An exported folder, opened by CTranslate2."""

    def __init__(
        self, folder: Path, device: torch.device, compute_type: str, patience: float = PATIENCE
    ) -> None:
        """DeviceError where the device does not run `compute_type`."""
        import ctranslate2

        _supported(device, compute_type)
        on_cpu = device.type == "cpu"
        self.translator = ctranslate2.Translator(
            str(folder),
            device.type,
            device_index=device.index or 0,
            compute_type=compute_type,
            inter_threads=len(os.sched_getaffinity(0)) if on_cpu else 1,
            intra_threads=1 if on_cpu else 0,
        )
        self.patience = patience
        self.source_pieces = _vocabulary(folder, "source")
        self.target_pieces = _vocabulary(folder, "target")
        self.target_ids = {piece: number for number, piece in enumerate(self.target_pieces)}
        config = read_json(folder / "config.json")
        self.end = self.target_ids[config["eos_token"]]
        self.longest_source = self.longest_target = config.get("max_position_embeddings")

    def positions(self, config: SearchConfig) -> int:
        """All there are: batches are cut in `search`, and run on all cores."""
        return AT_ONCE

    def search(
        self, sources: list[Ids], config: SearchConfig, prefixes: list[Ids] | None = None
    ) -> list[list[Hypothesis]]:
        """See `Engine.search`."""
        if config.sampling:
            _seed(config.seed)
        drafts = self._drafts(sources, config, prefixes)
        if prefixes is not None and config.beam > 1 and not config.sampling:
            self._end_at_once(sources, drafts, prefixes, config)
        exact = not (config.sampling or config.min_length or prefixes)
        self._score(sources, drafts, only_open=exact)
        return [self._ranked(some, config) for some in drafts]

    def _drafts(
        self, sources: list[Ids], config: SearchConfig, prefixes: list[Ids] | None
    ) -> list[list[_Draft]]:
        """Translate in batches of equal greatest length, all of them waiting for a free core."""
        waiting: list[tuple[int, Any]] = []
        for group, limit in self._batches(sources, config, prefixes):
            start = None if prefixes is None else [prefixes[number] for number in group]
            found = self.translator.translate_batch(
                [self._source(sources[number]) for number in group],
                None if start is None else [self._target(ids) for ids in start],
                max_decoding_length=limit,
                asynchronous=True,
                **self._options(config),
            )
            waiting += zip(group, found, strict=True)
        result: list[list[_Draft]] = [[] for _ in sources]
        for number, promised in waiting:
            answer = promised.result()
            for pieces, score in zip(answer.hypotheses, answer.scores, strict=True):
                result[number].append(self._draft(pieces, score))
        return result

    def _batches(
        self, sources: list[Ids], config: SearchConfig, prefixes: list[Ids] | None
    ) -> list[tuple[list[int], int]]:
        """Indices of each batch and the greatest length of its translations.

        Prefixes of different lengths are kept apart: beside a longer one, a hypothesis of a shorter
        one is not let end when it should.
        """
        alike: dict[tuple[int, int], list[int]] = defaultdict(list)
        for number, ids in enumerate(sources):
            limit = config.longest(len(ids))
            if self.longest_target is not None:
                limit = min(limit, self.longest_target - 1)
            alike[limit, len(prefixes[number]) if prefixes else 0].append(number)
        budget = max(1, config.budget() // config.beam)
        batches = []
        for (limit, _), numbers in sorted(alike.items(), reverse=True):  # the longest first
            for group in in_batches_of([len(sources[number]) + 1 for number in numbers], budget):
                batches.append(([numbers[index] for index in group], limit))
        return batches

    def _options(self, config: SearchConfig) -> dict[str, Any]:
        common = {
            "return_scores": True,
            "return_end_token": True,
            "min_decoding_length": config.min_length,
            "no_repeat_ngram_size": config.no_repeat_ngram or 0,
            "max_input_length": 0,
            "length_penalty": 1.0,  # any but 0, which would stop at the first that ends
        }
        if config.sampling:
            return common | {
                "beam_size": 1,
                "num_hypotheses": config.n_best,
                "sampling_topk": config.top_k or 0,
                "sampling_topp": config.top_p or 1.0,
                "sampling_temperature": config.temperature,
            }
        if config.beam == 1:
            return common | {"beam_size": 1}
        patience = config.patience or self.patience
        wanted = max(config.n_best, round(patience * config.beam))
        return common | {"beam_size": config.beam, "patience": patience, "num_hypotheses": wanted}

    def _draft(self, pieces: list[str], score: float) -> _Draft:
        ids = [self.target_ids[piece] for piece in pieces]
        ended = bool(ids) and ids[-1] == self.end
        return _Draft(ids[:-1] if ended else ids, ended, score * len(ids))

    def _end_at_once(
        self,
        sources: list[Ids],
        drafts: list[list[_Draft]],
        prefixes: list[Ids],
        config: SearchConfig,
    ) -> None:
        """Add the prefix alone where an end is among the `beam` best tokens behind it."""
        for group, limit in self._batches(sources, config, prefixes):
            length = len(prefixes[group[0]])
            if not config.min_length <= length < limit or length == 0:
                continue
            pair = (
                [self._source(sources[number]) for number in group],
                [self._target(prefixes[number]) for number in group],
            )
            others = self.translator.translate_batch(  # the best tokens that are no end
                *pair,
                beam_size=1,
                num_hypotheses=config.beam,
                return_alternatives=True,
                return_scores=True,
                length_penalty=0,
                max_decoding_length=length + 1,
                max_input_length=0,
            )
            ends = self.translator.score_batch(*pair, max_input_length=0)
            for number, other, end in zip(group, others, ends, strict=True):
                if end.log_probs[-1] >= other.scores[-1]:
                    drafts[number].append(_Draft(prefixes[number], True, sum(end.log_probs)))

    def _score(self, sources: list[Ids], drafts: list[list[_Draft]], *, only_open: bool) -> None:
        """Replace log-probabilities by those of the whole hypothesis, end of sentence included."""
        places = [
            (number, index)
            for number, some in enumerate(drafts)
            for index, draft in enumerate(some)
            if not (draft.ended and only_open)
        ]
        if not places:
            return
        chosen = [sources[number] for number, _ in places]
        targets = [drafts[number][index].ids for number, index in places]
        for (number, index), value in zip(places, self._forced(chosen, targets), strict=True):
            drafts[number][index] = drafts[number][index]._replace(log_probability=value)

    def log_probabilities(
        self, sources: list[Ids], targets: list[Ids], config: SearchConfig
    ) -> list[float] | None:
        """See `Engine.log_probabilities`."""
        return self._forced(sources, targets)

    def _forced(self, sources: list[Ids], targets: list[Ids]) -> list[float]:
        """log p(target | source), end of sentence included."""
        scored = self.translator.score_batch(
            [self._source(ids) for ids in sources],
            [self._target(ids) for ids in targets],
            max_batch_size=4096,
            batch_type="tokens",
            max_input_length=0,
        )
        return [float(sum(one.log_probs)) for one in scored]

    def _ranked(self, drafts: list[_Draft], config: SearchConfig) -> list[Hypothesis]:
        found = [
            Hypothesis(one.ids, one.log_probability, score, forced=not one.ended)
            for one in drafts
            for score in [config.normalize(one.log_probability, len(one.ids) + 1)]
        ]
        return sorted(found, key=lambda one: -one.score)[: config.n_best]

    def _source(self, ids: Ids) -> list[str]:
        return [self.source_pieces[number] for number in ids]

    def _target(self, ids: Ids) -> list[str]:
        return [self.target_pieces[number] for number in ids]


def _vocabulary(folder: Path, side: str) -> list[str]:
    shared = folder / "shared_vocabulary.json"
    path = shared if shared.exists() else folder / f"{side}_vocabulary.json"
    return read_json_list(path, LARGEST)


def _seed(seed: int) -> None:
    import ctranslate2

    ctranslate2.set_random_seed(seed % (1 << 32))


def _supported(device: torch.device, compute_type: str) -> None:
    import ctranslate2

    runs = ctranslate2.get_supported_compute_types(device.type, device.index or 0)
    if compute_type not in runs:
        raise DeviceError(
            f"CTranslate2 does not run {compute_type} on this {device.type}; "
            f"it runs {', '.join(sorted(runs))}"
        )
