"""Opening run folders for translation, with our own engine or another. Imports no torch for CTranslate2."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial, reduce
from pathlib import Path
from typing import Any

from nmt_cli.allocator import keep_freed_memory
from nmt_cli.data.known_words import WordSet
from nmt_cli.data.text_profile import TextProfile, union_of_characters
from nmt_cli.data.tokenization.tokenizer_pair import Tokenizers
from nmt_cli.decoding.config import SearchConfig
from nmt_cli.decoding.engine import Engine
from nmt_cli.errors import RunError, UserError
from nmt_cli.export import ctranslate2_support
from nmt_cli.export.cached import EngineChoice, export_folder, is_up_to_date, lock_exports
from nmt_cli.export.ctranslate2_engine import CTranslate2Engine
from nmt_cli.export.format import require_packages
from nmt_cli.fs import reject_external_symlinks
from nmt_cli.inference.confidence import CalibrationFile, calibration_key
from nmt_cli.inference.output import Abstention
from nmt_cli.inference.translator import Translator
from nmt_cli.recipe.loader import Recipe, change_search, load_run_recipe
from nmt_cli.recipe.paths import run_recipe_path
from nmt_cli.reporting import Reporter
from nmt_cli.runs.folder import RunFolder
from nmt_cli.translation.engine_choice import choose_engine

ALLOCATOR_CACHE_BYTES = 64 << 20  # freed memory to keep; 256 MiB saved no more page faults


@dataclass(frozen=True)
class TranslatorSpec:
    """How to open a translator, in plain values, so that another process can open the same one."""

    runs: tuple[str, ...]
    overrides: tuple[str, ...] = ()
    device: str = "auto"
    align: bool = False
    engine: str = "auto"
    """auto (see `choose_engine`), torch, ctranslate2 or onnx."""
    quantization: str | None = None
    """Type of the weights of ctranslate2."""
    workers: int | None = None
    """Threads of CTranslate2 that translate a batch each; None: one on each core."""
    score: bool = True
    """Say how probable translations are; False where nobody asks: CTranslate2's greedy search is faster without."""
    rescore_canonical: bool = True
    strict: bool = False
    """Refuse lines that are not UTF-8 or cannot be read whole."""
    report_unknown_words: bool = False
    """List the words of each line that no run was trained on, if every run has a list of its words."""
    assess: bool = False
    """Say how probable each word is, and how sure the translation if the run was calibrated."""
    abstention: Abstention | None = None
    """UserError without a calibration."""
    keep_patterns: tuple[str, ...] = ()
    """Added to search.keep_patterns."""
    recipe: Recipe | None = field(default=None, repr=False, hash=False)
    """That of the runs with these overrides and patterns, once it has been read."""

    def resolve(self, reporter: Reporter) -> "tuple[TranslatorSpec, EngineChoice]":
        """The same with the engine that `auto` stands for here, and the choice; raises the errors of `choose_engine`.

        Every process of a translation opens what this returns, so that all use the same engine and recipe.
        """
        recipe, choice = self._choose(reporter)
        return replace(self, engine=choice.engine, quantization=choice.quantization, recipe=recipe), choice

    def _choose(self, reporter: Reporter) -> tuple[Recipe, EngineChoice]:
        """The recipe of the runs with the overrides, and the engine that translates by it."""
        runs = [Path(run) for run in self.runs]
        recipe = self.recipe
        if recipe is None:
            recipe = self._load_recipe(runs[0])
            for warning in self._warnings(recipe):
                reporter.warning(warning)
        choice = choose_engine(
            runs, recipe, reporter, self.engine, self.quantization, device=self.device, align=self.align
        )
        return recipe, choice

    def _warnings(self, recipe: Recipe) -> list[str]:
        """What is to be said of the overrides; not of the run's own keys, which may well be meant for others."""
        keys = {override.partition("=")[0].strip() for override in self.overrides}
        return [warning for warning in recipe.warnings("search") if warning.partition(": ")[0] in keys]

    def _load_recipe(self, run: Path) -> Recipe:
        """The recipe of the first run; UserError for overrides other than search.key=value."""
        invalid_overrides = [override for override in self.overrides if not override.startswith("search.")]
        if invalid_overrides:
            raise UserError(f"--set {invalid_overrides[0]}: a finished run can only be given search.* settings")
        path = run_recipe_path(run)
        reject_external_symlinks(run)
        recipe = load_run_recipe(path, self.overrides, checked_sections=("search",))
        if not self.keep_patterns:
            return recipe
        patterns = [*recipe.search.keep_patterns, *self.keep_patterns]
        return replace(recipe, search=change_search(recipe.search, {"keep_patterns": patterns}, "--keep"))

    def open(self, reporter: Reporter) -> Translator:
        """A translator of one run, or of an ensemble of several with the same tokenizer.

        Raises the errors of `choose_engine`; UserError for overrides of other keys than search.key=value, and for what
        the engine cannot do; RunError for runs that cannot be opened or combined. An engine that needs an export makes
        it first, which `reporter` announces.
        """
        runs = [Path(run) for run in self.runs]
        if self.abstention is not None and len(runs) > 1:
            raise UserError("--abstain-below: an ensemble has no confidence; give one run")
        recipe, choice = self._choose(reporter)
        engine, tokenizers = self._open_engine(runs, recipe, choice, reporter)
        calibration = None
        assess = self.assess or self.abstention is not None
        if assess and len(runs) == 1 and (calibration_file := CalibrationFile.load(runs[0])) is not None:
            calibration = calibration_file.find(weights_key(choice, recipe.search.precision, self.device))
        if self.abstention is not None and calibration is None:
            raise UserError(
                f"--abstain-below: {self.runs[0]}: its confidence is unknown",
                hint="nmt calibrate RUN SOURCE REFERENCE fits it; ctc models have none",
            )
        return Translator(
            engine,
            tokenizers,
            recipe.search,
            load_profile(runs, recipe),
            RunFolder(runs[0]).checkpoints.best_validation().get("token_probability"),
            align=self.align,
            rescore_canonical=self.rescore_canonical,
            assess=assess,
            calibration=calibration,
        )

    def _open_engine(
        self, runs: list[Path], recipe: Recipe, choice: EngineChoice, reporter: Reporter
    ) -> tuple[Engine, Tokenizers]:
        if choice.engine == "torch":
            if self.quantization is not None:
                raise UserError("quantization: only with engine ctranslate2; see search.precision")
            return _open_torch_engine(runs, recipe.search, self.device, align=self.align)
        if len(runs) > 1:
            raise UserError(f"engine {choice.engine}: an ensemble needs engine torch")
        if self.align:
            raise UserError(f"engine {choice.engine}: alignments need engine torch")
        engine = self._open_export(runs[0], recipe, choice, reporter)
        keep_freed_memory(ALLOCATOR_CACHE_BYTES)
        return engine, Tokenizers.load(runs[0])

    def _open_export(self, run: Path, recipe: Recipe, choice: EngineChoice, reporter: Reporter) -> Engine:
        """An engine of another runtime, with an export that the run's folder keeps."""
        weight_type = choice.weight_type(recipe.search.precision)
        _check_support(choice, recipe, weight_type)
        folder = _updated_export(run, choice.engine, weight_type, self.device, reporter)
        if choice.engine != "ctranslate2":
            from nmt_cli.export.exporting import FORMATS

            return FORMATS[choice.engine].load_engine(folder, self.device, weight_type)
        if recipe.search.sampling:
            reporter.warning(
                "search.sampling: engine ctranslate2 draws other samples than engine torch,"
                " and they are not reproducible"
            )
        engine = CTranslate2Engine(folder, self.device, weight_type, workers=self.workers)
        engine.scores_greedy = self.score
        engine.open_own_engine = partial(_open_for_attention, run, recipe.search, reporter)
        return engine

    def load_known_words(self) -> list[WordSet]:
        """The words of each run's training text; empty where unknown words are not reported."""
        return _load_word_sets([Path(run) for run in self.runs]) if self.report_unknown_words else []


