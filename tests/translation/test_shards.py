"""Parts of a text translated by themselves, killed and gone on with, and joined when all are in."""

import errno
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nmt_cli.cli.shards import merge_shards
from nmt_cli.data.known_words import WordSet
from nmt_cli.data.text_profile import TextProfile, UnknownShares
from nmt_cli.errors import DataError, UserError
from nmt_cli.inference.confidence import CalibrationFile
from nmt_cli.inference.output import OutputFormat, TranslatedLine, Translation
from nmt_cli.inference.translator import Translator
from nmt_cli.reporting import Reporter
from nmt_cli.translation.byte_ranges import Shard, TextRange
from nmt_cli.translation.opening import TranslatorSpec
from nmt_cli.translation.parallel import ParallelTranslator
from nmt_cli.translation.shard_files import ShardWriter, join_shards
from nmt_cli.translation.shards import translate_shard
from nmt_cli.translation.summary import LineCounter
from tests.conftest import Call
from tests.inference.test_confidence import calibration
from tests.margins import clear_lines
from tests.opening import open_translator

LINES = ["a book", "", "The old man", "two dogs see 1995 houses", "they do", "\ufeffodd"] * 5


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text"
    path.write_text("".join(f"{line}\n" for line in LINES))
    return path


def opened(run: Path, *settings: str) -> ParallelTranslator:
    settings = ("search.beam=2", "search.max_length=4", *settings)
    return ParallelTranslator(TranslatorSpec((str(run),), settings, "cpu"), "1", Reporter())


def translate(run: Path, text: Path, numbers: list[int], *settings: str, form: OutputFormat = "text") -> None:
    translator = opened(run, *settings)
    for number in numbers:
        shard = Shard(number, 3)
        translate_shard(translator, text, shard, text.parent / "parts", form, Reporter())


def straight(run: Path, text: Path, *settings: str, form: OutputFormat = "text") -> bytes:
    """What one command prints; its lines are clear, so that in other batches they are the same."""
    translator = open_translator([run], ["search.beam=2", "search.max_length=4", *settings], "cpu")
    assert all(clear_lines(translator, LINES[:6]))
    translated_lines = opened(run, *settings).translate(io.BytesIO(text.read_bytes()))
    return "".join(f"{line}\n" for translated in translated_lines for line in translated.output_lines(form)).encode()


FORMS: list[tuple[OutputFormat, str]] = [
    ("text", "search.n_best=1"), ("candidates", "search.n_best=2"), ("jsonl", "search.n_best=2")
]  # fmt: skip


@pytest.mark.parametrize("form, setting", FORMS)
def test_joined_parts_are_what_one_command_prints(form: OutputFormat, setting: str, tiny_run: Path, text: Path) -> None:
    translate(tiny_run, text, [3, 1, 2], setting, form=form)
    joined_output = b"".join(join_shards(text.parent / "parts"))
    expected = straight(tiny_run, text, setting, form=form)
    if form == "jsonl":  # scores depend on the batch in their last digits
        records = [[json.loads(json_line) for json_line in output.splitlines()] for output in (joined_output, expected)]
        keep = ("line", "source", "translation")
        assert [[record[k] for k in keep] for record in records[0]] == [
            [record[k] for k in keep] for record in records[1]
        ]
    elif form == "candidates":
        parts = [[output_line.split(b" ||| ")[:2] for output_line in x.splitlines()] for x in (joined_output, expected)]
        assert parts[0] == parts[1] and parts[0][-1][0] == b"30"
    else:
        assert joined_output == expected
    assert not list((text.parent / "parts").glob("*.lock"))


def test_a_finished_part_is_left_alone(tiny_run: Path, text: Path, capfd: pytest.CaptureFixture[str]) -> None:
    translate(tiny_run, text, [2])
    path = text.parent / "parts" / "shard-2-of-3.txt"
    before = path.stat()
    said = capfd.readouterr().err
    assert said.endswith(f"shard 2/3: 11 lines, {path}\n")
    translate(tiny_run, text, [2])
    assert path.stat() == before
    assert capfd.readouterr().err == "shard 2/3: already done\n"


