"""training.init_from: a run that begins with the weights and tokenizers of another one."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from nmt_cli.commands.check import check
from nmt_cli.commands.check_text import Finding
from nmt_cli.commands.train import train
from nmt_cli.data.letter_case import Truecaser
from nmt_cli.data.prepared.store import PreparedData
from nmt_cli.data.sentences.abbreviations import LearnedWords
from nmt_cli.data.text_profile import TextProfile
from nmt_cli.distributed.process_group import SINGLE_PROCESS
from nmt_cli.errors import RecipeError, RunError, UserError
from nmt_cli.recipe.loader import Recipe, build_recipe, load_recipe
from nmt_cli.reporting import Reporter
from nmt_cli.runs.folder import RunFolder
from nmt_cli.runs.init_from import find_base_run, inherit_sections, language_warning, training_profile
from nmt_cli.runs.preparation import prepare_recipe
from nmt_cli.runs.setup import set_up_training
from nmt_cli.training.signals import TrainingInterrupted
from nmt_cli.yaml12 import write_yaml
from tests.commands.test_train import final_weights, stop_after
from tests.conftest import (
    SYLLABLES,
    TOY,
    Listener,
    log_records,
    syllable_lines,
    toy_content,
    toy_recipe,
    write_syllables,
)
from tests.training.test_loss_monitor import batch_of, poison

pytestmark = pytest.mark.precision

QUIET = Reporter(quiet=True)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained run."""
    place = tmp_path_factory.mktemp("trained")
    write_syllables(place / "text", TOY)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        train(toy_recipe(place / "text", metric="loss"), place / "base", QUIET)
    return place / "base"


@pytest.fixture
def base(toy: Path, trained: Path) -> Path:
    """Its copy, and a domain corpus whose words differ in frequency and that has new ones."""
    shutil.copytree(trained, toy / "base")
    lines = [f"{line} zz" for line in syllable_lines(60, 9)]
    for side, side_lines in (("ab", lines), ("ba", [f"zz {' '.join(x.split()[:-1])}" for x in lines])):
        (toy / "text" / f"domain.{side}").write_text("".join(f"{line}\n" for line in side_lines))
    return toy / "base"


def tuned(root: Path, run: Path | str = "base", **changes: Any) -> Recipe:
    """A recipe that says what a user must say, and no more."""
    content = {
        "name": "tuned",
        "corpus": toy_content(root / "text")["corpus"] | {
            "train": [{"name": "domain", "weight": 2.0}, {"name": "train", "weight": 0.5}]
        },
        "training": {
            "init_from": str(run), "updates": 8, "tokens_per_batch": 256, "validate_every": 4,
            "learning_rate": 1e-4,
        },
    }  # fmt: skip
    for key, value in changes.items():
        section, name = key.split("__")
        content[section] = {**content.get(section, {}), name: value}
    return build_recipe(content)


def test_a_run_begins_with_the_weights_tokenizer_and_model_of_another(base: Path) -> None:
    root = base.parent
    listener = Listener()
    train(tuned(root), root / "tuned", listener)
    assert f"starting from {base} after 12 updates" in listener.said
    assert (root / "tuned/tokenizer.json").read_text() == (base / "tokenizer.json").read_text()
    resolved = load_recipe(root / "tuned/recipe.yaml")
    old = load_recipe(base / "recipe.yaml")
    assert (resolved.model, resolved.tokenizer) == (old.model, old.tokenizer)
    assert resolved.training.init_from == str(base)
    before, first = log_records(base, "validation")[-1], log_records(root / "tuned", "validation")[0]
    assert first["update"] == 0 and first["loss"] == pytest.approx(before["loss"], abs=1e-9)
    manifest = RunFolder(root / "tuned").read_json("manifest.json")
    assert manifest["init_from"] == {"run": str(base), "checkpoint": 12}


def test_a_run_knows_the_words_of_both_texts_where_both_have_a_list(base: Path) -> None:
    root = base.parent
    (base / "words.source.txt").write_text("ba\nolder\n")
    train(tuned(root), root / "tuned", QUIET)
    word_list = (root / "tuned/words.source.txt").read_text().split()
    assert word_list == sorted([*SYLLABLES, "older", "zz"])
    (base / "words.source.txt").unlink()
    train(tuned(root), root / "other", QUIET)
    assert not list((root / "other").glob("words*"))


