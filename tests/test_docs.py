"""README and docs are true: commands run as written, links lead somewhere, the map of packages is the tree."""

import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from nmt_cli.commands.doctor import EXTRAS
from nmt_cli.recipe.docs import recipe_reference
from nmt_cli.recipe.loader import SECTIONS, build_recipe, load_recipe
from nmt_cli.recipe.paths import shipped_recipes
from nmt_cli.runs.resuming import CHANGEABLE_ON_RESUME
from nmt_cli.yaml12 import read_yaml
from tools.readme_picture import picture

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
INSTALLATION = re.compile(r"pip install |python3 -m venv ")  # this test needs it done
SMALL_RUN = ["training.updates=8", "training.warmup_updates=2", "training.samples=0", "search.beam=2",
       "search.max_length=12", "search.repair_degenerate=false"]  # fmt: skip
EXTRA_OPTIONS = {"nmt train quickstart": " --quiet" + "".join(f" --set {setting}" for setting in SMALL_RUN)}


def readme_commands() -> list[str]:
    blocks = re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("$ ")]
    return [line[2:].split("  #")[0].strip() for line in lines]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A PATH on which `nmt` is this checkout's, without any extra, as quickstart installs it."""
    folder = tmp_path_factory.mktemp("bin")
    nmt, extras = folder / "nmt", sorted({extra for names in EXTRAS.values() for extra in names})
    program = f"import sys\nsys.modules.update(dict.fromkeys({extras}))\nfrom nmt_cli.cli.entry import main\nmain()"
    nmt.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{program}" "$@"\n')
    nmt.chmod(0o755)
    search_path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": search_path, "PYTHONPATH": str(ROOT)}


