"""Starting several processes: what is set, what is started again, and what is said."""

import os
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nmt_cli.cli.training import _next_command
from nmt_cli.distributed import launcher
from nmt_cli.distributed.launcher import LaunchResult, launch
from nmt_cli.distributed.process_group import ProcessGroup
from nmt_cli.reporting import Reporter
from tests.conftest import Call, toy_recipe


class Starts:
    """Plays torch's launcher: each start ends as told, perhaps after a checkpoint more."""

    def __init__(self, *ends: LaunchResult, checkpoints: tuple[int, ...] = ()) -> None:
        self.ends, self.gains = list(ends), list(checkpoints)
        self.commands: list[list[str]] = []
        self.checkpoint = 0

    def __call__(self, count: int, command: list[str]) -> LaunchResult:
        self.commands.append(command)
        self.checkpoint += self.gains.pop(0) if self.gains else 0
        return self.ends.pop(0)


@pytest.fixture(autouse=True)
def no_thread_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.delenv("OMP_NUM_THREADS")


def run(starts: Starts, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(launcher, "_run", starts)
    return launch(2, ["train", "toy"], lambda: starts.checkpoint, Reporter())


KILLED = LaunchResult(1, "rank 1 was killed by SIGKILL")


@pytest.mark.parametrize("code", [0, 2, 130, 143])
def test_what_ended_for_good_is_not_started_again(code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    starts = Starts(LaunchResult(code))
    assert run(starts, monkeypatch) == code
    assert starts.commands == [["train", "toy"]]


def test_a_killed_process_starts_all_again_from_the_last_checkpoint(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    starts = Starts(KILLED, KILLED, LaunchResult(0))
    assert run(starts, monkeypatch) == 0
    assert starts.commands == [["train", "toy"], *[["train", "toy", "--resume"]] * 2]
    said = "warning: rank 1 was killed by SIGKILL; restarting from the last checkpoint\n"
    assert capsys.readouterr().err == 2 * said


def test_starts_without_progress_come_to_an_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    starts = Starts(*[KILLED] * 9, checkpoints=(0, 0, 1, 0))
    assert run(starts, monkeypatch) == 1
    assert len(starts.commands) == 6  # the third made a checkpoint: three more from there
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == ("warning: rank 1 was killed by SIGKILL; 4 times without a new checkpoint: giving up")


def test_a_launcher_does_not_launch_again(nmt: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in launcher._LAUNCHER_VARIABLES:
        monkeypatch.setenv(name, "1")
    message = "nmt: --processes: a launcher has already started processes; leave it out\n"
    assert nmt("train", "toy.yaml", "--processes", "2") == (2, "", message)


def test_nothing_is_launched_into_a_folder_that_is_there(toy: Path, nmt: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """The launcher would answer a crash of a process that was about to refuse the folder by resuming the run."""
    launched: list[list[str]] = []
    monkeypatch.setattr("nmt_cli.cli.training.launch", lambda _, command, *others: launched.append(command) or 0)
    (toy / "toy.yaml").write_text(toy_recipe(toy / "text").to_yaml())
    (toy / "there/checkpoints").mkdir(parents=True)
    arguments = ("train", "toy.yaml", "--processes", "2", "--out")
    assert nmt(*arguments, "there") == (
        2, "", "nmt: there exists: continue with --resume, or choose another --out DIR\n",
    )  # fmt: skip
    assert not launched
    assert [nmt(*arguments, "there", "--resume")[0], nmt(*arguments, "new")[0]] == [0, 0]
    assert [command[-1] for command in launched] == ["--resume", "new"]


@pytest.mark.parametrize("given, expected", [(None, "4"), ("3", "3")])
def test_processes_divide_the_cores(given: str | None, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launcher, "usable_cores", lambda: 9)
    if given:
        monkeypatch.setenv("OMP_NUM_THREADS", given)
    run(Starts(LaunchResult(0)), monkeypatch)
    assert os.environ["OMP_NUM_THREADS"] == expected
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setattr(launcher, "usable_cores", lambda: 1)
    run(Starts(LaunchResult(0)), monkeypatch)
    assert os.environ["OMP_NUM_THREADS"] == "1"


@pytest.mark.parametrize("ignored, handled", [(True, "SIGTERM,SIGINT,SIGQUIT"), (False, None)])
def test_what_nohup_ignores_the_launcher_does_not_handle(
    ignored: bool, handled: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torch.distributed.launcher import api

    configs: list[Any] = []
    monkeypatch.setattr(api, "elastic_launch", lambda config, *_: configs.append(config) or (lambda *_: None))
    previous = signal.signal(signal.SIGHUP, signal.SIG_IGN if ignored else signal.SIG_DFL)
    try:
        launcher._run(2, ["train"])
    finally:
        signal.signal(signal.SIGHUP, previous)
    assert configs[0].signals_to_handle == (handled or api.LaunchConfig.signals_to_handle)


def test_a_system_without_hangups_has_none_to_ignore(monkeypatch: pytest.MonkeyPatch) -> None:
    from torch.distributed.launcher import api

    configs: list[Any] = []
    monkeypatch.setattr(api, "elastic_launch", lambda config, *_: configs.append(config) or (lambda *_: None))
    monkeypatch.setattr(launcher, "HANGUP", None)
    monkeypatch.delattr(signal, "SIGHUP")
    launcher._run(2, ["train"])
    assert configs[0].signals_to_handle == api.LaunchConfig.signals_to_handle


def test_of_several_that_failed_the_killed_one_is_named() -> None:
    """The others fail after it, since they lost it."""
    for code in (1, -signal.SIGTERM):
        failures = {0: SimpleNamespace(exitcode=code), 1: SimpleNamespace(exitcode=-signal.SIGKILL)}
        assert launcher._describe_failures(failures) == KILLED
    failures = {0: SimpleNamespace(exitcode=1), 1: SimpleNamespace(exitcode=-signal.SIGTERM)}
    assert launcher._describe_failures({0: failures[0]}) == LaunchResult(1, "rank 0 ended with exit code 1")
    for code in (2, 128 + signal.SIGHUP):
        failed = launcher._describe_failures({0: SimpleNamespace(exitcode=code)})
        assert failed.exit_code in launcher.FINAL_EXIT_CODES


def test_processes_of_a_launcher_know_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        assert not launcher.is_launched()
        monkeypatch.setenv(name, "1")
    assert launcher.is_launched()


@pytest.mark.parametrize("given, expected", [(None, "600"), ("30", "30")])
def test_a_stopped_process_has_time_to_save(given: str | None, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", raising=False)
    if given:
        monkeypatch.setenv("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", given)
    run(Starts(LaunchResult(0)), monkeypatch)
    assert os.environ["TORCH_ELASTIC_SHUTDOWN_TIMEOUT"] == expected


def test_how_to_go_on_is_said_for_one_machine_and_for_several() -> None:
    words = ["train", "toy"]
    assert _next_command(words, ProcessGroup()) == "Resume with: nmt train toy --resume"
    processes = ProcessGroup(0, 2, local_world_size=2)
    assert _next_command(words, processes) == "Resume with: nmt train toy --processes 2 --resume"
    several = ProcessGroup(0, 8, local_world_size=4)
    assert _next_command(words, several) == "Resume with: the same command on every machine, with --resume"
    again = "Start again with: the same command on every machine"
    assert _next_command(words, several, is_started=False) == again
