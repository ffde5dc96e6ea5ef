"""nmt score gives the numbers and signatures of sacreBLEU's own command, to the last digit, of a corpus and of
single sentences, and tells which systems differ by more than chance."""

import gzip
import io
import json
import os
import re
import subprocess
import sys
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from nmt_cli.cli.labelled_paths import labelled_paths
from nmt_cli.commands.score import ScoringOptions, compare_files, score_files, score_sentences
from nmt_cli.errors import DataError, UserError
from nmt_cli.evaluation.metrics import Score
from nmt_cli.evaluation.significance import Comparison, SystemResult
from nmt_cli.reporting import Reporter
from tests.conftest import Call

HYPOTHESES = [
    "The old man reads a book , doesn't he ?", "", "Two DOGS see 1,995 houses.",
    "  leading and trailing \t ",
    "我喜欢读书。", "a\u2028b \x1c c\x85d", "The old man reads\r", "short",
    "the the the the the the", "„schön“ — Größe 3,5 km", "<unk> &amp; &quot;x&quot;", "same line",
]  # fmt: skip
FIRST = [
    "The old man is reading a book, isn't he?", "nothing came out", "Two dogs see 1995 houses.",
    "leading and trailing",
    "我喜欢看书。他也是。", "a b c d", "The old man reads", "a much longer reference than that",
    "the cat", "„schön“ – Größe: 3,5 km", "& \"x\"", "same line",
]  # fmt: skip
SECOND = [line[::-1] if number % 3 else line.upper() for number, line in enumerate(FIRST)]


def write(folder: Path, **texts: list[str]) -> list[Path]:
    paths = []
    for name, lines in texts.items():
        paths.append(folder / name)
        paths[-1].write_bytes("".join(f"{line}\n" for line in lines).encode())
    return paths


def scored(
    references: list[Path], hypotheses: Path | BinaryIO, metrics: str = "bleu,chrf,ter", **options: Any
) -> list[Score]:
    return score_files(references, hypotheses, ScoringOptions(metrics, **options), Reporter())


