"""requirements.lock, constraints.txt and pyproject.toml say the same about every dependency."""

import re
import tomllib

from tests.conftest import ROOT

LOCK = (ROOT / "requirements.lock").read_text()
GPU = re.compile(r"(nvidia|cuda)-.*|triton|setuptools")  # what torch needs on Linux besides


def plain(name: str) -> str:
    """A package's name as registries compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(text: str) -> dict[str, str]:
    """Package to version, from lines of `name==version`."""
    return {plain(name): version for name, version in re.findall(r"^([\w.-]+)==([^\s;\\]+)", text, re.MULTILINE)}


def test_the_lock_and_the_constraints_name_the_same_versions() -> None:
    locked, constraints = pins(LOCK), pins((ROOT / "constraints.txt").read_text())
    assert len(locked) > 40
    assert {n: v for n, v in locked.items() if not GPU.fullmatch(n)} == {
        name: constraints.get(name) for name in locked if not GPU.fullmatch(name)
    }


def test_every_dependency_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    requirements = [*project["dependencies"], *project["optional-dependencies"]["plot"]]
    names = {plain(re.split(r"[\s<>=!~;\[]", requirement)[0]) for requirement in requirements}
    assert names <= set(pins(LOCK))


def test_every_locked_package_has_hashes_and_nothing_else() -> None:
    for line in LOCK.splitlines():
        assert re.fullmatch(r"#.*|[\w.-]+==[^\s;]+( ; [^\\]+)? \\|    --hash=sha256:[0-9a-f]{64}( \\)?|", line), line
    entries = re.split(r"\n(?=\w)", LOCK)[1:]
    assert len(entries) == len(pins(LOCK))
    assert all("--hash=sha256:" in entry for entry in entries)


def test_nothing_of_the_machine_that_made_the_lock_is_in_it() -> None:
    assert not re.search(r"https?:|file:|--index|--find-links|--extra-index|/(home|opt|root|tmp)/", LOCK)
    assert "+cpu" not in LOCK
