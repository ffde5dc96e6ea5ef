"""tokens_per_batch: auto is measured once and written down."""

import json
import sys
from pathlib import Path

import pytest
import torch

from nmt_cli.commands.train import train
from nmt_cli.recipe.loader import load_recipe
from nmt_cli.reporting import Reporter
from nmt_cli.runs import setup as command
from nmt_cli.training import memory
from nmt_cli.training.batch_size import choose_batch_size, max_batch_tokens
from nmt_cli.training.memory import allocated_memory, available_memory, free_memory, peak_allocated_memory, peak_memory
from tests.conftest import toy_recipe
from tests.training.killing import differences

GIB = 1 << 30


@pytest.mark.parametrize(
    "available, most, chosen, tried",
    [
        (100, 4096, 4096, [1024, 2048, 4096]),
        (100, 5000, 5000, [1024, 2048, 4096, 5000]),
        (100, 300, 300, [300]),
        (41.0, 32768, 32768, [1024, 2048, 4096, 8192, 16384, 32768]),
        (8.5, 32768, 4096, [1024, 2048, 4096]),  # 8192 need 9 GiB: not even tried
        (2.5, 32768, 1024, [1024]),
        (0.5, 32768, 1024, [1024]),
    ],
)
def test_the_largest_number_whose_need_fits_is_chosen(
    available: float, most: int, chosen: int, tried: list[int]
) -> None:
    asked: list[int] = []

    def need(tokens: int) -> int:
        asked.append(tokens)
        return GIB + tokens * GIB // 1024

    budget = choose_batch_size(need, int(available * GIB), most)
    assert budget == (chosen, need(chosen)) and asked[:-1] == tried


def test_where_memory_runs_out_the_number_before_is_chosen() -> None:
    assert choose_batch_size(lambda n: 1 if n < 4096 else None, GIB, 32768) == (2048, 1)
    assert choose_batch_size(lambda n: None, GIB, 32768) == (1024, None)


def test_a_small_corpus_gets_smaller_batches() -> None:
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    assert max_batch_tokens(cpu, 10**9) == 4096 and max_batch_tokens(gpu, 10**9) == 32768
    assert max_batch_tokens(cpu, 100_000) == 1000 and max_batch_tokens(gpu, 100) == 256


@pytest.mark.precision
@pytest.mark.slow
def test_auto_is_said_written_down_and_the_same_when_resumed(
    toy: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    auto = toy_recipe(toy / "text", tokens_per_batch="auto", updates=6)
    train(auto, toy / "run", Reporter())
    said = " ".join(capsys.readouterr().err.split())
    assert "training.tokens_per_batch: auto is 256 here: it takes 0." in said
    assert " GiB that are free" in said
    assert load_recipe(toy / "run" / "recipe.yaml").training.tokens_per_batch == 256
    train(toy_recipe(toy / "text", tokens_per_batch=256, updates=6), toy / "number", Reporter())
    assert [n for n in differences(toy / "run", toy / "number") if "result" not in n] == []

    def unmeasured(*_: object, **__: object) -> None:
        raise AssertionError("measured again")

    monkeypatch.setattr(command, "find_batch_size", unmeasured)
    more = toy_recipe(toy / "text", tokens_per_batch="auto", updates=12)
    capsys.readouterr()
    train(more, toy / "run", Reporter(), resume=True)
    assert "tokens_per_batch" not in capsys.readouterr().err
    assert load_recipe(toy / "run" / "recipe.yaml").training.tokens_per_batch == 256
    assert json.loads((toy / "run" / "result.json").read_text())["updates"] == 12


@pytest.mark.precision
def test_what_a_batch_takes_is_not_invented_where_the_system_does_not_say_it(
    toy: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for needed, said in ((0, "a part"), (None, "more"), (GIB, "1.0 GiB")):
        monkeypatch.setattr(command, "find_batch_size", lambda *_, needed=needed, **__: (256, needed, 2 * GIB))
        train(toy_recipe(toy / "text", tokens_per_batch="auto", updates=1), toy / f"run-{needed}", Reporter())
        line = f"training.tokens_per_batch: auto is 256 here: it takes {said} of 2.0 GiB that are free"
        assert line in " ".join(capsys.readouterr().err.split())


def test_memory_is_what_the_kernel_and_the_container_leave(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    monkeypatch.setattr(memory, "_kernel_bytes", lambda path, key: [5 * GIB])
    monkeypatch.setattr(memory, "_cgroup", lambda folders: [3 * GIB])
    assert available_memory(cpu) == free_memory() == 3 * GIB
    monkeypatch.setattr(memory, "_kernel_bytes", lambda path, key: [])
    monkeypatch.setattr(memory, "_cgroup", lambda folders: [])
    assert available_memory(cpu) == 4 * GIB and free_memory() is None
    monkeypatch.undo()
    version_2, version_1 = tmp_path / "2", tmp_path / "1"
    for folder, names, key in (
        (version_2, ("max", "current"), "inactive_file"),
        (version_1, ("limit_in_bytes", "usage_in_bytes"), "total_inactive_file"),
    ):
        folder.mkdir()
        for name, number in zip(names, (1000, 400), strict=True):
            (folder / f"memory.{name}").write_text(f"{number}\n")
        (folder / "memory.stat").write_text(f"anon 100\n{key} 250\n")
    assert memory._cgroup([version_2]) == memory._cgroup([version_1]) == [850]  # 150 are more than cached files
    (version_1 / "memory.usage_in_bytes").write_text("900\n")
    assert memory._cgroup([version_2, tmp_path, version_1]) == [850, 350]
    (version_1 / "memory.stat").unlink()
    assert memory._cgroup([version_1]) == [100]
    (version_2 / "memory.high").write_text("700\n")
    assert memory._cgroup([version_2]) == [850, 550]
    (version_2 / "memory.high").write_text("max\n")
    (version_2 / "memory.max").write_text("max\n")
    assert memory._cgroup([version_2]) == memory._cgroup([tmp_path / "none"]) == []
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable:   7 kB\n")
    assert memory._kernel_bytes(tmp_path / "meminfo", "MemAvailable:") == [7 * 1024]
    assert memory._kernel_bytes(tmp_path / "none", "MemAvailable:") == []


def test_a_peak_that_the_system_does_not_say_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resource", None)  # as on Windows
    assert peak_memory(torch.device("cpu")) == {}


def test_the_peak_is_at_least_what_is_taken() -> None:
    cpu = torch.device("cpu")
    memory.reset_peak_memory(cpu)
    block = torch.ones(50 << 20, dtype=torch.uint8)
    assert peak_allocated_memory(cpu) >= allocated_memory(cpu) * 0.95 and allocated_memory(cpu) > 50 << 20
    assert peak_memory(cpu)["peak_rss_mib"] > 50 and int(block[-1]) == 1
