"""training.init_from: fine-tuning, which starts from the weights and tokenizers of another run."""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nmt_cli.config import Section
from nmt_cli.data.apostrophes import add_counts
from nmt_cli.data.config import CorpusConfig
from nmt_cli.data.known_words import WordSet, unknown_share
from nmt_cli.data.language_codes import base_code
from nmt_cli.data.language_tags import split_tag
from nmt_cli.data.prepared.store import PreparedData
from nmt_cli.data.text_profile import TextProfile, UnknownShares, rarely_exceeded, union_of_characters
from nmt_cli.data.tokenization.tokenizer_pair import Tokenizers
from nmt_cli.errors import RecipeError, RunError
from nmt_cli.recipe.loader import Recipe, load_run_recipe
from nmt_cli.runs.folder import RunFolder

# Keys that a recipe may change: all others determine the shapes of weights or the meaning of subwords.
OVERRIDABLE_KEYS = {
    "tokenizer": ("subword_samples", "subword_sampling"),
    "model": ("dropout", "attention_dropout", "activation_dropout"),
}

INHERITED_CORPUS_KEYS = ("normalization", "placeholders")  # how the base run has learned to read text


@dataclass(frozen=True)
class BaseRun:
    """The run that another one starts from."""

    folder: RunFolder
    recipe: Recipe
    tokenizers: Tokenizers


def find_base_folder(recipe: Recipe, started_run: Path | None = None) -> RunFolder | None:
    """The run folder that training.init_from names; None if the recipe names none.

    Relative paths are looked for beside the recipe, then in the current folder. A `started_run` stands in for it: a
    run can be resumed after its base run is gone. RunError if there is no such run.
    """
    if recipe.training.init_from is None:
        return None
    folder = RunFolder(started_run or _resolve_run_path(recipe, recipe.training.init_from))
    if not folder.recipe_path.is_file():
        raise RunError(
            f"training.init_from: {recipe.training.init_from}: no run folder here; "
            "nmt train makes one, nmt import makes one from a MarianMT folder"
        )
    return folder


def find_base_run(recipe: Recipe, started_run: Path | None = None) -> BaseRun | None:
    """The run of `find_base_folder`, opened; RunError if it has no checkpoint to start from."""
    folder = find_base_folder(recipe, started_run)
    if folder is None:
        return None
    if started_run is None:
        try:
            folder.checkpoints.best()
        except RunError as error:
            raise RunError(f"training.init_from: {error}") from error
    return BaseRun(folder, load_run_recipe(folder.recipe_path), Tokenizers.load(folder.path))


def find_base_or_started_run(recipe: Recipe, out: Path) -> BaseRun | None:
    """The run that training.init_from names or, if it is gone, the one that was started from it in `out`.

    RunError if there is neither.
    """
    try:
        return find_base_run(recipe)
    except RunError:
        if not RunFolder(out).recipe_path.is_file():
            raise
        return find_base_run(recipe, out)


def inherit_sections(recipe: Recipe, base_run: BaseRun) -> Recipe:
    """The recipe with the tokenizer and model sections of the base run, and of its corpus section what the recipe does
    not state of INHERITED_CORPUS_KEYS.

    RecipeError names each key that the recipe sets to another value, except OVERRIDABLE_KEYS, which
    keep the recipe's value, or says that the base run knows no placeholders.
    """
    sections: dict[str, Any] = {}
    conflicts: list[str] = []
    for name, overridable in OVERRIDABLE_KEYS.items():
        own_section, base_section = getattr(recipe, name), getattr(base_run.recipe, name)
        conflicts += [f"{name}.{difference}" for difference in _differences(own_section, base_section, overridable)]
        explicit_values = {key: getattr(own_section, key) for key in overridable if key in own_section.model_fields_set}
        sections[name] = base_section.model_copy(update=explicit_values)
    if conflicts:
        raise RecipeError(
            [
                f"training.init_from: {base_run.folder.path} was trained with other settings: "
                + ", ".join(conflicts)
                + "; remove these keys to use its own"
            ]
        )
    unstated_keys = set(INHERITED_CORPUS_KEYS) - recipe.corpus.model_fields_set
    inherited = replace(recipe, **sections).with_values("training", init_from=_resolve_init_from(recipe, base_run))
    inherited = inherited.with_values("corpus", **{key: getattr(base_run.recipe.corpus, key) for key in unstated_keys})
    if inherited.corpus.placeholders and not base_run.tokenizers.have_placeholders:
        raise RecipeError(["corpus.placeholders: the run of training.init_from has none in its vocabulary; use 0"])
    return inherited