def test_words_of_the_base_run_are_no_unknown_words_of_the_development_text(base: Path) -> None:
    root = base.parent
    data = prepare_recipe(tuned(root, corpus__dev="domain", corpus__train="train", corpus__drop_overlap="none"), QUIET)
    limits = []
    for words in ("zz\n", "older\n"):
        (base / "words.source.txt").write_text(words)
        limits.append(training_profile(data.recipe.corpus, data.data, RunFolder(base)).unknown.words)
    assert limits[0] == 0 and limits[1] is not None and limits[1] > 0.1


def test_a_run_knows_the_abbreviations_and_capitals_of_both_texts(base: Path) -> None:
    root = base.parent
    prepared = prepare_recipe(tuned(root), QUIET).data.folder
    LearnedWords(("neu",), ("wir",)).save(prepared / "abbreviations.target.txt")
    LearnedWords(("alt", "neu"), ()).save(base / "abbreviations.target.txt")
    Truecaser({"anna": "Anna", "neu": "neu"}).save(prepared / "truecase.source.txt")
    Truecaser({"neu": "Neu", "alt": "alt"}).save(base / "truecase.source.txt")
    train(tuned(root), root / "tuned", QUIET)
    assert LearnedWords.load(root / "tuned/abbreviations.target.txt") == LearnedWords(("neu", "alt"), ("wir",))
    assert (root / "tuned/truecase.source.txt").read_text() == "Anna\nneu\nalt\n"
    assert (root / "tuned/text.json").read_text() == (prepared / "text.json").read_text()
    LearnedWords(("own",)).save(root / "tuned/abbreviations.target.txt")
    shutil.rmtree(base)
    resumed = set_up_training(
        tuned(root), root / "tuned", QUIET, resume=True, device="cpu", processes=SINGLE_PROCESS
    )  # fmt: skip
    assert resumed.profile.target_words.abbreviations == ("own",)  # a started run treats text as it was started


@pytest.mark.parametrize("attribute", ["capitals_words", "list_marks", "paragraph_ends"])
def test_a_run_knows_what_lines_of_either_text_begin_with_or_have_in_capitals(attribute: str, base: Path) -> None:
    recipe = tuned(base.parent)
    data = prepare_recipe(recipe, QUIET).data
    for folder, learned in ((data.folder, ("STOP", "WARNING")), (base, ("CAUTION", "STOP"))):
        replace(TextProfile.load(folder, recipe.corpus), **{attribute: learned}).save(folder)  # type: ignore[arg-type]
    profile = training_profile(recipe.corpus, data, RunFolder(base))
    assert getattr(profile, attribute) == ("CAUTION", "STOP", "WARNING")


def test_a_run_knows_the_apostrophes_and_entities_of_both_texts(base: Path) -> None:
    recipe = tuned(base.parent)
    data = prepare_recipe(recipe, QUIET).data
    for folder, counts in ((data.folder, {"inside": {"’": 3}}), (base, {"inside": {"'": 2, "’": 1}})):
        entities = tuple(f"&{letter};" for letter in counts["inside"])
        replace(TextProfile.load(folder, recipe.corpus), apostrophes=counts, entities=entities).save(folder)
    profile = training_profile(recipe.corpus, data, RunFolder(base))
    assert profile.apostrophes == {"inside": {"'": 2, "’": 4}, "start": {}, "end": {}}
    assert profile.entities == ("&';", "&’;")
    replace(TextProfile.load(base, recipe.corpus), apostrophes=None, entities=None).save(base)
    profile = training_profile(recipe.corpus, data, RunFolder(base))
    assert (profile.apostrophes, profile.entities) == ({"inside": {"’": 3}, "start": {}, "end": {}}, None)


def test_weights_are_begun_with_in_full_precision(base: Path) -> None:
    root = base.parent
    train(tuned(root, training__precision="bf16", training__learning_rate=1e-30), root / "x", QUIET)
    began, after = RunFolder(base).checkpoints.best().tensors(), final_weights(root / "x")
    assert all(torch.equal(began[name], after[name]) for name in began)