@pytest.fixture(scope="module")
def readme_run(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> tuple[Path, dict[str, str]]:
    """A folder where all commands of the README were run, and the standard error of those that failed."""
    folder, failed = tmp_path_factory.mktemp("readme"), {}
    for command in readme_commands():
        if INSTALLATION.match(command):
            continue
        script = "set -o pipefail; " + command + EXTRA_OPTIONS.get(command, "")
        done = subprocess.run(["bash", "-c", script], cwd=folder, env=environment, capture_output=True, check=False)
        if done.returncode != 0:
            failed[command] = done.stderr.decode()
    return folder, failed


@pytest.mark.slow
@pytest.mark.precision
def test_every_readme_command_runs_as_written(readme_run: tuple[Path, dict[str, str]]) -> None:
    commands = readme_commands()
    assert "nmt train quickstart" in commands and len(commands) >= 4
    assert readme_run[1] == {}


@pytest.mark.precision
@pytest.mark.slow
def test_the_recipe_of_the_readme_is_one_for_two_files_of_ones_own(tmp_path: Path, environment: dict[str, str]) -> None:
    (recipe,) = re.findall(r"```yaml\n(name: mine.*?)```", README, re.DOTALL)
    (tmp_path / "mine.yaml").write_text(recipe)
    for name in ("english", "german"):
        lines = [f"{name} {n} {n + 1}.\n" for n in range(3000)]
        (tmp_path / f"{name}.txt").write_text("".join(lines))
    done = subprocess.run(["nmt", "check", "mine.yaml"], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "error" not in done.stdout


@pytest.mark.slow
@pytest.mark.precision
def test_the_sample_of_nmt_check_is_what_it_prints(tmp_path: Path, environment: dict[str, str]) -> None:
    page = (ROOT / "docs/training.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```console\n\$ (nmt check .*?)```", page, re.DOTALL)
    command, *shown = block.splitlines()
    done = subprocess.run(command.split(), cwd=tmp_path, env=environment, capture_output=True, text=True)
    printed = done.stdout.splitlines()
    assert done.returncode == 2
    assert [line for line in shown if line not in printed] == ["..."]
    assert len(shown) > 8


@pytest.mark.slow
@pytest.mark.precision
def test_the_example_script_translates_three_sentences_and_shows_their_attention(
    readme_run: tuple[Path, dict[str, str]], environment: dict[str, str]
) -> None:
    script = ["sh", str(ROOT / "examples/three_sentences.sh"), "nmt", "runs/quickstart"]
    done = subprocess.run(script, cwd=readme_run[0], env=environment, capture_output=True, check=True)
    *translations, empty, heading, picture = done.stdout.decode().splitlines()[:6]
    assert len(translations) == 3 and empty == "" and heading.startswith("Where each word of the")
    assert picture.startswith("line 1 · layer ")
    page = readme_run[0] / "runs/quickstart/attention.html"
    assert done.stdout.decode().endswith(": runs/quickstart/attention.html\n")
    assert page.read_text().count('"name":"line ') == 3


def test_the_corpus_of_several_languages_is_one() -> None:
    page = (ROOT / "docs/training.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"(    corpus:\n(?:      .*\n)+)", page)
    recipe = build_recipe({"name": "many", **read_yaml(textwrap.dedent(block))[0]})
    assert recipe.corpus.tags == ("<2de>", "<2fr>") and recipe.corpus.warnings() == []
    assert len(recipe.corpus.texts()) == 6


def test_the_settings_of_the_page_about_migrating_are_recipes_and_searches() -> None:
    page = (ROOT / "docs/migrating.md").read_text(encoding="utf-8")
    (corpus,) = re.findall(r"`corpus: {(.*?)}`", page)
    recipe = build_recipe({"name": "all", **read_yaml(f"corpus: {{source: en, target: de, {corpus}}}")[0]})
    assert recipe.corpus.filters is None and recipe.corpus.max_length is None
    settings = re.findall(r"--set (search\.[^ `]+)", page)
    assert len(settings) == 4 and load_recipe("quickstart", settings).warnings("search") == []
    keys = re.findall(r"`((?:training|model|search)\.\w+): (\w+)`", page)
    assert len(keys) >= 7 and all(load_recipe("quickstart", [f"{key}={value}"]) for key, value in keys)


def test_the_map_of_packages_is_the_tree() -> None:
    design = (ROOT / "docs/design.md").read_text(encoding="utf-8")
    cells = re.findall(r"^\| (`nmt_cli/.*?) \|", design, re.MULTILINE)
    mapped = [name.removeprefix("nmt_cli/") for cell in cells for name in re.findall(r"`(.*?)`", cell)]
    packages = [
        path.name + ("/" if path.is_dir() else "")
        for path in (ROOT / "nmt_cli").iterdir()
        if path.name != "py.typed" and not path.name.startswith("__")
    ]
    assert sorted(mapped) == sorted(packages)


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_every_link_to_a_file_leads_to_one(page: Path) -> None:
    links = re.findall(r"(?<!!)\[[^]]*\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    assert [link for link in links if ":" not in link and not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_every_file_that_a_page_names_exists(page: Path) -> None:
    if page.name in ("CHANGELOG.md", "add-a-model.md"):  # history, and files that its reader writes
        return
    text = page.read_text(encoding="utf-8")
    named = set(re.findall(r"[\w.]+/[\w/]+\.py\b", text))
    folders = (ROOT, ROOT / "nmt_cli")
    assert sorted(name for name in named if not any((folder / name).exists() for folder in folders)) == []


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_every_recipe_key_that_a_page_names_exists(page: Path) -> None:
    if page.name == "CHANGELOG.md":
        return
    named = re.findall(rf"(?:`|--set )(({'|'.join(SECTIONS)})\.(\w+))", page.read_text(encoding="utf-8"))
    files = {"tokenizer.json", "tokenizer.source", "tokenizer.target", "tokenizer.vocabulary", "model.onnx"}
    files |= {"model.safetensors"}
    keys = recipe_keys()
    assert sorted(name for name, section, key in named if key not in keys[section] and name not in files) == []


def recipe_keys() -> dict[str, set[str]]:
    """The keys of each section, those of all models in `model`."""
    keys = {section: {"type"} if section == "model" else set() for section in SECTIONS}
    for table in recipe_reference().split("\n## ")[1:]:
        title = table.partition("\n")[0].split(",")[0]
        if title in keys:
            keys[title] |= set(re.findall(r"^\| (\w+) \|", table, re.MULTILINE)) - {"key"}
    return keys


def test_keys_are_known_by_their_section() -> None:
    keys = recipe_keys()
    assert "weight" not in keys["corpus"] and "beam" in keys["search"] and "beam" not in keys["training"]
    assert {"heads", "cell", "type"} <= keys["model"] and all(keys.values())


def test_the_picture_of_a_terminal_shows_the_session_and_refers_to_no_other_host() -> None:
    svg = picture([("nmt translate run", "\x1b[1mGuten Tag.\x1b[0m")])
    assert "Guten" in svg and "@font-face" not in svg


def test_the_reference_of_recipe_keys_is_current() -> None:
    written = (ROOT / "docs/recipes.md").read_text(encoding="utf-8")
    assert written == recipe_reference(), "nmt recipes keys > docs/recipes.md"


@pytest.mark.parametrize("name", list(shipped_recipes()))
def test_every_shipped_recipe_loads_and_begins_with_a_line_about_itself(name: str) -> None:
    assert load_recipe(name).name == name
    assert shipped_recipes()[name].read_text().startswith("# ")


def test_paired_recipes_differ_in_model_and_learning_rate_only() -> None:
    paired = [name for name in shipped_recipes() if name.startswith("multi30k-en-de-")]
    assert len(paired) >= 9
    own = re.compile(r"^(#|name:|model:|  learning_rate:)")
    texts = {name: [x for x in shipped_recipes()[name].read_text().splitlines() if not own.match(x)] for name in paired}
    # The model with the cheapest update trains half as many again, so that all take about as many minutes.
    cheapest = texts.pop("multi30k-en-de-transformer")
    assert "  updates: 4500" in cheapest
    shared = [line.replace("updates: 4500", "updates: 3000") for line in cheapest]
    for name, lines in texts.items():
        assert lines == shared, name


def test_every_system_of_the_line_has_a_recipe() -> None:
    models = [load_recipe(name).model for name in shipped_recipes() if "multi30k" in name]
    assert {model.type for model in models} == {"rnn", "transformer", "decoder_only", "ctc"}
    attentions = {getattr(model, "attention", None) for model in models} - {None}
    assert attentions == {"none", "additive", "dot", "general", "concat", "cosine"}


def test_the_keys_that_may_change_on_resume_are_those_of_the_docs() -> None:
    page = (ROOT / "docs/training.md").read_text(encoding="utf-8")
    (sentence,) = re.findall(r"^What may change on `--resume`: (.*?);", page, re.DOTALL | re.MULTILINE)
    assert tuple(re.findall("`(.*?)`", sentence)) == CHANGEABLE_ON_RESUME


@pytest.mark.slow
@pytest.mark.precision
def test_the_commands_that_rerank_an_n_best_list_choose_by_the_other_model(
    tiny_run: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    page = (ROOT / "docs/translating.md").read_text(encoding="utf-8")
    (script,) = re.findall(r"```sh\n(nmt translate RUN --n-best .*?)```", page, re.DOTALL)
    (tmp_path / "text").write_text("a book\n\nThe old man. Two dogs.\n5 ||| 6\nDer alte Mann\n")
    for name in ("RUN", "OTHER"):
        (tmp_path / name).symlink_to(tiny_run)

    def run(command: str) -> str:
        shell = ["bash", "-e", "-o", "pipefail", "-c", command]
        return subprocess.run(shell, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True).stdout

    run(script.replace("--n-best 5", "--n-best 2"))  # the run's beam
    lines = [json.loads(line) for line in run("nmt translate RUN --n-best 2 --jsonl < text").splitlines()]
    best = [max(line.get("candidates", [line]), key=lambda each: each["log_probability"] or 0) for line in lines]
    expected = [candidate.get("text", candidate.get("translation")) for candidate in best]
    assert (tmp_path / "translations").read_text() == "".join(f"{text}\n" for text in expected)
    assert any(text != line["translation"] for text, line in zip(expected, lines, strict=True))
