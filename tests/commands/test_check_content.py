"""nmt check of noisy text: what it finds, reports and recommends, and that the recommended keys help."""

import json
import random
import re
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from benchmarks.filtering import CLEAN, Corpus, add_noise
from nmt_cli.commands.check import check
from nmt_cli.commands.check_text import Finding, _check_pairs, check_evaluation_texts
from nmt_cli.data.cleaning import Problem
from nmt_cli.data.config import CorpusConfig
from nmt_cli.data.filtering.config import FilterConfig
from nmt_cli.data.filtering.rules import RULES
from nmt_cli.data.inspection import ParallelTextStats
from nmt_cli.data.overlap import OverlapCount, OverlapCounter
from nmt_cli.data.sources.quickstart import read_quickstart
from nmt_cli.reporting import Reporter
from nmt_cli.yaml12 import write_yaml
from tests.conftest import TINY_MODELS, Call, in_float32

PAIRS = 2600


def write_corpus(folder: Path, name: str, pairs: list[tuple[str, str]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for side, language in enumerate(("en", "de")):
        (folder / f"{name}.{language}").write_text("".join(pair[side] + "\n" for pair in pairs), encoding="utf-8")


def quickstart_pairs(count: int) -> list[tuple[str, str]]:
    return [(pair.source.decode(), pair.target.decode()) for pair in islice(read_quickstart("train"), count)]


def write_recipe(folder: Path, **corpus: Any) -> Path:
    content = {
        "name": "noisy",
        "corpus": {"source": "en", "target": "de", "train": "train", "dev": "dev", "test": "dev", **corpus},
        "tokenizer": {"vocab_size": 500},
        "model": TINY_MODELS["transformer"],
        "training": {"updates": 4, "validate_every": 2, "tokens_per_batch": 512, "warmup_updates": 2},
    }
    path = folder / "noisy.yaml"
    path.write_text(write_yaml(in_float32(content)), encoding="utf-8")
    return path


def checked(recipe: Path, report: Path | None = None) -> list[Finding]:
    return check(recipe, [], None, Reporter(quiet=True), "cpu", report)


@pytest.fixture(scope="module")
def noisy(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A folder with a noisy corpus and its clean development text, and the kind of each training pair."""
    folder = tmp_path_factory.mktemp("noisy")
    clean = quickstart_pairs(PAIRS + 50)
    numbered = [(f"{source[:-1]} in {1900 + i % 90}.", f"{target[:-1]} im Jahr {1900 + i % 90}.")
                if i % 5 == 0 else (source, target) for i, (source, target) in enumerate(clean[:PAIRS])]  # fmt: skip
    pairs, kinds = add_noise(Corpus(numbered, []), 0.03, 1)
    write_corpus(folder, "train", pairs)
    write_corpus(folder, "dev", clean[PAIRS:])
    return folder, kinds


@pytest.mark.slow
def test_keys_that_are_pasted_once_take_the_noise_out_and_a_model_trains_to_a_score(
    noisy: tuple[Path, list[str]], nmt: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, kinds = noisy
    monkeypatch.chdir(folder)
    recipe = write_recipe(folder)
    recommended = [finding for finding in checked(recipe) if finding.about == "corpus.filters"]
    pasted = re.search(r"filters: \{.*\}$", recommended[0].text)
    assert len(recommended) == 1 and pasted is not None
    assert "numbers: 1" in pasted[0] and "length: 4.0" in pasted[0] and "language" not in pasted[0]
    recipe.write_text(recipe.read_text().replace("corpus:\n", f"corpus:\n  {pasted[0]}\n"))
    assert not [finding for finding in checked(recipe) if finding.about == "corpus.filters"]
    code, _, err = nmt("train", recipe, "--out", "run", "--device", "cpu")
    assert code == 0, err
    assert json.loads((folder / "run/result.json").read_text())
    assert (folder / "run/languages.json").is_file()
    (manifest_path,) = (folder / "prepared").glob("*/manifest.json")
    manifest = json.loads(manifest_path.read_text())
    noise = sum(kind != CLEAN for kind in kinds)
    content = {rule.name for rule in RULES} | {"length ratio"}
    dropped = sum(stats["count"] for name, stats in manifest["filters"].items() if name in content)
    assert 0.98 * noise < dropped < noise + 0.01 * PAIRS


def test_each_kind_is_found_with_its_share_examples_and_key(noisy: tuple[Path, list[str]], tmp_path: Path) -> None:
    folder, kinds = noisy
    report = tmp_path / "report.tsv"
    findings = {finding.key: finding for finding in checked(write_recipe(folder), report) if finding.key}
    expected = ("copies", "swapped", "language", "mojibake", "entities", "markup", "length", "numbers")
    for name in expected:
        finding = findings[f"corpus.filters.{name}"]
        assert finding.count is not None and finding.share == finding.count / PAIRS > 0.02
        assert len(re.findall(r"train\.en:\d+: ", finding.text)) == 3
        assert f"corpus.filters.{name}: " in finding.text
    assert findings["corpus.filters.numbers"].level == findings["corpus.filters.length"].level == "warning"
    header, *rows = [line.split("\t") for line in report.read_text("utf-8").splitlines()]
    assert header == ["file", "line", "finding", "key", "text"] and {len(row) for row in rows} == {5}
    copied = {int(row[1]) for row in rows if row[3] == "corpus.filters.copies"}
    assert len(copied) == findings["corpus.filters.copies"].count
    assert {kinds[line - 1] for line in copied} == {"target is the source"}


@pytest.mark.parametrize(
    "name, description, repair",
    [
        ("copies", "have a target that is their source", ""),
        ("script", "have a side in a script that the corpus hardly has on that side", ""),
        ("mojibake", "have text in the wrong encoding", "; corpus.normalization.mojibake: true repairs most"),
        ("entities", "have HTML entities", "; corpus.normalization.entities: true decodes them"),
        ("markup", "have tags that the other side lacks", ""),
        ("controls", "have control characters", "; corpus.normalization.invisible: true removes them"),
        ("numbers", "have different numbers on the two sides", ""),
        ("addresses", "have addresses that the other side lacks", ""),
        ("brackets", "have brackets that the other side lacks", ""),
        ("swapped", "have their sides swapped", ""),
        ("language", "have a side that is not in the language of that side", ""),
        ("shifted", "are in a stretch of sources that fit the targets before or after their own better", ""),
        ("length", "have a side that is too short for the other", ""),
    ],
)
def test_what_is_wrong_with_pairs_and_what_to_do_is_said_of_each_kind(name: str, description: str, repair: str) -> None:
    stats = ParallelTextStats("text", 3, 3, problems=[Problem(name, "a ||| b", line) for line in (4, 5)])
    corpus = CorpusConfig.model_validate({"source": "en", "target": "de"})
    for filters, advice in (
        (dict.fromkeys(FilterConfig.model_fields), r"corpus\.filters\.{}: [0-9.]+ would drop them"),
        ({name: 1}, r"dropped by corpus\.filters\.{}: 1(\.0)?; null keeps them"),
    ):
        corpus = corpus.model_copy(update={"filters": FilterConfig.model_validate(filters)})
        (finding,) = _check_pairs("train", stats, corpus)
        head = rf"text: 2 of the 3 pairs \(66\.67%\) {description}, as in text:4: a \|\|\| b; text:5: a \|\|\| b; "
        assert re.fullmatch(head + advice.format(name) + re.escape(repair), finding.text), finding.text


@pytest.mark.parametrize(
    "texts, said",
    [
        (
            ["a (b ||| a b", "a {0} ||| a"],
            "brackets that the other side lacks, 1 of them in placeholders such as {0}, as",
        ),
        (["{n} a ||| a {n} {0}", "a %(n)s ||| a"], "placeholders such as {0} that the other side lacks, as in"),
        (["[[a]] ${b} ||| a b"], "placeholders such as {0} that the other side lacks, as in"),
        (["a {0} (b) ||| a b"], "brackets that the other side lacks, as in"),
        (["a :) ||| a"], "brackets that the other side lacks, as in"),
    ],
)
def test_a_lost_placeholder_is_not_called_a_bracket(texts: list[str], said: str) -> None:
    stats = ParallelTextStats("text", 9, 9, problems=[Problem("brackets", text, 4) for text in texts])
    (finding,) = _check_pairs("train", stats, CorpusConfig.model_validate({"source": "en", "target": "de"}))
    assert f") have {said}" in finding.text and "; corpus.filters.brackets: 1 would drop them" in finding.text


@pytest.mark.parametrize(
    "pairs, drop_overlap, advice",
    [
        (1, "none", "corpus.drop_overlap: pairs (or sources) would drop them"),
        (1, "pairs", "corpus.drop_overlap: pairs drops these pairs"),
        (0, "pairs", "corpus.drop_overlap: pairs drops these pairs, but not these sources"),
        (1, "sources", "corpus.drop_overlap: sources would drop them"),
    ],
)
def test_what_to_do_about_development_text_that_is_trained_on_is_said(
    pairs: int, drop_overlap: str, advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OverlapCounter, "report", lambda _: [OverlapCount("dev", 9, pairs, 1, "text:1: a")])
    (finding,) = check_evaluation_texts(OverlapCounter(), drop_overlap)
    assert finding.text.endswith(f"with the same target: {pairs}; as in text:1: a; {advice}")


def test_a_filter_of_languages_that_drops_much_is_not_recommended(tmp_path: Path) -> None:
    pairs = [
        (f"{source[:-1]} {'' if index % 100 else '(again)'}", target)
        for index, (source, target) in enumerate(quickstart_pairs(PAIRS))
    ]
    write_corpus(tmp_path, "train", [pair if index % 10 else pair[::-1] for index, pair in enumerate(pairs)])
    write_corpus(tmp_path, "dev", pairs[:50])
    for filters, expected in (({}, "{brackets: 1}"), ({"swapped": None}, "{brackets: 1, swapped: null}")):
        findings = checked(write_recipe(tmp_path, filters=filters))
        (advice,) = [finding.text for finding in findings if finding.about == "corpus.filters"]
        assert advice == f"to drop such pairs, put into the section corpus: filters: {expected}"
        (swapped,) = [f for f in findings if f.key == "corpus.filters.swapped" and f.about == "corpus.train"]
        assert swapped.level == "warning" and swapped.share is not None and swapped.share > 0.05


def test_clean_text_gets_no_recommendation(tmp_path: Path) -> None:
    pairs = quickstart_pairs(PAIRS + 50)
    write_corpus(tmp_path, "train", pairs[:PAIRS])
    write_corpus(tmp_path, "dev", pairs[PAIRS:])
    findings = checked(write_recipe(tmp_path))
    assert [finding for finding in findings if finding.about == "corpus.filters"] == []
    assert [finding for finding in findings if finding.key and finding.level == "warning"] == []


def test_what_is_wrong_with_whole_files_is_said(tmp_path: Path) -> None:
    pairs = quickstart_pairs(400)
    write_corpus(tmp_path, "train", [pair[::-1] for pair in pairs[:300]])
    write_corpus(tmp_path, "dev", pairs[300:])
    text = "\n".join(finding.text for finding in checked(write_recipe(tmp_path)))
    assert "the source does not look like en: " in text and "the target does not look like de: " in text
    one_file = [{"source": "dev.en", "target": "dev.en"}]
    text = "\n".join(finding.text for finding in checked(write_recipe(tmp_path, train=one_file)))
    assert "dev.en: the same file is source and target" in text


def test_a_swapped_training_text_alone_is_blamed_not_the_others(tmp_path: Path) -> None:
    pairs = quickstart_pairs(PAIRS + 100)
    write_corpus(tmp_path, "train", [pair[::-1] for pair in pairs[:PAIRS]])
    write_corpus(tmp_path, "dev", pairs[PAIRS:])
    findings = checked(write_recipe(tmp_path))
    warned = {
        finding.about
        for finding in findings
        if finding.level == "warning"
        and finding.about.startswith("corpus")
        and "the same text on both" not in finding.text
    }
    assert warned == {"corpus.train"}
    assert [finding for finding in findings if finding.key == "corpus.filters.swapped"] == []
    write_corpus(tmp_path, "train", pairs[:PAIRS])
    write_corpus(tmp_path, "dev", [pair[::-1] for pair in pairs[PAIRS:]])
    findings = checked(write_recipe(tmp_path))
    (dev, _) = [finding for finding in findings if finding.key == "corpus.filters.swapped"]  # and the test text
    assert dev.about == "corpus.dev" and dev.share is not None and dev.share > 0.9
    assert dev.text.endswith("; compared with corpus.train; development and test text is not filtered")


def test_a_text_in_several_languages_and_one_that_is_copied_are_as_the_docs_say(tmp_path: Path) -> None:
    pairs = quickstart_pairs(400)
    foreign = [
        (f"<2{'ha' if index % 4 else 'ur'}> {source}", "".join(chr(0x623 + ord(letter) % 20) for letter in target))
        for index, (source, target) in enumerate(pairs)
    ]
    write_corpus(tmp_path, "train", pairs[:300])
    write_corpus(tmp_path, "tagged", foreign)
    write_corpus(tmp_path, "dev", foreign[300:])
    write_corpus(tmp_path, "plain", pairs[300:])
    copied = {"source": "train.de", "target": "train.de"}
    unusual = {"language", "swapped", "script", "does not look like", "same file", "copies"}
    for train, dev, filters in (
        ([{"name": "tagged"}], "dev", {"length": 4.0}),
        (["train", copied], "plain", {"copies": None}),
    ):
        findings = checked(write_recipe(tmp_path, train=train, dev=dev, test=dev, filters=filters))
        warnings = [finding.text for finding in findings if finding.level == "warning"]
        assert not [text for text in warnings if any(word in text for word in unusual)], warnings
        idle = [finding.text for finding in findings if finding.text.startswith("these drop nothing")]
        assert len(idle) == ("copies" not in filters) and all("(<2ha>, <2ur>)" in text for text in idle)
        small = [finding.text for finding in findings if "fewer than 2,000 different pairs" in finding.text]
        assert [text.rpartition(": ")[2] for text in small] == ["length" if idle else "swapped, language, script"]
    findings = checked(write_recipe(tmp_path, train=["train", copied], dev="train"))
    assert [f.text for f in findings if f.level == "warning" and "the same file" in f.text]


def test_filters_that_are_learned_from_a_corpus_are_said_to_be_idle_where_it_is_small(tmp_path: Path) -> None:
    pairs = quickstart_pairs(PAIRS)
    for size, notes in ((1900, 1), (PAIRS, 0)):
        write_corpus(tmp_path, "train", pairs[:size])
        write_corpus(tmp_path, "dev", pairs[:100])
        texts = [finding.text for finding in checked(write_recipe(tmp_path)) if finding.about == "corpus.filters"]
        note = "these learn from the corpus, and drop nothing with fewer than 2,000 different pairs: "
        assert texts == [note + "swapped, language, script"] * notes


def test_shifted_lines_and_several_targets_are_said(tmp_path: Path) -> None:
    pairs = quickstart_pairs(700)
    sources, targets = map(list, zip(*pairs[:600], strict=True))
    del targets[300]
    again = random.Random(1).sample(range(200), 5)
    shifted = [*((pairs[i][0], pairs[i + 1][1]) for i in again), *zip(sources[:-1], targets, strict=True)]
    write_corpus(tmp_path, "train", shifted)
    write_corpus(tmp_path, "dev", pairs[600:])
    findings = checked(write_recipe(tmp_path))
    (stretch,) = (finding for finding in findings if finding.key == "corpus.filters.shifted")
    assert stretch.count is not None and 0.8 * 299 <= stretch.count <= 1.2 * 299  # as many as are behind the gap
    assert any("5 of the 604 pairs (0.83%) have the source of another pair" in finding.text for finding in findings)