def sacrebleu(hypotheses: Path, references: list[Path], *options: str) -> list[tuple[str, str]]:
    """Score with ten digits, and signature, of each metric, by the `sacrebleu` command."""
    command = [sys.executable, "-m", "sacrebleu", *map(str, references), "-i", str(hypotheses)]
    command += ["-m", "bleu", "chrf", "ter", "-w", "10", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [(f"{float(entry['score']):.10f}", entry["signature"]) for entry in json.loads(done.stdout)]


CASES: list[tuple[int, dict[str, Any], list[str]]] = [
    (1, {}, []),
    (2, {}, []),
    (2, {"lowercase": True}, ["--lowercase", "--chrf-lowercase"]),
    (1, {"tokenize": "none"}, ["--tokenize", "none", "--force"]),
    (1, {"tokenize": "char"}, ["--tokenize", "char"]),
    (2, {"tokenize": "zh"}, ["--tokenize", "zh"]),
    (2, {"metrics": "bleu,chrf++,ter"}, ["--chrf-word-order", "2"]),
]


@pytest.mark.parametrize("count, options, command", CASES, ids=[f"{c}{o}" for c, o, _ in CASES])
def test_scores_are_those_of_the_sacrebleu_command(
    count: int, options: dict[str, Any], command: list[str], tmp_path: Path
) -> None:
    hypotheses, *references = write(tmp_path, hyp=HYPOTHESES, first=FIRST, second=SECOND)
    references = references[:count]
    scores = scored(references, io.BytesIO(hypotheses.read_bytes()), **options)
    expected = sacrebleu(hypotheses, references, *command)
    assert [(f"{metric_score.score:.10f}", metric_score.signature) for metric_score in scores] == expected


def test_a_stream_a_file_and_compressed_files_score_alike(tmp_path: Path) -> None:
    hypotheses, reference = write(tmp_path, hyp=HYPOTHESES, ref=FIRST)
    packed = tmp_path / "ref.gz"
    packed.write_bytes(gzip.compress(reference.read_bytes()))
    plain = scored([reference], hypotheses)
    assert scored([packed], io.BytesIO(hypotheses.read_bytes())) == plain


def test_a_last_line_without_line_end_counts(tmp_path: Path) -> None:
    (reference,) = write(tmp_path, ref=["a b c d e", "f g h i j"])
    (metric_score,) = scored([reference], io.BytesIO(b"a b c d e\nf g h i j"), "bleu")
    assert metric_score.score == pytest.approx(100)


@pytest.mark.parametrize(
    "metrics, names",
    [("bleu", ["bleu"]), ("ter, bleu", ["bleu", "ter"]), ("chrf,,chrf", ["chrf"]), ("chrf++,chrf", ["chrf", "chrf++"])],
)
def test_only_the_metrics_asked_for_are_computed(metrics: str, names: list[str], tmp_path: Path) -> None:
    (reference,) = write(tmp_path, ref=FIRST)
    assert [metric_score.name for metric_score in scored([reference], reference, metrics)] == names


COUNTS = [
    (b"a\n", "ref has 2 lines and standard input has 1"),
    (b"a\nb\nc\n", "ref has 2 lines and standard input has 3"),
    (b"", "standard input: no hypotheses to score; give a file with < FILE"),
    (b"a\n\xff\n", "standard input:2: not UTF-8 text"),
]


@pytest.mark.parametrize("hypotheses, message", COUNTS)
def test_hypotheses_that_do_not_fit_are_refused(hypotheses: bytes, message: str, tmp_path: Path) -> None:
    (reference,) = write(tmp_path, ref=["x", "y"])
    with pytest.raises(DataError) as caught:
        scored([reference], io.BytesIO(hypotheses))
    assert str(caught.value).endswith(message)


def test_the_reference_whose_count_differs_is_named(tmp_path: Path) -> None:
    good, short = write(tmp_path, good=["x", "y"], short=["x"])
    with pytest.raises(DataError, match=r"short has 1 line and .*good has 2"):
        scored([good, short], good)


OPTIONS = [
    ({"metrics": "bleu,comet"}, "--metrics bleu,comet: use some of bleu, chrf, chrf++, ter"),
    ({"metrics": ""}, "--metrics : use some of bleu, chrf, chrf++, ter"),
    ({"metrics": " , "}, "--metrics  , : use some of bleu, chrf, chrf++, ter"),
    ({"tokenize": "12a"}, "--tokenize 12a: use one of 13a, char, "),
    ({"tokenize": ""}, "--tokenize : use one of 13a, char, "),
]


@pytest.mark.parametrize("options, message", OPTIONS)
def test_an_unknown_metric_or_tokenizer_is_refused(options: dict[str, str], message: str, tmp_path: Path) -> None:
    (reference,) = write(tmp_path, ref=["x"])
    with pytest.raises(UserError) as caught:
        scored([reference], reference, **options)
    assert str(caught.value).startswith(message)


def test_a_tokenizer_that_is_not_installed_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sacrebleu.tokenizers import tokenizer_ja_mecab

    monkeypatch.setattr(tokenizer_ja_mecab, "MeCab", None)
    (reference,) = write(tmp_path, ref=["x"])
    with pytest.raises(UserError) as caught:
        scored([reference], reference, tokenize="ja-mecab")
    text = str(caught.value)
    assert text.startswith("--tokenize ja-mecab: Japanese") and "\n" not in text
    assert "pip install sacrebleu[ja]" in text


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    (good,) = write(tmp_path, good=["x"])
    for path, message in ((tmp_path / "no", "cannot read"), (tmp_path, "this is a folder")):
        with pytest.raises(DataError, match=message):
            scored([path], good)
        with pytest.raises(DataError, match=message):
            scored([good], path)
    (tmp_path / "bad").write_bytes(b"\xff\n")
    with pytest.raises(DataError, match=r"bad:1: not UTF-8 text"):
        scored([tmp_path / "bad"], good)


def test_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    plain, marked = write(tmp_path, plain=FIRST, marked=[f"\ufeff{FIRST[0]}", *FIRST[1:]])
    assert scored([marked], plain) == scored([plain], marked) == scored([plain], plain)
    assert scored([plain], io.BytesIO(marked.read_bytes()), "bleu")[0].score == pytest.approx(100)


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_utf_16_is_refused_as_a_reference_a_file_and_a_stream(codec: str, tmp_path: Path) -> None:
    (plain,) = write(tmp_path, plain=["a b", "c d"])
    wide = tmp_path / "wide"
    wide.write_bytes("a b\nc d\n".encode(codec))
    for references, hypotheses in (([wide], plain), ([plain], wide), ([plain], io.BytesIO(wide.read_bytes()))):
        with pytest.raises(
            DataError, match=rf": {codec[:6].upper()} or binary, not UTF-8 text: save it as UTF-8, or iconv -f "
        ):
            scored(references, hypotheses)


CHINESE, JAPANESE, KOREAN = "我喜欢喝茶。", "私は東京に住んでいます。", "나는 책을 읽는다."
HINTS = [
    (CHINESE, {}, "--language zh (or --tokenize zh)"),
    (JAPANESE, {}, "--language ja (or --tokenize char)"),
    (KOREAN, {}, "--language ko (or --tokenize char)"),
    ("ฉันชอบดื่มชา", {}, "--language th (or --tokenize char)"),
    (CHINESE, {"language": "de"}, "--language zh (or --tokenize zh)"),
    (CHINESE, {"language": "zh-CN"}, ""),
    (CHINESE, {"tokenize": "13a"}, ""),
    (CHINESE, {"metrics": "chrf"}, ""),
    ("Er sagte 茶 dazu.", {}, ""),
    ("Он читает книгу.", {}, ""),
    ("1 2 3 !", {}, ""),
]


@pytest.mark.parametrize("text, options, hint", HINTS)
def test_a_text_without_words_for_13a_gets_one_hint(
    text: str, options: dict[str, str], hint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (reference,) = write(tmp_path, ref=[text] * 3)
    scored([reference], reference, **options)
    err = capsys.readouterr().err
    if hint:
        assert err.startswith(f"hint: {reference} is in a script") and err.endswith(f"use {hint}\n")
    assert err.count("\n") == bool(hint)


@pytest.mark.parametrize(
    "line, options, is_said",
    [
        ("Er liest ein Buch .", {}, True),
        ("Er liest ein Buch .", {"tokenize": "none"}, False),
        ("Er liest ein Buch .", {"tokenize": "13a"}, False),
        ("Er liest ein Buch.", {}, False),
        ("Er liest ein Buch", {}, False),
    ],
)
def test_a_tokenised_text_gets_one_hint_of_nmt_and_none_of_sacrebleu(
    line: str,
    options: dict[str, str],
    is_said: bool,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    (reference,) = write(tmp_path, ref=[line] * 200)
    scored([reference], reference, **options)
    hint = (
        f"hint: {reference} looks tokenised, and BLEU's tokenizer 13a is for text as people write it: "
        "score detokenised text, or use --tokenize none\n"
    )
    assert capsys.readouterr().err == (hint if is_said else "") and not caplog.records


@pytest.mark.parametrize("language, tokenizer", [("zh", "zh"), ("ja", "char"), ("th_TH", "char"), ("de", "13a")])
def test_the_language_chooses_the_tokenizer_that_training_uses(language: str, tokenizer: str, tmp_path: Path) -> None:
    hypotheses, reference = write(tmp_path, hyp=HYPOTHESES, ref=FIRST)
    assert scored([reference], hypotheses, language=language) == scored([reference], hypotheses, tokenize=tokenizer)


def test_sentence_scores_are_those_of_sacrebleu(tmp_path: Path) -> None:
    from sacrebleu import sentence_bleu, sentence_chrf, sentence_ter

    hypotheses, *references = write(tmp_path, hyp=HYPOTHESES, first=FIRST, second=SECOND)
    scores = score_sentences(references, hypotheses, ScoringOptions(), Reporter())
    texts = [[line.rstrip() for line in lines] for lines in (HYPOTHESES, FIRST, SECOND)]
    assert scores.sentences == [
        {
            "bleu": sentence_bleu(text, line_references).score,
            "chrf": sentence_chrf(text, line_references).score,
            "ter": sentence_ter(text, line_references).score,
        }
        for text, *line_references in zip(*texts, strict=True)
    ]
    assert "|eff:yes|" in scores.signatures["bleu"] and "nrefs:2" in scores.signatures["ter"]


def test_sentence_scores_are_printed_as_tsv_or_json_lines(nmt: Call, tmp_path: Path) -> None:
    hypotheses, reference = write(tmp_path, hyp=["a b c d", "x", ""], ref=["a b c d", "y", "z"])
    command = ["score", reference, "-i", hypotheses, "--sentences", "--metrics", "chrf,bleu"]
    code, out, err = nmt(*command)
    assert (code, out) == (0, "line\tbleu\tchrf\n1\t100.00\t100.00\n2\t0.00\t0.00\n3\t0.00\t0.00\n")
    assert [line.partition(":")[0] for line in err.splitlines()] == ["bleu", "chrf"]
    assert nmt(*command, "--quiet") == (0, out, "")
    code, out, _ = nmt(*command, "--json")
    records = [json.loads(line) for line in out.splitlines()]
    assert code == 0 and [record["line"] for record in records] == [1, 2, 3]
    assert records[0] == {"line": 1, "bleu": pytest.approx(100), "chrf": pytest.approx(100)}


def systems(folder: Path) -> list[Path]:
    """A reference, and systems of which the second is clearly worse than the first and the third nearly as good."""
    words = ["the", "old", "man", "reads", "a", "new", "book", "while", "his", "small", "dog", "sleeps", "near", "our"]
    lines = [" ".join(words[(start * step) % len(words)] for step in range(1, 11)) for start in range(1, 41)]
    good = [line.replace("dog", "cat") for line in lines]
    bad = [" ".join(reversed(line.split())) for line in lines]
    nearly = [good[0].replace("old", "young"), *good[1:]]
    return write(folder, ref=lines, good=good, bad=bad, nearly=nearly)


def compared(
    reference: Path, *hypotheses: Path | str, samples: int = 200, metrics: str = "bleu,chrf,ter"
) -> Comparison:
    return compare_files(
        [reference], labelled_paths([str(path) for path in hypotheses]), ScoringOptions(metrics), samples, Reporter()
    )


def test_the_comparison_is_that_of_sacrebleu_with_its_default_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference, *hypotheses = systems(tmp_path)
    command = [sys.executable, "-m", "sacrebleu", str(reference), "-i", *map(str, hypotheses)]
    command += ["-m", "bleu", "chrf", "ter", "--paired-bs", "--paired-bs-n", "200", "-w", "6", "--format", "text"]
    monkeypatch.setenv("PYTHONIOENCODING", "utf-8")
    monkeypatch.delenv("SACREBLEU_SEED", raising=False)
    table = subprocess.run(command, capture_output=True, encoding="utf-8", check=True).stdout
    monkeypatch.setenv("SACREBLEU_SEED", "7")
    metrics = compared(reference, *hypotheses).metrics.values()
    assert os.environ["SACREBLEU_SEED"] == "7"
    rows = list(zip(*(metric.systems for metric in metrics), strict=True))
    for result in chain(*rows):
        assert f" {result.score:.6f} ({result.mean:.6f} ± {result.interval:.6f}) " in table
    p_values = [f"{result.p_value:.4f}" for result in chain(*rows[1:])]
    assert re.findall(r"\(p = ([0-9.]+)\)", table) == p_values
    assert all(metric.signature in table for metric in metrics)


def test_only_a_difference_beyond_chance_is_called_significant(tmp_path: Path) -> None:
    reference, good, bad, nearly = systems(tmp_path)
    comparison = compared(reference, good, bad, nearly)
    for name, result in comparison.metrics.items():
        baseline, worse, similar = result.systems
        assert (baseline.difference, baseline.p_value, baseline.significant) == (None, None, None)
        assert worse.significant and worse.p_value is not None and worse.p_value < 0.05, name
        assert similar.significant is False and similar.p_value is not None and similar.p_value >= 0.05, name
    text = "\n".join(comparison.text_lines())
    said = "a difference is significant where p < 0.05; any other may be chance"
    assert text.splitlines()[0] == f"Paired bootstrap, 200 samples, seed 12345: {said}"
    assert text.count("(baseline)") == 3
    assert text.count(": significantly worse than good") == 3
    assert text.count(": no significant difference from good") == 3
    bad_first = compared(reference, bad, good).text_lines()
    assert sum(line.endswith(": significantly better than bad") for line in bad_first) == 3


def test_a_system_does_not_differ_from_its_copy(tmp_path: Path) -> None:
    reference, good, *_ = systems(tmp_path)
    copy: SystemResult = compared(reference, good, f"copy={good}", metrics="bleu").metrics["bleu"].systems[1]
    assert (copy.difference, copy.p_value, copy.significant) == (0, 1, False)


def test_systems_whose_files_have_one_name_are_called_by_path(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder, hyp=["x y z w", "v"])
    paths = [tmp_path / "a" / "hyp", tmp_path / "b" / "hyp"]
    names = [result.system for result in compared(paths[0], *paths, metrics="bleu").metrics["bleu"].systems]
    assert names == [str(path) for path in paths]
    with pytest.raises(UserError, match="is used twice: rename one of them"):
        compared(paths[0], paths[0], paths[0])


def test_a_comparison_is_printed_as_text_or_as_json(nmt: Call, tmp_path: Path) -> None:
    reference, good, bad, _ = systems(tmp_path)
    command = ["score", reference, "-i", good, "-i", bad, "--samples", "100"]
    code, out, err = nmt(*command)
    assert (code, err) == (0, "") and "significantly worse than good" in out
    code, out, _ = nmt(*command, "--json")
    comparison = json.loads(out)
    assert comparison["bootstrap"] == {"samples": 100, "seed": 12345, "significance_level": 0.05}
    assert list(comparison["metrics"]) == ["bleu", "chrf", "ter"]
    for result in comparison["metrics"].values():
        first, second = result["systems"]
        assert (first["system"], first["significant"]) == ("good", None)
        assert (second["system"], second["significant"]) == ("bad", True)
        assert second["difference"] == pytest.approx(second["score"] - first["score"])


def test_several_references_are_said(nmt: Call, tmp_path: Path) -> None:
    first, second, system = write(tmp_path, r=["a"], b=["b"], a=["a"])
    said = f"2 references for each line: {first}, {second} (name systems to compare with -i)\n"
    assert nmt("score", first, "-i", system, second)[2] == said
    assert nmt("score", first, "-i", system)[2] == ""
    assert nmt("score", first, "-i", system, second, "--quiet")[2] == ""
