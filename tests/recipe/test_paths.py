"""Shipped recipes: found by name, described by their first line, copied without overwriting."""

from pathlib import Path

import pytest

from nmt_cli.errors import RecipeError, RunError, UserError
from nmt_cli.recipe.loader import load_recipe
from nmt_cli.recipe.paths import (
    copy_recipe,
    find_recipe,
    first_comment,
    run_recipe_path,
    shipped_recipes,
    shipped_recipes_folder,
)


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
    ("quickstrat", "did you mean quickstart?"),
    ("trf", "did you mean trf.yaml?"),  # a file beside it, or a shipped recipe
    ("tfr.yaml", "did you mean trf.yaml?"),
    ("sub/fast.yaml", "did you mean sub/fest.yml?"),
    ("zzz", "nmt recipes lists the shipped ones"),
    ("no/such.yaml", "nmt recipes lists the shipped ones"),
]


@pytest.mark.parametrize("name, hint", MISSING)
def test_a_recipe_that_is_not_there_is_named_with_the_nearest_one_and_the_folder(
    name: str, hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("sub").mkdir()
    Path("trf.yaml").write_text("")
    Path("sub/fest.yml").write_text("")
    with pytest.raises(RecipeError) as caught:
        find_recipe(name)
    assert str(caught.value) == f"{name}: no such recipe, neither a file in {Path.cwd()} nor a shipped one; {hint}"
    with pytest.raises(RecipeError) as caught:
        find_recipe(Path("/zzz.yaml"))
    assert str(caught.value) == (
        "/zzz.yaml: no such recipe, neither a file nor a shipped one; nmt recipes lists the shipped ones"
    )


@pytest.mark.parametrize(
    "run, hint",
    [
        ("runs/transfomer", "did you mean runs/transformer?"),
        ("transformer", "did you mean runs/transformer?"),
        ("other/rnn-3.1", "did you mean other/rnn-3?"),
        ("runs/notes", "nmt train RECIPE makes one"),  # a folder that is no run
    ],
)
def test_a_run_that_is_not_there_is_named_with_the_nearest_one_and_the_folder(
    run: str, hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for recipe in ("runs/transformer/recipe.yaml", "other/rnn-3/recipe.yaml"):
        Path(recipe).parent.mkdir(parents=True)
        Path(recipe).write_text("")
    Path("runs/note").mkdir()
    with pytest.raises(RunError) as caught:
        run_recipe_path(Path(run))
    assert str(caught.value) == f"{run}: no such run folder in {Path.cwd()}; {hint}"
    with pytest.raises(RunError) as caught:
        run_recipe_path(tmp_path / "nowhere")
    assert str(caught.value) == f"{tmp_path / 'nowhere'}: no such run folder; nmt train RECIPE makes one"


def test_what_was_looked_for_in_a_folder_that_was_deleted_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(RunError) as caught:
        run_recipe_path(Path("nowhere"))
    assert str(caught.value) == "nowhere: no such run folder; nmt train RECIPE makes one"


def test_a_folder_is_no_recipe(tmp_path: Path) -> None:
    for folder in (tmp_path, ""):  # the empty path is "."
        with pytest.raises(RecipeError, match=f"^{folder}: this is a folder; a recipe is a YAML file$"):
            find_recipe(folder)


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
