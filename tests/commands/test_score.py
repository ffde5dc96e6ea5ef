"""nmt score gives the numbers and signatures of sacreBLEU's own command, to the last digit."""

import gzip
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from nmt_cli.commands.score import score_files
from nmt_cli.errors import DataError, UserError

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


def sacrebleu(hypotheses: Path, references: list[Path], *options: str) -> list[tuple[str, str]]:
    """Score with ten digits, and signature, of each metric, by the `sacrebleu` command."""
    command = [sys.executable, "-m", "sacrebleu", *map(str, references), "-i", str(hypotheses)]
    command += ["-m", "bleu", "chrf", "ter", "-w", "10", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [(f"{float(entry['score']):.10f}", entry["signature"]) for entry in json.loads(done.stdout)]


CASES: list[tuple[int, dict[str, object], list[str]]] = [
    (1, {}, []),
    (2, {}, []),
    (2, {"lowercase": True}, ["--lowercase", "--chrf-lowercase"]),
    (1, {"tokenize": "none"}, ["--tokenize", "none", "--force"]),
    (1, {"tokenize": "char"}, ["--tokenize", "char"]),
    (2, {"tokenize": "zh"}, ["--tokenize", "zh"]),
]


@pytest.mark.parametrize("count, options, command", CASES, ids=[f"{c}{o}" for c, o, _ in CASES])
def test_scores_are_those_of_the_sacrebleu_command(
    count: int, options: dict[str, object], command: list[str], tmp_path: Path
) -> None:
    hypotheses, *references = write(tmp_path, hyp=HYPOTHESES, first=FIRST, second=SECOND)
    references = references[:count]
    scores = score_files(references, io.BytesIO(hypotheses.read_bytes()), **options)  # type: ignore[arg-type]
    expected = sacrebleu(hypotheses, references, *command)
    assert [(f"{metric_score.score:.10f}", metric_score.signature) for metric_score in scores] == expected


def test_a_stream_a_file_and_compressed_files_score_alike(tmp_path: Path) -> None:
    hypotheses, reference = write(tmp_path, hyp=HYPOTHESES, ref=FIRST)
    packed = tmp_path / "ref.gz"
    packed.write_bytes(gzip.compress(reference.read_bytes()))
    plain = score_files([reference], hypotheses)
    assert score_files([packed], io.BytesIO(hypotheses.read_bytes())) == plain


def test_a_last_line_without_line_end_counts(tmp_path: Path) -> None:
    (reference,) = write(tmp_path, ref=["a b c d e", "f g h i j"])
    (metric_score,) = score_files([reference], io.BytesIO(b"a b c d e\nf g h i j"), "bleu")
    assert metric_score.score == pytest.approx(100)


@pytest.mark.parametrize(
    "metrics, names", [("bleu", ["bleu"]), ("ter, bleu", ["bleu", "ter"]), ("chrf,,chrf", ["chrf"])]
)
def test_only_the_metrics_asked_for_are_computed(metrics: str, names: list[str], tmp_path: Path) -> None:
    (reference,) = write(tmp_path, ref=FIRST)
    assert [metric_score.name for metric_score in score_files([reference], reference, metrics)] == names


COUNTS = [
    (b"a\n", "ref has 2 lines and standard input has 1"),
    (b"a\nb\nc\n", "ref has 2 lines and standard input has 3"),
    (b"", "standard input: no hypotheses to score"),
    (b"a\n\xff\n", "standard input:2: not UTF-8 text"),
]


@pytest.mark.parametrize("hypotheses, message", COUNTS)
def test_hypotheses_that_do_not_fit_are_refused(hypotheses: bytes, message: str, tmp_path: Path) -> None:
    (reference,) = write(tmp_path, ref=["x", "y"])
    with pytest.raises(DataError) as caught:
        score_files([reference], io.BytesIO(hypotheses))
    assert str(caught.value).endswith(message)


def test_the_reference_whose_count_differs_is_named(tmp_path: Path) -> None:
    good, short = write(tmp_path, good=["x", "y"], short=["x"])
    with pytest.raises(DataError, match=r"short has 1 lines and .*good has 2"):
        score_files([good, short], good)


OPTIONS = [
    ({"metrics": "bleu,comet"}, "--metrics bleu,comet: use some of bleu, chrf, ter"),
    ({"metrics": ""}, "--metrics : use some of bleu, chrf, ter"),
    ({"metrics": " , "}, "--metrics  , : use some of bleu, chrf, ter"),
    ({"tokenize": "12a"}, "--tokenize 12a: use one of 13a, char, "),
    ({"tokenize": ""}, "--tokenize : use one of 13a, char, "),
]


@pytest.mark.parametrize("options, message", OPTIONS)
def test_an_unknown_metric_or_tokenizer_is_refused(options: dict[str, str], message: str, tmp_path: Path) -> None:
    (reference,) = write(tmp_path, ref=["x"])
    with pytest.raises(UserError) as caught:
        score_files([reference], reference, **options)  # type: ignore[arg-type]
    assert str(caught.value).startswith(message)


def test_a_tokenizer_that_is_not_installed_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sacrebleu.tokenizers import tokenizer_ja_mecab

    monkeypatch.setattr(tokenizer_ja_mecab, "MeCab", None)
    (reference,) = write(tmp_path, ref=["x"])
    with pytest.raises(UserError) as caught:
        score_files([reference], reference, tokenize="ja-mecab")
    text = str(caught.value)
    assert text.startswith("--tokenize ja-mecab: Japanese") and "\n" not in text
    assert "pip install sacrebleu[ja]" in text


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    (good,) = write(tmp_path, good=["x"])
    for path, message in ((tmp_path / "no", "cannot read"), (tmp_path, "this is a folder")):
        with pytest.raises(DataError, match=message):
            score_files([path], good)
        with pytest.raises(DataError, match=message):
            score_files([good], path)
    (tmp_path / "bad").write_bytes(b"\xff\n")
    with pytest.raises(DataError, match=r"bad:1: not UTF-8 text"):
        score_files([tmp_path / "bad"], good)
