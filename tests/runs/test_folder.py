"""The run folder: whether it is there, and its JSON files."""

from pathlib import Path

import pytest

from nmt_cli.errors import RunError
from nmt_cli.runs.folder import RunFolder


def test_a_folder_with_anything_in_it_and_a_file_exist(tmp_path: Path) -> None:
    assert not RunFolder(tmp_path / "none").exists()
    assert not RunFolder(tmp_path).exists()
    (tmp_path / "file").write_text("")
    assert RunFolder(tmp_path).exists()
    assert RunFolder(tmp_path / "file").exists()


def test_json_of_the_run_is_written_and_read(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.write_json("x.json", {"a": "ü"})
    assert folder.read_json("x.json") == {"a": "ü"}
    with pytest.raises(RunError, match=r"y.json: missing or damaged"):
        folder.read_json("y.json")
