"""The quickstart corpus: 51,000 English-German sentence pairs shipped with the package.

The file has the columns split, source and target; `python -m tools.quickstart_grammar` writes it.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nmt_cli.data.sources.base import SPLITS, ParallelText, RawPair, TextSource
from nmt_cli.data.sources.compression import open_decompressed
from nmt_cli.errors import DataError

QUICKSTART_FILE = Path(__file__).with_name("quickstart.tsv.zst")
QUICKSTART_SHA256 = "28748ee2988ea8189fd2bf95bb23dfb33c42f1a243641be0bc22ed84159d6a74"


@dataclass(frozen=True)
class QuickstartCorpus(TextSource):
    """The corpus called quickstart."""

    splits = SPLITS
    is_complete = True

    def locate(self, split: str, root: Path) -> ParallelText:
        """The split, out of the shipped file."""
        return ParallelText(f"quickstart {split}", (QUICKSTART_FILE,), lambda _: read_quickstart(split))


def read_quickstart(split: str) -> Iterator[RawPair]:
    """The pairs of train, dev or test, numbered from 1; DataError if the file is damaged."""
    with open_decompressed(QUICKSTART_FILE) as file:
        text = file.read()
    if hashlib.sha256(text).hexdigest() != QUICKSTART_SHA256:
        raise DataError(f"{QUICKSTART_FILE}: damaged (SHA-256 does not match); reinstall nmt-cli")
    rows = (line.split(b"\t") for line in text.splitlines())
    pairs = ((source, target) for row_split, source, target in rows if row_split == split.encode())
    for line_number, (source, target) in enumerate(pairs, 1):
        yield RawPair(source, target, line_number)