def test_the_best_checkpoint_is_never_worse_than_what_the_run_began_with(
    base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = base.parent
    recipe = tuned(root, training__learning_rate=5.0, training__warmup_updates=0, training__metric="loss")
    train(recipe, root / "tuned", QUIET)
    assert RunFolder(root / "tuned").checkpoints.best().update == 0
    assert "the best checkpoint is the one that training began with" in capsys.readouterr().err


@pytest.mark.slow
def test_a_stopped_fine_tuning_goes_on_without_beginning_anew(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = base.parent
    train(tuned(root), root / "straight", QUIET)
    with monkeypatch.context() as patched:
        stop_after(patched, 3)
        with pytest.raises(TrainingInterrupted):
            train(tuned(root), root / "broken", QUIET)
    shutil.move(base, root / "elsewhere")  # what it began with is not needed any more
    listener = Listener()
    train(tuned(root), root / "broken", listener, resume=True)
    assert not any(text.startswith("beginning") for text in listener.said)
    assert "resuming at update 3 of 8" in listener.said
    expected, resumed = final_weights(root / "straight"), final_weights(root / "broken")
    assert all(torch.equal(expected[name], resumed[name]) for name in expected)
    assert "init_from" in RunFolder(root / "broken").read_json("manifest.json")
    train(load_recipe(root / "broken/recipe.yaml"), root / "broken", QUIET, resume=True)
    resumed = check(root / "broken/recipe.yaml", [], root / "broken", QUIET)
    assert not [finding for finding in resumed if finding.level == "error"]
    resumed = check(root / "broken/recipe.yaml", [], root / "another", QUIET)
    assert "no run folder here" in resumed[0].text


@pytest.mark.slow
def test_a_stopped_fine_tuning_that_diverges_goes_back_to_what_it_began_with(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = base.parent
    recipe = tuned(root, training__metric="loss", training__validate_every=8, training__updates=16)
    bad = batch_of(root, recipe, 6)
    poison(monkeypatch, lambda ids: torch.equal(ids, bad))
    train(recipe, root / "straight", QUIET)
    with monkeypatch.context() as patched:
        stop_after(patched, 3)
        with pytest.raises(TrainingInterrupted):
            train(recipe, root / "broken", QUIET)
    train(recipe, root / "broken", QUIET, resume=True)
    expected, resumed = final_weights(root / "straight"), final_weights(root / "broken")
    assert all(torch.equal(expected[name], resumed[name]) for name in expected)
    (record,) = log_records(root / "broken", "divergence")
    assert (record["found"], record["update"]) == (6, 1)
    assert [validation["update"] for validation in log_records(root / "broken", "validation")] == [0, 8, 16]


@pytest.mark.slow
def test_an_extended_fine_tuning_that_diverges_goes_back_to_where_it_had_ended(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = base.parent

    def recipe(updates: int) -> Recipe:
        return tuned(root, training__metric="loss", training__validate_every=40, training__updates=updates)

    bad = batch_of(root, recipe(8), 12)
    poison(monkeypatch, lambda ids: torch.equal(ids, bad))
    train(recipe(8), root / "tuned", QUIET)
    assert RunFolder(root / "tuned").checkpoints.best().update == 8  # so that the weights it began with are gone
    shutil.copytree(root / "tuned", root / "older")
    state_path = RunFolder(root / "older").checkpoints.step_folders()[-1] / "state.json"
    state = json.loads(state_path.read_text())
    del state["last_validation_update"]  # as an earlier version wrote it
    state_path.write_text(json.dumps(state))
    for name in ("tuned", "older"):
        train(recipe(16), root / name, QUIET, resume=True)
        (record,) = log_records(root / name, "divergence")
        assert (record["found"], record["update"]) == (12, 9)


@pytest.mark.slow
def test_a_begun_fine_tuning_needs_no_origin_that_was_named_by_a_relative_path(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = base.parent
    (root / "recipes").mkdir()
    shutil.copytree(base, root / "recipes/general")
    (root / "recipes/latest").symlink_to("general")
    content = tuned(root).to_dict()
    for name in ("general", "latest"):
        content["training"] |= {"init_from": name}
        for section in ("model", "tokenizer"):
            content[section] = {"type": content[section]["type"]} if section == "model" else {}
        path = root / f"recipes/{name}.yaml"
        path.write_text(write_yaml(content))
        train(load_recipe(path), root / f"runs/{name}", QUIET)
    shutil.rmtree(root / "recipes/general")
    (root / "recipes/latest").unlink()
    for name in ("general", "latest"):
        begun = load_recipe(root / f"recipes/{name}.yaml")
        train(begun, root / f"runs/{name}", QUIET, resume=True)


@pytest.mark.slow
def test_a_run_that_was_stopped_before_its_first_checkpoint_begins_with_the_weights(base: Path) -> None:
    root = base.parent
    train(tuned(root), root / "straight", QUIET)
    for path in (root / "straight/checkpoints").iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    listener = Listener()
    train(tuned(root), root / "straight", listener, resume=True)
    assert f"starting from {base} after 12 updates" in listener.said
    updates = [record["update"] for record in log_records(root / "straight", "validation")]
    assert updates == sorted(set(updates))  # what was said before is not said twice


@pytest.mark.slow
def test_a_run_whose_checkpoints_are_all_damaged_begins_with_the_weights_again(
    base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = base.parent
    train(tuned(root), root / "straight", QUIET)
    shutil.copytree(root / "straight", root / "damaged")
    checkpoints = RunFolder(root / "damaged").checkpoints
    for path in checkpoints.step_folders():
        (path / "model.safetensors").write_bytes(b"x")
    with pytest.raises(RunError, match="has the weights after update"):  # its best ones, which are intact
        train(tuned(root), root / "damaged", QUIET, resume=True)
    (checkpoints.best().folder / "model.safetensors").write_bytes(b"x")
    listener = Listener()
    train(tuned(root), root / "damaged", listener, resume=True)
    assert "damaged checkpoint: model.safetensors" in capsys.readouterr().err
    assert listener.said.index("no intact checkpoint: starting at update 0") < listener.said.index(
        f"starting from {base} after 12 updates"
    )
    expected, repeated = final_weights(root / "straight"), final_weights(root / "damaged")
    assert all(torch.equal(expected[name], repeated[name]) for name in expected)
    for path in [*checkpoints.step_folders(), checkpoints.best().folder]:
        (path / "model.safetensors").write_bytes(b"x")
    shutil.move(base, root / "elsewhere")
    with pytest.raises(RunError, match="no run folder here"):  # rather than from random weights
        train(tuned(root), root / "damaged", QUIET, resume=True)


def test_prepared_data_of_another_tokenizer_are_not_reused(base: Path) -> None:
    root = base.parent
    learned = prepare_recipe(build_recipe(toy_content(root / "text")), QUIET)
    given = tuned(root, corpus__train="train")
    first = prepare_recipe(given, QUIET)
    assert first.data.fingerprint != learned.data.fingerprint
    assert prepare_recipe(given, QUIET).data.folder == first.data.folder
    text = (base / "tokenizer.json").read_text()
    assert (first.data.folder / "tokenizer.json").read_text() == text
    shutil.copytree(base, root / "other")
    (root / "other/tokenizer.json").write_text(text.replace('" ba"', '" xx"'))
    listener = Listener()
    second = prepare_recipe(tuned(root, "other", corpus__train="train"), listener)
    assert second.data.fingerprint != first.data.fingerprint
    assert any("the tokenizer of training.init_from" in said for said in listener.said)


def test_weights_of_parts_decide_how_often_a_pair_is_seen(base: Path) -> None:
    data: PreparedData = prepare_recipe(tuned(base.parent), QUIET).data
    assert [(part.label, part.weight) for part in data.pair_ranges] == [
        ("domain.ab", 2.0), ("train.ab", 0.5)
    ]  # fmt: skip


@pytest.mark.parametrize("key, base_value", [("placeholders", 0.5), ("normalization", {"unicode": "nfkc"})])
def test_how_text_is_read_is_inherited_unless_the_recipe_states_it(base: Path, key: str, base_value: Any) -> None:
    base_recipe = load_recipe(base / "recipe.yaml", [f"corpus.{key}={json.dumps(base_value)}"])
    (base / "recipe.yaml").write_text(base_recipe.to_yaml())
    stated = {"placeholders": 0.0, "normalization": {"unicode": "none"}}[key]
    for recipe, source in (
        (tuned(base.parent), base_recipe),
        (own := tuned(base.parent, **{f"corpus__{key}": stated}), own),
    ):
        base_run = find_base_run(recipe)
        assert base_run is not None
        base_run = replace(base_run, tokenizers=SimpleNamespace(have_placeholders=True))  # type: ignore[arg-type]
        assert getattr(inherit_sections(recipe, base_run).corpus, key) == getattr(source.corpus, key)


@pytest.mark.parametrize(("base_dev", "seed", "is_warned_of"), [("dev", 1, True), (None, 1, False), (None, 2, True)])
@pytest.mark.slow
def test_held_out_pairs_that_the_base_run_was_trained_on_are_warned_of(
    base_dev: str | None, seed: int, is_warned_of: bool, base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = base.parent
    if base_dev is None:
        content = toy_content(root / "text", updates=1)
        content["corpus"]["dev"] = None
        train(build_recipe(content), root / "no_dev", QUIET)
    run = "base" if base_dev else "no_dev"
    prepare_recipe(tuned(root, run, corpus__dev=None, corpus__seed=seed, corpus__train="train"), QUIET)
    warning = (
        f"training.init_from: {root / run} was trained on train.ab, too, and held out other pairs of it or fewer: "
        "scores of the development text will be too good: name a text as corpus.dev"
    )
    assert (warning in capsys.readouterr().err) == is_warned_of


@pytest.mark.parametrize(
    ("base_tags", "base_rule", "is_warned_of"),
    [
        (("<2de>",), "hash of seed and source", True),
        (("<2de>",), "hash of seed and source without its tag", False),
        ((), "hash of seed and source", False),
    ],
)
def test_a_base_run_whose_pairs_were_held_out_by_sources_with_their_tags_held_out_others(
    base_tags: tuple[str, ...], base_rule: str, is_warned_of: bool, base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [line for line in (base.parent / "text/train.ab").read_text().splitlines() for _ in range(2)]
    text = "".join(f"<2{'fr' if index % 2 else 'de'}> {line}\n" for index, line in enumerate(lines))
    (base.parent / "text/domain.ab").write_text(text)
    (base.parent / "text/domain.ba").write_text(text.replace("<2", "").replace(">", ""))
    data = prepare_recipe(tuned(base.parent, corpus__dev=None, corpus__train="domain"), QUIET).data
    assert data.manifest["held_out_by"] == "hash of seed and source without its tag"
    profile = json.loads((base / "text.json").read_text())
    (base / "text.json").write_text(json.dumps(profile | {"language_tags": base_tags}))
    counts = {key: data.manifest[key] for key in ("inputs", "train", "splits")}
    manifest = json.loads((base / "manifest.json").read_text()) | counts
    (base / "manifest.json").write_text(json.dumps(manifest | {"held_out_by": base_rule}))
    capsys.readouterr()
    prepare_recipe(tuned(base.parent, corpus__dev=None, corpus__train="domain"), QUIET)
    assert ("was trained on domain.ab, too" in capsys.readouterr().err) == is_warned_of


def test_a_base_run_with_a_damaged_best_checkpoint_is_warned_of(base: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (RunFolder(base).checkpoints.best().folder / "model.safetensors").write_bytes(b"x")
    train(tuned(base.parent, training__updates=1), base.parent / "tuned", QUIET)
    assert "warning: training.init_from: " in (said := capsys.readouterr().err) and "using step-000012 instead" in said


def test_dropout_and_sampling_may_be_set_anew(base: Path) -> None:
    recipe = tuned(base.parent, model__dropout=0.3)
    prepared = prepare_recipe(recipe, QUIET)
    assert prepared.recipe.model.dropout == 0.3  # type: ignore[attr-defined]
    assert prepared.recipe.model.d_model == 32  # type: ignore[attr-defined]


def test_all_that_does_not_agree_is_said_in_one_line(base: Path) -> None:
    recipe = tuned(base.parent, model__d_model=64, tokenizer__vocab_size=70, model__norm="rms")
    with pytest.raises(RecipeError) as caught:
        train(recipe, base.parent / "tuned", QUIET)
    assert str(caught.value) == (
        f"training.init_from: {base} was trained with other settings: tokenizer.vocab_size (60 -> 70), "
        "model.d_model (32 -> 64), model.norm (layer -> rms); remove these keys to use its own"
    )
    assert not (base.parent / "tuned").exists()


def test_another_kind_of_model_is_said(base: Path) -> None:
    with pytest.raises(RecipeError, match=r"model\.type \(transformer -> rnn\)"):
        prepare_recipe(tuned(base.parent, model__type="rnn"), QUIET)


def test_a_base_run_of_other_languages_is_warned_of(base: Path) -> None:
    recipe = tuned(base.parent)
    base_run = find_base_run(recipe)
    assert base_run is not None and language_warning(recipe.corpus, base_run) is None
    source, target = recipe.corpus.source, recipe.corpus.target
    variant = recipe.corpus.model_copy(update={"source": f"{source.upper()}_GB"})
    assert language_warning(variant, base_run) is None
    turned = recipe.corpus.model_copy(update={"source": target, "target": source})
    warning = language_warning(turned, base_run)
    assert warning is not None and f"{source} to {target}, this recipe {target} to {source}" in warning


def test_a_run_that_is_not_there_is_said_in_one_line(toy: Path) -> None:
    with pytest.raises(RunError) as caught:
        train(tuned(toy, "nowhere"), toy / "tuned", QUIET)
    assert str(caught.value) == (
        "training.init_from: nowhere: no run folder here; nmt train makes one, "
        "nmt import makes one from a MarianMT folder"
    )


def test_a_fine_tuning_is_resumed_after_the_folder_of_both_runs_was_moved(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, moved = base.parent, base.parent.parent / "moved"
    train(tuned(root, training__updates=1), root / "tuned", QUIET)
    monkeypatch.chdir(base.parent.parent)
    shutil.copytree(root, moved)
    monkeypatch.chdir(moved)
    run = set_up_training(
        tuned(moved, training__updates=2), Path("tuned"), QUIET, resume=True, device="cpu", processes=SINGLE_PROCESS
    )  # fmt: skip
    assert run.recipe.training.init_from == str(base)
    shutil.copytree("base", "other")
    with pytest.raises(RunError, match=r"training\.init_from"):
        train(tuned(moved, "other"), Path("tuned"), QUIET, resume=True)


@pytest.mark.parametrize(
    "setting, message",
    [
        ("training.init_from=~nosuch/x", "training.init_from: ~nosuch/x: there is no such user"),
        ("training.init_from=empty", "training.init_from: {root}/empty: no checkpoint yet"),
        ("corpus.placeholders=0.1", "corpus.placeholders: the run of training.init_from has none in its vocabulary"),
    ],
)
def test_what_cannot_be_begun_with_is_refused_before_anything_is_written(
    setting: str, message: str, base: Path
) -> None:
    root = base.parent
    shutil.copytree(base, root / "empty")
    shutil.rmtree(root / "empty/checkpoints")
    lines = {key: tuned(root).to_dict()[key] for key in ("corpus", "training")}
    del lines["corpus"]["placeholders"]
    (root / "tune.yaml").write_text(write_yaml(lines))
    message = message.format(root=root)
    before = sorted(root.rglob("*"))
    (finding,) = check(root / "tune.yaml", [setting], root / "tuned", QUIET)
    assert finding.level == "error" and finding.text.startswith(message)
    with pytest.raises(UserError) as caught:
        train(load_recipe(root / "tune.yaml", [setting]), root / "tuned", QUIET)
    assert str(caught.value).startswith(message)
    assert sorted(root.rglob("*")) == before


def test_a_run_of_another_shape_is_found_before_training(base: Path) -> None:
    tensors = RunFolder(base).checkpoints.best().tensors()
    name = next(iter(tensors))
    tensors[name] = tensors[name][:-1].clone()
    RunFolder(base).checkpoints.save_best(12, tensors, {})
    with pytest.raises(RunError, match="the weights do not fit the recipe or tokenizer"):
        train(tuned(base.parent), base.parent / "tuned", QUIET)


def test_init_from_is_looked_for_beside_the_recipe(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = tuned(base.parent).to_dict()
    lines = {key: content[key] for key in ("corpus",)} | {"training": {"init_from": "base"}}
    (base.parent / "tune.yaml").write_text(write_yaml(lines))
    (base.parent / "below").mkdir()
    monkeypatch.chdir(base.parent / "below")
    prepared = prepare_recipe(load_recipe(base.parent / "tune.yaml"), QUIET)
    assert prepared.recipe.training.init_from == str(base)


def test_checking_knows_the_run_that_a_recipe_begins_with(base: Path) -> None:
    content = tuned(base.parent).to_dict()
    lines = {key: content[key] for key in ("corpus", "training")}
    lines["training"]["init_from"] = "base"
    path = base.parent / "tune.yaml"
    path.write_text(write_yaml(lines))

    def check_settings(*settings: str) -> list[Finding]:
        return check(path, list(settings), base.parent / "new", QUIET)

    size = sum(tensor.numel() for tensor in RunFolder(base).checkpoints.best().tensors().values())
    reported = check_settings()
    assert not [finding for finding in reported if finding.level == "error" or finding.about.startswith("tokenizer")]
    assert any(finding.text.startswith(f"{size:,} parameters") for finding in reported)
    (odd,) = check_settings("model.type=rnn")
    assert odd.level == "error" and "model.type (transformer -> rnn)" in odd.text
    (gone,) = check_settings("training.init_from=nowhere")
    assert gone.level == "error" and "nowhere: no run folder here" in gone.text
