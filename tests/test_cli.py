"""The face: exit codes, one line a mistake, pipes, signals, and how little it loads."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nmt_cli import __version__, models
from nmt_cli.cli.app import build_command
from nmt_cli.cli.interrupts import Interrupted, repeat_unraisable
from nmt_cli.cli.options import shell_command
from nmt_cli.cli.serving import serve
from nmt_cli.errors import UserError
from nmt_cli.evaluation.calibration import MIN_LINES
from nmt_cli.export.ctranslate2_support import QUANTIZATIONS
from nmt_cli.models import MODELS
from nmt_cli.recipe import paths
from nmt_cli.recipe.paths import shipped_recipes
from nmt_cli.yaml12 import write_yaml
from tests.conftest import NMT, Call, environment, in_float32, run, start, toy_content

# What it prints


def test_the_version_is_printed(nmt: Call) -> None:
    assert nmt("--version") == (0, f"{__version__}\n", "")


COMMANDS = [
    "check", "prepare", "train", "translate", "rescore", "calibrate", "serve", "merge-shards", "score", "tokenize",
    "detokenize", "perturb", "average", "export", "import",
    "doctor", "plot",
    "corpora", "recipes", "models",
]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, nmt: Call) -> None:
    for flag in ("--help", "-h"):
        code, out, err = nmt(command, flag)
        assert (code, err) == (0, "") and f"nmt {command}" in out
    code, out, _ = nmt("--help")
    assert code == 0 and f" {command} " in out


def test_every_command_that_does_something_gives_an_example(nmt: Call) -> None:
    for command in COMMANDS[:-4]:
        assert "Example: " in nmt(command, "--help")[1]


def test_recipes_are_listed_one_a_line_shown_and_copied(
    nmt: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, _ = nmt("recipes")
    assert code == 0 and [line.split()[0] for line in out.splitlines()] == list(shipped_recipes())
    text = shipped_recipes()["quickstart"].read_text()
    assert nmt("recipes", "show", "quickstart") == (0, text, "")
    assert nmt("recipes", "copy", "quickstart") == (0, "", "quickstart.yaml\n")
    assert Path("quickstart.yaml").read_text() == text
    assert nmt("recipes", "copy", "quickstart") == (
        2, "", "nmt: quickstart.yaml exists: choose another name\n",
    )  # fmt: skip


def test_models_are_listed_one_a_line_and_shown(nmt: Call) -> None:
    code, out, _ = nmt("models")
    assert code == 0 and [line.split()[0] for line in out.splitlines()] == list(MODELS)
    code, out, _ = nmt("models", "show", "rnn")
    assert code == 0 and "encoder_layers (default 1)\n    Layers of the encoder.\n" in out
    assert "local_window (default null)" in out and "bidirectional (default true)" in out


@pytest.mark.parametrize(
    "code, said",
    [
        ("import nothing_like_it", "cannot be imported: ModuleNotFoundError: No module named 'nothing_like_it'"),
        ("class Bag(", "cannot be imported: SyntaxError: "),
        ("class Sack: ...", "cannot be imported: AttributeError: "),
        ("class Bag: ...", "lacks config_class, summary; see docs/add-a-model.md"),
        ("from nmt_cli.models.rnn import RNN\nclass Bag(RNN):\n    @property\n    @__import__('abc').abstractmethod\n"
         "    def attention(self): ...", "lacks attention; see docs/add-a-model.md"),
    ],
)  # fmt: skip
def test_an_unfinished_model_is_named_beside_the_others(
    nmt: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: str, said: str
) -> None:
    (tmp_path / "unfinished_bag.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "unfinished_bag", raising=False)
    finished = list(MODELS)
    monkeypatch.setitem(models._CLASSES, "bag", "unfinished_bag.Bag")
    exit_code, out, err = nmt("models")
    assert exit_code == 0 and [line.split()[0] for line in out.splitlines()] == finished
    (line,) = err.splitlines()
    assert line.startswith("warning: model bag: unfinished_bag.Bag ") and said in line
    exit_code, out, err = nmt("models", "show", "bag")
    assert (exit_code, out, err) == (2, "", line.replace("warning", "nmt") + "\n")
    _, out, err = nmt("check", "quickstart", "--set", "model.type=rnn", "--set", "model.heads=2")
    assert "model.type: rnn has no " in out + err


def test_scores_are_printed_with_signatures_or_as_json(nmt: Call, tmp_path: Path) -> None:
    (tmp_path / "ref").write_text("a b c d e\n")
    code, out, err = nmt("score", tmp_path / "ref", stdin=b"a b c d e\n")
    assert (code, err) == (0, "")
    assert out.startswith("BLEU = 100.00") and out.count("\n  nrefs:1|case:") == 3
    code, out, _ = nmt("score", tmp_path / "ref", "-i", tmp_path / "ref", "--json")
    scores = json.loads(out)
    assert list(scores) == ["bleu", "chrf", "ter"] and out.count("\n") == 1
    assert all(set(score) == {"score", "signature"} for score in scores.values())
    assert scores["bleu"]["score"] == pytest.approx(100)
    out = nmt("score", tmp_path / "ref", "--metrics", "bleu", "--json", "--lowercase",
              "--tokenize", "char", stdin=b"A b c d e\n")[1]  # fmt: skip
    assert "case:lc" in out and "tok:char" in out and list(json.loads(out)) == ["bleu"]


def test_text_goes_through_tokenize_and_detokenize(nmt: Call, tiny_run: Path) -> None:
    text = "The old man\n\n two  spaces \na\u2028b\r\n🙂".encode()
    code, pieces, err = nmt("tokenize", tiny_run, "--raw", stdin=text)
    assert (code, err, pieces.count("\n")) == (0, "", 5)
    code, back, err = nmt("detokenize", tiny_run, "--side", "target", stdin=pieces.encode())
    assert (code, back.encode(), err) == (0, text + b"\n", "")
    code, _, err = nmt("tokenize", tiny_run, stdin=b"ok\n\xff\n")
    assert (code, err) == (0, "warning: line 2: invalid UTF-8 was replaced by U+FFFD\n")


def test_translate_writes_one_line_a_line_in_each_form(nmt: Call, tiny_run: Path) -> None:
    text = b"a book\n\n\xff\nThe old man"
    code, out, err = nmt("translate", tiny_run, "--device", "cpu", stdin=text)
    assert code == 0 and out.count("\n") == 4 and out.split("\n")[1] == ""
    assert err == "warning: line 3: invalid UTF-8 was replaced by U+FFFD\n"
    out = nmt("translate", tiny_run, "--jsonl", "--device", "cpu", stdin=text)[1]
    assert [json.loads(line)["line"] for line in out.removesuffix("\n").split("\n")] == [1, 2, 3, 4]
    out = nmt("translate", tiny_run, "--alignments", "--beam", 1, "--device", "cpu", stdin=text)[1]
    assert out.count("\n") == 4 and out.count(" ||| ") == 4 and "-0" in out
    out = nmt("translate", tiny_run, "--n-best", 2, "--device", "cpu", stdin=b"a book\n\n5 ||| 6\n \t\n")[1]
    *candidates, blank, copied, spaces = out.splitlines()
    assert [line.split(" ||| ")[0] for line in candidates] == ["1", "1"]
    assert (blank, copied) == ("2 |||  ||| -inf", "3 ||| 5 ||| 6 ||| 0.0000")
    assert spaces == "4 |||  \t ||| -inf"


@pytest.mark.precision
@pytest.mark.parametrize(
    ("options", "warnings"),
    [
        (["--set", "search.temperature=2"], ["search.temperature: does nothing without sampling: true"]),
        (["--beam", 1, "--set", "search.length_penalty=2"], ["search.length_penalty: does nothing with beam: 1"]),
        (["--set", "search.max_length_factor=2"], ["search.max_length_factor: does nothing beside max_length"]),
        (["--set", "search.sampling=true"], []),  # the run's own beam is meant for other searches
    ],
)
def test_an_option_of_a_search_that_does_nothing_is_warned_of_once(
    options: list[Any], warnings: list[str], tiny_run: Path, nmt: Call
) -> None:
    code, out, err = nmt("translate", tiny_run, "--device", "cpu", "--engine", "torch", *options, stdin=b"a\nb\n")
    assert (code, out.count("\n")) == (0, 2)
    assert [line for line in err.splitlines() if "does nothing" in line] == [f"warning: {text}" for text in warnings]


def test_numbers_that_a_translation_lacks_are_counted_with_their_lines(nmt: Call, tiny_run: Path) -> None:
    code, _, err = nmt("translate", tiny_run, "--processes", "1", stdin=b"The old man.\nThe 1995 man.\n")
    assert code == 0 and "1 line (2) whose translation has other numbers, or one of them in words" in err


def test_keep_adds_to_the_patterns_of_the_recipe(nmt: Call, tiny_run: Path) -> None:
    options = ("--processes", "1", "--engine", "torch", "--set", r"search.keep_patterns=['Acme']")
    code, out, err = nmt("translate", tiny_run, *options, "--keep", "𠮷野家|old", stdin="Acme 𠮷野家 old\n".encode())
    assert (code, out, err) == (0, "Acme 𠮷野家 old\n", "")
    code, _, err = nmt("translate", tiny_run, *options, "--keep", "(", stdin=b"old\n")
    assert code == 2 and err.startswith("nmt: --keep: search.keep_patterns.1: not a regular expression")
    code, _, err = nmt("translate", tiny_run, *options, "--keep", os.fsdecode(b"\xe7"), stdin=b"old\n")
    assert code == 2 and err.startswith("nmt: --keep: ") and err.endswith(": not UTF-8 text\n") and len(err) < 100
    together = ("--set", "search.n_best=7", "--beam", 7, "--keep", "old")  # neither fits without the other
    assert nmt("translate", tiny_run, *options, *together, stdin=b"old\n")[0] == 0


def test_prefixes_may_come_from_a_pipe(nmt: Call, tiny_run: Path) -> None:
    read_end, write_end = os.pipe()
    os.write(write_end, b"Der\n")
    os.close(write_end)
    options = ("--prefix", f"/dev/fd/{read_end}", "--engine", "torch", "--processes", "1")
    code, out, _ = nmt("translate", tiny_run, *options, stdin=b"The old man.\n")
    os.close(read_end)
    assert code == 0 and out.startswith("Der")


def test_translate_strict_stops_before_a_line_that_is_not_utf8(nmt: Call, tiny_run: Path) -> None:
    text = b"a book\n\n\xff\nThe old man"
    code, out, err = nmt("translate", tiny_run, "--strict", "--device", "cpu", stdin=text)
    assert (code, err) == (2, "nmt: line 3: not UTF-8 text (--strict)\n") and out.count("\n") == 2


def test_alignments_of_several_candidates_need_json(nmt: Call, tiny_run: Path) -> None:
    options = ("--alignments", "--n-best", 2, "--device", "cpu")
    code, out, err = nmt("translate", tiny_run, *options, stdin=b"a book")
    assert (code, out) == (2, "")
    assert err == "nmt: --alignments: with n_best above 1 only in --jsonl\n"


@pytest.mark.slow
def test_a_file_named_with_a_dash_is_not_standard_input_and_says_what_is(
    nmt: Call, tiny_run: Path, tmp_path: Path
) -> None:
    (tmp_path / "s").write_text("a book\n")
    code, _, err = nmt("rescore", tiny_run, tmp_path / "s", "-", "--device", "cpu")
    assert (code, err) == (
        2, "nmt: -: cannot read: No such file or directory; standard input is called /dev/stdin\n"
    )  # fmt: skip
    done = run("rescore", tiny_run, tmp_path / "s", "/dev/stdin", "--device", "cpu", stdin=b"ein Buch\n")
    assert done.returncode == 0 and done.stdout.count(b"\n") == 1


def test_rescore_prints_columns_or_json_one_line_a_pair(nmt: Call, tiny_run: Path, tmp_path: Path) -> None:
    (tmp_path / "s").write_bytes(b"a book\n\n")
    (tmp_path / "t").write_bytes(b"ein Buch\nx\n")
    arguments = ("rescore", tiny_run, tmp_path / "s", tmp_path / "t", "--device", "cpu")
    code, out, err = nmt(*arguments)
    rows = [line.split("\t") for line in out.splitlines()]
    assert code == 0 and [len(row) for row in rows] == [4, 4] and float(rows[0][0]) < 0
    assert rows[1][:2] == ["-inf", "-inf"]
    assert err == "warning: line 2: the source is blank: not scored\n"
    records = [json.loads(line) for line in nmt(*arguments, "--jsonl")[1].splitlines()]
    assert records[0]["log_probability"] == pytest.approx(float(rows[0][0]), abs=1e-5)
    assert records[1]["log_probability"] is None and records[1]["warnings"]


@pytest.mark.slow
def test_typed_lines_are_tokenized_one_by_one(tiny_run: Path) -> None:
    for command, line in (("tokenize", b"a book\n"), ("detokenize", "▁a\n".encode())):
        with start(command, tiny_run) as process:
            assert process.stdin and process.stdout and process.stderr
            for _ in range(3):
                process.stdin.write(line)
                process.stdin.flush()
                assert process.stdout.readline().endswith(b"\n")
            process.stdin.close()
            assert process.wait(60) == 0 and process.stderr.read() == b""


@pytest.mark.parametrize("command", [pytest.param("translate", marks=pytest.mark.slow), "tokenize"])
def test_a_long_translation_ends_quietly_when_head_has_enough(command: str, tiny_run: Path) -> None:
    script = f'yes "a book" | "$0" -m nmt_cli {command} "$1" | head -n 3; echo ${{PIPESTATUS[1]}}'
    done = subprocess.run(["bash", "-c", script, sys.executable, str(tiny_run)], capture_output=True, env=environment())
    lines = done.stdout.decode().splitlines()
    assert len(lines) == 4 and lines[3] == "0" and done.stderr == b""


def test_all_lines_come_out_where_nobody_reads_the_warnings(tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"\xff\n" * 1000)
    script = '"$0" -m nmt_cli perturb upper <text 2>&1 >out | true; echo ${PIPESTATUS[0]}'
    done = subprocess.run(["bash", "-c", script, sys.executable], capture_output=True, env=environment(), cwd=tmp_path)
    assert done.stdout == b"0\n" and (tmp_path / "out").read_bytes().count(b"\n") == 1000


def test_perturb_changes_each_line_by_its_number_and_the_seed(nmt: Call) -> None:
    text = "The old café.\n\nThe old café.".encode()
    assert nmt("perturb", "upper", stdin=text) == (0, "THE OLD CAFÉ.\n\nTHE OLD CAFÉ.\n", "")
    assert nmt("perturb", "no-accents", stdin=text)[1].split("\n")[0] == "The old cafe."
    code, out, err = nmt("perturb", "address", stdin=text + b"\n\xff\n")
    first, _, third, _ = out.splitlines()
    assert (code, err) == (0, "warning: line 4: invalid UTF-8 was replaced by U+FFFD\n")
    assert first != third and ".org" in first and nmt("perturb", "address", stdin=text)[1].startswith(first)
    assert nmt("perturb", "address", "--seed", 2, stdin=text)[1].split("\n")[0] not in (first, third)


def test_serving_without_its_extra_names_the_command_that_adds_it(nmt: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nmt_cli.serving.server", None)
    code, _, err = nmt("serve", "runs/x")
    assert (code, err) == (2, 'nmt: nmt serve needs nmt_cli.serving.server: pip install "nmt-cli[serve]"\n')


def test_perturb_names_the_kinds_where_there_is_no_such_one(nmt: Call) -> None:
    assert nmt("perturb", "typo", stdin=b"a\n") == (2, "", "nmt: no kind 'typo'; did you mean typos?\n")
    code, out, err = nmt("perturb", "xyz", stdin=b"a\n")
    kinds = "upper, title, lower, no-stop, typos, spaces, no-accents, address"
    assert (code, out, err) == (2, "", f"nmt: no kind 'xyz'; choose from {kinds}\n")


def test_average_says_what_it_wrote(nmt: Call, tiny_run: Path, tmp_path: Path) -> None:
    code, out, err = nmt("average", tiny_run, "--out", tmp_path / "mean", "--last", 2)
    assert (code, out) == (0, "")
    assert err == (
        f"{tmp_path / 'mean'}: mean of the checkpoints after updates 20, 30\n"
        f"it has no confidence scores yet: nmt calibrate {tmp_path / 'mean'} SOURCE REFERENCE fits them\n"
    )


PLOTS = ["attention", "lengths", "positions", "curves"]


@pytest.mark.parametrize("picture", PLOTS)
def test_every_picture_explains_itself_with_an_example(picture: str, nmt: Call) -> None:
    code, out, err = nmt("plot", picture, "--help")
    assert (code, err) == (0, "") and "Example: " in out and f"nmt plot {picture}" in out
    assert f" {picture} " in nmt("plot", "--help")[1]


def test_attention_is_plotted_in_the_terminal_and_in_files(nmt: Call, tiny_run: Path, tmp_path: Path) -> None:
    (tmp_path / "target").write_text("ein Buch\nMann\n")
    plot = ["plot", "attention", tiny_run, "--device", "cpu", "--target", tmp_path / "target"]
    code, out, err = nmt(*plot, "--words", "--layer", 2, "--head", 3, stdin=b"a book\nman\n")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[:4] == [
        "line 1 · layer 2 of 2, head 3 of 4", "      . a", "      |  . book", "      |  |  . </s>",
    ]  # fmt: skip
    assert [line.split()[0] for line in lines[4:7]] == ["ein", "Buch", "</s>"]
    assert "\x1b" not in out
    picture = tmp_path / "a.png"
    code, out, err = nmt(*plot, "-o", picture, stdin=b"a book\nman\n")
    assert (code, out) == (0, "")
    assert err == f"{tmp_path / 'a-1.png'}\n{tmp_path / 'a-2.png'}\n"
    assert nmt(*plot, "-q", "-o", tmp_path / "a.html", stdin=b"a book\nman\n") == (0, "", "")
    assert {path.name for path in tmp_path.iterdir()} == {
        "target", "a-1.png", "a-2.png", "a.html"
    }  # fmt: skip


def test_lengths_are_a_table_or_json_and_a_figure(nmt: Call, tmp_path: Path) -> None:
    (tmp_path / "t").write_text("a b c d\na b\n")
    same = ["--source", tmp_path / "t", "--reference", tmp_path / "t"]
    plot = ["plot", "lengths", *same, "-i", f"mine={tmp_path / 't'}", "--samples", 100]
    code, out, err = nmt(*plot, "--metric", "chrf", "--buckets", "2")
    assert (code, err) == (0, "")
    assert out.splitlines()[:2] == ["words  sentences                   mine", "1-2            1  100.00"]
    code, out, err = nmt(*plot, "--json", "-o", tmp_path / "a.svg")
    assert code == 0 and err == f"{tmp_path / 'a.svg'}\n" and (tmp_path / "a.svg").is_file()
    assert list(json.loads(out)["systems"]) == ["mine"] and out.count("\n") == 1


def test_lengths_compare_runs_by_one_engine_with_exact(nmt: Call, tiny_run: Path, tmp_path: Path) -> None:
    (tmp_path / "t").write_text("a book\nthe old man reads\n")
    same = ["--source", tmp_path / "t", "--reference", tmp_path / "t", "--samples", 100]
    code, _, err = nmt("plot", "lengths", f"a={tiny_run}", *same, "--exact", "--set", "search.beam=1")
    assert code == 0 and "2 lines translated, engine torch (nmt's own search): as asked for" in err
    code, _, err = nmt("plot", "lengths", f"a={tiny_run}", *same, "--exact", "--set", "search.precision=int8")
    assert code == 2 and "--exact and --set search.precision: leave one of them out" in err


def test_positions_are_drawn(nmt: Call, tmp_path: Path) -> None:
    out = tmp_path / "p.svg"
    assert nmt("plot", "positions", "-o", out, "--count", 8, "--width", 4) == (0, "", f"{out}\n")
    assert out.is_file()


def test_curves_are_shown_in_the_terminal_or_drawn(nmt: Call, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    record = {"event": "train", "update": 10, "loss": 2.5, "seconds": 60.0}
    (run / "log.jsonl").write_text(json.dumps(record) + "\n")
    code, out, err = nmt("plot", "curves", run, "--by", "minutes")
    assert (code, err) == (0, "") and "loss in nats/token (line of marks: training" in out and "1 minutes" in out
    picture = tmp_path / "c.png"
    assert nmt("plot", "curves", f"x={run}", "-o", picture) == (0, "", f"{picture}\n")
    assert picture.is_file()


@pytest.mark.slow
def test_typed_sentences_are_plotted_one_by_one(tiny_run: Path) -> None:
    with start("plot", "attention", tiny_run, "--device", "cpu") as process:
        assert process.stdin and process.stdout and process.stderr
        for number in (1, 2):
            process.stdin.write(b"a book\n")
            process.stdin.flush()
            assert process.stdout.readline().startswith(b"line %d " % number)
            while process.stdout.readline() != b"\n":
                pass
        process.stdin.close()
        assert process.wait(60) == 0 and process.stderr.read() == b""


# Mistakes: the table is in test_bad_input.py


def test_wrong_usage_names_the_help_that_explains_it(nmt: Call) -> None:
    assert nmt("score", "--bogus", "x")[2].endswith("(see nmt score --help)\n")


def test_no_command_shows_the_help(nmt: Call) -> None:
    code, out, err = nmt()
    assert code == 2 and "Usage: nmt" in out + err and "Traceback" not in err


@pytest.mark.parametrize("command", ["train", "prepare"])
def test_every_mistake_of_a_recipe_is_a_line_and_nothing_is_written(
    command: str, nmt: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bad.yaml").write_text("trian: {}\ncorpus: {source: no, target: de}\nmodel: {dmodel: '4'}\n")
    code, out, err = nmt(command, "bad.yaml")
    assert (code, out) == (2, "")
    assert err.splitlines() == [
        "nmt: bad.yaml:1: trian: unknown key; did you mean training?",
        "nmt: bad.yaml:3: model.dmodel: unknown key; did you mean d_model?",
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["bad.yaml"]


def test_debug_shows_where_a_mistake_was_found(nmt: Call) -> None:
    code, _, err = nmt("--debug", "recipes", "show", "x")
    assert code == 2 and err.startswith("Traceback (most recent call last)")
    assert err.splitlines()[-1].startswith("nmt: x: no such recipe")


def test_our_own_bug_is_exit_code_1_with_a_traceback() -> None:
    script = (
        "import nmt_cli.recipe.paths as f, nmt_cli.cli.entry as c, sys\n"
        "f.shipped_recipes = lambda: 1 / 0\n"
        "sys.argv = ['nmt', 'recipes']\nc.main()"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, env=environment())
    assert done.returncode == 1 and b"ZeroDivisionError" in done.stderr


# What comes next


@pytest.mark.slow
def test_each_step_names_the_next(nmt: Call, toy: Path) -> None:
    (toy / "toy.yaml").write_text(write_yaml(in_float32(toy_content(toy / "text", updates=2, validate_every=2))))
    beam = ["--set", "search.beam=3"]
    assert nmt("check", "toy.yaml", *beam)[2].splitlines()[-1] == (
        "no errors; next: nmt train toy.yaml --set search.beam=3"
    )
    code, _, err = nmt("check", "toy.yaml", "--set", "training.metric_tokenize=ja-mecab")
    assert code == 2 and "next:" not in err
    assert nmt("prepare", "toy.yaml")[2].splitlines()[-1] == "next: nmt train toy.yaml"
    assert nmt("train", "toy.yaml", "--out", "my run")[2].splitlines()[-1] == "next: nmt translate 'my run'"
    assert nmt("translate", "my run", stdin=b"ba ce\n")[0] == 0
    (toy / "runs/toy").mkdir(parents=True)
    assert nmt("check", "toy.yaml")[2].splitlines()[-1] == "no errors"
    assert "next:" not in nmt("prepare", "toy.yaml")[2]


@pytest.mark.parametrize(
    "system, command",
    [("linux", r"nmt train 'my recipe' --out 'runs\new'"), ("win32", r'nmt train "my recipe" --out runs\new')],
)
def test_a_command_is_quoted_for_the_shell_of_the_system(
    system: str, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", system)
    assert shell_command(["train", "my recipe", "--out", r"runs\new"]) == command


def test_the_server_says_that_it_does_not_run_on_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(UserError) as caught:
        serve([Path("run")])
    assert (str(caught.value), caught.value.hint) == (
        "nmt serve: does not run on Windows", "run it in WSL, Windows' Linux",
    )  # fmt: skip


# Pipes and signals


@pytest.mark.parametrize("arguments", [["recipes"], ["--help"], ["score", "-h"]])
def test_a_closed_pipe_is_no_mistake(arguments: list[str]) -> None:
    end, begin = os.pipe()
    os.close(end)
    done = subprocess.run([*NMT, *arguments], stdout=begin, stderr=subprocess.PIPE, env=environment())
    os.close(begin)
    assert (done.returncode, done.stderr) == (0, b"")


def test_typed_lines_are_answered_one_by_one_until_nobody_reads(tiny_run: Path) -> None:
    """As in a pipe into head, whose end comes while the next line is still being typed."""
    with start("translate", tiny_run, "--device", "cpu") as process:
        assert process.stdin and process.stdout and process.stderr
        for line in (b"a book\n", b"\n", b"The old man\n"):
            process.stdin.write(line)
            process.stdin.flush()
            assert process.stdout.readline().endswith(b"\n")
        process.stdout.close()
        process.stdin.write(b"dogs\n")
        process.stdin.flush()
        assert process.wait(60) == 0
        assert process.stderr.read() == b""


@pytest.mark.parametrize("error", [ValueError("no shape"), UserError("not readable")])
def test_an_interrupt_of_which_a_library_makes_an_error_is_one(
    error: Exception, nmt: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted_library() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(1)
        except BaseException:
            raise error from None

    monkeypatch.setattr(paths, "shipped_recipes", interrupted_library)
    assert nmt("recipes") == (143, "", "nmt: terminated\n")


def test_a_hangup_ends_a_command_once_it_has_tidied_up_and_is_ignored_under_nohup(
    nmt: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    tidied = []

    def hung_up() -> dict[str, Path]:
        try:
            os.kill(os.getpid(), signal.SIGHUP)
            time.sleep(0.01)
        finally:
            if not tidied:
                os.kill(os.getpid(), signal.SIGHUP)  # the shell sends one, and so does the kernel
            tidied.append(True)
        return {}

    monkeypatch.setattr(paths, "shipped_recipes", hung_up)
    assert nmt("recipes") == (129, "", "nmt: terminated\n")
    assert tidied == [True]
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    assert nmt("recipes")[0] == 0
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


IMPORTING = """
import os, signal, sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "typer":
            os.kill(os.getpid(), signal.SIGTERM)

