"""Signals and full disks stop a real process with one line, and what is left goes on."""

import os
import resource
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nmt_cli.yaml12 import write_yaml
from tests.conftest import environment, toy_content, write_syllables
from tests.training.killing import Blow, differences, live, newest

pytestmark = pytest.mark.precision

SETTINGS = ["--set", "training.label_smoothing=0.2", "--set", "training.ema_decay=0.9"]
SIGNALS = [(signal.SIGINT, 130, "interrupted"), pytest.param(signal.SIGTERM, 143, "terminated", marks=pytest.mark.slow)]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a recipe, its prepared data, and a run that nothing interrupted."""
    folder = tmp_path_factory.mktemp("place")
    write_syllables(folder / "text", {"train": 300, "dev": 20, "test": 20})
    content = toy_content(folder / "text", updates=12, validate_every=6, log_every=3)
    (folder / "toy.yaml").write_text(write_yaml(content))
    assert live(train("straight"), folder, folder / "straight").code == 0
    return folder


def train(out: str) -> list[str]:
    return ["train", "toy.yaml", "--out", out, *SETTINGS, "--device", "cpu", "--quiet"]


def go_on(said: str, place: Path, run: Path) -> None:
    """Do what the last line says, to the same end as if nothing had been."""
    command = shlex.split(said.rpartition("Resume with: ")[2])
    assert command[0] == "nmt" and command[-1] == "--resume"
    last = live([*command[1:], "--quiet"], place, run)
    assert last.code == 0, last.said
    assert differences(place / "straight", run) == []


@pytest.mark.parametrize("number, code, _", [*SIGNALS, pytest.param(signal.SIGHUP, 129, "", marks=pytest.mark.slow)])
@pytest.mark.parametrize("phase, count, saved", [("update", 3, 3), ("validation", 1, 6)])
def test_a_signal_finishes_the_update_saves_and_says_how_to_go_on(
    number: signal.Signals, code: int, _: str, phase: str, count: int, saved: int, place: Path
) -> None:
    name = f"{phase}-{code}"
    life = live(train(name), place, place / name, Blow(phase, count, signal=number))
    assert life.code == code
    assert life.said == (
        f"nmt: stopped by {number.name} at update {saved}; saved. Resume with: nmt train toy.yaml "
        f"--out {name} {' '.join(SETTINGS)} --device cpu --resume\n"
    )
    assert newest(place / name) == saved
    go_on(life.said, place, place / name)


def test_what_is_printed_to_a_closed_terminal_does_not_keep_training_from_saving(tmp_path: Path) -> None:
    script = (
        "import fcntl, termios, time\n"
        "from pathlib import Path\n"
        "from nmt_cli.training.signals import StopSignals\n"
        "fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
        "with StopSignals() as stop_signals:\n"
        "    print('training', flush=True)\n"
        "    while stop_signals.received_signal is None:\n"
        "        time.sleep(0.01)\n"
        "    print('a validation', flush=True)\n"
        "    Path('saved').write_text(str(stop_signals.received_signal))\n"
    )
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdin=theirs, stdout=theirs, stderr=theirs, cwd=tmp_path, env=environment(),
        start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    assert os.read(ours, 8) == b"training"
    os.close(ours)
    assert process.wait(60) == 0
    assert (tmp_path / "saved").read_text() == str(int(signal.SIGHUP))


@pytest.mark.parametrize("number, code, word", SIGNALS)
def test_a_signal_while_the_test_text_is_translated_leaves_nothing_half_written(
    number: signal.Signals, code: int, word: str, place: Path
) -> None:
    run = place / f"test-{code}"
    life = live(train(run.name), place, run, Blow("test", signal=number))
    assert life.code == code
    assert life.said.startswith(f"nmt: {word}. Resume with: nmt train toy.yaml --out {run.name} ")
    assert life.said.count("\n") == 1
    assert newest(run) == 12 and not (run / "result.json").exists()
    assert not list(run.rglob("*.tmp"))
    go_on(life.said, place, run)


@pytest.mark.parametrize(
    "number, code, word", [*SIGNALS, pytest.param(signal.SIGHUP, 129, "terminated", marks=pytest.mark.slow)]
)
def test_a_signal_while_preparing_leaves_nothing(number: signal.Signals, code: int, word: str, tmp_path: Path) -> None:
    write_syllables(tmp_path / "text", {"train": 300, "dev": 20, "test": 20})
    (tmp_path / "toy.yaml").write_text(write_yaml(toy_content(tmp_path / "text")))
    life = live(train("run"), tmp_path, tmp_path / "run", Blow("prepare", signal=number))
    assert life.code == code
    again = shlex.join(["nmt", *train("run")]).removesuffix(" --quiet")
    assert life.said == f"nmt: {word}; nothing is saved yet. Start again with: {again}\n"
    assert not (tmp_path / "run").exists()
    assert not (tmp_path / "prepared").exists() or not list((tmp_path / "prepared").iterdir())


@contextmanager
def small_disk(folder: Path, enough: Path) -> Iterator[tuple[Blow | None, Callable[[], None]]]:
    """A folder on a disk with room for three quarters of another, and a way to make it larger.

    Where nobody may mount one, a blow that limits the size of files from the second checkpoint on.
    """
    folder.mkdir()
    size = sum(-(-path.stat().st_size // 4096) * 3 for path in enough.rglob("*"))  # KiB
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", str(folder)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        limit = (100_000, 100_000)
        act = lambda process: resource.prlimit(process, resource.RLIMIT_FSIZE, limit)  # noqa: E731
        yield Blow("validation", 2, act=act), lambda: None
        return
    larger = ["mount", "-o", "remount,size=32m", str(folder)]
    try:
        yield None, lambda: subprocess.run(larger, check=True) and None
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_stops_with_one_line_and_leaves_the_last_checkpoint(place: Path) -> None:
    disk = place / "disk"
    with small_disk(disk, place / "straight") as (blow, make_room):
        life = live(train("disk/run"), place, disk / "run", blow)
        assert life.code == 2 and life.said.count("\n") == 1
        assert life.said.startswith("nmt: disk/run/checkpoints/")
        assert life.said.endswith("; free disk space and run the command again (training: with --resume)\n")
        assert newest(disk / "run") == 6 and not list((disk / "run").rglob("*.tmp"))
        make_room()
        go_on("Resume with: " + shlex.join(["nmt", *train("disk/run"), "--resume"]), place,
              disk / "run")  # fmt: skip
