"""Corpora of the catalogue: downloaded, verified and unpacked, whole or not at all."""

import json
from pathlib import Path

import pytest

from nmt_cli.data.sources.bad_rows import BadRows
from nmt_cli.data.sources.base import Languages
from nmt_cli.data.sources.catalogue_corpus import (
    CatalogueCorpus,
    download_folder,
    find_catalogue_corpus,
    recorded_digest,
)
from nmt_cli.errors import DataError
from nmt_cli.reporting import Reporter
from tests.conftest import backwards, syllable_lines
from tests.loopback import Shop, archive, segments, shop, tags

__all__ = ["shop"]
QUIET = Reporter(quiet=True)
LINES = syllable_lines(120, 1)


def corpus(name: str = "toy") -> CatalogueCorpus:
    return find_catalogue_corpus(name, Languages("ab", "ba"))


def fetch(name: str = "toy", reporter: Reporter = QUIET) -> Path:
    corpus(name).fetch(reporter, BadRows())
    assert corpus(name).pending_downloads() == []
    return corpus(name).folder


def refusal(shop: Shop, name: str = "toy") -> str:
    """Why a corpus was not fetched, in one line; nothing of it is unpacked or half there."""
    with pytest.raises(DataError) as caught:
        fetch(name)
    assert "\n" not in str(caught.value)
    place = shop.cache / "corpora" / name
    assert not place.exists() or list(place.iterdir()) == []
    assert not list(download_folder().glob("partial-*"))
    return str(caught.value)


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


# 1. What arrives.


