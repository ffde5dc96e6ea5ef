"""What fuzzing found, tried again for ever: only a UserError may come out of any reader."""

from pathlib import Path

import pytest

from tests.fuzz.targets import TARGETS, attempt, seeds

FINDINGS = sorted((Path(__file__).parent / "fuzz" / "findings").glob("*/*"))
RUBBISH = [b"", b"\0", b"\xff" * 9, b"[" * 5000, b"{" * 5000, b"g\x1f\x8b", b"z\x28\xb5\x2f\xfd", b"\n" * 9]


@pytest.mark.parametrize("path", FINDINGS, ids=[f"{p.parent.name}/{p.name}" for p in FINDINGS])
def test_a_finding_stays_mended(path: Path) -> None:
    attempt(path.parent.name, path.read_bytes())


@pytest.mark.parametrize("name", list(TARGETS))
def test_a_target_reads_its_seeds_and_survives_rubbish(name: str) -> None:
    for seed in seeds(name):
        TARGETS[name](seed)
    for data in RUBBISH:
        attempt(name, data)


def test_a_target_lets_our_own_bugs_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TARGETS, "tsv", lambda data: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        attempt("tsv", b"")
