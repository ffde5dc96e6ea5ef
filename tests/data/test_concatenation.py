"""Examples joined from neighbouring lines."""

from itertools import pairwise
from pathlib import Path

import pytest

from nmt_cli.data.concatenation import join_neighbours
from nmt_cli.data.config import CorpusConfig
from nmt_cli.data.sources.bad_rows import BadRows
from nmt_cli.data.sources.base import RawPair
from nmt_cli.data.sources.corpus import find_corpus
from nmt_cli.errors import DataError

PAIRS = [RawPair(b"s%d" % n, b"t%d" % n, n) for n in range(1, 201)]


def test_one_example_starts_at_each_line_and_goes_on_through_its_neighbours() -> None:
    examples = list(join_neighbours(PAIRS, 5, 7))
    assert [example.line_number for example in examples] == [pair.line_number for pair in PAIRS]
    for example in examples:
        numbers = [int(word[1:]) for word in example.source.split()]
        assert example.target.split() == [b"t%d" % n for n in numbers]
        assert numbers[0] == example.line_number
        assert all(right == left + 1 for left, right in pairwise(numbers))


def test_every_count_is_drawn_about_equally_often_and_by_the_seed() -> None:
    sizes = [len(example.source.split()) for example in join_neighbours(PAIRS, 5, 7)]
    assert all(25 <= sizes[:196].count(count) <= 55 for count in range(1, 6))
    assert sizes == [len(example.source.split()) for example in join_neighbours(PAIRS, 5, 7)]
    assert sizes != [len(example.source.split()) for example in join_neighbours(PAIRS, 5, 8)]


def test_no_example_goes_past_the_end_of_the_text() -> None:
    last = [example.source.split() for example in join_neighbours(PAIRS, 5, 7)][-4:]
    assert all(words[-1] in (b"s197", b"s198", b"s199", b"s200") for words in last)
    assert len(last[-1]) == 1


def test_joining_one_changes_nothing_and_lines_without_text_add_nothing() -> None:
    assert list(join_neighbours(PAIRS, 1, 7)) == PAIRS
    gap = [RawPair(b"a", b"b", 1), RawPair(b" ", b"", 2), RawPair(b"c", b"d", 3)]
    whole = max(join_neighbours(gap * 20, 3, 1), key=lambda example: len(example.source))
    assert b"  " not in whole.source


@pytest.mark.parametrize("join", [1, 3])
def test_a_recipe_joins_training_development_and_test_text(tmp_path: Path, join: int) -> None:
    for name in ("train", "dev"):
        for side in ("en", "de"):
            (tmp_path / f"{name}.{side}").write_text("".join(f"{n}\n" for n in range(50)))
    config = CorpusConfig(root=str(tmp_path), source="en", target="de", dev="dev", concatenate=join)
    corpus = find_corpus(config, [])
    assert corpus.dev is not None
    for part in (corpus.train[0], corpus.dev):
        longest = max(len(pair.source.split()) for pair in part.read(BadRows()))
        assert longest == join
    embedded = CorpusConfig(name="quickstart", source="en", target="de", concatenate=join)
    first = next(find_corpus(embedded, []).train[0].read(BadRows()))
    assert first.line_number == 1


def test_joined_text_needs_a_development_text_of_its_own(tmp_path: Path) -> None:
    for name in ("train.en", "train.de", "val.en", "val.de"):
        (tmp_path / name).write_text("a\n")
    settings = {"root": str(tmp_path), "source": "en", "target": "de", "concatenate": 3}
    with pytest.raises(DataError) as caught:
        find_corpus(CorpusConfig.model_validate(settings), [])
    assert str(caught.value) == (
        "corpus.concatenate: needs corpus.dev: pairs held out from joined text share lines with it"
    )
    assert find_corpus(CorpusConfig.model_validate(settings | {"dev": "val"}), []).dev is not None
    assert find_corpus(CorpusConfig.model_validate(settings | {"name": "quickstart"}), []).dev
