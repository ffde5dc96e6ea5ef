"""The search section of a recipe. Imports no torch."""

import math
import re
from typing import Annotated, Literal

from pydantic import Field, field_validator

from nmt_cli.config import Section

LengthNormalization = Literal["average", "gnmt", "none"]

AUTO_BATCH_POSITIONS = {
    "cpu": 8192,
    "cuda": 65536,
    "mps": 8192,
}  # measured on a CPU alone; a large GPU wants more at a time
MAX_KV_CACHE_BYTES = 160 << 20  # about as many bytes of keys and values may a batch have on a CPU
LONG_SEARCH = 100  # target tokens: few sentences need more, and an exact search goes on for a share of them


class SearchConfig(Section):
    """The search section of a recipe."""

    beam: int = Field(default=5, ge=1, le=256)
    """Hypotheses kept per sentence; 1 is greedy search."""
    n_best: int = Field(default=1, ge=1)
    """Translations per sentence, best first: up to this many different ones, at most beam; with sampling, this many
    samples, equal ones included."""
    length_normalization: LengthNormalization = "average"
    """average: log-probability / length^alpha; gnmt: / ((5 + length) / 6)^alpha (Wu et al. 2016,
    eq. 14); none. The end of sentence counts as a token."""
    length_penalty: float = Field(default=1.0, ge=0, le=10)
    """The alpha of length_normalization."""
    coverage_penalty: float = Field(default=0.0, ge=0, le=10)
    """The beta of Wu et al. 2016, eq. 14, applied when finished hypotheses are ranked."""
    patience: float | None = Field(default=None, gt=0, le=1000)
    """The search for a sentence ends at the latest when patience * beam of its hypotheses are finished (Kasai et al.
    2024); 1 and 2 are fast; null: only when no unfinished hypothesis can win."""
    min_length: int = Field(default=0, ge=0)
    """Fewest target tokens, not counting the end of sentence."""
    max_length: int | None = Field(default=None, ge=1)
    """Most target tokens, not counting the end of sentence; null: max_length_factor * source length + 10. A value far
    above what lines need slows down beam search; patience prevents that."""
    max_length_factor: float = Field(default=1.5, gt=0, le=100)
    """Target tokens per source token, at most, if max_length is null."""
    sampling: bool = False
    """Draw each token at random instead of searching for the best translation."""
    temperature: float = Field(default=1.0, gt=0, le=100)
    """Divides the scores before sampling."""
    top_k: int | None = Field(default=None, ge=1)
    """Sample among the k most probable tokens only (Fan et al. 2018)."""
    top_p: float | None = Field(default=None, gt=0, le=1)
    """Sample among the fewest tokens that hold this probability (Holtzman et al. 2020)."""
    seed: int = Field(default=1, ge=0, lt=1 << 63)
    """Seed of sampling: what is drawn for a line depends only on it and the line. CTranslate2 ignores it."""
    no_repeat_ngram: int | None = Field(default=None, ge=1)
    """Length of n-grams that a translation must not repeat (Paulus et al. 2018), or only as often as the source repeats
    one of its own; null: no limit."""
    repair_degenerate: bool = True
    """Detect translations that loop, are overlong or are empty; search again with constraints, keep the better
    translation, and warn."""
    split: Literal["sentences", "long", "none"] = "sentences"
    """sentences: translate a line sentence by sentence, or several sentences together if the training text has such
    lines, and a sentence that is longer than nearly all training lines clause by clause; long: only split a line of
    more than max_source_length tokens, at sentence ends (or commas, spaces, characters), which sentences does, too;
    none: translate only the beginning of such a line, with a warning."""
    keep: Literal["auto", "none"] = "auto"
    """auto: copy a text without letters, or one that is only an address (a URL, an e-mail address, a path), and keep
    addresses, paths, placeholders, tags, emoji and words with unknown characters inside a line as they are; add no
    final stop that the source lacks, unless the training text does; none: let the model translate everything."""
    keep_patterns: tuple[str, ...] = ()
    """Regular expressions (Python's re) of what else to keep as it is, anywhere in a line."""
    case: Literal["auto", "none"] = "auto"
    """auto: translate a sentence in capitals, with a capital on every word, or with a small letter at its beginning as
    it is usually written, unless the training text has such lines, and write its translation likewise; none: translate
    it as it is."""
    correct_typos: bool = False
    """Read a lower-case word that is in no training line as the most frequent word of the training text that is one
    slip of a finger away (letters swapped, left out, doubled, mistyped inside it), with a warning that says so."""
    unknown: Literal["copy", "drop"] = "copy"
    """What to print where the model writes <unk>. copy: the source word that it stands for, found by attention if the
    model has it, else the unknown words in order; drop: nothing."""
    max_source_length: int = Field(default=256, ge=1)
    """Most source tokens in a segment; never more than the model can read."""
    tokens_per_batch: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    """Source positions per batch, counted once per hypothesis; auto: 8192 on a CPU, fewer if the cache of
    keys and values would exceed 160 MiB with translations as long as their sources, and half of that when training
    validates; 65536 on a GPU."""
    precision: Literal["auto", "fp32", "bf16", "int8"] = "auto"
    """Type of weights and activations; int8 rounds linear layers to 8 bits, on a CPU only."""

    def errors(self) -> list[str]:
        """Options that do not fit together."""
        errors = []
        for index, pattern in enumerate(self.keep_patterns):
            try:
                re.compile(pattern)
            except (re.error, OverflowError, RecursionError) as error:  # a{99999999999}, thousands of brackets
                errors.append(f"keep_patterns.{index}: not a regular expression: {error}")
        if self.n_best > self.beam and not self.sampling:
            errors.append(f"n_best: {self.n_best} is more than beam {self.beam}: raise beam as well")
        if self.max_length is not None and self.min_length > self.max_length:
            errors.append(f"min_length: {self.min_length} is more than max_length {self.max_length}")
        if not self.sampling and (self.top_k is not None or self.top_p is not None):
            errors.append("top_k and top_p: only with sampling: true")
        if self.sampling and self.no_repeat_ngram is not None:
            errors.append("no_repeat_ngram: not with sampling: true")
        return errors

    def warnings(self) -> list[str]:
        """Keys that have no effect, or hardly the intended one."""
        warnings = []
        if self.keep == "none":
            warnings += [f"{key}: does nothing with keep: none" for key in self.non_default("keep_patterns")]
        if not self.sampling:
            keys = self.non_default("temperature", "seed")
            warnings += [f"{key}: does nothing without sampling: true" for key in keys]
            keys = self.non_default("length_penalty", "coverage_penalty", "length_normalization")
            keys += self.non_default("patience")
            warnings += [f"{key}: does nothing with beam: 1" for key in keys if self.beam == 1]
        if self.sampling and self.non_default("beam"):
            warnings.append("beam: does nothing with sampling: true; n_best says how many are drawn")
        if self.sampling:
            keys = self.non_default("patience", "coverage_penalty")
            warnings += [f"{key}: does nothing with sampling: true" for key in keys]
        if self.length_normalization == "none" and self.non_default("length_penalty"):
            warnings.append("length_penalty: does nothing with length_normalization: none")
        if self.max_length is not None and self.non_default("max_length_factor"):
            warnings.append("max_length_factor: does nothing beside max_length")
        is_exact = self.beam > 1 and not self.sampling and self.patience is None
        is_normalized = self.length_normalization != "none" and self.length_penalty > 0
        if is_exact and is_normalized and (self.max_length or 0) > LONG_SEARCH:
            warnings.append(
                f"max_length: {self.max_length} without patience: search goes on long after the best translation has"
                " ended, since a longer one might win; set patience, such as 2"
            )
        return warnings

    @field_validator("split", mode="before")
    @classmethod
    def _accept_booleans(cls, value: object) -> object:
        """True and false are how runs of earlier versions say sentences and none."""
        return {True: "sentences", False: "none"}[value] if isinstance(value, bool) else value

    @property
    def beam_size(self) -> int:
        """Hypotheses of a sentence that are written at once."""
        return self.n_best if self.sampling else self.beam

    def max_positions(self, device: str = "cpu", kv_cache_per_token: int = 0) -> int:
        """tokens_per_batch as a number, for this type of device.

        `kv_cache_per_token` is how many numbers are kept for a position of source or target, which are about as
        many.
        """
        if self.tokens_per_batch != "auto":
            return self.tokens_per_batch
        if device == "cpu" and kv_cache_per_token:
            return min(AUTO_BATCH_POSITIONS[device], MAX_KV_CACHE_BYTES // (2 * 4 * kv_cache_per_token))
        return AUTO_BATCH_POSITIONS[device]

    def max_target_length(self, source_length: int) -> int:
        """Most target subwords for a source of so many subwords."""
        if self.max_length is not None:
            return self.max_length
        return max(self.min_length, math.ceil(self.max_length_factor * source_length) + 10)

    def normalize(self, log_probability: float, length: int) -> float:
        """The score that hypotheses are compared by; `length` counts the end of sentence."""
        if self.length_normalization == "none":
            return log_probability
        base = length if self.length_normalization == "average" else (5 + length) / 6
        return log_probability / float(base**self.length_penalty)
