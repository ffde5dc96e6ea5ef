"""Shipped recipes: found by name, described by their first line, copied without overwriting."""

from pathlib import Path

import pytest

from nmt_cli.errors import RecipeError, UserError
from nmt_cli.recipe.loader import load_recipe
from nmt_cli.recipe.paths import copy_recipe, find_recipe, first_comment, shipped_recipes, shipped_recipes_folder


def test_the_recipes_of_the_readme_ship() -> None:
    names = {"quickstart", "multi30k-en-de-rnn", "multi30k-en-de-transformer"}
    assert names <= set(shipped_recipes())
    assert shipped_recipes()["quickstart"].parent == shipped_recipes_folder()


@pytest.mark.parametrize("name", list(shipped_recipes()))
def test_every_shipped_recipe_says_what_it_is_in_one_line(name: str) -> None:
    text = first_comment(shipped_recipes()[name])
    assert 20 < len(text) < 120 and "#" not in text


def test_a_recipe_without_a_comment_has_no_description(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("name: x\n")
    assert first_comment(tmp_path / "x.yaml") == ""


def test_a_file_is_found_before_a_shipped_recipe_and_a_folder_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_recipe("quickstart") == shipped_recipes()["quickstart"]
    Path("quickstart").mkdir()
    assert find_recipe("quickstart") == shipped_recipes()["quickstart"]
    Path("quickstart").rmdir()
    Path("quickstart").write_text("")
    assert find_recipe("quickstart") == Path("quickstart")


MISSING = [
    ("quickstrat", ": no such recipe, neither a file nor a shipped one; did you mean quickstart?"),
    ("zzz", f": no such recipe, neither a file nor a shipped one; choose from {', '.join(shipped_recipes())}"),
    ("no/such.yaml", f": no such recipe, neither a file nor a shipped one; choose from {', '.join(shipped_recipes())}"),
    ("", ": this is a folder; a recipe is a YAML file"),  # the empty path is "."
]


@pytest.mark.parametrize("name, message", MISSING)
def test_a_recipe_that_is_not_there_is_named_with_the_nearest_one(name: str, message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        find_recipe(name)
    assert str(caught.value) == name + message


def test_a_folder_is_no_recipe(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="this is a folder; a recipe is a YAML file"):
        find_recipe(tmp_path)


def test_a_recipe_is_copied_into_a_folder_or_to_a_name(tmp_path: Path) -> None:
    source = shipped_recipes()["quickstart"]
    copy = copy_recipe(source, tmp_path)
    assert copy == tmp_path / "quickstart.yaml" and copy.read_bytes() == source.read_bytes()


@pytest.mark.parametrize("name", list(shipped_recipes()))
def test_a_copy_of_another_name_is_the_same_recipe_under_that_name(name: str, tmp_path: Path) -> None:
    copy = load_recipe(copy_recipe(shipped_recipes()[name], tmp_path / "mine.yaml"))
    assert copy.name == "mine"
    assert copy.to_dict() == load_recipe(name).to_dict() | {"name": "mine"}


def test_copying_never_overwrites(tmp_path: Path) -> None:
    source = shipped_recipes()["quickstart"]
    (tmp_path / "quickstart.yaml").write_text("mine")
    for target in (tmp_path, tmp_path / "quickstart.yaml"):
        with pytest.raises(UserError, match=r"quickstart.yaml exists: choose another name"):
            copy_recipe(source, target)
    assert (tmp_path / "quickstart.yaml").read_text() == "mine"


def test_a_slash_means_a_folder_which_must_be_there(tmp_path: Path) -> None:
    source = shipped_recipes()["quickstart"]
    with pytest.raises(UserError, match="recipes/: no such folder: make it first"):
        copy_recipe(source, f"{tmp_path}/recipes/")
    (tmp_path / "recipes").mkdir()
    assert copy_recipe(source, f"{tmp_path}/recipes/") == tmp_path / "recipes/quickstart.yaml"


def test_copying_into_a_folder_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"mine.yaml: cannot write: No such file or directory"):
        copy_recipe(shipped_recipes()["quickstart"], tmp_path / "no" / "mine.yaml")
