"""The corpus section of a recipe. What interprets its names is imported where it is needed."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from pydantic import Field, field_validator

from nmt_cli.config import Section
from nmt_cli.data.filtering.config import FilterConfig
from nmt_cli.data.language_codes import LANGUAGE_CODE
from nmt_cli.data.normalization import NormalizationConfig
from nmt_cli.data.sources.base import Languages
from nmt_cli.data.sources.config import Download, ParallelTextConfig
from nmt_cli.errors import DataError

if TYPE_CHECKING:
    from nmt_cli.data.sources.parse import CorpusText, TextValue


class CorpusConfig(Section):
    """The corpus section of a recipe."""

    name: str | None = None
    """A corpus by its name instead of files: quickstart, which comes with nmt; one of `nmt corpora`, downloaded if it
    is missing; or hf:DATASET[:CONFIGURATION], whose splits are train, validation and test. mtdata:ID and
    hf:DATASET[:CONFIGURATION[:SPLIT]] may also stand in place of a base name below."""
    root: str = "."
    """Folder of the files: absolute, or looked for beside the recipe, in the current folder, under
    $NMT_DATA, and in the download cache."""
    source: str
    """Source language code, which is also the ending of the source files."""
    target: str
    """Target language code, which is also the ending of the target files."""
    train: str | tuple[str | ParallelTextConfig, ...] = "train"
    """Training text: a base name, or a list of base names and texts with weights."""
    dev: str | ParallelTextConfig | tuple[str | ParallelTextConfig, ...] | None = None
    """Development text, or a list of texts; null: held out from the training text (1 %, at most 2,000 pairs; of small
    corpora 5 %, at most 200)."""
    test: str | ParallelTextConfig | tuple[str | ParallelTextConfig, ...] | None = None
    """Test text, or a list of texts, scored at the end of training as a whole and one by one."""
    download: Download | None = None
    """Where to download missing files."""
    concatenate: int = Field(default=1, ge=1, le=100)
    """Each example spans 1 to this many neighbouring pairs, drawn by corpus.seed, in training, development and test
    text. For translation beyond single sentences; corpus.dev must be given."""
    normalization: NormalizationConfig = NormalizationConfig()
    """How text is normalised, in training and in every later use of the run: `unicode` is a normal form (nfc composes
    letters and accents, nfkc also replaces compatibility forms, none); `whitespace` turns any white space into one
    space; `invisible` drops soft hyphens, zero-width spaces, byte order marks, direction marks and control characters;
    `entities`, `mojibake`, `quotes` and `dashes` (off) decode HTML entities, repair wrongly decoded text, and write all
    quotation marks and dashes in one form. nfc or none in place of the mapping means that form and nothing else."""
    filters: FilterConfig | None = FilterConfig()
    """Filters of training pairs by their content; null: none of them."""
    deduplicate: bool = True
    """Drop training pairs that are identical to an earlier one."""
    drop_overlap: Literal["pairs", "sources", "none"] = "pairs"
    """Drop training pairs that are also in the development or test text (pairs), or that have a source from it
    (sources); none: only count them. Unless none, development pairs are held out only if no other pair has their
    source, or they are all pairs with it, each with another language tag."""
    max_bad_rows: float = Field(default=0.01, ge=0, le=1)
    """Share of the rows of a text that may be unusable (no tab, blank, not JSON, not UTF-8, ...): they are dropped and
    counted; it is an error if there are more than this share and more than 10."""
    max_length: int | None = Field(default=250, ge=1)
    """Drop training pairs with more subwords than this on either side; null: no limit."""
    max_length_ratio: float | None = Field(default=9.0, ge=1)
    """Drop training pairs whose longer side has more than this many times the characters of the
    shorter one (plus 10); null: no limit."""
    placeholders: float = Field(default=0.0, ge=0, le=1)
    """Of the training pairs with a name, number or long word on both sides, the share in which it is replaced by a
    placeholder, which the model learns to copy; addresses, tags and program placeholders are replaced in all pairs. 0:
    the vocabulary has no placeholders, and what must not change is inserted by word alignment."""
    seed: int = Field(default=1, ge=0, lt=1 << 63)
    """Determines which pairs are held out, concatenated, augmented and given placeholders; training.seed determines
    which pairs a fractional weight selects."""

    @field_validator("train", "dev", "test")
    @classmethod
    def _name_entries(cls, value: "TextValue") -> "TextValue":
        """A text in a list is a base name, as in {name: text}."""
        if not isinstance(value, tuple):
            return value
        return tuple(ParallelTextConfig(name=entry) if isinstance(entry, str) else entry for entry in value)

    def errors(self) -> list[str]:
        """Options that do not fit together."""
        messages = []
        for key, entry in self._entries():
            messages += [f"{key}: {message}" for message in entry.errors()]
            if entry.scores is not None and not key.startswith("train"):
                messages.append(f"{key}: scores: only for training text")
            elif entry.scores is not None and self.concatenate > 1:
                messages.append(f"{key}: scores: not with concatenate, which joins lines")
        messages += [f"{key}: the list is empty" for key in ("train", "dev", "test") if getattr(self, key) == ()]
        if self.name is not None:
            from nmt_cli.data.sources.parse import parse_corpus_name

            try:
                parse_corpus_name(self.name, self.languages)
            except DataError as error:
                messages.append(f"name: {error}")
        return messages

    def warnings(self) -> list[str]:
        """Keys that have no effect, and languages that nobody knows."""
        unknown = [
            f"{key}: {language} is not a language code such as en: sentence ends, capitals and scores "
            "cannot be handled as the language needs"
            for key, language in (("source", self.source), ("target", self.target))
            if not LANGUAGE_CODE.fullmatch(language)
        ]
        trained_tags = {entry.tag for key, entry in self._entries() if key.startswith("train")} - {None}
        unknown += [
            f"{key}: tag: {entry.tag} is that of no entry of train"
            for key, entry in self._entries()
            if entry.tag is not None and trained_tags and entry.tag not in trained_tags
        ]
        unknown += [
            f"{key}: weight: does nothing, since only training text is weighted"
            for key, entry in self._entries()
            if entry.non_default("weight") and not key.startswith("train")
        ]
        if self.name is None:
            return unknown
        from nmt_cli.data.sources.parse import parse_corpus_name

        is_complete = parse_corpus_name(self.name, self.languages).is_complete
        keys = ("root", "train", "dev", "test", "download") if is_complete else ("train",)
        return unknown + [f"{key}: does nothing with name: {self.name}" for key in self.non_default(*keys)]

    def _entries(self) -> Iterator[tuple[str, ParallelTextConfig]]:
        """The entries that are more than a base name, by what names them in messages."""
        for split, value in (("train", self.train), ("dev", self.dev), ("test", self.test)):
            for index, entry in enumerate(value if isinstance(value, tuple) else (value,)):
                if isinstance(entry, ParallelTextConfig):
                    yield f"{split}.{index}" if isinstance(value, tuple) else split, entry

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags that entries put before their sources, sorted."""
        return tuple(sorted({entry.tag for _, entry in self._entries() if entry.tag is not None}))

    @property
    def languages(self) -> Languages:
        """The language codes of both sides."""
        return Languages(self.source, self.target)

    def texts(self) -> "list[CorpusText]":
        """Every text that the section names: training, then development and test text."""
        from nmt_cli.data.sources.parse import parse_corpus

        values = {"train": self.train, "dev": self.dev, "test": self.test}
        return parse_corpus(self.name, values, self.languages)
