"""Translation by several processes: the same lines as one makes, and nobody left over."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nmt_cli.errors import UserError
from nmt_cli.inference.lines import MIN_PARALLEL_INPUT_BYTES, InputLine, LineBlock, available_bytes
from nmt_cli.reporting import Reporter
from nmt_cli.translation.opening import TranslatorSpec
from nmt_cli.translation.parallel import ParallelTranslator
from tests.conftest import NMT, Call, environment, run, start
from tests.margins import clear_lines
from tests.opening import open_translator

WORDS = ["old", "man", "reads", "book", "two", "dogs", "see", "houses", "they", "do"]
LINES = [" ".join(WORDS[(n * k) % 10] for k in range(1, 2 + n % 9)) if n % 11 else "" for n in range(300)]
TEXT = "".join(f"{line}\n" for line in LINES).encode()
CPU = ["--device", "cpu", "--beam", "1"]


def translator(run: Path, processes: str, *settings: str, align: bool = False) -> ParallelTranslator:
    opening = TranslatorSpec((str(run),), ("search.beam=1", *settings), "cpu", align)
    return ParallelTranslator(opening, processes, Reporter())


def test_several_processes_print_what_one_prints(tiny_run: Path) -> None:
    lines = LINES[:90]  # a block for each process, where there are two cores
    text = "".join(f"{line}\n" for line in lines).encode()
    single_process = translator(tiny_run, "1").translate(io.BytesIO(text))
    two = run("translate", tiny_run, *CPU, "--processes", 2, stdin=text)
    assert (two.returncode, two.stderr) == (0, b"")
    assert all(clear_lines(open_translator([tiny_run], ["search.beam=1"], "cpu"), lines))
    assert two.stdout.decode().split("\n")[:-1] == [line.translation.text for line in single_process]


@pytest.mark.slow
def test_spawned_workers_do_the_same_with_damage_prefixes_and_alignments(
    tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = b"a book\n\n\xff\nThe old man"
    (tmp_path / "starts").write_text("ein\nHaus\nDer\nDer\n")
    lines, starts = ["a book", "", "\ufffd", "The old man"], ["ein", "Haus", "Der", "Der"]
    translator_alone = open_translator([tiny_run], ["search.beam=1"], "cpu")
    assert all(clear_lines(translator_alone, lines, starts))
    monkeypatch.setattr("nmt_cli.translation.parallel.is_single_threaded", lambda: False)
    outputs = []
    for processes in ("1", "2"):
        multi_process = translator(tiny_run, processes, align=True)
        lines = list(multi_process.translate(io.BytesIO(text), tmp_path / "starts"))
        outputs.append([json.loads(json_line) for line in lines for json_line in line.output_lines("jsonl")])
    assert (multi_process.output_format(), multi_process.output_format(jsonl=True)) == ("alignments", "jsonl")
    for record in (*outputs[0], *outputs[1]):
        for key in ("score", "log_probability"):
            record[key] = record[key] and pytest.approx(record[key], rel=1e-4)
    assert outputs[0] == outputs[1] and outputs[1][0]["alignment"]
    assert [result_record["line"] for result_record in outputs[1]] == [1, 2, 3, 4]
    assert [result_record["translation"][:3] for result_record in outputs[1]] == ["ein", "", "Der", "Der"]
    assert outputs[1][2]["warnings"] == ["invalid UTF-8 was replaced by U+FFFD"]


@pytest.mark.parametrize("count", ["0", "-1", "many", "1.5", "²"])
def test_a_number_of_processes_is_auto_or_a_number(count: str, tiny_run: Path) -> None:
    with pytest.raises(UserError) as error:
        translator(tiny_run, count)
    assert str(error.value) == f"--processes {count}: use auto or a number from 1"


def test_auto_starts_workers_only_where_much_is_waiting(
    tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    several = translator(tiny_run, "auto")
    monkeypatch.setattr(several, "_thread_count", 2)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("workers")

    monkeypatch.setattr("nmt_cli.translation.parallel.WorkerPool", refuse)
    assert len(list(several.translate(io.BytesIO(b"a book\n")))) == 1
    (tmp_path / "long").write_bytes(TEXT * 3)
    with open(tmp_path / "long", "rb") as file, pytest.raises(AssertionError, match="workers"):
        list(several.translate(file))


def test_what_waits_is_known_of_files_and_pipes(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes(b"x" * 100)
    with open(path, "rb") as file:
        assert available_bytes(file) == 100
        file.seek(60)
        assert available_bytes(file) == 40
    end, begin = os.pipe()
    with os.fdopen(end, "rb") as stream, os.fdopen(begin, "wb", buffering=0) as keyboard:
        assert available_bytes(stream) == 0
        keyboard.write(b"x" * MIN_PARALLEL_INPUT_BYTES)
        assert available_bytes(stream) == MIN_PARALLEL_INPUT_BYTES
    assert available_bytes(io.BytesIO(b"x")) == 0


def test_a_block_is_named_by_its_lines() -> None:
    lines = [InputLine(number, "a", False) for number in (5, 6, 7)]
    assert str(LineBlock(lines[:1])) == "line 5"
    assert str(LineBlock(lines)) == "lines 5 to 7"


def children(process: "subprocess.Popen[bytes]") -> list[int]:
    path = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return [int(pid) for pid in path.read_text().split()]


def gone(processes: list[int]) -> bool:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        states = [Path(f"/proc/{pid}/stat") for pid in processes]
        if not any(path.exists() and path.read_text().split()[2] != "Z" for path in states):
            return True
        time.sleep(0.02)
    return False


def test_typed_lines_are_answered_a_killed_worker_is_replaced_and_an_interrupt_ends_all(tiny_run: Path) -> None:
    with start("translate", tiny_run, *CPU, "--processes", 2) as process:
        assert process.stdin and process.stdout and process.stderr
        for line in (b"a book\n", b"\n", b"The old man\n"):
            process.stdin.write(line)
            process.stdin.flush()
            assert process.stdout.readline().endswith(b"\n")
        workers = children(process)
        assert len(workers) == 2
        for worker in workers:
            os.kill(worker, signal.SIGKILL)
        assert gone(workers)
        process.stdin.write(b"dogs\n")
        process.stdin.flush()
        assert process.stdout.readline().endswith(b"\n")
        workers = children(process)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert process.stderr.read() == (
            b"warning: a worker died (SIGKILL): line 4: retried by another one\nnmt: interrupted\n"
        )
    assert gone(workers)


@pytest.mark.slow
def test_a_reader_that_leaves_ends_all_with_exit_0(tiny_run: Path) -> None:
    with start("translate", tiny_run, *CPU, "--processes", 2) as process:
        assert process.stdin and process.stdout and process.stderr
        process.stdin.write(b"a book\n")
        process.stdin.flush()
        process.stdout.readline()
        workers = children(process)
        process.stdout.close()
        process.stdin.write(b"dogs\n")
        process.stdin.flush()
        assert process.wait(60) == 0 and process.stderr.read() == b""
    assert gone(workers)


UNKNOWN = b"The old man\n\nquux, the frobnicate!\nQUUX \xff\nold \xe6\x88\x91\n"


@pytest.fixture
def knowing_run(tiny_run: Path, tmp_path: Path) -> Path:
    """The run, with a list of words."""
    run = shutil.copytree(tiny_run, tmp_path / "knowing")
    (run / "words.source.txt").write_text("man\nold\nthe\n")
    return run


def unknown_of(out: str) -> list[list[str] | None]:
    return [json.loads(line).get("unknown_words") for line in out.splitlines()]


@pytest.mark.parametrize("options", [(), ("--processes", 2), ("--n-best", 2), ("--prefix", "p")])
def test_json_lines_have_the_words_that_the_training_text_had_not(
    options: tuple[object, ...], nmt: Call, knowing_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(knowing_run.parent)
    Path("p").write_text("Der\n\n\n\n\n")
    code, out, err = nmt("translate", knowing_run, *CPU[:2], "--jsonl", *options, stdin=UNKNOWN)
    assert (code, "quux" in err) == (0, False)
    assert unknown_of(out) == [None, None, ["quux", "frobnicate"], ["QUUX"], None]


def test_what_is_copied_has_no_unknown_words(nmt: Call, knowing_run: Path) -> None:
    text = b"https://quux.example.org/a\nThe old man. https://quux.example.org\nold quux. frob@example.org\n"
    _, out, _ = nmt("translate", knowing_run, *CPU, "--jsonl", stdin=text)
    assert unknown_of(out) == [None, None, ["quux"]]
    _, out, _ = nmt("translate", knowing_run, *CPU, "--jsonl", "--set", "search.keep=none", stdin=text)
    assert unknown_of(out)[0] == ["https", "quux", "example", "org", "a"]


def test_runs_without_a_list_and_piped_text_say_nothing(nmt: Call, tiny_run: Path, knowing_run: Path) -> None:
    _, out, err = nmt("translate", tiny_run, *CPU, "--jsonl", stdin=b"quux\n")
    assert unknown_of(out) == [None] and err == ""
    assert nmt("translate", knowing_run, *CPU, stdin=b"quux\n")[2] == ""
    (knowing_run / "words.source.txt").write_bytes(b"\xff")  # which is not even read
    assert nmt("translate", knowing_run, *CPU, stdin=b"quux\n")[0] == 0
    code, _, err = nmt("translate", knowing_run, *CPU, "--jsonl", stdin=b"quux\n")
    assert code == 2 and "words.source.txt: damaged: not UTF-8 text; delete it to do" in err


def test_an_ensemble_tells_what_no_member_knows(nmt: Call, tiny_run: Path, knowing_run: Path) -> None:
    other = shutil.copytree(knowing_run, knowing_run.parent / "other")
    (other / "words.source.txt").write_text("quux\n")
    _, out, _ = nmt("translate", knowing_run, other, *CPU, "--jsonl", stdin=UNKNOWN)
    assert unknown_of(out) == [None, None, ["frobnicate"], None, None]
    _, out, _ = nmt("translate", knowing_run, tiny_run, *CPU, "--jsonl", stdin=UNKNOWN)
    assert unknown_of(out) == [None] * 5  # what one was trained on is not known


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "openpty"), reason="no terminals here")
def test_who_types_is_told_behind_the_translation(knowing_run: Path) -> None:
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        [*NMT, "translate", str(knowing_run), *CPU], stdin=theirs,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment(),
    )  # fmt: skip
    os.close(theirs)
    os.write(ours, b"The old quux\nold\n\x04")
    out = process.communicate(timeout=120)[0].decode().splitlines()
    os.close(ours)
    assert process.returncode == 0
    assert len(out) == 3 and out[1] == "line 1: not in the training text: quux"


def test_who_types_but_wants_json_or_quiet_is_not_told(
    nmt: Call, knowing_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nmt_cli.cli.translation.is_terminal", lambda stream: stream is sys.stdin)
    command = ("translate", knowing_run, *CPU)
    told = "line 1: not in the training text: quux\n"
    assert nmt(*command, stdin=b"The old quux\n")[2] == told
    for option in ("--jsonl", "-q"):
        assert nmt(*command, option, stdin=b"The old quux\n")[2] == ""
