"""Which language a text is in, told from the character n-grams of the corpus itself.

Each side of the corpus has the frequencies of its 4-grams of letters, in lower case, hashed into a table (Cavnar and
Trenkle 1994 rank such n-grams; here a text has their mean log probability). Two numbers say how well a text fits its
side: that mean, and by how much it is higher than the mean under the other side. Both are compared with what is usual
for texts of that length on that side, in robust standard deviations, and added: a text of the other side fails both, a
third language the first one above all. Texts that fit badly are left out and the rest is counted again, so that a noisy
corpus does not teach its noise. In a repetitive corpus, whose texts are unusually alike, that leaves out whole
templates; those that are frequent enough are counted once more in the end.
"""

import base64
import re
import unicodedata
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from nmt_cli.data.filtering.said_language import unlike_said
from nmt_cli.data.filtering.usual import MIN_PAIRS, Flags, Floats, Usual
from nmt_cli.data.scripts import letter_scripts

ORDER = 4  # letters of an n-gram
TABLE_BITS = 16
SMOOTHING = 0.1  # added to each count
MIN_LETTERS = 8  # of a text that is judged: a shorter one may well be a name
MAX_LEARNED_CHARACTERS = 300  # of each text
TEXTS_PER_BLOCK = 2000  # turned into n-grams together, in memory that a processor has nearby
FIT_ROUNDS = 4
FIRST_SHARE = 0.7  # of the pairs that the second round learns from: those that fit best
MAX_MISFIT = 5.0  # standard deviations, beyond which a pair is not learned from
MIN_VARIANCE = 0.25  # of both numbers: sentences of one template are so alike that others would look foreign
REPETITIVE_VARIANCE = 0.2  # of the mean log probability of texts; that of captions is 0.24 to 0.29
TEMPLATE_MARGIN = 1.25  # by how much that of a template may be below the median, where all texts are counted
MIN_LEARNED = 0.5  # share of the texts that fit: with fewer, nobody knows which half is noise
MIN_SUBJECT_PAIRS = 20  # of neighbours that may be about another subject than the rest of the corpus
MAX_OFF_SIDE = 0.1  # share of them that is likelier in the other language
CODES_PER_DOUBLING = 12  # of the counts as they are stored, of 2^21 at most

_DIGITS, _SPACES = re.compile(r"[\d_]+"), re.compile("  +")
_GAP = "\n" * (ORDER - 1)


