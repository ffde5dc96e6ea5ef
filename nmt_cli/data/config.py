"""The corpus section of a recipe."""

from typing import Literal

from pydantic import Field

from nmt_cli.config import Section
from nmt_cli.data.sources.cache_paths import parse_dataset_ref
from nmt_cli.data.sources.catalogue import select_corpus
from nmt_cli.errors import DataError


class ParallelTextConfig(Section):
    """One parallel corpus: a name, two files, or one file with both sides."""

    name: str | None = None
    """Base name: the files <root>/<name>.<source> and <root>/<name>.<target> (.gz, .zst)."""
    source: str | None = None
    """File of the source side."""
    target: str | None = None
    """File of the target side."""
    tsv: str | None = None
    """File with source<TAB>target on each line."""
    jsonl: str | None = None
    """File with an object on each line, its keys the two languages or "source" and "target"."""
    weight: float = Field(default=1.0, gt=0, le=1000)
    """How often each pair is seen in an epoch; the fraction is drawn by training.seed."""

    def errors(self) -> list[str]:
        """A part must say where its text is, in exactly one way."""
        file_pair = [self.source, self.target]
        if any(file_pair) != all(file_pair):
            return ["source and target go together"]
        format_count = sum((self.name is not None, any(file_pair), self.tsv is not None, self.jsonl is not None))
        if format_count != 1:
            return ["needs exactly one of name, source + target, tsv, jsonl"]
        return []


class Download(Section):
    """Where the corpus can be had."""

    address: str
    """Address of the folder that holds the files, with a slash at its end."""
    sha256: dict[str, str]
    """File name to the SHA-256 of its decompressed content."""
    licence: str = ""
    """The terms under which the data may be used."""


class CorpusConfig(Section):
    """The corpus section of a recipe."""

    name: str | None = None
    """A corpus by its name instead of files: quickstart, which is shipped with nmt; one of
    `nmt corpora`, downloaded where it is missing; or hf:DATASET[:CONFIGURATION], whose splits are train, validation
    and test. mtdata:ID and hf:DATASET[:CONFIGURATION[:SPLIT]] also stand for a base name below."""
    root: str = "."
    """Folder of the files: absolute, or looked for beside the recipe, in the current folder, under
    $NMT_DATA, and in the download cache."""
    source: str
    """Source language code, which is also the ending of the source files."""
    target: str
    """Target language code, which is also the ending of the target files."""
    train: str | tuple[ParallelTextConfig, ...] = "train"
    """Training text: a base name, or a list of parts with weights."""
    dev: str | ParallelTextConfig | None = None
    """Development text; null: held out from the training text (1 %, at most 2,000 pairs)."""
    test: str | ParallelTextConfig | None = None
    """Test text, scored at the end of training."""
    download: Download | None = None
    """Where to get the files when they are not there."""
    join: int = Field(default=1, ge=1, le=100)
    """Make of each pair an example of 1 to so many neighbouring pairs, how many by corpus.seed; in
    training, development and test text alike. For translation of more than a sentence; needs a
    development text."""
    normalization: Literal["nfc", "none"] = "nfc"
    """Unicode normalisation of all text."""
    deduplicate: bool = True
    """Drop a training pair that is exactly like an earlier one."""
    max_length: int | None = Field(default=250, ge=1)
    """Drop training pairs with more pieces than this on either side; null: no limit."""
    max_length_ratio: float | None = Field(default=9.0, ge=1)
    """Drop training pairs whose longer side has more than so many times the characters of the
    shorter one (plus 10); null: no limit."""
    seed: int = Field(default=1, ge=0, lt=1 << 63)
    """Decides which pairs are held out and joined; training.seed draws the fractions of weights."""

    def errors(self) -> list[str]:
        """Options that do not fit together."""
        messages = []
        for index, text_config in enumerate(self.train if isinstance(self.train, tuple) else ()):
            messages += [f"train[{index}]: {message}" for message in text_config.errors()]
        for key, eval_config in (("dev", self.dev), ("test", self.test)):
            if isinstance(eval_config, ParallelTextConfig):
                messages += [f"{key}: {message}" for message in eval_config.errors()]
        if self.train == ():
            messages.append("train: the list is empty")
        if self.name not in (None, "quickstart") and parse_dataset_ref(self.name, "train") is None:
            try:
                select_corpus(str(self.name), self.source, self.target)
            except DataError as error:
                messages.append(f"name: {error}")
        return messages

    def warnings(self) -> list[str]:
        """See `Section.doubts`."""
        if self.name is None:
            return []
        is_complete = parse_dataset_ref(self.name, "train") is None  # else dev and test may be files
        keys = self.non_default(*(("root", "train", "dev", "test", "download") if is_complete else ("train",)))
        return [f"{key}: does nothing with name: {self.name}" for key in keys]
