"""What the names of texts in a recipe stand for."""

from pathlib import Path
from typing import Any

import pytest

from nmt_cli.data.config import CorpusConfig
from nmt_cli.data.sources.base import SPLITS, Languages
from nmt_cli.data.sources.catalogue_corpus import CatalogueCorpus
from nmt_cli.data.sources.config import ParallelTextConfig
from nmt_cli.data.sources.file_source import FileSource
from nmt_cli.data.sources.hub import HuggingFaceDataset, LibraryDataset, MtdataDataset
from nmt_cli.data.sources.parse import CorpusText, parse_dataset
from nmt_cli.data.sources.quickstart import QuickstartCorpus
from nmt_cli.recipe.loader import build_recipe

EN_DE = Languages("en", "de")
WMT = "hf:wmt14:de-en"


def hf(dataset: str, configuration: str = "", split: str = "train") -> HuggingFaceDataset:
    return HuggingFaceDataset(dataset, EN_DE, configuration, split)


@pytest.mark.parametrize(
    ("name", "split", "dataset"),
    [
        ("mtdata:Statmt-news_commentary-16-deu-eng", "dev",
         MtdataDataset("Statmt-news_commentary-16-deu-eng", EN_DE)),
        ("hf:wmt14", "train", hf("wmt14")),
        (WMT, "dev", hf("wmt14", "de-en", "validation")),
        (WMT, "test", hf("wmt14", "de-en", "test")),
        ("hf:a/b::train", "test", hf("a/b")), ("hf:a::train", "test", hf("a")), ("hf:a:b", "train", hf("a", "b")),
        ("hf:C:\\data", "train", hf("C:\\data")), ("hf:c:/data:b:test", "train", hf("c:/data", "b", "test")),
        ("train", "train", None), (None, "train", None), ("hf:", "train", None), ("mtdata:", "train", None),
        ("C:train", "train", None), ("./hf:train", "train", None), ("hf", "train", None),
    ],
)  # fmt: skip
def test_a_library_before_a_colon_makes_a_name_a_dataset(
    name: str | None, split: str, dataset: LibraryDataset | None
) -> None:
    assert parse_dataset(name, split, EN_DE) == dataset


def files(name: str) -> FileSource:
    return FileSource(ParallelTextConfig(name=name), EN_DE)


@pytest.mark.parametrize(
    ("section", "texts"),
    [
        ({}, [("train", files("train"))]),
        ({"dev": "val", "test": "mtdata:a"},
         [("train", files("train")), ("dev", files("val")), ("test", MtdataDataset("a", EN_DE))]),
        ({"name": "quickstart", "dev": "val"}, [(split, QuickstartCorpus()) for split in SPLITS]),
        ({"name": "multi30k"}, [(split, CatalogueCorpus("multi30k", "en-de", EN_DE)) for split in SPLITS]),
        ({"name": WMT, "train": "ignored", "test": "newstest"},
         [("train", hf("wmt14", "de-en")), ("dev", hf("wmt14", "de-en", "validation")), ("test", files("newstest"))]),
        ({"name": "mtdata:a", "dev": "val"}, [("train", MtdataDataset("a", EN_DE)), ("dev", files("val"))]),
    ],
)  # fmt: skip
def test_a_section_names_the_texts_of_its_splits(section: dict[str, Any], texts: list[tuple[str, Any]]) -> None:
    config = CorpusConfig.model_validate({"source": "en", "target": "de", **section})
    assert config.texts() == [CorpusText(split, source) for split, source in texts]


def test_entries_of_a_list_keep_their_weights() -> None:
    entries = (ParallelTextConfig(name="hf:a", weight=2.0), ParallelTextConfig(tsv="x.tsv"))
    config = CorpusConfig(source="en", target="de", train=entries)
    assert config.texts() == [CorpusText("train", hf("a"), 2.0), CorpusText("train", FileSource(entries[1], EN_DE))]


def test_a_text_in_a_list_is_a_base_name() -> None:
    entries, named = (
        build_recipe({"name": "r", "corpus": {"source": "en", "target": "de", "train": train}}).corpus
        for train in (
            ["bible", {"tsv": "x.tsv", "columns": [1, 2]}, WMT],
            [{"name": "bible"}, {"tsv": "x.tsv", "columns": [1, 2]}, {"name": WMT}],
        )
    )
    assert entries == named and entries.model_dump() == named.model_dump()
    assert entries.texts()[0] == CorpusText("train", files("bible"))


def test_each_dataset_has_its_own_files_inside_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    names = [
        "hf:a/b",
        "hf:a/b:c",
        "hf:a/b:c:test",
        "hf:../../x",
        "hf:..",
        "mtdata:a-b",
        "hf:a-b",
        "hf:a_b",
        "hf:a/b::../x",
    ]
    paths = []
    for languages in (EN_DE, Languages("../../../en", "de/x")):
        datasets = [parse_dataset(name, "train", languages) for name in names]
        paths += [dataset.paths()[0] for dataset in datasets if dataset is not None]
    assert len(set(paths)) == 2 * len(names)
    cache = tmp_path / "nmt" / "corpora"
    assert all(path.resolve().is_relative_to(cache) for path in paths)
    assert paths[2] == cache / "hf" / "a%2Fb%3Ac" / "en-de" / "test.en"