def _load_word_sets(runs: Sequence[Path]) -> list[WordSet]:
    """The words of each run's training text; empty where a run has no list of them."""
    word_sets = [words for run in runs if (words := WordSet.load(run)) is not None]
    return word_sets if len(word_sets) == len(runs) else []


def load_profile(runs: Sequence[Path], recipe: Recipe) -> TextProfile:
    """That of the first run, but an ensemble knows the characters and words of all its runs' training texts."""
    profiles = [TextProfile.load(run, recipe.corpus) for run in runs]
    word_sets = _load_word_sets(runs) if recipe.search.correct_typos else []
    return replace(
        profiles[0],
        source_characters=union_of_characters(profiles),
        known_words=reduce(WordSet.union, word_sets) if word_sets else None,
    )


def _check_support(choice: EngineChoice, recipe: Recipe, weight_type: str) -> None:
    """UserError where a package is missing, or the engine cannot do what the recipe or the type of weights says."""
    support: Any = ctranslate2_support
    if choice.engine != "ctranslate2":
        from nmt_cli.export.exporting import FORMATS

        support = FORMATS[choice.engine]
    require_packages(support.PACKAGES, f"engine {choice.engine}")
    if unsupported := support.incompatibilities(recipe.model, recipe.search):
        raise UserError(f"engine {choice.engine} does not support this recipe: {'; '.join(unsupported)}")
    if weight_type not in support.QUANTIZATIONS:
        setting = "quantization" if choice.quantization else "search.precision"
        raise UserError(f"{setting}: engine {choice.engine} has {', '.join(support.QUANTIZATIONS)}, not {weight_type}")


