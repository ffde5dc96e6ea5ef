"""make: quickstart installs the core alone, tests add to it, and nothing is installed twice."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT

CORE, ALL = ".", "'.[dev,plot,export,ray,datasets,serve]'"
Installs = Callable[[str], list[str]]

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="needs make")


@pytest.fixture
def installs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installs:
    """What `make TARGET` would install, in a folder that is the working one."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
        os.utime(tmp_path / name, (1000, 1000))
    (tmp_path / ".venv").mkdir()
    monkeypatch.chdir(tmp_path)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}

    def ask(target: str) -> list[str]:
        done = subprocess.run(["make", "--dry-run", target], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        lines = [line for line in done.stdout.splitlines() if "pip install" in line]
        assert all(" --quiet " in line and " -c constraints.txt " in line for line in lines)
        return re.findall(r" -e (\S+)$", "\n".join(lines), re.MULTILINE)

    return ask


def made(name: str, when: int) -> None:
    path = Path(".venv", name)
    path.touch()
    os.utime(path, (when, when))


def test_quickstart_installs_the_core_and_tests_all(installs: Installs) -> None:
    assert installs("quickstart") == [CORE]
    assert installs("test") == installs("check") == [CORE, ALL]


def test_tests_after_quickstart_add_what_is_missing(installs: Installs) -> None:
    made("core", 2000)
    assert installs("quickstart") == []
    assert installs("test") == [ALL]


def test_quickstart_after_tests_installs_nothing(installs: Installs) -> None:
    made("core", 2000)
    made("all", 3000)
    assert installs("quickstart") == installs("test") == []


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt"])
def test_what_has_changed_is_installed_again(name: str, installs: Installs) -> None:
    made("core", 2000)
    made("all", 3000)
    os.utime(name, (4000, 4000))
    assert installs("quickstart") == [CORE]
    assert installs("test") == [CORE, ALL]
