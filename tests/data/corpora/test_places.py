"""Names that stand for the text of another library."""

from pathlib import Path

import pytest

from nmt_cli.data.corpora.places import Reference, parse_reference


@pytest.mark.parametrize(
    ("name", "role", "reference"),
    [
        ("mtdata:Statmt-news_commentary-16-deu-eng", "dev",
         Reference("mtdata", "Statmt-news_commentary-16-deu-eng")),
        ("hf:wmt14", "train", Reference("hf", "wmt14", "", "train")),
        ("hf:wmt14:de-en", "dev", Reference("hf", "wmt14", "de-en", "validation")),
        ("hf:wmt14:de-en", "test", Reference("hf", "wmt14", "de-en", "test")),
        ("hf:a/b::train", "test", Reference("hf", "a/b", "", "train")),
        ("train", "train", None), (None, "train", None), ("hf:", "train", None),
        ("C:train", "train", None), ("./hf:train", "train", None), ("hf", "train", None),
    ],
)  # fmt: skip
def test_a_library_before_a_colon_makes_a_name_a_reference(
    name: str | None, role: str, reference: Reference | None
) -> None:
    assert parse_reference(name, role) == reference


def test_each_text_has_a_place_of_its_own_inside_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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
    found = [parse_reference(name, "train") for name in names]
    paths = [one.paths("en", "de")[0] for one in found if one is not None]
    paths += [one.paths("../../../en", "de/x")[0] for one in found if one is not None]
    assert len(set(paths)) == 2 * len(names)
    inside = tmp_path / "nmt" / "corpora"
    assert all(path.resolve().is_relative_to(inside) for path in paths)
    assert paths[2] == inside / "hf" / "a%2Fb%3Ac" / "en-de" / "test.en"
