"""A recipe's prepared data: found in the store, or made from its corpus."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nmt_cli.data.cleaning import exceeds_share
from nmt_cli.data.filtering.rules import FILTER_KEYS
from nmt_cli.data.overlap import OverlapCount, held_out_warning
from nmt_cli.data.prepared.build import PreparationSettings, prepare
from nmt_cli.data.prepared.fingerprint import (
    HELD_OUT_BY_SOURCE,
    HELD_OUT_KEY,
    HashCache,
    build_identity,
    describe_changes,
    describe_differences,
    describes,
    file_hash,
    find_prepared,
    load_hash_cache,
    save_hash_cache,
)
from nmt_cli.data.prepared.store import PreparedData, read_manifest
from nmt_cli.data.sources.bad_rows import dropped_rows
from nmt_cli.data.sources.base import MissingTextError
from nmt_cli.data.sources.corpus import Corpus, fetch_corpus, search_folders
from nmt_cli.data.text_profile import TextProfile
from nmt_cli.data.tokenization.tokenizer import token_name
from nmt_cli.errors import RunError, pluralize
from nmt_cli.fs import delete_stale_scratch
from nmt_cli.recipe.loader import Recipe, load_run_recipe
from nmt_cli.reporting import Reporter
from nmt_cli.runs.folder import RunFolder
from nmt_cli.runs.init_from import BaseRun, find_base_run, inherit_sections, language_warning
from nmt_cli.workers import PoolFactory, pool_factory, usable_cores

DEFAULT_STORE = Path("prepared")
PREPARED_NAME = ".+-[0-9a-f]{12}"  # of any recipe and fingerprint
MIN_PARALLEL_BYTES = 16 << 20  # of corpus files, from which several processes are faster than one
MAX_FILTERED = 0.05  # of the pairs, above which what a filter of content drops is worth a warning
MAX_SHOWN_TEXTS = 3  # of those of which it drops as much
SIMILAR_SHARES = 1.1  # texts that share most of their pairs may differ by this factor in the share held out
MAX_WORKERS = 8  # the process that reads and writes cannot keep more of them busy


@dataclass(frozen=True)
class PreparationResult:
    """Prepared data, and the recipe with an absolute corpus.root."""

    data: PreparedData
    recipe: Recipe


def prepare_recipe(
    recipe: Recipe,
    reporter: Reporter,
    store: Path = DEFAULT_STORE,
    base_run: BaseRun | None = None,
    processes: int | None = None,
    pool: PoolFactory | None = None,
    started_run: RunFolder | None = None,
) -> PreparationResult:
    """Prepare a recipe's data under `store`, unless they are already there.

    The tokenizers come from `base_run`, or else from the run that training.init_from names, or else they are trained.
    `processes` defaults to 1, or for much text to the number of cores; it is not used with a `pool`. DataError if text
    is missing or cannot be used. The data of a `started_run` that is resumed are used even if their text is missing;
    RunError if it has changed.
    """
    base_run = base_run or find_base_run(recipe)
    base_tokenizers = None if base_run is None else base_run.tokenizers
    recipe = recipe if base_run is None else inherit_sections(recipe, base_run)
    if base_run is not None and (warning := language_warning(recipe.corpus, base_run)) is not None:
        reporter.warning(f"training.init_from: {warning}")
    started_data = None if started_run is None else _StartedData.find(started_run, store)
    try:
        corpus = fetch_corpus(recipe.corpus, search_folders(recipe.folder), reporter)
    except MissingTextError as error:
        if started_data is None or started_data.folder is None:
            raise
        reporter.warning(f"{error}; using what was prepared of it: {started_data.folder}")
        root = load_run_recipe(started_data.run.recipe_path).corpus.root
        return PreparationResult(PreparedData(started_data.folder), recipe.with_values("corpus", root=root))
    if corpus.root is not None:
        recipe = recipe.with_values("corpus", root=str(corpus.root))  # so that it works in any working directory
    delete_stale_scratch(store, PREPARED_NAME)
    cached_hashes = load_hash_cache(store)
    identity = build_identity(
        recipe.corpus, recipe.tokenizer, corpus, cached_hashes, base_tokenizers, recipe.training.augment
    )
    if corpus.provenance:
        identity["fetched"] = list(corpus.provenance)
    existing = find_prepared(store, identity["fingerprint"]) if started_data is None else started_data.check(identity)
    if existing is not None:
        data = PreparedData(existing)
        _report_reuse(data, recipe, reporter, is_resumed=started_run is not None)
    else:
        changed_inputs = describe_changes(store, recipe.name, identity)
        if changed_inputs:
            reporter.info("preparing again, because these changed: " + ", ".join(changed_inputs))
        folder = store / f"{recipe.name}-{identity['fingerprint']}"
        settings = PreparationSettings(recipe.corpus, recipe.tokenizer, base_tokenizers, recipe.training.augment)
        data = prepare(settings, corpus, folder, identity, reporter, pool or _make_pool(processes, corpus, reporter))
        report_preparation(data, reporter)
    save_hash_cache(cached_hashes, store)
    if base_run is not None and started_run is None:
        _report_shared_text(PreparationResult(data, recipe), corpus, cached_hashes, base_run, reporter)
    return PreparationResult(data, recipe)


def _report_reuse(data: PreparedData, recipe: Recipe, reporter: Reporter, *, is_resumed: bool) -> None:
    """Say which data are used, and what a new run should know of them."""
    made_for = data.folder.name.removesuffix(f"-{data.fingerprint}")
    reason = "" if made_for == recipe.name else f" (made for {made_for}: the same text, prepared in the same way)"
    reporter.info(f"prepared data are up to date: {data.folder}{reason}")
    if not is_resumed and len(_tags_in_keys(data.manifest, data.folder, recipe)) > 1:
        reporter.warning(
            f"{data.folder}: was prepared when a sentence could be held out and be in training under another language "
            "tag, too, so that scores of the development text may be too good: delete this folder to prepare anew; "
            "runs that were started with it cannot be resumed then"
        )


@dataclass(frozen=True)
class _StartedData:
    """The prepared data that a run was started with; no folder if they are gone."""

    run: RunFolder
    fingerprint: str
    folder: Path | None

    @classmethod
    def find(cls, run: RunFolder, store: Path) -> "_StartedData":
        fingerprint = str(run.read_json("manifest.json").get("fingerprint"))
        return cls(run, fingerprint, find_prepared(store, fingerprint))

    def check(self, identity: dict[str, Any]) -> Path | None:
        """The folder; RunError if other data would be prepared now."""
        if self.folder is not None and describes(identity, read_manifest(self.folder)):
            return self.folder
        if identity["fingerprint"] == self.fingerprint:
            return None
        differences = [] if self.folder is None else describe_differences(self.folder, identity)
        hint = "the corpus, tokenizer or augmentation has changed since: undo that, or use another --out"
        if self.folder is None and HELD_OUT_KEY in identity and HELD_OUT_KEY not in self.run.read_json("manifest.json"):
            hint = (
                "its prepared data are gone, and this version holds other pairs out for development, so that it cannot "
                "be resumed: start a new run, with training.init_from to keep what was learned"
            )
        raise RunError(
            f"{self.run.path}: was started with prepared data {self.fingerprint}, these are {identity['fingerprint']}"
            + (f": {', '.join(differences)} changed" if differences else ""),
            hint=hint,
        )


def _tags_in_keys(manifest: dict[str, Any], folder: Path, recipe: Recipe) -> tuple[str, ...]:
    """The tags that pairs were held out with, so that a sentence with two of them was two texts; none today."""
    if manifest.get(HELD_OUT_KEY) != HELD_OUT_BY_SOURCE:
        return ()
    return TextProfile.load(folder, recipe.corpus).language_tags


def _report_shared_text(
    prepared: PreparationResult, corpus: Corpus, hash_cache: HashCache, base_run: BaseRun, reporter: Reporter
) -> None:
    """Warn of a training file of which the base run was trained on pairs that are held out now."""
    if corpus.dev or not (base_run.folder.path / "manifest.json").is_file():
        return
    base_manifest, base_seed = base_run.folder.read_json("manifest.json"), base_run.recipe.corpus.seed
    manifest = prepared.data.manifest
    same_draw = base_manifest.get(HELD_OUT_KEY) == manifest[HELD_OUT_KEY] or (
        HELD_OUT_KEY in base_manifest
        and not _tags_in_keys(base_manifest, base_run.folder.path, base_run.recipe)
        and not _tags_in_keys(manifest, prepared.data.folder, prepared.recipe)
    )
    if same_draw and base_seed == manifest["corpus"]["seed"]:
        share, base_share = _held_out_share(manifest), _held_out_share(base_manifest)
        if share <= SIMILAR_SHARES * base_share:
            return
    base_hashes = {entry["sha256"] for entry in base_manifest.get("inputs", [])}
    paths = (path for text in corpus.train for path in text.files)
    shared_path = next((path for path in paths if file_hash(path, hash_cache) in base_hashes), None)
    if shared_path is not None:
        reporter.warning(
            f"training.init_from: {base_run.folder.path} was trained on {shared_path.name}, too, and held out other "
            "pairs of it or fewer: scores of the development text will be too good: name a text as corpus.dev"
        )


def _held_out_share(manifest: dict[str, Any]) -> float:
    """The share of the pairs that are held out."""
    return float(manifest["splits"]["dev"] / (manifest["train"] + manifest["splits"]["dev"]))


def _make_pool(processes: int | None, corpus: Corpus, reporter: Reporter) -> PoolFactory:
    """The pool to clean and encode with; without a number of processes, it depends on the size of the corpus."""
    if processes is None:
        corpus_bytes = sum(path.stat().st_size for path in corpus.files())
        processes = min(usable_cores(), MAX_WORKERS) if corpus_bytes >= MIN_PARALLEL_BYTES else 1
    return pool_factory(processes, lambda _: "a block of training pairs", reporter.warning)


def report_preparation(data: PreparedData, reporter: Reporter) -> None:
    """Report what was read, kept and dropped, with examples."""
    manifest = data.manifest
    requested_size, tokens = manifest["tokenizer"]["vocab_size"], f"{token_name(manifest['tokenizer']['type'])}s"
    sizes = " + ".join(f"{size:,}" for size in dict.fromkeys(manifest["vocabulary"]))
    reporter.info(
        f"{data.folder}: {pluralize(manifest['read'], 'pair')} read, {manifest['train']:,} for training, "
        + ", ".join(f"{count:,} for {name}" for name, count in manifest["splits"].items())
        + f"; {sizes} {tokens}"
    )
    if max(manifest["vocabulary"]) < requested_size:
        reporter.info(f"the text has only {sizes} {tokens}, not the {requested_size:,} of tokenizer.vocab_size")
    if manifest["held_out"]:
        reporter.info(f"no corpus.dev: {pluralize(manifest['held_out'], 'pair')} held out for development")
        if (warning := held_out_warning(manifest["held_out"])) is not None:
            reporter.warning(f"corpus.dev: {warning}")
    for warning in manifest.get("segmented", {}).values():
        reporter.warning(f"corpus.train: {warning}")
    for split, problems in manifest.get("evaluation_problems", {}).items():
        for problem in problems:
            reporter.warning(f"corpus.{split}: {problem}")
    for count in manifest.get("overlap", []):
        message = OverlapCount(**count).message()
        reporter.warning(
            f"corpus.{count['split']}: {message}; corpus.drop_overlap: {manifest['corpus']['drop_overlap']}"
        )
    for entry in manifest.get("bad_rows", []):
        reporter.warning(dropped_rows(entry["kind"], entry["count"], entry["first"]))
    read_by_text = manifest.get("read_by_text", {})
    for name, filter_stats in manifest["filters"].items():
        if filter_stats["count"]:
            fraction = filter_stats["count"] / manifest["read"]
            text = f"dropped {filter_stats['count']:,} ({fraction:.2%}): {FILTER_KEYS.get(name, name)}"
            if name in FILTER_KEYS and fraction > MAX_FILTERED:
                reporter.warning(f"{text}; null keeps such pairs")
            else:
                reporter.info(f"  {text}")
            for example in filter_stats["examples"]:
                reporter.info(f"      {example}", style="dim")
        if name in FILTER_KEYS and len(read_by_text) > 1:
            _report_much_filtered(name, filter_stats.get("by_text", {}), read_by_text, reporter)


def _report_much_filtered(
    name: str, dropped_by_text: dict[str, int], read_by_text: dict[str, int], reporter: Reporter
) -> None:
    """Warn of the texts of which a filter has dropped much, the worst first."""
    shares = {
        label: count / read_by_text[label]
        for label, count in dropped_by_text.items()
        if exceeds_share(count, MAX_FILTERED, read_by_text[label])
    }
    if shares:
        worst = sorted(shares, key=shares.__getitem__, reverse=True)
        shown = ", ".join(
            f"{shares[label]:.0%} of {label} ({pluralize(dropped_by_text[label], 'pair')})"
            for label in worst[:MAX_SHOWN_TEXTS]
        )
        more = f" and more than {MAX_FILTERED:.0%} of {pluralize(len(worst) - MAX_SHOWN_TEXTS, 'other text')}"
        reporter.warning(
            f"{FILTER_KEYS[name]} dropped {shown}{more if len(worst) > MAX_SHOWN_TEXTS else ''}; null keeps such pairs"
        )
