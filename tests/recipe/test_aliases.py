"""Old names of recipe keys work, say the new name, and leave hashes and fingerprints as they were."""

import json
from pathlib import Path
from typing import Any

import pytest

from nmt_cli.config import ADDED_KEYS, RENAMED_KEYS, original_form
from nmt_cli.errors import RecipeError
from nmt_cli.recipe.loader import Recipe, build_recipe, load_recipe
from nmt_cli.reporting import Reporter
from tests.conftest import Call

KEYS = [(section, old, new) for section, names in RENAMED_KEYS.items() for old, new in names.items()]
VALUES: dict[str, Any] = {"warmup": 7, "average_decay": 0.5, "sampling": 0.25, "guard": False}
MINIMAL = "corpus: {source: en, target: de}\n"


def write(folder: Path, section: str, *settings: str) -> Path:
    path = folder / "mine.yaml"
    corpus = ", ".join(("source: en", "target: de", *(settings if section == "corpus" else ())))
    text = f"corpus: {{{corpus}}}\n"
    path.write_text(text if section == "corpus" else f"{text}{section}: {{{', '.join(settings)}}}\n")
    return path


@pytest.mark.parametrize(("section", "old", "new"), KEYS)
def test_an_old_name_works_and_says_the_new_one(
    tmp_path: Path, section: str, old: str, new: str, capsys: pytest.CaptureFixture[str]
) -> None:
    value = VALUES.get(old, 3)
    path = write(tmp_path, section, f"{old}: {json.dumps(value)}")
    recipe = load_recipe(path, reporter=Reporter())
    assert getattr(getattr(recipe, section), new) == value
    line = 1 if section == "corpus" else 2
    assert capsys.readouterr().err == f"warning: {path}:{line}: {section}.{old} is now {section}.{new}\n"
    by_new_name = load_recipe(write(tmp_path, section, f"{new}: {json.dumps(value)}"), reporter=Reporter())
    assert by_new_name.to_dict() == recipe.to_dict() and not capsys.readouterr().err
    plain = write(tmp_path, "training", "seed: 1")
    for override in (f"{section}.{old}={json.dumps(value)}", f"{section}.{new}={json.dumps(value)}"):
        assert load_recipe(plain, [override]).to_dict() == recipe.to_dict()


@pytest.mark.parametrize(("section", "old", "new"), KEYS)
def test_both_names_at_once_are_an_error(tmp_path: Path, section: str, old: str, new: str) -> None:
    value = json.dumps(VALUES.get(old, 3))
    message = f"{section}.{old}: is now {section}.{new}, which is given, too: use only that"
    path = write(tmp_path, section, f"{old}: {value}", f"{new}: {value}")
    with pytest.raises(RecipeError) as in_file:
        load_recipe(path)
    assert in_file.value.errors == [f"{path}:{1 if section == 'corpus' else 2}: {message}"]
    with pytest.raises(RecipeError) as in_overrides:
        load_recipe(write(tmp_path, "training"), [f"{section}.{old}={value}", f"{section}.{new}={value}"])
    assert in_overrides.value.errors == [f"--set {message}"]


def test_an_override_by_either_name_wins_over_the_file_by_either_name(tmp_path: Path) -> None:
    for in_file in ("warmup", "warmup_updates"):
        path = write(tmp_path, "training", f"{in_file}: 3")
        for override in ("training.warmup=4", "training.warmup_updates=4", "training={warmup: 4}"):
            assert load_recipe(path, [override]).training.warmup_updates == 4


def test_errors_name_the_new_key_and_the_line_of_the_old_one(tmp_path: Path) -> None:
    path = write(tmp_path, "training", "warmup: -1")
    with pytest.raises(RecipeError, match=r"mine.yaml:2: training.warmup_updates: should be "):
        load_recipe(path)
    with pytest.raises(RecipeError, match=r"^--set training.warmup_updates: should be "):
        load_recipe(write(tmp_path, "training"), ["training.warmup=-1"])


def test_set_says_the_new_name(tmp_path: Path, nmt: Call) -> None:
    code, _, err = nmt("check", write(tmp_path, "training"), "--set", "training.warmup=4")
    assert code == 2  # there is no text
    assert "warning: --set training.warmup is now training.warmup_updates\n" in err


def test_old_names_are_free_and_new_names_exist() -> None:
    recipe = build_recipe({"name": "x", "corpus": {"source": "en", "target": "de"}}).to_dict()
    for section, old, new in KEYS:
        assert old not in recipe[section] and new in recipe[section]


def test_added_keys_at_their_neutral_value_leave_the_hash_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def recipe_hash(**search: Any) -> str:
        corpus = {"source": "en", "target": "de"}
        recipe: Recipe = build_recipe({"name": "x", "corpus": corpus, "search": search})
        return recipe.hash()

    before = recipe_hash()
    monkeypatch.setitem(ADDED_KEYS, "search", {**ADDED_KEYS["search"], "max_length": 7})
    assert original_form("search", {"max_length": 7, "repair_degenerate": True}) == {"guard": True}
    assert original_form("search", {"split": "sentences", "max_length": 9}) == {"split": True, "max_length": 9}
    assert recipe_hash(split=True) == before != recipe_hash(split=False)
