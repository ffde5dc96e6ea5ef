"""NAME=PATH arguments."""

from pathlib import Path

import pytest

from nmt_cli.cli.labelled_paths import labelled_paths
from nmt_cli.errors import UserError


def test_a_path_is_called_after_its_last_part_or_as_asked() -> None:
    assert labelled_paths(["runs/rnn", "no attention=runs/x"]) == {
        "rnn": Path("runs/rnn"), "no attention": Path("runs/x"),
    }  # fmt: skip


def test_two_of_the_same_name_are_called_by_their_paths() -> None:
    assert list(labelled_paths(["a/run", "b/run", "c"])) == ["a/run", "b/run", "c"]
    assert list(labelled_paths(["a/run"], taken=["run"])) == ["a/run"]


def test_a_path_may_hold_an_equals_sign(tmp_path: Path) -> None:
    (tmp_path / "a=b").mkdir()
    assert labelled_paths([str(tmp_path / "a=b")]) == {"a=b": tmp_path / "a=b"}
    assert labelled_paths(["=x"]) == {"=x": Path("=x")}


def test_what_cannot_be_told_apart_is_refused() -> None:
    for paths in (["x=a", "x=b"], ["a/run", "a/run"]):
        with pytest.raises(UserError, match=r"the name .* is used twice: rename one of them with NAME="):
            labelled_paths(paths)
