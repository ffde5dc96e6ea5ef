"""Ray carries and changes nothing: the same shards and prepared bytes as on one machine."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from nmt_cli.errors import UserError, WorkerError
from nmt_cli.reporting import Reporter
from nmt_cli.runs.preparation import prepare_recipe
from nmt_cli.translation import ray_cluster as cluster
from nmt_cli.translation.byte_ranges import Shard
from nmt_cli.translation.opening import TranslatorSpec
from nmt_cli.translation.ray_cluster import ray_pool, ray_session, translate_on_ray
from tests.conftest import Call, toy_recipe

ROOT = Path(__file__).parent.parent.parent


class FakeTaskError(Exception):
    def __init__(self, cause: Exception) -> None:
        super().__init__("a long remote traceback")
        self.cause = cause


class FakeLost(Exception):
    pass


class FakeRay(ModuleType):
    """Ray with a cluster of two cores in this process; tasks run when they are asked for."""

    def __init__(self) -> None:
        super().__init__("ray")
        lost = FakeLost
        self.exceptions = SimpleNamespace(RayTaskError=FakeTaskError, RayError=lost)
        self.up = False
        self.started: list[int] = []

    def init(self, **_: Any) -> None:
        self.up = True

    def is_initialized(self) -> bool:
        return self.up

    def shutdown(self) -> None:
        self.up = False

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": 2.0}

    def kill(self, actor: Any) -> None:
        actor.killed = True

    def remote(self, **_: Any) -> Callable[[Any], Any]:
        def started(kind: Any, *arguments: Any) -> Any:
            if not isinstance(kind, type):
                return lambda: kind(*arguments)
            actor = kind(*arguments)
            self.started.append(arguments[-1])
            do = SimpleNamespace(remote=lambda task: lambda: actor.do(task))
            return SimpleNamespace(do=do)

        return lambda kind: SimpleNamespace(remote=lambda *some: started(kind, *some))

    def wait(self, references: list[Any], num_returns: int) -> tuple[list[Any], list[Any]]:
        return references[-num_returns:], references[:-num_returns]

    def get(self, reference: Callable[[], Any]) -> Any:
        try:
            return reference()
        except FakeLost:
            raise
        except Exception as error:
            raise FakeTaskError(error) from error


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeRay]:
    fake = FakeRay()
    monkeypatch.setitem(sys.modules, "ray", fake)
    yield fake
    assert not fake.up


def test_data_prepared_on_a_cluster_are_the_same_bytes(ray: FakeRay, toy: Path) -> None:
    recipe = toy_recipe(toy / "text")
    alone = prepare_recipe(recipe, Reporter(quiet=True), toy / "one").data
    with ray_session() as there:
        pool = ray_pool(there)
        other = prepare_recipe(recipe, Reporter(quiet=True), toy / "two", pool=pool).data
    assert ray.started == [0, 1, 0, 1]
    for path in alone.folder.iterdir():
        assert path.read_bytes() == (other.folder / path.name).read_bytes()


def test_few_blocks_are_under_way_at_a_time(ray: FakeRay) -> None:
    taken = 0

    def tasks() -> Iterator[int]:
        nonlocal taken
        while True:
            taken += 1
            yield taken

    with ray_pool(ray)(lambda _: lambda n: n * n) as work:
        results = work(tasks())
        assert [next(results) for _ in range(3)] == [1, 4, 9]
    assert taken < 12


def test_a_mistake_stays_one_and_what_is_lost_is_named(
    ray: FakeRay, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def translate(opening: TranslatorSpec, text: Path, shard: Shard, *_: Any) -> list[cluster._Message]:
        if shard.number == 2:
            raise FakeLost
        if shard.number == 3:
            raise ZeroDivisionError("division by zero")
        if text.name == "odd":
            raise UserError("the text is odd")
        return [cluster._Message(f"shard {shard}: 7 lines")]

    monkeypatch.setattr(cluster, "_translate_shard_task", translate)
    shards = [Shard(number, 4) for number in range(1, 5)]
    places = tmp_path / "text", shards, tmp_path / "parts"
    with pytest.raises(WorkerError) as error:
        translate_on_ray(TranslatorSpec(("run",)), *places, "text", Reporter())
    assert str(error.value) == "2 of 4 shards failed: run the command again"
    assert capfd.readouterr().err.splitlines() == [
        "shard 4/4: 7 lines",
        "warning: shard 3/4: ZeroDivisionError: division by zero",
        "warning: shard 2/4: lost: FakeLost",
        "shard 1/4: 7 lines",
    ]
    translate_on_ray(TranslatorSpec(("run",)), places[0], shards[:1], places[2], "text", Reporter())
    assert capfd.readouterr().err == "shard 1/4: 7 lines\n"
    with pytest.raises(UserError) as mistake:
        translate_on_ray(TranslatorSpec(("run",)), tmp_path / "odd", shards[:1], places[2], "text", Reporter())
    assert str(mistake.value) == "the text is odd"


def test_what_a_task_says_is_said_here(
    ray: FakeRay, tiny_run: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text").write_bytes(b"a book\n" + b"\xff\n" * 102 + b"1995\nThe 1995 man.\n")
    places = tmp_path / "text", [Shard(1, 1)], tmp_path / "parts"
    spec = TranslatorSpec((str(tiny_run),), ("search.beam=1", "search.keep=none"), "cpu", engine="torch")
    spec, _ = spec.resolve(Reporter())  # as the command does
    translate_on_ray(spec, *places, "text", Reporter())
    *warnings, end = capfd.readouterr().err.splitlines()
    assert warnings[0] == "warning: shard 1/1, line 2: invalid UTF-8 was replaced by U+FFFD"
    assert warnings[99].startswith("warning: shard 1/1, line 101: invalid UTF-8")
    assert warnings[100:] == [
        "warning: shard 1/1, further lines with warnings are only counted",
        "warning: shard 1/1, 2 more lines had warnings; --jsonl lists them all",
        "warning: shard 1/1: 2 lines (104, 105) whose translation has other numbers, or one of them in words;"
        " --jsonl names the numbers",
    ]
    assert end == f"shard 1/1: 105 lines, {places[2]}/shard-1-of-1.txt"
    translate_on_ray(spec, *places, "text", Reporter(quiet=True))
    assert capfd.readouterr().err == ""


def test_a_cluster_that_cannot_be_reached_or_is_not_installed_is_one_line(
    ray: FakeRay, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: Any) -> None:
        raise ConnectionError("no head node\nat 1.2.3.4")

    monkeypatch.setattr(ray, "init", refuse)
    with pytest.raises(UserError) as error, ray_session():
        pass
    assert str(error.value) == "--on ray: no cluster: no head node at 1.2.3.4"
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError) as error, ray_session():
        pass
    assert str(error.value) == '--on ray: Ray is not installed: pip install "nmt-cli[ray]"'


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["translate", "run", "--on", "ray"],
         "--on ray: needs --shard all/N, --input FILE and --out FOLDER"),
        (["translate", "run", "--on", "mars"], "--on mars: use here or ray"),
        (["prepare", "quickstart", "--on", "mars"], "--on mars: use here or ray"),
    ],
)  # fmt: skip
def test_a_place_that_does_not_fit_is_one_line(arguments: list[str], message: str, nmt: Call) -> None:
    assert nmt(*arguments) == (2, "", f"nmt: {message}\n")


REAL = """
import sys
from pathlib import Path
from nmt_cli.translation.ray_cluster import ray_session, ray_pool, translate_on_ray
from nmt_cli.runs.preparation import prepare_recipe
from nmt_cli.translation.opening import TranslatorSpec
from nmt_cli.translation.byte_ranges import parse_shards
from nmt_cli.translation.shard_files import join_shards
from nmt_cli.reporting import Reporter
from tests.conftest import Call, toy_recipe