def test_a_part_that_was_stopped_goes_on_where_it_was(
    tiny_run: Path, text: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    whole = ParallelTranslator.translate
    for stop in (1, 5, 8):

        def broken(
            self: ParallelTranslator, stream: io.BytesIO, *, stop: int = stop, **options: Any
        ) -> Iterator[TranslatedLine]:
            for number, block in enumerate(whole(self, stream, **options)):
                if number == stop:
                    raise KeyboardInterrupt
                yield block

        monkeypatch.setattr(ParallelTranslator, "translate", broken)
        with pytest.raises(KeyboardInterrupt):
            translate(tiny_run, text, [2])
        with pytest.raises(DataError, match="3 of 3 shards are missing"):
            join_shards(text.parent / "parts")
        monkeypatch.setattr(ParallelTranslator, "translate", whole)
        translate(tiny_run, text, [2])
        assert f"shard 2/3: resuming after line {stop}\n" in capfd.readouterr().err
        translate(tiny_run, text, [1, 3])
        assert b"".join(join_shards(text.parent / "parts")) == straight(tiny_run, text)
        for path in (text.parent / "parts").iterdir():
            path.unlink()


def test_a_part_is_marked_before_each_block(tiny_run: Path, text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A block may take long, and a kill meanwhile loses nothing else."""
    monkeypatch.setattr("nmt_cli.inference.lines.MAX_BLOCK_LINES", 4)
    mark = text.parent / "parts" / "shard-1-of-1.mark.json"
    marked: list[int] = []
    translate_block = Translator.translate

    def translate_and_look(self: Translator, *block: Any) -> list[Translation]:
        marked.append(json.loads(mark.read_text())["lines"] if mark.exists() else 0)
        return translate_block(self, *block)

    monkeypatch.setattr(Translator, "translate", translate_and_look)
    translator = opened(tiny_run, "search.precision=fp32")
    assert translator.spec.engine == "torch"
    translator._thread_count = 1  # blocks as on a machine with one core
    translate_shard(translator, text, Shard(1, 1), text.parent / "parts", "text", Reporter())
    assert marked == [0, 4, 8, 12, 16, 20, 24, 28]


def test_an_interrupt_within_a_line_leaves_no_half_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = {"shards": 1}
    writer = ShardWriter(tmp_path, Shard(1, 1), job)
    writer.write(["one", "eins"])
    assert writer._file is not None
    writer._file.write(b"tw")  # the counts of this line are never written
    writer.close()
    for _ in range(2):  # the second time, nothing was written since
        writer = ShardWriter(tmp_path, Shard(1, 1), job)
        assert writer.line_count == 1
        writer.close()
    writer = ShardWriter(tmp_path, Shard(1, 1), job)
    writer.write(["two"])
    writer.finish(TextRange("bytes", 0, 8, 8))
    writer.close()
    assert b"".join(join_shards(tmp_path)) == b"one\neins\ntwo\n"


def test_a_part_killed_between_its_last_two_steps_is_finished(
    tiny_run: Path, text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = text.parent / "parts"
    translate(tiny_run, text, [1, 2])
    monkeypatch.setattr("nmt_cli.translation.shard_files.sha256_of_file", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        translate(tiny_run, text, [3])
    assert (folder / "shard-3-of-3.txt").exists()
    monkeypatch.undo()
    with pytest.raises(DataError, match="1 of 3 shards are missing: 3/3"):
        join_shards(folder)
    translate(tiny_run, text, [3])
    assert b"".join(join_shards(folder)) == straight(tiny_run, text)


def test_another_text_run_or_search_needs_another_folder(tiny_run: Path, text: Path) -> None:
    translate(tiny_run, text, [1])
    with pytest.raises(DataError) as error:
        translate(tiny_run, text, [2], "search.length_penalty=0.5")
    assert str(error.value) == (
        f"{text.parent / 'parts'}: holds shards of another job (other search): choose another --out"
    )
    text.write_text("other\n" * 30)
    with pytest.raises(DataError, match=r"another job \(other form, input\)"):
        translate(tiny_run, text, [2], form="jsonl")
    with pytest.raises(DataError, match="nowhere: no such file"):
        translate(tiny_run, text.with_name("nowhere"), [2])
    with pytest.raises(DataError, match="only files are cut into shards"):
        translate(tiny_run, Path("/dev/null"), [2])


def test_parts_in_json_have_unknown_words_and_need_the_same_list(nmt: Call, tiny_run: Path, text: Path) -> None:
    run, parts = shutil.copytree(tiny_run, text.parent / "knowing"), text.parent / "parts"
    (run / "words.source.txt").write_text("a\nbook\nold\nman\nthe\nsee\ndo\ntwo\n")
    command = ["translate", run, "--input", text, "--out", parts, "--jsonl", "--beam", 1]
    assert nmt(*command, "--shard", "all/2")[0] == 0
    unknown_words = [json.loads(line).get("unknown_words") for line in join_shards(parts)]
    assert unknown_words == [None, None, None, ["dogs", "houses"], ["they"], ["odd"]] * 5
    (run / "words.source.txt").write_text("a\n")
    code, _, err = nmt(*command, "--shard", "1/2")
    assert code == 2 and "holds shards of another job (other runs)" in err


def test_parts_need_the_same_knowledge_of_text(nmt: Call, tiny_run: Path, text: Path) -> None:
    run, parts = shutil.copytree(tiny_run, text.parent / "profiled"), text.parent / "parts"
    TextProfile().save(run)
    command = ["translate", run, "--input", text, "--out", parts, "--beam", 1]
    assert nmt(*command, "--shard", "1/2")[0] == 0
    (run / "abbreviations.source.txt").write_text("abbreviation abr\n")
    code, _, err = nmt(*command, "--shard", "2/2")
    assert code == 2 and "holds shards of another job (other runs)" in err


def test_two_processes_do_not_write_the_same_part(tmp_path: Path) -> None:
    writer = ShardWriter(tmp_path, Shard(1, 2), {"shards": 2})
    with pytest.raises(DataError) as error:
        ShardWriter(tmp_path, Shard(1, 2), {"shards": 2})
    assert str(error.value) == f"{tmp_path}: shard 1/2: another process is writing it"
    ShardWriter(tmp_path, Shard(2, 2), {"shards": 2}).close()
    writer.close()
    ShardWriter(tmp_path, Shard(1, 2), {"shards": 2}).close()


@pytest.mark.parametrize("first, said", [(None, None), (2, None), (3, "holds shards of another job (other shards)")])
def test_a_folder_without_hard_links_has_the_job_of_the_first_process(
    first: int | None, said: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(source: Path, target: Path) -> None:
        if first is not None:  # another process is a moment earlier
            target.write_text(json.dumps({"format": 1, "shards": first}))
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(os, "link", refuse)
    with nullcontext() if said is None else pytest.raises(DataError, match=re.escape(said)):
        ShardWriter(tmp_path, Shard(1, 2), {"shards": 2}).close()
    assert json.loads((tmp_path / "job.json").read_text())["shards"] == (first or 2)
    names = {"job.json"} if said else {"job.json", "shard-1-of-2.partial", "shard-1-of-2.lock"}
    assert {path.name for path in tmp_path.iterdir()} == names


def test_join_names_what_is_missing_damaged_or_of_another_input(tiny_run: Path, text: Path) -> None:
    folder = text.parent / "parts"
    with pytest.raises(DataError, match=r"job.json: missing or damaged"):
        join_shards(folder)
    translate(tiny_run, text, [1, 3])
    with pytest.raises(DataError) as error:
        join_shards(folder)
    assert str(error.value) == f"{folder}: 1 of 3 shards are missing: 2/3"
    translate(tiny_run, text, [2])
    manifest = folder / "shard-2-of-3.json"
    whole = json.loads(manifest.read_text())
    changes = {
        "job": ("0", "shard-2-of-3.txt: belongs to another input or run than the others"),
        "sha256": ("0", "does not match its checksum: delete it and translate the shard again"),
        "range": (whole["range"] | {"begin": 1}, "shard 2/3 does not begin where the one before"),
        "format": (2, "not written by this version of nmt translate --shard"),
    }
    for key, (value, message) in changes.items():
        manifest.write_text(json.dumps(whole | {key: value}))
        with pytest.raises(DataError, match=message):
            join_shards(folder)
    manifest.write_text(json.dumps(whole))
    with open(folder / "shard-3-of-3.txt", "ab") as file:
        file.write(b"more\n")
    with pytest.raises(DataError, match=r"shard-3-of-3.txt: does not match its checksum"):
        join_shards(folder)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--shard", "1/2"], "--shard 1/2: also needs --input FILE and --out FOLDER"),
        (["--input", "x"], "--input: needs --shard; without it, standard input is translated"),
        (["--out", "x"], "--out: needs --shard; without it, standard input is translated"),
        (["--shard", "3/2", "--input", "x", "--out", "y"], "--shard 3/2: write I/N, with I from"),
        (["--shard", "1/2", "--input", "x", "--out", "y", "--prefix", "z"],
         "--prefix cannot be combined with --shard"),
    ],
)  # fmt: skip
def test_options_that_do_not_fit_are_one_line(arguments: list[str], message: str, nmt: Call) -> None:
    code, out, err = nmt("translate", "run", *arguments)
    assert (code, out) == (2, "") and err.startswith(f"nmt: {message}") and err.count("\n") == 1


def test_strict_holds_for_parts_too(nmt: Call, tiny_run: Path, tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"a book\n\xff\n")
    rest = ["--shard", "all/1", "--input", tmp_path / "text", "--out", tmp_path / "parts"]
    for resuming in ("", "shard 1/1: resuming after line 1\n"):
        code, _, err = nmt("translate", tiny_run, "--strict", "--device", "cpu", *rest)
        assert (code, err) == (2, f"{resuming}nmt: shard 1/1, line 2: not UTF-8 text (--strict)\n")
    assert not list((tmp_path / "parts").glob("*.txt"))


def test_the_commands_translate_and_join(nmt: Call, tiny_run: Path, text: Path) -> None:
    folder = text.parent / "parts"
    text.write_bytes(b"a book\n\xff\nThe old man\nbook")
    code, out, err = nmt("translate", tiny_run, "--device", "cpu", "--shard", "all/2", "--input", text, "--out", folder)
    assert (code, out) == (0, "")
    assert err.splitlines() == [
        "warning: shard 1/2, line 2: invalid UTF-8 was replaced by U+FFFD",
        f"shard 1/2: 3 lines, {folder}/shard-1-of-2.txt",
        f"shard 2/2: 1 line, {folder}/shard-2-of-2.txt",
    ]
    code, out, err = nmt("merge-shards", folder)
    assert (code, err, out.count("\n")) == (0, "", 4)


def test_parts_say_at_the_end_what_a_whole_text_says(
    nmt: Call, tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, text = shutil.copytree(tiny_run, tmp_path / "run"), tmp_path / "text"
    TextProfile("en", "de", unknown=UnknownShares(0.0, 0.0)).save(run)
    WordSet(["the", "old", "man"]).save(run)
    CalibrationFile(50.0, {"torch fp32": calibration(bias=-40.0)}).save(run)  # sure of nothing
    text.write_text("The old man.\nThe 1995 man.\nfrobnicate quux\n")
    command = ["translate", run, "--engine", "torch", "--processes", 1, "--input", text, "--shard", "1/1"]
    numbers = (
        "warning: shard 1/1: 1 line (2) whose translation has other numbers, or one of them in words;"
        " --jsonl names the numbers"
    )
    assert nmt(*command, "--out", tmp_path / "a")[2].splitlines()[:-1] == [numbers]
    abstained = "shard 1/1: confidence too low for 3 of 3 lines (--abstain-below)"
    for instead, reported in (("mark", [numbers]), ("copy", [])):
        options = ("--out", tmp_path / instead, "--abstain-below", 0.5, "--abstain", instead)
        assert sorted(nmt(*command, *options)[2].splitlines()[:-1]) == sorted([abstained, *reported])
    monkeypatch.setattr("nmt_cli.reporting.Reporter.on_terminal", True)
    assert nmt(*command, "--out", tmp_path / "c", "-q")[2].splitlines() == [
        "warning: shard 1/1: unlike the training text, so that translations are guesses: 1 line (3);"
        " --jsonl marks them",
        numbers,
    ]


def test_lines_are_counted_in_little_memory() -> None:
    counter = LineCounter()
    for number in range(1, 2001):
        counter.add(number)
    assert len(counter.first_numbers) == 10
    assert str(counter) == "2,000 lines (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, ...)"


def test_merging_says_where_it_cannot_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = ShardWriter(tmp_path, Shard(1, 1), {"shards": 1})
    writer.write(["one"])
    writer.finish(TextRange("bytes", 0, 4, 4))
    writer.close()
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(UserError, match=r"^standard output is closed$"):
        merge_shards(tmp_path)
    full = SimpleNamespace(write=len, flush=lambda: os.write(device, b"x"))
    with open("/dev/full", "wb", buffering=0) as file:
        device = file.fileno()
        monkeypatch.setattr(sys, "stdout", SimpleNamespace(buffer=full))
        with pytest.raises(UserError, match=r"^standard output: cannot write: No space left on device$"):
            merge_shards(tmp_path)


@pytest.mark.slow
def test_a_killed_command_leaves_no_half_part(tiny_run: Path, tmp_path: Path) -> None:
    """Killed by the system in the middle, with workers; the next one ends the part."""
    text, folder = tmp_path / "text", tmp_path / "parts"
    text.write_text("".join(f"{line}\n" for line in LINES * 40))
    root = Path(__file__).parent.parent.parent
    command = [
        sys.executable, "-m", "nmt_cli", "translate", str(tiny_run), "--device", "cpu",
        "--processes", "2", "--shard", "2/2", "--input", str(text), "--out", str(folder),
    ]  # fmt: skip
    environment = os.environ | {"PYTHONPATH": str(root)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        partial = folder / "shard-2-of-2.partial"
        while process.poll() is None and not partial.exists():
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert not (folder / "shard-2-of-2.txt").exists()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stderr.endswith(f"600 lines, {folder}/shard-2-of-2.txt\n")
    assert len((folder / "shard-2-of-2.txt").read_text().splitlines()) == 600
