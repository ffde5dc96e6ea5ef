"""What a run must know of its text to treat every later text alike.

How it was normalised, which abbreviations it has, how its words are capitalised, how long its lines are, and how much
of the development text is unknown: part of prepared data and of every run that is trained on them. A run without the
files was made before there were any.
"""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from nmt_cli.data.apostrophes import ApostropheCounts, loaded_counts
from nmt_cli.data.config import CorpusConfig
from nmt_cli.data.final_marks import without_full_stop
from nmt_cli.data.known_words import WordSet
from nmt_cli.data.language_tags import MIN_EXPECTED_SHARE, is_like, leading_tag, list_tags
from nmt_cli.data.letter_case import CaseShares, Truecaser
from nmt_cli.data.normalization import LEGACY, NormalizationConfig, Normalizer
from nmt_cli.data.sentences.abbreviations import LearnedWords
from nmt_cli.data.sentences.splitter import SentenceSplitter
from nmt_cli.data.spelling import TypoCorrector
from nmt_cli.fs import DAMAGE_HINT, damaged_file, read_json, write_json

if TYPE_CHECKING:
    from nmt_cli.data.tokenization.tokenizer import TextTokenizer

PROFILE_FILE = "text.json"
ABBREVIATIONS_FILES = {"source": "abbreviations.source.txt", "target": "abbreviations.target.txt"}
TRUECASE_FILES = {"source": "truecase.source.txt", "target": "truecase.target.txt"}
LANGUAGES_FILE = "languages.json"  # written by data/filtering, which needs NumPy
TYPICAL_SHARE = 0.95  # of the training lines are not longer
MIN_PLACEHOLDER_PAIRS = 500  # with fewer training pairs that have placeholders, a model has not learned to copy them
MAX_ADDED_STOPS = 0.05  # a text with more of them teaches to add a stop
MAX_REPLACED_MARKS = 0.5  # a text with more of them has those marks at the ends of sentences
CONTINUING_MARKS = (",", ";", ":")  # after which no sentence ends, where the training text doesn't have them so
RARE_SHARE = 0.999  # of lines have nothing that is rare: a greater length, more unknown words
QUANTILES = (0.05, 0.25, 0.5, 0.75, TYPICAL_SHARE, 0.99, RARE_SHARE, 1.0)


@dataclass(frozen=True)
class LineLengths:
    """How long the source lines of a training text are."""

    sentences: dict[int, int] = field(default_factory=dict)
    """How many lines of a sample have so many sentences."""
    tokens: dict[float, int] = field(default_factory=dict)
    """Quantiles of the tokens per line, without the end of sentence."""

    @classmethod
    def measure(cls, lines: Iterable[str], token_counts: Iterable[int], splitter: SentenceSplitter) -> "LineLengths":
        """The lengths of a sample of lines, and of all lines in tokens."""
        import numpy as np  # needed only here

        sentences = Counter(len(splitter.split(line)) for line in lines)
        counts = np.fromiter(token_counts, dtype=np.int64)
        tokens = (
            dict(zip(QUANTILES, np.quantile(counts, QUANTILES).astype(int).tolist(), strict=True))
            if len(counts)
            else {}
        )
        return cls(dict(sorted(sentences.items())), tokens)

    @property
    def typical_sentences(self) -> int:
        """So many sentences a model has seen together often enough; 1 where nothing is known."""
        below, total = 0, sum(self.sentences.values())
        for count, lines in sorted(self.sentences.items()):
            below += lines
            if below >= TYPICAL_SHARE * total:
                return count
        return 1

    @property
    def max_sentence_tokens(self) -> int | None:
        """A longer sentence is unlike any that the model has learned from, and is translated better clause by clause
        (benchmarks/sentence_length.py); None where nothing is known."""
        return self.tokens.get(RARE_SHARE, self.tokens.get(1.0))

    @property
    def typical_tokens(self) -> int | None:
        """So many tokens a model has seen together often enough; None where nothing is known."""
        return self.tokens.get(TYPICAL_SHARE)