with ray_session() as ray:
    quiet = Reporter(quiet=True)
    data = prepare_recipe(toy_recipe(Path("text")), quiet, Path("two"), pool=ray_pool(ray)).data
    spec = TranslatorSpec((sys.argv[1],), ("search.beam=1",), "cpu")
    translate_on_ray(spec, Path("text/test.ab"), parse_shards("all/2"), Path("parts"), "text", quiet)
sys.stdout.buffer.writelines(join_shards(Path("parts")))
print(data.folder.name)
"""


@pytest.mark.slow
def test_a_real_cluster_of_this_machine_prepares_and_translates(toy: Path, tiny_run: Path) -> None:
    pytest.importorskip("ray")
    alone = prepare_recipe(toy_recipe(Path("text")), Reporter(quiet=True), Path("one")).data
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    environment["RAY_worker_niceness"] = "0"  # 15 unasked: other work would let it wait for minutes
    environment.pop("RAY_ADDRESS", None)
    done = subprocess.run(
        [sys.executable, "-c", REAL, str(tiny_run)],
        cwd=toy, env=environment, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    assert all(line.endswith(b"only 20 pairs: scores of so few vary by chance") for line in done.stderr.splitlines())
    *lines, folder = done.stdout.splitlines()
    assert len(lines) == 20 and folder.decode() == alone.folder.name
    for path in alone.folder.iterdir():
        assert path.read_bytes() == (Path("two") / folder.decode() / path.name).read_bytes()
