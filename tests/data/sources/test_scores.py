"""Training text cut by scores: of one direction or two, by a threshold or a share."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from nmt_cli.data.cleaning import CorpusCleaner
from nmt_cli.data.config import CorpusConfig
from nmt_cli.data.inspection import inspect_corpus
from nmt_cli.data.sources.bad_rows import BadRows
from nmt_cli.data.sources.base import MissingTextError
from nmt_cli.data.sources.corpus import find_corpus
from nmt_cli.errors import DataError


def config(**entry: Any) -> CorpusConfig:
    return CorpusConfig.model_validate_json(json.dumps({"source": "en", "target": "de", "train": [entry]}))


def kept(folder: Path, **entry: Any) -> tuple[list[str], list[str]]:
    """The sources that are kept, and the examples of those that are cut."""
    corpus = config(**entry)
    (text,) = find_corpus(corpus, [folder]).train
    cleaner = CorpusCleaner(corpus)
    pairs = list(cleaner.clean(text.read(BadRows(0.0)), text.label, None, text.keeps))
    return [source for source, _ in pairs], cleaner.report["low score"].examples


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for side in ("en", "de"):
        (tmp_path / f"train.{side}").write_text("".join(f"{letter} {side}\n" for letter in "abcde"))
    (tmp_path / "others.txt").write_text("-3\n-7\n-2\n-inf\n-9\n")
    (tmp_path / "plain.txt").write_text("-1\n-5\n-2\n-inf\n-3\n")
    columns = [(-10.0, -1.0), (-10.0, -1.0), (-20.0, -2.0), (-30.0, -3.0), (-math.inf, -math.inf)]
    (tmp_path / "rescored.tsv").write_text("".join(f"{total}\t{mean}\t5\t10\n" for total, mean in columns))
    (tmp_path / "back.tsv").write_text("".join(f"-9\t{mean}\t5\t10\n" for mean in (-1.5, -4, -2, -3, -math.inf)))
    return tmp_path


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"scores": "plain.txt", "min_score": -2}, "ac"),
        ({"scores": "plain.txt", "min_score": -99}, "abce"),
        ({"scores": "plain.txt", "keep_share": 0.4}, "ac"),
        ({"scores": "plain.txt", "keep_share": 1}, "abce"),
        ({"scores": "plain.txt", "keep_share": 0.6, "min_score": -2}, "ac"),
        ({"scores": "rescored.tsv", "min_score": -2.5}, "abc"),
        # 0.5 + 1.25, 3 + 2.5, 0 + 2, 0 + 3
        ({"scores": ["rescored.tsv", "back.tsv"], "min_score": -2}, "ac"),
        ({"scores": ["rescored.tsv", "back.tsv"], "keep_share": 0.6}, "acd"),
        # -1 + 3, -5 + 7, -2 + 2, -inf, -3 + 9
        ({"scores": "plain.txt", "baseline": "others.txt", "keep_share": 0.2}, "e"),
        ({"scores": "plain.txt", "baseline": "others.txt", "min_score": 1}, "abe"),
    ],
)
def test_pairs_with_the_best_scores_are_kept(folder: Path, entry: dict[str, Any], expected: str) -> None:
    sources, cut = kept(folder, name="train", **entry)
    assert sources == [f"{letter} en" for letter in expected]
    assert cut == [
        f"train.en:{'abcde'.index(letter) + 1}: {letter} en ||| {letter} de"
        for letter in "abcde"
        if letter not in expected
    ]


@pytest.mark.parametrize(("share", "expected"), [(0.2, "a"), (0.4, "ac"), (0.6, "acd"), (0.8, "abcd"), (1, "abcd")])
def test_of_equal_scores_the_first_are_kept_so_that_the_share_is_exact(
    share: float, expected: str, folder: Path
) -> None:
    (folder / "tied.txt").write_text("-1\n-2\n-1\n-1\n-inf\n")
    sources, _ = kept(folder, name="train", scores="tied.txt", keep_share=share)
    assert sources == [f"{letter} en" for letter in expected]


def test_a_pair_that_is_cut_is_shown_on_one_line(folder: Path) -> None:
    (folder / "web.jsonl").write_text(json.dumps({"en": "a\nb", "de": "A\r\n\tB"}) + "\n")
    (folder / "low.txt").write_text("-5\n")
    assert kept(folder, jsonl="web.jsonl", scores="low.txt", min_score=-2) == ([], ["web.jsonl:1: a b ||| A B"])


def test_scores_are_an_input_of_the_data(folder: Path) -> None:
    corpus = find_corpus(config(name="train", scores="plain.txt", min_score=-2), [folder])
    assert folder / "plain.txt" in corpus.files()


def test_scores_that_do_not_fit_are_refused(folder: Path) -> None:
    (folder / "short.txt").write_text("-1\n")
    (folder / "words.txt").write_text("-1\nhigh\n")
    (folder / "long.txt").write_text("-1\n" * 6)
    for name, message in (
        ("short.txt", "1 score, but the text has 5 lines: one for each is needed"),
        ("long.txt", "6 scores, but the text has 5 lines: one for each is needed"),
        ("words.txt", "line 2: no score"),
    ):
        with pytest.raises(DataError, match=message):
            kept(folder, name="train", scores=name, min_score=-2)
    with pytest.raises(DataError, match="need as many lines"):
        kept(folder, name="train", scores=["plain.txt", "short.txt"], min_score=-2)
    with pytest.raises(MissingTextError, match=r"no file none\.txt"):
        kept(folder, name="train", scores="plain.txt", baseline="none.txt", min_score=-2)
    with pytest.raises(MissingTextError, match=r"no file none\.txt"):
        kept(folder, name="train", scores="none.txt", min_score=-2)


def test_a_sample_of_a_scored_text_is_inspected_and_all_its_lines_are_counted(folder: Path) -> None:
    corpus = config(name="train", scores="plain.txt", min_score=-2)
    stats, *_ = inspect_corpus(find_corpus(corpus, [folder]), corpus, max_pairs=3)
    (train,) = stats["train"]
    assert (train.pair_count, train.inspected_pairs, len(train.clean_pairs)) == (5, 3, 2)
    for count in (6, 4):
        (folder / "plain.txt").write_text("-1\n" * count)
        with pytest.raises(DataError, match=f"{count} scores, but the text has 5 lines"):
            inspect_corpus(find_corpus(corpus, [folder]), corpus, max_pairs=3)


@pytest.mark.parametrize("options", [{}, {"header": True}, {"columns": ["source", "target"]}])
def test_a_header_needs_a_score_and_a_missing_one_is_said(options: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "train.tsv").write_text("source\ttarget\na\tA\nb\tB\n")
    scores = tmp_path / "scores"
    entry = {"tsv": "train.tsv", "scores": "scores", "min_score": -1.5, **options}
    scores.write_text("0\n-2\n-1\n")
    assert kept(tmp_path, **entry)[0] == ["b"]
    scores.write_text("-2\n-1\n")
    with pytest.raises(DataError) as caught:
        kept(tmp_path, **entry)
    assert str(caught.value) == (
        f"{scores}: 2 scores, but the text has 3 lines, the first of which is its header: "
        "put a line with any number before the first score"
    )
    (tmp_path / "train.tsv").write_text("source\ttarget\na\tA\nb\tB\n\n")
    with pytest.raises(DataError, match="the first of which is its header"):
        kept(tmp_path, **entry)
    scores.write_text("-2\n")
    with pytest.raises(DataError, match="1 score, but the text has 3 lines: one for each is needed"):
        kept(tmp_path, **entry)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("tsv", "a\tA\nb\tB\nno tab\n"),
        ("tsv", "a\tA\nb\tB\n\n"),
        ("jsonl", '{"en": "a", "de": "A"}\n{"en": "b", "de": "B"}\n{"en": "c"}\n'),
    ],
)
def test_a_bad_last_row_may_have_a_score_or_none(name: str, content: str, tmp_path: Path) -> None:
    (tmp_path / "train").write_text(content)
    corpus = config(**{name: "train", "scores": "scores", "min_score": -9})
    for scores in ("-1\n-2\n-3\n", "-1\n-2\n"):
        (tmp_path / "scores").write_text(scores)
        (text,) = find_corpus(corpus, [tmp_path]).train
        assert len(list(CorpusCleaner(corpus).clean(text.read(BadRows()), text.label, None, text.keeps))) == 2


@pytest.mark.parametrize(
    "options",
    [
        {"train": [{"name": "a", "scores": "s"}]},
        {"train": [{"name": "a", "keep_share": 0.5}]},
        {"train": [{"name": "a", "scores": "s", "baseline": "b"}]},
        {"train": [{"tmx": "a", "scores": "s", "keep_share": 0.5}]},
        {"train": [{"name": "hf:a", "scores": "s", "keep_share": 0.5}]},
        {"train": [{"name": "a", "scores": "s", "keep_share": 0.5}], "concatenate": 2, "dev": "d"},
        {"dev": {"name": "a", "scores": "s", "keep_share": 0.5}},
    ],
)
def test_keys_that_do_not_go_together_are_errors(options: dict[str, Any]) -> None:
    section = CorpusConfig.model_validate_json(json.dumps({"source": "en", "target": "de", **options}))
    assert any("scores" in message for message in section.errors())
