"""nmt corpora, and recipes that name one."""

import hashlib
import json
from pathlib import Path

import pytest

from nmt_cli.commands.corpora import corpus_rows, corpus_table, describe_corpus, fetch_by_name
from nmt_cli.data.sources import corpus as corpus_module
from nmt_cli.data.sources.catalogue_corpus import download_folder
from nmt_cli.data.sources.corpus import fetch_corpus, search_folders
from nmt_cli.errors import DataError, UserError
from nmt_cli.recipe.loader import build_recipe
from nmt_cli.reporting import Reporter
from tests.conftest import Call, Listener, toy_content
from tests.loopback import Shop, shop

__all__ = ["shop"]
RECIPE = """\
corpus: {name: toy, source: ba, target: ab}
tokenizer: {type: word, vocab_size: 60}
model: {type: transformer, d_model: 32, heads: 2, encoder_layers: 1, decoder_layers: 1, d_ff: 64}
training: {updates: 4, tokens_per_batch: 256, validate_every: 2, precision: fp32}
"""


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recipe that names a corpus, in the working folder."""
    monkeypatch.chdir(tmp_path)
    path = Path("named.yaml")
    path.write_text(RECIPE)
    return path


def manifest() -> dict[str, object]:
    """Of the only prepared folder."""
    (path,) = Path("prepared").glob("*/manifest.json")
    content: dict[str, object] = json.loads(path.read_text())
    return content


# 1. What there is.


def test_the_table_has_a_row_for_every_pair_with_its_terms(nmt: Call) -> None:
    code, out, err = nmt("corpora")
    lines = out.splitlines()
    assert (code, err) == (0, "") and lines == list(corpus_table())
    assert lines[0].split() == ["name", "languages", "train", "dev", "test", "bytes", "licence"]
    assert len(lines) == len(corpus_rows()) + 1
    assert (
        "multi30k   en-de          29,000  1,014  1,000      1,296,271  captions: research and education only"
    ) in lines
    (row,) = (line for line in lines if line.startswith("iwslt14"))
    assert "not published  CC BY-NC-ND, TED talks" in row


def test_the_table_is_there_for_programs_too(nmt: Call) -> None:
    code, out, _ = nmt("corpora", "--json")
    rows = json.loads(out)
    assert code == 0 and len(rows) == len(corpus_rows())
    assert rows[0] == {
        "name": "multi30k", "languages": "en-de", "pairs": [29000, 1014, 1000], "bytes": 1296271,
        "licence": "captions: research and education only",
    }  # fmt: skip


def test_a_corpus_is_shown_with_its_files_and_citation(nmt: Call, shop: Shop) -> None:
    code, out, _ = nmt("corpora", "show", "talks")
    packed = shop.goods["talks.tgz"]
    assert code == 0 and out.splitlines() == [
        "talks: Syllables",
        "licence: free",
        "Do as you like.",
        "note: Every tenth.",
        "ab-ba: 42 train, 4 dev, 5 test pairs",
        "    gives train.{ab,ba}, dev.{ab,ba}, test.{ab,ba}",
        f"talks.tgz: {len(packed):,} bytes",
        f"    {shop.address}talks.tgz",
        f"    SHA-256 {hashlib.sha256(packed).hexdigest()}",
        "citation:",
    ]
    assert list(describe_corpus("toy"))[-2:] == ["citation:", "    @misc{toy}"]


def test_a_digest_that_nobody_published_is_said_to_be_none(shop: Shop) -> None:
    bare = {"sha256": None, "bytes": None}
    shop.write(talks_tgz=bare, train_ab_gz={"sha256": None, "text_sha256": "0" * 64})
    lines = list(describe_corpus("talks"))
    assert "talks.tgz: size not published" in lines
    later = "which later downloads must match"
    assert f"    SHA-256 not published; recorded at the first download, {later}" in lines
    fetch_by_name("talks", "ab", "ba", Reporter(quiet=True))
    digest = hashlib.sha256(shop.goods["talks.tgz"]).hexdigest()
    noted = f"    SHA-256 not published; first downloaded as {digest}, {later}"
    assert noted in list(describe_corpus("talks"))
    assert f"    SHA-256 of the decompressed text {'0' * 64}" in list(describe_corpus("toy"))


def test_an_unknown_corpus_is_refused_with_the_nearest(nmt: Call) -> None:
    assert nmt("corpora", "show", "multi30") == (
        2, "", "nmt: no corpus 'multi30' (see nmt corpora); did you mean multi30k?\n"
    )  # fmt: skip


@pytest.mark.parametrize("command", [("show", "quickstart"), ("fetch", "quickstart", "en", "de")])
def test_quickstart_is_said_to_be_shipped(command: tuple[str, ...], nmt: Call) -> None:
    code, out, err = nmt("corpora", *command)
    assert (code, out) == (2, "") and "shipped with nmt" in err and "corpus.name: quickstart" in err


# 2. Getting it.


def test_fetch_prints_the_folder_of_the_text(nmt: Call, shop: Shop, tmp_path: Path) -> None:
    folder = shop.cache / "corpora" / "toy" / "ab-ba"
    assert nmt("corpora", "fetch", "toy", "ba", "ab", "-q") == (0, f"{folder}\n", "")
    assert len((folder / "train.ba").read_text().splitlines()) == 100
    to = tmp_path / "mine" / "toy"
    assert nmt("corpora", "fetch", "toy", "ab", "ba", "--to", to, "-q") == (0, f"{to}\n", "")
    assert (to / "train.ba").read_bytes() == (folder / "train.ba").read_bytes()
    with pytest.raises(UserError) as caught:
        fetch_by_name("toy", "ab", "ba", Reporter(quiet=True), to)
    assert str(caught.value) == f"{to} exists: choose another folder"


def test_without_a_network_one_line_says_where_to_put_the_file(nmt: Call, shop: Shop) -> None:
    gone = "http://127.0.0.1:1/talks.tgz"
    shop.write(talks_tgz={"address": gone})
    code, out, err = nmt("corpora", "fetch", "talks", "ab", "ba", "-q")
    assert (code, out) == (2, "") and err.count("\n") == 1
    assert err.startswith(f"nmt: {gone}: cannot download: [Errno ")
    place = download_folder() / "talks.tgz"
    assert err.endswith(f"; download it in another way and put it there: {place}\n")


# 3. Recipes.


def test_a_recipe_that_names_a_corpus_is_prepared_and_notes_its_digests(nmt: Call, shop: Shop, recipe: Path) -> None:
    code, _, err = nmt("prepare", recipe)
    assert code == 0 and "100 pairs read" in err
    manifest_record = manifest()
    assert manifest_record["splits"] == {"dev": 10, "test": 10}
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in shop.goods.items()}
    fetched = manifest_record["fetched"]
    assert isinstance(fetched, list) and len(fetched) == 6
    assert all(record["sha256"] == digests[record["file"]] for record in fetched)
    asked = len(shop.asked)
    code, _, err = nmt("prepare", recipe)
    assert code == 0 and "prepared data are up to date" in err and len(shop.asked) == asked


@pytest.mark.precision
def test_a_recipe_that_names_a_corpus_is_trained_and_goes_on(nmt: Call, shop: Shop, recipe: Path) -> None:
    assert nmt("train", recipe, "-q")[0] == 0
    resolved = Path("runs/named/recipe.yaml")
    assert "name: toy" in resolved.read_text() and str(shop.cache) not in resolved.read_text()
    assert nmt("prepare", resolved, "-q") == (0, "", "")
    code, _, err = nmt("train", recipe, "--resume", "--set", "training.updates=6", "-q")
    assert (code, err) == (0, "")


def test_check_says_what_would_be_fetched_and_fetches_nothing(nmt: Call, shop: Shop, recipe: Path) -> None:
    code, out, _ = nmt("check", recipe, "--set", "corpus.name=talks", "--set", "corpus.root=x")
    assert code == 0 and shop.asked == []
    assert "warning  corpus.root: does nothing with name: talks" in out
    expected_url = f"{shop.address}talks.tgz"
    assert f"warning  corpus: not downloaded yet; nmt prepare will fetch {expected_url}" in out
    _, out, _ = nmt("check", recipe, "--set", "corpus.name=hf:a/b", "--set", "corpus.train=t")
    assert "warning  corpus.train: does nothing with name: hf:a/b" in out
    texts = "hf:a/b::train, hf:a/b::validation, hf:a/b::test"
    assert f"not downloaded yet; nmt prepare will fetch {texts}" in out
    nmt("prepare", recipe, "-q")
    code, out, _ = nmt("check", recipe)
    assert code == 0 and "note     corpus.train: train.ba: 100 pairs" in out


def test_text_that_was_damaged_since_is_said(nmt: Call, shop: Shop, recipe: Path) -> None:
    nmt("corpora", "fetch", "toy", "ab", "ba", "-q")
    folder = shop.cache / "corpora" / "toy" / "ab-ba"
    (folder / "dev.ab").unlink()
    assert nmt("prepare", recipe, "-q") == (
        2, "", f"nmt: corpus.name: {folder} is damaged: no file dev.ab; delete it\n"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["corpus.target=en"], "--set corpus.name: toy has no ba-en; it has ab-ba"),
        (["corpus.name=toys"], "--set corpus.name: no corpus 'toys' (see nmt corpora); did you mean toy?"),
    ],
)
def test_languages_and_names_that_there_are_not_are_mistakes_of_the_recipe(
    settings: list[str], message: str, nmt: Call, shop: Shop, recipe: Path
) -> None:
    options = [word for setting in settings for word in ("--set", setting)]
    code, _, err = nmt("prepare", recipe, *options)
    expected_message = message.removeprefix("--set ") if "target" in settings[0] else message
    assert code == 2 and expected_message in err and err.count("\n") == 1


def test_what_is_fetched_in_place_of_a_missing_folder_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = toy_content(tmp_path)
    download = {"address": "https://example.org/", "sha256": {"train.ab": "0" * 64}}
    content["corpus"] |= {"root": "mistyped", "download": download}
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(corpus_module, "fetch_missing_files", lambda *_: None)
    listener = Listener()
    with pytest.raises(DataError, match=r"corpus\.train"):
        fetch_corpus(build_recipe(content).corpus, search_folders(None), listener)
    assert listener.said == [
        "corpus.root: mistyped: its files are not here; fetching them from https://example.org/ "
        f"into {tmp_path}/nmt/mistyped"
    ]
