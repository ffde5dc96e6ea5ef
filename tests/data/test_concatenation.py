"""Examples joined from neighbouring lines."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from nmt_cli.data.cleaning import CorpusCleaner
from nmt_cli.data.concatenation import join_neighbours
from nmt_cli.data.config import CorpusConfig
from nmt_cli.data.normalization import NormalizationConfig
from nmt_cli.data.sources.bad_rows import BadRows
from nmt_cli.data.sources.base import RawPair
from nmt_cli.data.sources.corpus import find_corpus
from nmt_cli.errors import DataError

PAIRS = [RawPair(b"s%d" % n, b"t%d" % n, n) for n in range(1, 201)]


def joined(pairs: Sequence[RawPair], max_pairs: int, seed: int) -> list[RawPair]:
    return list(join_neighbours(pairs, max_pairs, seed, NormalizationConfig()))


def test_one_example_starts_at_each_line_and_goes_on_through_its_neighbours() -> None:
    examples = joined(PAIRS, 5, 7)
    assert [example.line_number for example in examples] == [pair.line_number for pair in PAIRS]
    for example in examples:
        numbers = [int(word[1:]) for word in example.source.split()]
        assert example.target.split() == [b"t%d" % n for n in numbers]
        assert numbers[0] == example.line_number
        assert all(right == left + 1 for left, right in pairwise(numbers))


def test_every_count_is_drawn_about_equally_often_and_by_the_seed() -> None:
    sizes = [len(example.source.split()) for example in joined(PAIRS, 5, 7)]
    assert all(25 <= sizes[:196].count(count) <= 55 for count in range(1, 6))
    assert sizes == [len(example.source.split()) for example in joined(PAIRS, 5, 7)]
    assert sizes != [len(example.source.split()) for example in joined(PAIRS, 5, 8)]


def test_no_example_goes_past_the_end_of_the_text() -> None:
    last = [example.source.split() for example in joined(PAIRS, 5, 7)][-4:]
    assert all(words[-1] in (b"s197", b"s198", b"s199", b"s200") for words in last)
    assert len(last[-1]) == 1


def test_joining_one_changes_nothing() -> None:
    assert joined(PAIRS, 1, 7) == PAIRS


@pytest.mark.parametrize("empty", [b"", b" ", b"\xe2\x80\x8b", b"\xc2\xad \xef\xbb\xbf"])
def test_a_pair_with_an_empty_side_is_joined_with_no_other(empty: bytes) -> None:
    gaps = {20: (b"s20", empty), 21: (empty, b"t21"), 90: (empty, empty), 200: (b"s200", empty)}
    pairs = [RawPair(*gaps.get(pair.line_number, pair[:2]), pair.line_number) for pair in PAIRS]
    examples = joined(pairs, 5, 7)
    assert [example for example in examples if example.line_number in gaps] == [pairs[n - 1] for n in gaps]
    for before, example in zip(joined(PAIRS, 5, 7), examples, strict=True):
        if example.line_number not in gaps:
            sources, targets = example.source.split(), example.target.split()
            assert [word[1:] for word in sources] == [word[1:] for word in targets]
            numbers = [int(word[1:]) for word in before.source.split()]  # as far as the first gap they are the same
            whole = next((index for index, number in enumerate(numbers) if number in gaps), len(numbers))
            assert sources == before.source.split()[:whole]


def test_dropped_pairs_with_an_empty_side_are_counted_as_without_joining(tmp_path: Path) -> None:
    for side in ("en", "de"):
        lines = [f"{side}{n}" if n % 7 or side == "en" else "\u200b" for n in range(1, 71)]
        (tmp_path / f"train.{side}").write_text("".join(f"{line}\n" for line in lines))
        (tmp_path / f"dev.{side}").write_text("a\n")
    for count in (1, 3):
        config = CorpusConfig(root=str(tmp_path), source="en", target="de", dev="dev", concatenate=count)
        cleaner = CorpusCleaner(config)
        pairs = list(cleaner.clean(find_corpus(config, []).train[0].read(BadRows()), "train"))
        assert len(pairs) == 60 and all(source.replace("en", "de") == target for source, target in pairs)
        assert cleaner.report["empty"].count == 10
        assert cleaner.report["empty"].examples[0] == "train:7: en7 ||| "


@pytest.mark.parametrize("join", [1, 3])
def test_a_recipe_joins_training_development_and_test_text(tmp_path: Path, join: int) -> None:
    for name in ("train", "dev"):
        for side in ("en", "de"):
            (tmp_path / f"{name}.{side}").write_text("".join(f"{n}\n" for n in range(50)))
    config = CorpusConfig(root=str(tmp_path), source="en", target="de", dev="dev", concatenate=join)
    corpus = find_corpus(config, [])
    for part in (*corpus.train, *corpus.dev):
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
        "corpus.concatenate: needs corpus.dev: pairs held out from joined text would share lines with training text"
    )
    assert find_corpus(CorpusConfig.model_validate(settings | {"dev": "val"}), []).dev
    assert find_corpus(CorpusConfig.model_validate(settings | {"name": "quickstart"}), []).dev
