"""What is usual in a corpus, measured in a first pass over it: its languages, its scripts, its ratio of lengths."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, Self, TypeVar

import numpy as np

from nmt_cli.data.filtering.config import FilterConfig
from nmt_cli.data.filtering.language_model import LanguageModel
from nmt_cli.data.filtering.usual import MIN_PAIRS, Flags, Floats, Usual
from nmt_cli.data.final_marks import CLOSERS, FINAL_MARK
from nmt_cli.data.language_tags import find_language_tags, leading_tag, list_tags, split_tag
from nmt_cli.data.scripts import letter_scripts
from nmt_cli.data.text_profile import LANGUAGES_FILE
from nmt_cli.fs import DAMAGE_HINT, damaged_file, read_json, write_json

T = TypeVar("T")

SAMPLE_PAIRS = 15_000  # up to twice as many, evenly spaced, a profile is measured with
LANGUAGE_FILTERS = ("swapped", "language", "script")  # that compare sides with their languages
LEARNED_FILTERS = (*LANGUAGE_FILTERS, "length")  # that drop nothing where a corpus is too small to say what is usual
MIN_OTHER_TAGS = 0.01  # of the tagged sources have another tag than the commonest: fewer are noise
MIN_SCRIPT_SHARE = 0.05  # of the letters of a side: a script with fewer is foreign there
MIN_SCRIPT_LETTERS = 4  # of a text that is judged by its scripts: a shorter one may well be a formula
LENGTH_OFFSET = 5  # characters added to both sides before their ratio is taken
MISSING_END = 2.0  # standard deviations that a missing final punctuation is worth
MAX_MISSING_ENDS = 0.1  # of the pairs of usual length: with more, it says nothing

KANA = frozenset({"HIRAGANA", "KATAKANA"})  # of one language

_END = re.compile(rf"(?:{FINAL_MARK}|[:;])[{CLOSERS}]*$")
_BEYOND_LATIN = re.compile("[\u0250-\u1dff\u2070-\U0010ffff]")


def _is_tokenized(pairs: Sequence[tuple[str, str]]) -> bool:
    """Whether text is written as the tokenizer of Moses writes it: a space before the last stop, and escapes."""
    ends = [text[-2:-1] == " " for pair in pairs for text in pair if text.endswith((".", "?", "!"))]
    return sum(ends) > len(ends) / 2


class Scripts(NamedTuple):
    """The scripts that each side has."""

    source: frozenset[str]
    target: frozenset[str]

    @classmethod
    def of(cls, pairs: Sequence[tuple[str, str]]) -> Self:
        """Those of MIN_SCRIPT_SHARE of the letters of a sample."""
        sides = []
        for texts in zip(*pairs, strict=True):
            counts = letter_scripts("".join(texts))
            scripts = {script for script, count in counts.items() if count >= MIN_SCRIPT_SHARE * counts.total()}
            sides.append(frozenset(scripts | KANA if scripts & KANA else scripts))
        return cls(*sides)

    def foreign_share(self, source: str, target: str) -> float:
        """The share of letters in other scripts, of the side that has more of them; 0 for a text without letters."""
        return max(
            0.0
            if "LATIN" in scripts and (text.isascii() or not _BEYOND_LATIN.search(text))
            else _foreign_share(text, scripts)
            for text, scripts in ((source, self.source), (target, self.target))
        )


def _foreign_share(text: str, scripts: frozenset[str]) -> float:
    counts = letter_scripts(text)
    if counts.total() < MIN_SCRIPT_LETTERS:
        return 0.0
    return sum(count for script, count in counts.items() if script not in scripts) / counts.total()


@dataclass(frozen=True)
class LengthRatio:
    """The usual logarithm of target by source characters, as it depends on the sum of both."""

    usual: Usual
    ends_count: bool
    """Whether the final punctuation of both sides agrees."""

    @classmethod
    def fit(cls, pairs: Sequence[tuple[str, str]]) -> Self:
        """From a sample of the pairs."""
        sources, targets = zip(*pairs, strict=True)
        usual = Usual.of(*_log_ratios(sources, targets))
        distances = _distances(usual, sources, targets)
        is_usual = np.abs(distances) < 2
        missing_ends = is_usual & _lacks_end(sources, targets, distances)
        return cls(usual, bool(missing_ends.sum() < MAX_MISSING_ENDS * is_usual.sum()))

    def distances(self, sources: Sequence[str], targets: Sequence[str]) -> Floats:
        """By how many standard deviations the ratio of each pair is unusual, with what a missing end adds."""
        distances = _distances(self.usual, sources, targets)
        result: Floats = np.abs(distances)
        if self.ends_count:
            result += MISSING_END * _lacks_end(sources, targets, distances)
        return result


def _distances(usual: Usual, sources: Sequence[str], targets: Sequence[str]) -> Floats:
    """By how many standard deviations each target is too long; one is at least what a character changes."""
    ratios, lengths = _log_ratios(sources, targets)
    return usual.distance(ratios, lengths, (2 / (lengths + 2 * LENGTH_OFFSET)) ** 2)


def _log_ratios(sources: Sequence[str], targets: Sequence[str]) -> tuple[Floats, Floats]:
    """The logarithm of target by source characters, and the sum of both."""
    source, target = (np.array(list(map(len, texts)), np.float64) for texts in (sources, targets))
    return np.log((target + LENGTH_OFFSET) / (source + LENGTH_OFFSET)), source + target


def _lacks_end(sources: Sequence[str], targets: Sequence[str], distances: Floats) -> Flags:
    """Whether the side that is too short has no final punctuation, and the other one has."""
    flags = []
    for source, target, distance in zip(sources, targets, distances.tolist(), strict=True):
        shorter, longer = (target, source) if distance < 0 else (source, target)
        flags.append(_END.search(longer[-4:]) is not None and _END.search(shorter[-4:]) is None)
    return np.array(flags, bool)


def _is_multilingual(tags: Sequence[str], sources: Sequence[str]) -> bool:
    """Whether most sources begin with a tag, and not nearly all of these with the same one."""
    counts = Counter(tag for source in sources if (tag := leading_tag(source)) in tags)
    tagged = counts.total()
    return tagged > len(sources) / 2 and tagged - max(counts.values()) >= MIN_OTHER_TAGS * tagged


@dataclass(frozen=True)
class CorpusProfile:
    """What is usual in a corpus; None and False where it is too small to say, or nobody has looked."""

    language_model: LanguageModel | None = None
    scripts: Scripts | None = None
    length_ratio: LengthRatio | None = None
    is_tokenized: bool = False
    tags: tuple[str, ...] = ()
    """What sources begin with, to be taken off before they are judged."""
    is_multilingual: bool = False
    """Whether most sources begin with one of several tags: their targets are in several languages, none foreign."""

    @classmethod
    def measure(
        cls,
        languages: tuple[str, str],
        pairs: Sequence[tuple[str, str]],
        *,
        copies_are_meant: bool = False,
        declared_tags: Sequence[str] = (),
    ) -> Self:
        """From a sample of normalised pairs; copies that are meant say nothing about the others."""
        tags = find_language_tags(pairs, declared_tags)
        is_multilingual = _is_multilingual(tags, [source for source, _ in pairs])
        profile = cls(tags=tags, is_multilingual=is_multilingual)
        pairs = [(text, target) for source, target in pairs if (text := profile.untagged(source))]
        if copies_are_meant:
            pairs = [(source, target) for source, target in pairs if source != target]
        if len(pairs) < MIN_PAIRS:
            return profile
        return replace(
            profile,
            language_model=None if is_multilingual else LanguageModel.fit(languages, *zip(*pairs, strict=True)),
            scripts=None if is_multilingual else Scripts.of(pairs),
            length_ratio=LengthRatio.fit(pairs),
            is_tokenized=_is_tokenized(pairs),
        )

    def untagged(self, source: str) -> str:
        """A source without its tag, if it begins with one."""
        return split_tag(source, self.tags)[1] if self.tags else source

    def idle_filters(self, config: FilterConfig | None) -> str | None:
        """Which filters of a section drop nothing because of tags, and why; None where there are none."""
        names = [name for name in LANGUAGE_FILTERS if getattr(config, name, None) is not None]
        if not names or not self.is_multilingual:
            return None
        return (
            f"these drop nothing, since sources begin with different tags ({list_tags(self.tags)}), as in a corpus "
            f"with targets in several languages: {', '.join(names)}"
        )

    def save(self, folder: Path) -> None:
        """Write languages.json, unless there is no language model."""
        if self.language_model is not None:
            write_json(folder / LANGUAGES_FILE, self.language_model.record(), indent=None)


def load_language_model(folder: Path) -> LanguageModel | None:
    """The model that prepared data or a run have; None where they have none; DataError where it is damaged."""
    path = folder / LANGUAGES_FILE
    if not path.is_file():
        return None
    try:
        return LanguageModel.from_record(read_json(path, hint=DAMAGE_HINT))
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise damaged_file(path, error) from error


def even_sample(items: Iterable[T], size: int) -> list[T]:
    """From `size` to twice as many items of a stream of unknown length, evenly spaced; all, where there are fewer."""
    sample: list[T] = []
    stride = 1  # doubles whenever there are too many
    for index, item in enumerate(items):
        if index % stride == 0:
            sample.append(item)
            if len(sample) == 2 * size:
                del sample[1::2]
                stride *= 2
    return sample
