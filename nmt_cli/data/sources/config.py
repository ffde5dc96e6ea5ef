"""What a recipe says of the texts of a corpus. Imports nothing that reads or downloads them."""

from typing import Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from nmt_cli.config import Section
from nmt_cli.data.language_tags import is_tag

FORMATS = ("tsv", "jsonl", "tmx")
KEY_FORMATS = {"columns": ("tsv", "jsonl"), "header": ("tsv",), "quotes": ("tsv",), "inline": ("tmx",)}
SCORE_KEYS = ("scores", "min_score", "keep_share", "baseline")
LATER_KEYS = ("tmx", *KEY_FORMATS, *SCORE_KEYS, "tag")  # added later, not written where they say nothing


class ParallelTextConfig(Section):
    """One parallel corpus: a name, two files, or one file with both sides, each also compressed."""

    name: str | None = None
    """Base name: the files <root>/<name>.<source> and <root>/<name>.<target>, or an archive <root>/<name>.zip that
    holds two files with these endings. Any file may be compressed: .gz, .zst, .xz, .bz2, .zip."""
    source: str | None = None
    """File of the source side."""
    target: str | None = None
    """File of the target side."""
    tsv: str | None = None
    """File with source<TAB>target on each line."""
    jsonl: str | None = None
    """File with a JSON object on each line, whose keys are the two languages or "source" and "target"."""
    tmx: str | None = None
    """Translation memory; en-GB in it serves for en."""
    columns: tuple[int | str, int | str] | None = None
    """Columns of source and target: numbers from 1 or names in the header of a tsv; keys of jsonl, with a dot between
    nested ones. null: a row of a tsv must have two columns."""
    header: bool | None = None
    """Whether the first line of a tsv names its columns; null: if it looks like it."""
    quotes: bool = False
    """Whether cells of a tsv may be in double quotes, as spreadsheets write them."""
    inline: Literal["drop", "keep"] = "drop"
    """What becomes of codes inside segments of a tmx (bpt, ept, it, ph, ut)."""
    scores: str | tuple[str, str] | None = None
    """File with a score per line of the text, as `nmt rescore` prints it; or two files, for the two directions, from
    which the negated dual conditional cross-entropy is computed. For training text."""
    baseline: str | None = None
    """File with scores of the same targets with the sources of other pairs, which are subtracted from `scores`."""
    min_score: float | None = None
    """Drop pairs with a lower score."""
    keep_share: float | None = Field(default=None, gt=0, le=1)
    """Keep only this share of the lines, those with the best scores."""
    weight: float = Field(default=1.0, gt=0, le=1000)
    """How often each pair is seen in an epoch; training.seed determines which pairs a fraction selects."""
    tag: str | None = None
    """Word to put before each source that does not begin with it, followed by a space: `<2de>`, `">>de<<"` or `__de__`
    for the target language, `<BT>` for back-translated text; null: none."""

    @model_serializer(mode="wrap")
    def _serialize(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        values: dict[str, Any] = handler(self)
        said_keys = self.non_default(*LATER_KEYS)
        return {key: value for key, value in values.items() if key not in LATER_KEYS or key in said_keys}

    def errors(self) -> list[str]:
        """An entry must say in exactly one way where its text is, and only how to read what it names."""
        file_pair = [self.source, self.target]
        if any(file_pair) != all(file_pair):
            return ["source and target go together"]
        formats = [name for name in FORMATS if getattr(self, name) is not None]
        if sum((self.name is not None, any(file_pair), len(formats))) != 1:
            return [f"needs exactly one of name, source + target, {', '.join(FORMATS)}"]
        messages = [
            f"{key}: only for {' and '.join(KEY_FORMATS[key])}"
            for key in self.non_default(*KEY_FORMATS)
            if not set(formats) & set(KEY_FORMATS[key])
        ]
        said_keys = self.non_default(*SCORE_KEYS)
        if said_keys and ("scores" not in said_keys or not {"min_score", "keep_share"} & {*said_keys}):
            messages.append("scores: goes together with min_score or keep_share")
        if said_keys and (self.tmx is not None or (self.name or "").startswith(("mtdata:", "hf:"))):
            messages.append("scores: only for text in files with a line per pair")
        columns = self.columns or ()
        if self.jsonl is not None and any(isinstance(column, int) for column in columns):
            messages.append("columns: the keys of jsonl are text")
        if len({type(column) for column in columns}) > 1 or any(isinstance(c, int) and c < 1 for c in columns):
            messages.append("columns: needs two numbers from 1, or two names")
        if self.tag is not None and not is_tag(self.tag):
            messages.append(
                f"tag: {self.tag!r} is no tag: write one word such as <2de>, >>de<<, __de__ or <BT>, "
                "with 2 to 16 letters, digits, _ or - between its marks, and no token of nmt such as <unk>"
            )
        return messages


class Download(Section):
    """Where to download the files of a corpus."""

    address: str
    """URL of the folder that holds the files, ending with a slash."""
    sha256: dict[str, str]
    """For each file name, the SHA-256 of the decompressed content."""
    licence: str = ""
    """The terms under which the data may be used."""