def test_a_corpus_arrives_as_two_files_a_split(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    folder = fetch(reporter=Reporter())
    assert folder == shop.cache / "corpora" / "toy" / "ab-ba"
    names = {f"{role}.{side}" for role in ("train", "dev", "test") for side in ("ab", "ba")}
    assert {path.name for path in folder.iterdir()} == {*names, "fetched.json"}
    assert lines(folder / "train.ab") == LINES[:100]
    assert lines(folder / "dev.ba") == [backwards(line) for line in LINES[100:110]]
    assert lines(folder / "test.ab") == LINES[110:]
    assert capsys.readouterr().err.splitlines() == [
        "toy ab-ba: free: Do as you like.",
        f"{folder}: 100 train, 10 dev, 10 test pairs",
    ]


def test_it_is_noted_where_the_text_came_from(shop: Shop) -> None:
    fetch()
    records = corpus().provenance()
    assert [record["file"] for record in records] == shop.asked
    assert records[0]["address"] == shop.address + "train.ab.gz"
    assert records[0]["bytes"] == len(shop.goods["train.ab.gz"]) and len(records[0]["sha256"]) == 64


@pytest.mark.parametrize("content", ["{", "{}"])
def test_a_damaged_note_of_where_the_text_came_from_is_refused_with_what_to_do(content: str, shop: Shop) -> None:
    fetch()
    folder = shop.cache / "corpora" / "toy" / "ab-ba"
    (folder / "fetched.json").write_text(content)
    with pytest.raises(DataError) as caught:
        corpus().provenance()
    assert str(caught.value) == f"corpus.name: {folder} is damaged: fetched.json is not what was written; delete it"


def test_nothing_is_asked_for_twice(shop: Shop) -> None:
    folder = fetch()
    asked = len(shop.asked)
    assert fetch() == folder and len(shop.asked) == asked
    (folder / "fetched.json").unlink()
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    fetch()  # from the files that were downloaded before
    assert len(shop.asked) == asked


def test_talks_lose_their_tags_and_every_tenth_pair_to_dev(shop: Shop) -> None:
    folder = fetch("talks")
    assert shop.asked == ["talks.tgz"]
    assert lines(folder / "dev.ab") == [LINES[n] for n in (9, 19, 29, 39)]
    left = [line for n, line in enumerate(LINES[:46], 1) if n % 10]
    assert lines(folder / "train.ab") == left
    assert lines(folder / "train.ba") == [backwards(line) for line in left]
    assert lines(folder / "test.ba") == [backwards(line) for line in LINES[50:55]]
    assert json.loads((folder / "fetched.json").read_text())["pairs"] == {
        "train": 42, "dev": 4, "test": 5
    }  # fmt: skip


def test_a_file_may_be_put_there_by_hand(shop: Shop) -> None:
    download_folder().mkdir(parents=True)
    (download_folder() / "talks.tgz").write_bytes(shop.goods.pop("talks.tgz"))
    fetch("talks")
    assert shop.asked == []


# 2. What does not.


def test_a_file_with_another_digest_is_not_used(shop: Shop) -> None:
    shop.goods["dev.ab.gz"] += b"x"
    message = refusal(shop)
    assert message.startswith(f"{shop.address}dev.ab.gz: SHA-256 is ")
    assert message.endswith(": not used")
    assert not (download_folder() / "dev.ab.gz").exists()


def test_a_file_put_there_by_hand_is_verified_too(shop: Shop) -> None:
    download_folder().mkdir(parents=True)
    path = download_folder() / "talks.tgz"
    path.write_bytes(b"mine")
    message = refusal(shop, "talks")
    assert message.startswith(f"{path} (from {shop.address}talks.tgz): SHA-256 is ")
    assert path.read_bytes() == b"mine" and shop.asked == []


def test_text_is_verified_however_it_was_packed(shop: Shop) -> None:
    shop.write(train_ab_gz={"sha256": None, "text_sha256": "0" * 64})
    assert "not 000000000000...: not used" in refusal(shop)


def test_an_answer_that_ends_too_early_is_not_used(shop: Shop) -> None:
    shop.cut.add("talks.tgz")
    size = len(shop.goods["talks.tgz"])
    assert refusal(shop, "talks") == (
        f"{shop.address}talks.tgz: cannot download: ended after {size - 9:,} of {size:,} bytes; "
        f"download it in another way and put it there: {download_folder() / 'talks.tgz'}"
    )


def test_what_is_not_there_is_said_with_the_address_and_where_to_put_it(shop: Shop) -> None:
    del shop.goods["train.ba.gz"]
    assert refusal(shop) == (
        f"{shop.address}train.ba.gz: cannot download: Not Found; "
        f"download it in another way and put it there: {download_folder() / 'train.ba.gz'}"
    )


def test_addresses_without_tls_are_not_asked(shop: Shop) -> None:
    shop.write(train_ab_gz={"address": "http://192.0.2.1/train.ab.gz"})
    assert refusal(shop) == "http://192.0.2.1/train.ab.gz: only https addresses are downloaded"


@pytest.mark.parametrize(
    ("members", "links", "reason"),
    [
        ({}, {"talks/t.ab.xml": "/etc/passwd"}, "talks/t.ab.xml: not a plain file: not unpacked"),
        ({}, {}, "there is no talks/t.ab.xml in it"),
        ({"talks/t.ab.xml": segments(LINES[:4])}, {}, None),
    ],
)
def test_an_archive_that_is_not_as_it_should_be_is_not_used(
    members: dict[str, bytes], links: dict[str, str], reason: str | None, shop: Shop
) -> None:
    text = {f"talks/train.tags.ab-ba.{side}": tags(LINES[:3]) for side in ("ab", "ba")}
    text |= {"talks/t.ba.xml": segments(LINES[:5]), "../../evil": b"x"}
    shop.goods["talks.tgz"] = archive(text | members, links)
    shop.write()
    unequal = "talks/t.ab.xml has 4 lines and talks/t.ba.xml has 5: "
    expected = f"{download_folder() / 'talks.tgz'}: {reason}" if reason else unequal
    assert refusal(shop, "talks").startswith(expected)
    assert not list(shop.cache.parent.parent.rglob("evil"))


# 3. What nobody published a digest of.


def test_the_first_download_decides_where_nobody_published_a_digest(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    fetch("talks")
    digest = corpus("talks").provenance()[0]["sha256"]
    assert recorded_digest("talks.tgz") is None
    for path in (shop.cache / "corpora" / "talks" / "ab-ba").iterdir():
        path.unlink()
    (shop.cache / "corpora" / "talks" / "ab-ba").rmdir()
    shop.write(talks_tgz={"sha256": None})
    fetch("talks")
    assert recorded_digest("talks.tgz") == digest
    assert capsys.readouterr().err == (
        f"warning: talks.tgz: no published SHA-256; recorded {digest[:12]}..., which later downloads must match\n"
    )


def test_a_later_download_must_be_the_same(shop: Shop) -> None:
    shop.write(talks_tgz={"sha256": None})
    folder = fetch("talks")
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    (download_folder() / "talks.tgz").unlink()
    shop.goods["talks.tgz"] = archive({"a": b"another"})
    assert refusal(shop, "talks").startswith(f"{shop.address}talks.tgz: SHA-256 is ")
