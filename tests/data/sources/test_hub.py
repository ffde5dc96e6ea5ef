"""Texts of mtdata and Hugging Face datasets.

The second library is here and is asked once; else fakes with the same interface stand for it, since
they can fail as a test wants. mtdata is not among what tests are run with: it wants older versions
of two packages (docs/decisions.md).
"""

import gzip
import json
import shutil
import sys
from pathlib import Path

import pytest

from nmt_cli.data.config import CorpusConfig
from nmt_cli.data.sources.bad_rows import BadRows
from nmt_cli.data.sources.base import Languages, MissingTextError
from nmt_cli.data.sources.corpus import fetch_corpus, find_corpus
from nmt_cli.data.sources.hub import HuggingFaceDataset, LibraryDataset, MtdataDataset, PairIterator
from nmt_cli.data.sources.parse import parse_dataset
from nmt_cli.errors import DataError
from nmt_cli.reporting import Reporter
from tests.conftest import run

QUIET = Reporter(quiet=True)
ID = "Fake-toy-1-deu-eng"
MTDATA = """\
import sys
if sys.argv[1:] != ["--no-pbar", "echo", "Fake-toy-1-deu-eng"]:
    print("indexing ...", "AssertionError", sep="\\n", file=sys.stderr)
    sys.exit(1)
print("log", file=sys.stderr)
print(CONTENT, end="")
"""
DATASETS = """\
def disable_progress_bars(): pass
def load_dataset(name, configuration, split):
    assert (name, configuration) in {("toy", "de-en"), ("toy", None)}
    if split != "train":
        raise ValueError(f'Unknown split "{split}".\\n  Should be one of [\\'train\\'].')
    return CONTENT
"""


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for packages that are found before others, here and in processes."""
    folder = tmp_path / "packages"
    for name in ("mtdata", "datasets"):
        (folder / f"{name}-9.9.dist-info").mkdir(parents=True)
        text = f"Metadata-Version: 2.1\nName: {name}\nVersion: 9.9\n"
        (folder / f"{name}-9.9.dist-info" / "METADATA").write_text(text)
        for module in [module_name for module_name in sys.modules if module_name.partition(".")[0] == name]:
            monkeypatch.delitem(sys.modules, module)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.syspath_prepend(str(folder))
    return folder


def fake_mtdata(folder: Path, content: str) -> None:
    (folder / "mtdata" / "iso").mkdir(parents=True)
    (folder / "mtdata" / "__init__.py").touch()
    (folder / "mtdata" / "__main__.py").write_text(MTDATA.replace("CONTENT", repr(content)))
    (folder / "mtdata" / "iso" / "__init__.py").touch()
    codes = "bcp47 = {'de': 'deu', 'deu': 'deu', 'en': 'eng', 'fr': 'fra'}.__getitem__\n"
    (folder / "mtdata" / "iso" / "bcp47.py").write_text(codes)


def fake_datasets(folder: Path, rows: list[dict[str, object]]) -> None:
    (folder / "datasets.py").write_text(DATASETS.replace("CONTENT", repr(rows)))


def dataset(name: str, source: str = "en", target: str = "de", split: str = "train") -> LibraryDataset:
    parsed = parse_dataset(name, split, Languages(source, target))
    assert parsed is not None
    return parsed


def fetch(name: str, source: str = "en", target: str = "de", role: str = "train") -> list[str]:
    """Both files of a text, line for line."""
    text = dataset(name, source, target, role)
    text.fetch(QUIET, BadRows())
    return [path.read_text() for path in text.paths()]


def refusal(name: str, source: str = "en", target: str = "de", role: str = "train") -> str:
    """Why a text was not fetched, in one line; nothing of it is there."""
    with pytest.raises(DataError) as caught:
        fetch(name, source, target, role)
    text = dataset(name, source, target, role)
    assert text.pending_downloads() == [text.name]
    folder = text.paths()[0].parent
    assert not folder.exists() or list(folder.iterdir()) == []
    assert "\n" not in str(caught.value)
    return str(caught.value)


# 1. mtdata.


def test_a_text_of_mtdata_is_written_with_the_source_first(packages: Path) -> None:
    fake_mtdata(packages, "Ein Haus.\tA house.\textra\nZwei\u2028Äpfel.\tTwo.\n")
    assert fetch(f"mtdata:{ID}") == ["A house.\nTwo.\n", "Ein Haus.\nZwei\u2028Äpfel.\n"]
    assert fetch(f"mtdata:{ID}", "deu", "en")[0] == "Ein Haus.\nZwei\u2028Äpfel.\n"
    records = MtdataDataset(ID, Languages("en", "de")).provenance()
    assert records == [{"name": f"mtdata:{ID}", "by": "mtdata 9.9", "pairs": 2}]


def test_what_mtdata_prints_is_utf8_wherever_it_runs(packages: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "latin-1")  # as of a Windows of Western Europe
    fake_mtdata(packages, "Ein Häuschen.\tA house.\r\n")
    assert fetch(f"mtdata:{ID}") == ["A house.\n", "Ein Häuschen.\n"]


def test_two_that_fetch_the_same_text_do_not_damage_it(packages: Path) -> None:
    fake_mtdata(packages, "")

    class Text(MtdataDataset):
        def read_remote(self, bad_rows: BadRows) -> PairIterator:
            yield "a", "A"
            MtdataDataset.fetch(InnerText(ID, self.languages), QUIET, BadRows())
            yield "b", "B"

    class InnerText(MtdataDataset):
        def read_remote(self, bad_rows: BadRows) -> PairIterator:
            yield from (("a", "A"), ("b", "B"))

    text = Text(ID, Languages("en", "de"))
    text.fetch(QUIET, BadRows())
    assert [path.read_text() for path in text.paths()] == ["a\nb\n", "A\nB\n"]
    assert len(list(text.paths()[0].parent.iterdir())) == 3


def test_what_was_fetched_is_not_fetched_again(packages: Path) -> None:
    fake_mtdata(packages, "Ein Haus.\tA house.\n")
    first = fetch(f"mtdata:{ID}")
    (packages / "mtdata" / "__main__.py").write_text("1 / 0")
    assert fetch(f"mtdata:{ID}") == first


def test_other_languages_than_a_dataset_has_are_refused(packages: Path) -> None:
    fake_mtdata(packages, "")
    assert refusal(f"mtdata:{ID}", "en", "fr") == f"mtdata:{ID} is deu-eng, not eng-fra"


def test_what_mtdata_does_not_know_is_said_in_its_words(packages: Path) -> None:
    fake_mtdata(packages, "")
    assert refusal("mtdata:Fake-toi-1-deu-eng") == (
        "mtdata:Fake-toi-1-deu-eng: mtdata failed: AssertionError; mtdata list shows all datasets"
    )


def test_a_few_rows_of_one_text_are_dropped(packages: Path) -> None:
    fake_mtdata(packages, "a\tb\nalone\n")
    assert fetch(f"mtdata:{ID}") == ["b\n", "a\n"]


def test_many_rows_of_one_text_are_refused(packages: Path) -> None:
    fake_mtdata(packages, "a\tb\n" + "alone\n" * 11)
    said = refusal(f"mtdata:{ID}")
    assert said.startswith(f"mtdata:{ID}: 11 of 12 rows cannot be used: 11 no tab (")
    assert "; rows need a tab between two texts, corpus.max_bad_rows" in said


# 2. Hugging Face datasets.


@pytest.mark.parametrize(
    "row",
    [
        {"translation": {"en": "A\nhouse.", "de": "Ein Haus."}},
        {"en": "A\nhouse.", "de": "Ein Haus.", "id": 5},
        {"source": "A\nhouse.", "target": "Ein Haus."},
    ],
)
def test_pairs_are_found_in_the_usual_columns(row: dict[str, object], packages: Path) -> None:
    fake_datasets(packages, [row, row])
    assert fetch("hf:toy:de-en") == ["A house.\n" * 2, "Ein Haus.\n" * 2]
    records = HuggingFaceDataset("toy", Languages("en", "de"), "de-en").provenance()
    assert records == [{"name": "hf:toy:de-en:train", "by": "datasets 9.9", "pairs": 2}]


def test_a_damaged_record_is_refused_with_what_to_do(packages: Path) -> None:
    fake_datasets(packages, [{"en": "a", "de": "b"}])
    fetch("hf:toy")
    path = dataset("hf:toy")._provenance_path()
    path.write_text("[")
    with pytest.raises(DataError) as caught:
        dataset("hf:toy").provenance()
    assert str(caught.value).startswith(f"{path}: missing or damaged: ")
    assert caught.value.hint == "delete it, and nmt prepare downloads the text again"


def test_many_rows_without_the_languages_are_refused(packages: Path) -> None:
    bad_rows = [{"en": "a", "fr": "b"}, {"en": "a", "de": None}]
    fake_datasets(packages, [*bad_rows * 6, {"en": "a", "de": "b"}])
    assert refusal("hf:toy") == (
        "hf:toy::train: 12 of 13 rows cannot be used: 6 missing key (hf:toy::train:1: it has en, fr); "
        "6 null (hf:toy::train:2: it has en, de); rows need the texts en and de, or source and target, "
        "corpus.max_bad_rows (now 0.01) allows a larger share"
    )


def test_a_recipe_may_allow_more_rows_that_cannot_be_used(packages: Path) -> None:
    fake_datasets(packages, [*[{"en": "a", "fr": "b"}] * 12, {"en": "a", "de": "b"}])
    config = CorpusConfig(source="en", target="de", train="hf:toy", max_bad_rows=1)
    assert fetch_corpus(config, [packages], QUIET).train[0].label == "hf:toy::train"
    assert dataset("hf:toy").pending_downloads() == []


def test_what_is_not_downloaded_yet_is_not_found(packages: Path) -> None:
    with pytest.raises(MissingTextError) as caught:
        find_corpus(CorpusConfig(source="en", target="de", train="hf:toy"), [packages])
    assert str(caught.value) == "corpus: not on this machine yet: hf:toy::train; nmt prepare downloads it"


def test_a_few_rows_without_the_languages_are_dropped(packages: Path) -> None:
    fake_datasets(packages, [{"en": "a", "fr": "b"}, {"en": "a", "de": None}, {"en": "a", "de": "b"}])
    assert fetch("hf:toy") == ["a\n", "b\n"]


def test_what_the_library_refuses_is_said_in_one_line(packages: Path) -> None:
    fake_datasets(packages, [])
    assert refusal("hf:toy", role="dev") == (
        "hf:toy::validation: datasets cannot load it: Unknown split \"validation\". Should be one of ['train']."
    )


def test_what_lies_on_this_machine_is_read_anew(
    packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "toy").mkdir()
    for text in ("a", "b"):
        fake_datasets(packages, [{"en": text, "de": text}])
        monkeypatch.delitem(sys.modules, "datasets", raising=False)
        shutil.rmtree(packages / "__pycache__", ignore_errors=True)
        assert fetch("hf:toy") == [f"{text}\n"] * 2


def test_folders_of_the_same_name_have_texts_of_their_own(
    packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_datasets(packages, [{"en": "a", "de": "a"}])
    for project in ("first", "second", "third"):
        (tmp_path / project).mkdir()
    (tmp_path / "first" / "toy").mkdir()
    (tmp_path / "second" / "toy").mkdir()
    monkeypatch.chdir(tmp_path / "first")
    assert fetch("hf:toy") == ["a\n"] * 2
    assert dataset("hf:toy").pending_downloads() == []
    for project in ("second", "third"):
        monkeypatch.chdir(tmp_path / project)
        assert dataset("hf:toy").pending_downloads() == ["hf:toy::train"]


@pytest.mark.slow
def test_a_folder_of_this_machine_goes_through_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real library, in a process of its own: JSON lines, packed, in three splits."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "toy-text").mkdir()
    for split, size in (("train", 40), ("validation", 3), ("test", 2)):
        rows = [{"translation": {"en": f"house {n}", "de": f"Haus {n}"}} for n in range(size)]
        content = "".join(json.dumps(row) + "\n" for row in rows).encode()
        (tmp_path / "toy-text" / f"{split}.jsonl.gz").write_bytes(gzip.compress(content))
    recipe = "corpus: {name: 'hf:toy-text', source: en, target: de}\ntokenizer: {type: character}\n"
    (tmp_path / "toy.yaml").write_text(recipe)
    set_up = {"XDG_CACHE_HOME": "cache", "HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1"}
    for name, value in set_up.items():
        monkeypatch.setenv(name, value)
    done = run("prepare", "toy.yaml")
    assert done.returncode == 0, done.stderr.decode()
    first = "fetching hf:toy-text::train with datasets; see its own licence"
    assert done.stderr.decode().splitlines()[0] == first
    folder = next((tmp_path / "prepared").glob("toy-*"))
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["splits"] == {"dev": 3, "test": 2} and manifest["train"] == 37  # 3 are dev text, too
    assert [record["name"] for record in manifest["fetched"]] == [
        "hf:toy-text::train", "hf:toy-text::validation", "hf:toy-text::test"
    ]  # fmt: skip


# 3. Where the library is not there.


@pytest.mark.parametrize(("name", "extra"), [("hf:a/b", "datasets"), ("mtdata:a-deu", "mtdata")])
def test_a_library_that_is_not_there_is_said_with_how_to_get_it(
    name: str, extra: str, packages: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nmt_cli.data.sources.hub.find_spec", lambda _: None)
    assert refusal(name) == f'{dataset(name).name} needs {extra}: pip install "nmt-cli[{extra}]"'