class NGrams(NamedTuple):
    """The n-grams of texts as places in the table, one after the other, and where those of each text are."""

    places: NDArray[np.int32]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]

    @classmethod
    def of(cls, texts: Sequence[str], *, has_marks: bool = True) -> "NGrams":
        """The n-grams that end in each letter of each text; before its first letter is one that no text has. Vowel
        signs, tones and other marks are letters if `has_marks`, else gaps."""
        blocks = [
            cls._of_block(texts[first : first + TEXTS_PER_BLOCK], has_marks)
            for first in range(0, len(texts), TEXTS_PER_BLOCK)
        ]
        offsets = np.cumsum([0, *(len(block.places) for block in blocks)])
        starts, ends = (
            np.concatenate([block[which] + offset for block, offset in zip(blocks, offsets, strict=False)])
            for which in (1, 2)
        )
        return cls(np.concatenate([block.places for block in blocks]), starts, ends)

    @classmethod
    def _of_block(cls, texts: Sequence[str], has_marks: bool) -> "NGrams":
        text = _GAP + _GAP.join(texts).lower() + "\n"
        marks = "".join(sorted(filter(_is_mark, set(text)))) if has_marks else ""
        joined = _letters_of(text, marks)
        letters = np.frombuffer(joined.encode("utf-32-le", "replace"), dtype=np.uint32).astype(np.uint64)
        count = len(letters) - len(_GAP)
        keys = np.zeros(count, np.uint64)
        for offset in range(ORDER):
            keys = keys * np.uint64(1_000_003) + letters[offset : offset + count]
        places = (keys * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(64 - TABLE_BITS)
        gaps = np.flatnonzero(letters[len(_GAP) :] == ord("\n"))
        ends = gaps[:: len(_GAP)]
        starts = np.concatenate([[0], gaps[len(_GAP) - 1 :: len(_GAP)] + 1])[: len(texts)]
        return cls(places.astype(np.int32), starts, ends)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """How many n-grams each text has."""
        return self.ends - self.starts

    def means(self, values: Floats) -> Floats:
        """The mean of a value per n-gram over each text; 0 for a text without any."""
        sums = np.concatenate([[0.0], np.cumsum(values)])
        means: Floats = (sums[self.ends] - sums[self.starts]) / np.maximum(self.lengths, 1)
        return means

    def counts(self, used: Flags) -> Floats:
        """How often each n-gram is in the texts that are used."""
        until_next = np.append(self.starts[1:], len(self.places)) - self.starts  # with the gap
        used_places = self.places[np.repeat(used, until_next)]
        return np.bincount(used_places, minlength=1 << TABLE_BITS).astype(np.float64)


@dataclass(frozen=True)
class LanguageModel:
    """The two languages of a corpus, by the n-grams of each side."""

    languages: tuple[str, str]
    counts: Sequence[Floats]
    own: Sequence[Usual] = (Usual(), Usual())
    """Of the mean log probability of a text on its side."""
    advantage: Sequence[Usual] = (Usual(), Usual())
    """Of by how much that is higher than the one on the other side."""
    has_marks: bool = True
    """Whether marks on letters are in the n-grams: older models have gaps there."""

    @classmethod
    def fit(cls, languages: tuple[str, str], sources: Sequence[str], targets: Sequence[str]) -> Self | None:
        """What a sample of the pairs teaches; None where it is too small, too noisy, or its sides are too similar."""
        sides = tuple(NGrams.of([text[:MAX_LEARNED_CHARACTERS] for text in texts]) for texts in (sources, targets))
        usable = np.minimum(sides[0].lengths, sides[1].lengths) >= MIN_LETTERS
        usable &= np.array(
            [source.casefold() != target.casefold() for source, target in zip(sources, targets, strict=True)], bool
        )
        if usable.sum() < MIN_PAIRS:
            return None
        used, model, first_fits = usable, None, None
        for share in (FIRST_SHARE, *[1.0] * (FIT_ROUNDS - 1)):
            if used.sum() < MIN_LEARNED * usable.sum():
                return None
            model, fits = cls._count(languages, sides, used)
            first_fits = first_fits or fits
            misfit = np.maximum(*(model._misfit(*fits[side], grams, side) for side, grams in enumerate(sides)))
            used = usable & _is_on_its_side(fits) & (misfit < min(MAX_MISFIT, np.quantile(misfit, share)))
        if model is not None and first_fits is not None and model._is_repetitive(sides):
            is_template = usable & _is_on_its_side(first_fits)
            for own, _ in first_fits:
                is_template &= own >= np.median(own[used]) - TEMPLATE_MARGIN
            model, _ = cls._count(languages, sides, used | is_template)
        return model

    @classmethod
    def _count(
        cls, languages: tuple[str, str], sides: Sequence[NGrams], used: Flags
    ) -> tuple[Self, list[tuple[Floats, Floats]]]:
        """The model of the texts that are used, and how all texts fit it: see `_fit_of`."""
        model = cls(languages, [grams.counts(used) for grams in sides])
        fits = [model._fit_of(grams, side, used) for side, grams in enumerate(sides)]
        own, advantage = (
            [Usual.of(fit[which][used], grams.lengths[used]) for fit, grams in zip(fits, sides, strict=True)]
            for which in (0, 1)
        )
        return replace(model, own=own, advantage=advantage), fits

    def _is_repetitive(self, sides: Sequence[NGrams]) -> bool:
        """Whether the texts of a side are so alike that the rounds leave out whole templates, which then look foreign
        because nothing of them is counted."""
        variances = [
            usual.variance_at(float(np.median(grams.lengths))) for usual, grams in zip(self.own, sides, strict=True)
        ]
        return min(variances) < REPETITIVE_VARIANCE

    def judge(self, texts: Sequence[str], side: int) -> tuple[Floats, Floats]:
        """By how many standard deviations each text fits its side worse than texts do, and the log odds that it is of
        its side rather than of the other; 0 for a text that is too short."""
        grams = NGrams.of(texts, has_marks=self.has_marks)
        own, advantage = self._fit_of(grams, side)
        is_judged = grams.lengths >= MIN_LETTERS
        misfits = np.where(is_judged, self._misfit(own, advantage, grams, side), 0.0)
        return misfits, np.where(is_judged, _log_odds(advantage, grams), 0.0)

    def judge_pairs(self, sources: Sequence[str], targets: Sequence[str]) -> tuple[Floats, Floats]:
        """The misfit of each pair's worse side, and the log odds of its better one.

        `sources` and `targets` are neighbours in their text. Where they are about another subject than the rest of the
        corpus, the misfits of those that are likelier in their own language than in the other count as 0.
        """
        (source_misfits, source_odds), (target_misfits, target_odds) = self.judge(sources, 0), self.judge(targets, 1)
        misfits = np.maximum(source_misfits, target_misfits)
        is_judged, is_off_side = misfits != 0, np.minimum(source_odds, target_odds) < 0
        if (
            is_judged.sum() >= MIN_SUBJECT_PAIRS
            and np.median(misfits[is_judged]) > MAX_MISFIT
            and np.mean(is_off_side[is_judged]) < MAX_OFF_SIDE
            and self._could_be_its_languages(sources, targets)
        ):
            misfits = np.where(is_off_side, misfits, 0.0)
        return misfits, np.maximum(source_odds, target_odds)

    def _could_be_its_languages(self, *sides: Sequence[str]) -> bool:
        """Whether nothing speaks against texts on both sides: that they are likelier in their own language than in the
        other says nothing where only one of the two has their letters."""
        source, target = ([script for script, _ in letter_scripts("\n".join(texts)).most_common(1)] for texts in sides)
        return source == target and not any(map(unlike_said, sides, self.languages))

    def identify(self, text: str) -> tuple[str | None, float]:
        """The language of a text, with its probability among the two; None where it is neither, or nobody can say."""
        grams = NGrams.of([text], has_marks=self.has_marks)
        fits = [self._fit_of(grams, side) for side in (0, 1)]
        side = int(fits[1][1][0] > 0)
        own, advantage = fits[side]
        if not any(map(str.isalpha, text)) or self._misfit(own, advantage, grams, side)[0] > 2 * MAX_MISFIT:
            return None, 0.0
        return self.languages[side], float(1 / (1 + np.exp(-_log_odds(advantage, grams)[0])))

    def _fit_of(self, grams: NGrams, side: int, used: Flags | None = None) -> tuple[Floats, Floats]:
        """The mean log probability of each text on its side, and its advantage over the other side.

        `used` says which texts have been counted: they are judged by the n-grams of all others.
        """
        own, other = self._tables[side], self._tables[1 - side]
        own_means, other_means = grams.means(own[grams.places]), grams.means(other[grams.places])
        if used is not None:
            without_itself = _log_probabilities(self.counts[side], 1)
            own_means = np.where(used, grams.means(without_itself[grams.places]), own_means)
        return own_means, own_means - other_means

    @cached_property
    def _tables(self) -> tuple[Floats, Floats]:
        """The log probability of each n-gram on each side."""
        return _log_probabilities(self.counts[0]), _log_probabilities(self.counts[1])

    def _misfit(self, own: Floats, advantage: Floats, grams: NGrams, side: int) -> Floats:
        lengths = grams.lengths
        return -self.own[side].distance(own, lengths, MIN_VARIANCE) - self.advantage[side].distance(
            advantage, lengths, MIN_VARIANCE
        )

    def record(self) -> dict[str, Any]:
        """As plain values, with the counts compressed."""
        return {
            "order": ORDER,
            "has_marks": self.has_marks,
            "languages": list(self.languages),
            "own": [usual.record() for usual in self.own],
            "advantage": [usual.record() for usual in self.advantage],
            "counts": [_pack(counts) for counts in self.counts],
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        """What `record` returned; LookupError, TypeError or ValueError where it is damaged."""
        if record["order"] != ORDER:
            raise ValueError(f"order {record['order']}")
        source, target = map(str, record["languages"])
        own, advantage = ([Usual.from_record(usual) for usual in record[key]] for key in ("own", "advantage"))
        first, second = map(_unpack, record["counts"])
        usual = (own[0], own[1]), (advantage[0], advantage[1])
        return cls((source, target), (first, second), *usual, has_marks=bool(record.get("has_marks")))


def _is_mark(character: str) -> bool:
    """Whether a character is a mark on a letter; the variation selectors of emoji are on none."""
    return unicodedata.category(character) in ("Mn", "Mc") and not "\ufe00" <= character <= "\ufe0f"


@lru_cache
def _signs(marks: str) -> re.Pattern[str]:
    """What stands between words, but for spaces; these marks stand on letters."""
    return re.compile(rf"[^\w\n {marks}]+")


def _is_on_its_side(fits: Sequence[tuple[Floats, Floats]]) -> Flags:
    """Whether both texts of a pair are likelier on their own side."""
    (_, source_advantage), (_, target_advantage) = fits
    is_on_its_side: Flags = (source_advantage > 0) & (target_advantage > 0)
    return is_on_its_side


def _letters_of(text: str, marks: str) -> str:
    """The text with a space for all that stands between letters with these marks on them, and its ends of lines."""
    return _SPACES.sub(" ", _DIGITS.sub(" ", _signs(marks).sub(" ", text)))


def _log_odds(advantage: Floats, grams: NGrams) -> Floats:
    """As if only each fourth n-gram counted, since neighbours share their letters."""
    return np.clip(advantage * grams.lengths / ORDER, -50.0, 50.0)


def _log_probabilities(counts: Floats, subtracted: int = 0) -> Floats:
    """Of each n-gram, with its count lessened by `subtracted`, as if one text that has it had not been counted."""
    smoothed = np.maximum(counts - subtracted, 0) + SMOOTHING
    result: Floats = np.log(smoothed / (counts.sum() + SMOOTHING * len(counts)))
    return result


def _pack(counts: Floats) -> str:
    """The counts in a byte each, which is exact up to 8 and within 4 % above, compressed."""
    codes = np.rint(CODES_PER_DOUBLING * np.log2(counts + 1)).clip(0, 255).astype(np.uint8)
    return base64.b64encode(zlib.compress(codes.tobytes(), 9)).decode("ascii")


def _unpack(text: str) -> Floats:
    try:
        codes = np.frombuffer(zlib.decompress(base64.b64decode(text, validate=True)), np.uint8)
    except zlib.error as error:
        raise ValueError("damaged counts") from error
    if len(codes) != 1 << TABLE_BITS:
        raise ValueError("counts of another size")
    return np.exp2(codes / CODES_PER_DOUBLING) - 1