def language_warning(corpus: CorpusConfig, base_run: BaseRun) -> str | None:
    """What to say where a recipe translates between other languages than its base run."""
    base = base_run.recipe.corpus
    languages = [base_code(code) for code in (corpus.source, corpus.target, base.source, base.target)]
    if languages[:2] == languages[2:]:
        return None
    return (
        f"{base_run.folder.path} translates {base.source} to {base.target}, this recipe {corpus.source} to "
        f"{corpus.target}: what that run has learned may help little"
    )


def training_words(data: PreparedData, base_folder: RunFolder | None) -> WordSet | None:
    """The words of all text that a run learns from, including that of its base run.

    None if they are unknown: data may be prepared, and a base run trained or imported, without
    their list.
    """
    words = WordSet.load(data.folder)
    if words is None or base_folder is None:
        return words
    base_words = WordSet.load(base_folder.path)
    return None if base_words is None else base_words.union(words)


def training_profile(corpus: CorpusConfig, data: PreparedData, base_folder: RunFolder | None) -> TextProfile:
    """How the text of a run is treated; it knows what its base run knows, too."""
    profile = TextProfile.load(data.folder, corpus)
    if base_folder is None:
        return profile
    base = TextProfile.load(base_folder.path, corpus)
    known_entities = tuple(sorted({*(profile.entities or ()), *(base.entities or ())}))
    return replace(
        profile,
        unknown=_unknown_shares(profile, data, training_words(data, base_folder)),
        source_characters=union_of_characters([profile, base]),
        placeholder_pairs=profile.placeholder_pairs + base.placeholder_pairs,
        source_words=profile.source_words.union(base.source_words),
        target_words=profile.target_words.union(base.target_words),
        truecaser=profile.truecaser.union(base.truecaser),
        target_truecaser=profile.target_truecaser.union(base.target_truecaser),
        line_starters=tuple(sorted({*profile.line_starters, *base.line_starters})),
        language_tags=tuple(sorted({*profile.language_tags, *base.language_tags})),
        list_marks=tuple(sorted({*profile.list_marks, *base.list_marks})),
        capitals_words=tuple(sorted({*profile.capitals_words, *base.capitals_words})),
        paragraph_ends=tuple(sorted({*profile.paragraph_ends, *base.paragraph_ends})),
        entities=None if None in (profile.entities, base.entities) else known_entities,
        apostrophes=None if profile.apostrophes is None else add_counts(profile.apostrophes, base.apostrophes or {}),
    )


def _unknown_shares(profile: TextProfile, data: PreparedData, words: WordSet | None) -> UnknownShares:
    """Those of the profile, with that of words measured anew on the development text, as more of them are known."""
    split = data.split("dev")
    if words is None or split is None or profile.unknown.words is None:
        return profile.unknown
    normalize = profile.normalizer()
    untagged = (split_tag(normalize(line.strip()), profile.language_tags)[1] for line in split.sources)
    shares = [unknown_share(line, [words]) for line in untagged]
    return profile.unknown._replace(words=rarely_exceeded(shares))


def _differences(own_section: Section, base_section: Section, overridable: tuple[str, ...]) -> list[str]:
    """`key (base -> own)` for each key that the recipe sets to another value and may not."""
    base_values = base_section.model_dump(mode="json")
    explicit_values = own_section.model_dump(mode="json", include=set(own_section.model_fields_set))
    return [
        f"{key} ({base_values.get(key)} -> {value})"
        for key, value in explicit_values.items()
        if base_values.get(key) != value and (key not in overridable or key not in base_values)
    ]


def _resolve_init_from(recipe: Recipe, base_run: BaseRun) -> str:
    """The absolute path of the base run, so that the resolved recipe can be used from any folder.

    If a started run stands in for a base run that is gone or was moved, the path at which that was.
    """
    init_from, started_from = recipe.training.init_from, base_run.recipe.training.init_from
    assert init_from is not None
    run_path = _resolve_run_path(recipe, init_from)
    if started_from and base_run.folder.path != run_path and Path(started_from).name == run_path.name:
        return started_from
    return str(run_path)


def _resolve_run_path(recipe: Recipe, path: str) -> Path:
    """The absolute path of the run, through symbolic links as they are: `latest` may point elsewhere tomorrow."""
    try:
        run_path = Path(path).expanduser()
    except RuntimeError as error:
        raise RunError(f"training.init_from: {path}: there is no such user") from error
    candidates = [folder / run_path for folder in (recipe.folder, Path.cwd()) if folder is not None]
    existing = next((candidate for candidate in candidates if candidate.is_dir()), candidates[-1])
    return Path(os.path.abspath(existing))