class UnknownShares(NamedTuple):
    """The shares that RARE_SHARE of the development lines do not exceed; None where that is not known."""

    words: float | None = None
    """Of words that are not in the training text."""
    tokens: float | None = None
    """Of tokens that stand for text that the vocabulary lacks."""


def fallback_share(ids: Sequence[int], fallback_ids: frozenset[int]) -> float:
    """The share of tokens that stand for text that the vocabulary lacks."""
    if fallback_ids.isdisjoint(ids):
        return 0.0
    return sum(token_id in fallback_ids for token_id in ids) / len(ids)


def added_stops(pairs: Iterable[tuple[str, str]]) -> tuple[float, float]:
    """The share of the pairs that have a target with a final stop: of those whose source ends in a letter or a digit,
    and of those whose source ends in a comma or the like."""
    counts: Counter[tuple[bool, bool]] = Counter()
    for source, target in pairs:
        source, target = source.rstrip(), target.rstrip()
        if (is_marked := ends_in_mark(source)) or ends_in_word(source):
            counts[is_marked, without_full_stop(target) != target] += 1
    after_words, after_marks = (
        counts[is_marked, True] / max(1, counts[is_marked, True] + counts[is_marked, False])
        for is_marked in (False, True)
    )
    return after_words, after_marks


def ends_in_word(text: str) -> bool:
    """Whether a text ends in a letter or a digit, perhaps with marks, such as the vowel signs of Hindi."""
    return next((char.isalnum() for char in reversed(text) if unicodedata.category(char)[0] != "M"), False)


def ends_in_mark(text: str) -> bool:
    """Whether a text ends in a comma or the like that is no full stop."""
    return text.endswith(CONTINUING_MARKS) and without_full_stop(text) == text


def rarely_exceeded(values: Sequence[float]) -> float:
    """What RARE_SHARE of the values do not exceed."""
    import numpy as np

    return float(np.quantile(values, RARE_SHARE))


