"""Names that stand for the text of another library."""

from pathlib import Path

import pytest

from nmt_cli.data.sources.cache_paths import DatasetRef, parse_dataset_ref


@pytest.mark.parametrize(
    ("name", "role", "reference"),
    [
        ("mtdata:Statmt-news_commentary-16-deu-eng", "dev",
         DatasetRef("mtdata", "Statmt-news_commentary-16-deu-eng")),
        ("hf:wmt14", "train", DatasetRef("hf", "wmt14", "", "train")),
        ("hf:wmt14:de-en", "dev", DatasetRef("hf", "wmt14", "de-en", "validation")),
        ("hf:wmt14:de-en", "test", DatasetRef("hf", "wmt14", "de-en", "test")),
        ("hf:a/b::train", "test", DatasetRef("hf", "a/b", "", "train")),
        ("train", "train", None), (None, "train", None), ("hf:", "train", None),
        ("C:train", "train", None), ("./hf:train", "train", None), ("hf", "train", None),
    ],
)  # fmt: skip
def test_a_library_before_a_colon_makes_a_name_a_reference(
    name: str | None, role: str, reference: DatasetRef | None
) -> None:
    assert parse_dataset_ref(name, role) == reference


def test_each_text_has_a_place_of_its_own_inside_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
    references = [parse_dataset_ref(name, "train") for name in names]
    paths = [reference.paths("en", "de")[0] for reference in references if reference is not None]
    paths += [reference.paths("../../../en", "de/x")[0] for reference in references if reference is not None]
    assert len(set(paths)) == 2 * len(names)
    inside = tmp_path / "nmt" / "corpora"
    assert all(path.resolve().is_relative_to(inside) for path in paths)
    assert paths[2] == inside / "hf" / "a%2Fb%3Ac" / "en-de" / "test.en"