sys.meta_path.insert(0, Finder())
sys.argv = ["nmt", "recipes"]
from nmt_cli.cli.entry import main
main()
"""


def test_an_interrupt_while_the_command_line_is_imported_is_one_line() -> None:
    done = subprocess.run([sys.executable, "-c", IMPORTING], capture_output=True, env=environment())
    assert (done.returncode, done.stdout, done.stderr) == (143, b"", b"nmt: terminated\n")


IGNORED = """
import time
from nmt_cli.cli import entry, options

class Callback:
    def __del__(self):
        print("now", flush=True)
        time.sleep(100)

def open_stdin():
    Callback()
    print("not interrupted", flush=True)
    time.sleep(100)

import nmt_cli.cli.translation as translation
translation.open_stdin = open_stdin
entry.main()
"""


def test_an_interrupt_in_a_callback_which_python_ignores_is_one(tiny_run: Path) -> None:
    command = [sys.executable, "-c", IGNORED, "translate", str(tiny_run), "--device", "cpu"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout and process.stderr
        assert process.stdout.readline() == b"now\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(50) == 130
        assert process.stderr.read() == b"nmt: interrupted\n"


def test_such_an_interrupt_is_one_where_threads_cannot_be_signalled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(signal, "pthread_kill")  # as on Windows
    handler = signal.getsignal(signal.SIGINT)
    ignored: Any = SimpleNamespace(exc_value=Interrupted(signal.SIGINT))
    try:
        with pytest.raises(Interrupted):
            repeat_unraisable(ignored)
            for _ in range(500):
                time.sleep(0.01)
    finally:
        signal.signal(signal.SIGINT, handler)


@pytest.mark.parametrize(
    "number, code", [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow)]
)
def test_an_interrupted_translation_ends_at_once(number: signal.Signals, code: int, tiny_run: Path) -> None:
    with start("translate", tiny_run, "--device", "cpu") as process:
        assert process.stdin and process.stdout and process.stderr
        process.stdin.write(b"a book\n")
        process.stdin.flush()
        assert process.stdout.readline().endswith(b"\n")
        process.send_signal(number)
        assert process.wait(60) == code
        said = process.stderr.read()
    assert said == (b"nmt: interrupted\n" if number == signal.SIGINT else b"nmt: terminated\n")


# How little it loads


LIGHT = [
    ["--help"], ["score", "--help"], ["recipes"], ["recipes", "show", "quickstart"],
    ["score", "README"], ["plot", "--help"], ["plot", "curves", "nowhere"],
    ["plot", "lengths", "--source", "x", "--reference", "y"], ["tokenize", "nowhere"],
]  # fmt: skip
LOADING = """
import contextlib, json, pathlib, sys
import typer.rich_utils, rich.traceback  # what any help needs
from nmt_cli.cli.entry import main
given, out, loaded, told = *sys.argv[1:], set(sys.modules), []
for arguments in json.loads(given):
    sys.argv = ["nmt", *arguments]
    with contextlib.suppress(SystemExit):
        main()
    told.append(sorted(set(sys.modules) - loaded))
    loaded |= set(sys.modules)