@dataclass(frozen=True)
class TextProfile:
    """The treatment of text that belongs to a run."""

    source_language: str | None = None
    target_language: str | None = None
    normalization: NormalizationConfig = LEGACY
    source_words: LearnedWords = field(default_factory=LearnedWords)
    target_words: LearnedWords = field(default_factory=LearnedWords)
    lengths: LineLengths = field(default_factory=LineLengths)
    truecaser: Truecaser = field(default_factory=Truecaser)
    """Of the source."""
    source_case: CaseShares = field(default_factory=CaseShares)
    """Of the text as it was trained on, augmentation included."""
    source_characters: str | None = None
    """Every character of the source side of the training text, sorted; None where it is not known."""
    placeholder_pairs: int = 0
    """How many training pairs have placeholders for what must not change."""
    unknown: UnknownShares = field(default_factory=UnknownShares)
    added_stops: float | None = None
    """Of the training pairs whose source ends without punctuation, the share whose target ends with a stop; 0.0 where
    there is no such pair, None where that was not measured."""
    replaced_marks: float | None = None
    """Likewise of those whose source ends in a comma, a semicolon or a colon."""
    target_truecaser: Truecaser = field(default_factory=Truecaser)
    """Of the target, whose words tell which of them begin with a capital anywhere."""
    line_starters: tuple[str, ...] = ()
    """Words that begin so many lines of the source that a capital inside a line may begin a sentence."""
    language_tags: tuple[str, ...] = ()
    """First words of source lines that say which language they are translated to."""
    tagged_share: float | None = None
    """Of the source lines, the share that begin with one of them; None where that was not measured."""
    list_marks: tuple[str, ...] = ()
    """Kinds of marks of a list that training pairs begin with: they are translated with what follows them."""
    capitals_words: tuple[str, ...] = ()
    """Words that the source of the training text has mostly in sentences in capitals."""
    paragraph_ends: tuple[str, ...] = ()
    """What ends paragraphs inside so many training pairs that a model may read them together."""
    apostrophes: ApostropheCounts | None = None
    """Of the source, by their places; None where they were not counted."""
    entities: tuple[str, ...] | None = None
    """HTML entities that the source of the training text has; None where that is not known."""
    known_words: WordSet | None = None
    """Of the source side of the training text; None where they are not known, or not needed."""

    @property
    def has_placeholders(self) -> bool:
        """Whether a model can have learned to copy placeholders."""
        return self.placeholder_pairs >= MIN_PLACEHOLDER_PAIRS

    @property
    def keeps_open_ends(self) -> bool:
        """Whether a translation has no final stop where its source has none, as in the training text."""
        return self.added_stops is not None and self.added_stops <= MAX_ADDED_STOPS

    @property
    def keeps_marks(self) -> bool:
        """Whether a translation has no final stop where its source ends in a comma or the like."""
        return self.replaced_marks is None or self.replaced_marks <= MAX_REPLACED_MARKS

    @property
    def expects_tag(self) -> bool:
        """Whether nearly all source lines begin with one of several language tags, or that was not measured."""
        return self._has_several_tags and (self.tagged_share is None or self.tagged_share >= MIN_EXPECTED_SHARE)

    @property
    def _has_several_tags(self) -> bool:
        """Whether tags name languages: a single one may mark lines of a kind, such as those translated back."""
        return len(self.language_tags) > 1

    def language_tag(self, text: str, tokenizer: "TextTokenizer | None" = None) -> str:
        """The language tag that a text begins with, known or like those that are, and a space; nothing where it has
        none. The tokenizer of an imported model knows language codes of its own; None: one that was trained here."""
        if tokenizer is not None and (code := tokenizer.language_tag(text)):
            return code
        tag = leading_tag(text)
        if not tag:
            return ""
        is_unknown_tag = self._has_several_tags and is_like(tag, self.language_tags, is_expected=self.expects_tag)
        return f"{tag} " if tag in self.language_tags or is_unknown_tag else ""

    def tag_warning(self, language_tag: str) -> str | None:
        """What is wrong with what `language_tag` found before a text that is translated; None: nothing."""
        tag = language_tag.rstrip()
        if not self.language_tags or tag in self.language_tags or not (tag or self.expects_tag):
            return None
        what = (
            f"{tag} is not a language tag of the run"
            if tag
            else "the line does not begin with a language tag and a space"
        )
        return f"{what}, so its translation may be in any language: the run knows {list_tags(self.language_tags)}"

    def normalizer(self) -> Normalizer:
        """Brings a text into the form that the run was trained on."""
        return Normalizer(self.normalization, knows_all_apostrophes=self.apostrophes is not None)

    def typo_corrector(self) -> TypoCorrector | None:
        """Corrects typos in source text; None without `known_words`."""
        return None if self.known_words is None else TypoCorrector(self.truecaser.forms, self.known_words)

    def source_splitter(self) -> SentenceSplitter:
        """Finds the sentences of a source line."""
        return SentenceSplitter(self.source_language, self.source_words)

    def target_splitter(self) -> SentenceSplitter:
        """Finds the sentences of a target line."""
        return SentenceSplitter(self.target_language, self.target_words)

    def save(self, folder: Path) -> None:
        """Write text.json (lengths and capitals), the learned abbreviations of both sides, and the case of words."""
        self.truecaser.save(folder / TRUECASE_FILES["source"])
        self.target_truecaser.save(folder / TRUECASE_FILES["target"])
        self.source_words.save(folder / ABBREVIATIONS_FILES["source"])
        self.target_words.save(folder / ABBREVIATIONS_FILES["target"])
        content: dict[str, Any] = {
            "source_sentences": {str(count): lines for count, lines in self.lengths.sentences.items()},
            "source_tokens": {str(share): tokens for share, tokens in self.lengths.tokens.items()},
            "source_case": self.source_case._asdict(),
            "has_capitals": {"source": self.truecaser.has_capitals, "target": self.target_truecaser.has_capitals},
            "placeholder_pairs": self.placeholder_pairs,
            "unknown_in_dev": self.unknown._asdict(),
            "added_stops": self.added_stops,
            "replaced_marks": self.replaced_marks,
            "line_starters": self.line_starters,
            "language_tags": self.language_tags,
            "tagged_share": self.tagged_share,
            "list_marks": self.list_marks,
            "capitals_words": self.capitals_words,
            "paragraph_ends": self.paragraph_ends,
        }
        measured = {
            "apostrophes": self.apostrophes,
            "entities": self.entities,
            "source_characters": self.source_characters,
        }
        content.update({key: value for key, value in measured.items() if value is not None})
        write_json(folder / PROFILE_FILE, content, indent=1)

    @classmethod
    def load(cls, folder: Path, corpus: CorpusConfig) -> "TextProfile":
        """What the recipe says and `save` wrote, which older folders lack; DataError where it is damaged."""
        profile = cls(corpus.source, corpus.target, corpus.normalization)
        path = folder / PROFILE_FILE
        if not path.is_file():
            return profile
        content = read_json(path, hint=DAMAGE_HINT)

        def load_truecaser(side: str, language: str) -> Truecaser:
            is_known = content.get("has_capitals", {}).get(side)
            return Truecaser.load(folder / TRUECASE_FILES[side], language, has_capitals=is_known)

        try:
            characters = content.get("source_characters")
            if characters is not None and not isinstance(characters, str):
                raise ValueError("source_characters is no text")
            apostrophes, entities = content.get("apostrophes"), content.get("entities")
            return replace(
                profile,
                source_words=LearnedWords.load(folder / ABBREVIATIONS_FILES["source"]),
                target_words=LearnedWords.load(folder / ABBREVIATIONS_FILES["target"]),
                lengths=LineLengths(
                    {int(count): int(lines) for count, lines in content["source_sentences"].items()},
                    {float(share): int(tokens) for share, tokens in content["source_tokens"].items()},
                ),
                truecaser=load_truecaser("source", corpus.source),
                target_truecaser=load_truecaser("target", corpus.target),
                source_case=CaseShares(**{key: float(share) for key, share in content.get("source_case", {}).items()}),
                source_characters=characters,
                placeholder_pairs=int(content.get("placeholder_pairs", 0)),
                unknown=UnknownShares(**content.get("unknown_in_dev", {})),
                line_starters=tuple(map(str, content.get("line_starters", []))),
                language_tags=tuple(map(str, content.get("language_tags", []))),
                added_stops=_share(content, "added_stops"),
                replaced_marks=_share(content, "replaced_marks"),
                tagged_share=_share(content, "tagged_share"),
                list_marks=tuple(map(str, content.get("list_marks", []))),
                capitals_words=tuple(map(str, content.get("capitals_words", []))),
                paragraph_ends=tuple(map(str, content.get("paragraph_ends", []))),
                apostrophes=None if apostrophes is None else loaded_counts(apostrophes),
                entities=None if entities is None else tuple(map(str, entities)),
            )
        except (LookupError, TypeError, ValueError, AttributeError, OSError) as error:
            raise damaged_file(path, error) from error


def _share(content: dict[str, Any], name: str) -> float | None:
    value = content.get(name)
    return None if value is None else float(value)


def union_of_characters(profiles: Iterable[TextProfile]) -> str | None:
    """Every character of the source side of any of the training texts, sorted; None if one of them is not known."""
    texts = [profile.source_characters for profile in profiles]
    known_texts = [text for text in texts if text is not None]
    return "".join(sorted(set().union(*known_texts))) if len(known_texts) == len(texts) else None


def profile_files(folder: Path) -> list[Path]:
    """The files that `TextProfile.save` wrote into a folder, and the language model; empty where there are none."""
    names = (PROFILE_FILE, *ABBREVIATIONS_FILES.values(), *TRUECASE_FILES.values(), LANGUAGES_FILE)
    paths = [folder / name for name in names]
    return [path for path in paths if path.is_file()]
