"""The quickstart corpus as the package holds it."""

from pathlib import Path

import pytest
import zstandard

from nmt_cli.data.sources import quickstart
from nmt_cli.errors import DataError


def test_the_splits_have_their_sizes_and_share_no_source() -> None:
    splits = {split: list(quickstart.read_quickstart(split)) for split in ("train", "dev", "test")}
    assert {split: len(pairs) for split, pairs in splits.items()} == {"train": 60000, "dev": 500, "test": 500}
    assert len({pair.source for pairs in splits.values() for pair in pairs}) == 61000
    for pairs in splits.values():
        assert [pair.line_number for pair in pairs] == list(range(1, len(pairs) + 1))


@pytest.mark.parametrize(
    "content, problem",
    [
        (b"", r"damaged \(SHA-256 does not match\); reinstall nmt-cli"),
        (b"no zstd", r"damaged \(SHA-256 does not match\); reinstall nmt-cli"),
        (zstandard.ZstdCompressor().compress(b"train\tone pair\tein Paar\n"),
         r"damaged \(SHA-256 does not match\); reinstall nmt-cli"),
    ],
)  # fmt: skip
def test_a_damaged_file_is_refused(
    content: bytes, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged = tmp_path / "quickstart.tsv.zst"
    damaged.write_bytes(content)
    monkeypatch.setattr(quickstart, "QUICKSTART_FILE", damaged)
    with pytest.raises(DataError, match=rf"quickstart\.tsv\.zst: {problem}"):
        next(quickstart.read_quickstart("train"))