pathlib.Path(out).write_text(json.dumps(told))
"""


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """Which modules each command loads that those before it had not, all in one process."""
    out = tmp_path_factory.mktemp("loaded") / "told.json"
    command = [sys.executable, "-c", LOADING, json.dumps(LIGHT), str(out)]
    done = subprocess.run(command, input=b"", capture_output=True, env=environment())
    assert done.returncode == 0, done.stderr
    return dict(zip(map(" ".join, LIGHT), json.loads(out.read_text()), strict=True))


@pytest.mark.parametrize("command", [" ".join(arguments) for arguments in LIGHT])
def test_what_needs_no_tensors_never_imports_torch(command: str, loaded: dict[str, list[str]]) -> None:
    heavy = {"torch", "matplotlib", "tokenizers"} & set(loaded[command])
    assert heavy <= ({"tokenizers"} if command.startswith("tokenize") else set())


def test_help_loads_nothing_but_the_face(loaded: dict[str, list[str]]) -> None:
    """So that it answers at once."""
    packages = {name.partition(".")[0] for name in loaded["--help"] if name[:2] != "__"}
    packages -= set(sys.stdlib_module_names)
    assert packages <= {"nmt_cli", "typer", "rich", "attr"}  # rich asks for attr where it is there
    assert 0 < sum(name.startswith("nmt_cli.") for name in loaded["--help"]) <= 25


@pytest.mark.parametrize(
    "command, example",
    [
        *((command, "search.beam=1") for command in ("translate", "calibrate", "serve")),
        ("rescore", "search.split=none"),
        *((command, "training.updates=9000") for command in ("train", "check", "prepare")),
    ],
)
def test_set_is_explained_by_a_key_that_the_command_takes(command: str, example: str) -> None:
    assert option(command, "--set").help.endswith(f": {example}; may be repeated.")


def option(command: str, name: str) -> Any:
    """An option of a command."""
    (parameter,) = (each for each in build_command().commands[command].params if name in each.opts)
    return parameter


@pytest.mark.parametrize("command", ["translate", "calibrate", "export"])
def test_every_type_of_weights_is_named(command: str) -> None:
    text = option(command, "--quantization").help
    assert [name for name in QUANTIZATIONS if not re.search(rf"\b{name}\b", text)] == []


def test_flags_are_shown_without_a_value(nmt: Call) -> None:
    for command in ([], ["translate"], ["corpora"], ["recipes", "keys"]):
        code, out, _ = nmt(*command, "--help")
        assert code == 0 and "--help" in out and "<bool>" not in out


def test_the_help_says_what_a_group_does_without_a_command(nmt: Call) -> None:
    out = " ".join(nmt("--help")[1].split())  # how wide its columns are differs between versions of typer
    assert all(f" {name} List the {name} that " in out for name in ("corpora", "recipes", "models"))


def test_the_help_of_calibrate_says_how_many_lines_it_needs(nmt: Call) -> None:
    assert f"At least {MIN_LINES} lines of the kind" in nmt("calibrate", "--help")[1]


@pytest.mark.parametrize("command", [("score", "r", "-i", "a", "-i", "b"), ("plot", "lengths", "--source", "s")])
def test_no_bootstrap_has_fewer_than_100_samples(command: tuple[str, ...], nmt: Call) -> None:
    code, _, err = nmt(*command, "--samples", 99)
    assert code == 2 and err.startswith("nmt: Invalid value for '--samples': ") and "100" in err