def _updated_export(run: Path, name: str, weight_type: str, device: str, reporter: Reporter) -> Path:
    """The folder of the export of a run's best checkpoint, made first if it is not there; the errors of `export`."""
    folder = export_folder(run, name, weight_type)
    if not is_up_to_date(folder, RunFolder(run)):
        from nmt_cli.export.exporting import export

        with lock_exports(run):
            if not is_up_to_date(folder, RunFolder(run)):  # still: another process may have made it meanwhile
                reporter.info(f"exporting to {folder}, once for this checkpoint")
                export(run, name, folder, reporter, quantization=weight_type, device=device, replace=True)
    return folder


def _open_for_attention(run: Path, search: SearchConfig, reporter: Reporter) -> Engine | None:
    """Our own engine, for an export that translates; None with a warning where the checkpoint cannot be read."""
    exact_search = search.model_copy(update={"precision": "fp32"})
    try:
        return _open_torch_engine([run], exact_search, "cpu", align=False)[0]
    except RunError as error:
        reporter.warning(f"{error}; without attention, copied text is placed about where it stands in the source")
        return None


def weights_key(choice: EngineChoice, precision: str, device: str) -> str:
    """What a calibration for an engine and the type of its weights is stored under."""
    if choice.engine != "torch":
        return calibration_key(choice.engine, choice.weight_type(precision))
    from nmt_cli.device import find_device, resolved_precision

    return calibration_key(choice.engine, resolved_precision(precision, find_device(device)))


def _open_torch_engine(
    runs: Sequence[Path], search: SearchConfig, device: str, *, align: bool
) -> tuple[Engine, Tokenizers]:
    """The model of a run, or of several as an ensemble, and the tokenizers that they share."""
    from nmt_cli.decoding.ensemble import Ensemble
    from nmt_cli.decoding.torch_engine import TorchEngine
    from nmt_cli.device import find_device, limit_kernel_cache
    from nmt_cli.models.contract import Autoregressive
    from nmt_cli.runs.loading import open_run

    limit_kernel_cache()
    first, *others = (open_run(path, find_device(device), search.precision) for path in runs)
    keep_freed_memory(ALLOCATOR_CACHE_BYTES)  # after loading, whose freed memory is returned
    for other in others:
        if first.tokenizers.digest() != other.tokenizers.digest():
            raise RunError(
                f"{other.folder.path} and {first.folder.path} have different tokenizers: an ensemble needs the same one"
            )
        if first.recipe.corpus.normalization != other.recipe.corpus.normalization:
            raise RunError(
                f"{other.folder.path} normalises text differently from {first.folder.path}: an ensemble needs the same"
            )
    if align and not first.model.has_attention:
        raise UserError(f"{runs[0]}: alignments need a model with attention")
    if not others:
        return TorchEngine(first.model), first.tokenizers
    members = [run.model for run in (first, *others) if isinstance(run.model, Autoregressive)]
    if len(members) < len(runs):
        raise RunError("an ensemble needs models that write from left to right, not all positions at once")
    return TorchEngine(Ensemble(members).eval()), first.tokenizers
