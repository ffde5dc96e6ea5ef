"""nmt tokenize and nmt detokenize: text to visible pieces and back."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

from nmt_cli.data.prepared import Tokenizers
from nmt_cli.data.tokenizer import TextTokenizer, batches
from nmt_cli.decoding.stream import one_line
from nmt_cli.disk import refuse_ways_out
from nmt_cli.errors import DataError, UserError

Side = Literal["source", "target"]


def open_tokenizer(path: Path, side: Side | None) -> TextTokenizer:
    """The tokenizer of a run folder, a prepared folder or a file.

    UserError where a folder has two and `side` says neither.
    """
    if path.is_file():
        return TextTokenizer.load(path)
    if not path.is_dir():
        raise DataError(f"{path}: no such run folder or tokenizer file")
    refuse_ways_out(path)
    both = Tokenizers.load(path)
    if not both.joint and side is None:
        raise UserError(f"{path}: source and target have different tokenizers: use --side")
    return both.target if side == "target" else both.source


def tokenize(lines: Iterable[str], tokenizer: TextTokenizer) -> Iterator[str]:
    """The pieces of each line, separated by spaces; a space inside a piece is shown as U+2581."""
    for block in batches(lines, 1000):
        for ids in tokenizer.encode(block):
            yield " ".join(tokenizer.visible_pieces(ids))


def detokenize(lines: Iterable[str], tokenizer: TextTokenizer) -> Iterator[str]:
    """The text of each line of pieces, on one line; DataError names the line of a bad piece."""
    for number, line in enumerate(lines, 1):
        pieces = line.split(" ") if line else []
        try:
            ids = tokenizer.ids_of_visible(pieces)
        except DataError as error:
            raise DataError(f"line {number}: {error}") from error
        yield one_line(tokenizer.decode([ids])[0])
