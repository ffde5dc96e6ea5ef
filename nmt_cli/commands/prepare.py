"""nmt prepare: a recipe's corpus, cleaned, tokenised and memory-mapped."""

from dataclasses import dataclass, replace
from pathlib import Path

from nmt_cli.commands.fine_tuning import Origin, find_origin, inherit
from nmt_cli.data.corpora.places import cache_folder
from nmt_cli.data.corpus import Corpus, find_corpus, references, search_folders, selected
from nmt_cli.data.download import fetch
from nmt_cli.data.fingerprint import (
    changes,
    find_prepared,
    identify,
    known_hashes,
    remember,
)
from nmt_cli.data.preparation import Settings, prepare
from nmt_cli.data.prepared import PreparedData
from nmt_cli.errors import DataError
from nmt_cli.recipe import Recipe
from nmt_cli.reporting import Reporter
from nmt_cli.workers import Pool, pool_of, usable_cores

STORE = Path("prepared")
WORTHWHILE = 16 << 20  # bytes of corpus files from which several processes are worth it
MOST_WORKERS = 8  # more than that the process that reads and writes does not keep busy


@dataclass(frozen=True)
class Prepared:
    """Prepared data, how they came about, and the recipe with the place of its text written out."""

    data: PreparedData
    reused: bool
    recipe: Recipe


def prepare_recipe(
    recipe: Recipe,
    reporter: Reporter,
    store: Path = STORE,
    origin: Origin | None = None,
    processes: int | None = None,
    pool: Pool | None = None,
) -> Prepared:
    """Prepare a recipe's data under `store`, or find them there unchanged.

    The tokenizers are those of `origin`, or else of the run that training.init_from names, or else
    learned. Without a number of `processes` it is one, or for much text one a core; a
    `pool` is worked in as it is. Raises
    DataError for text that is missing or cannot be used.
    """
    origin = origin or find_origin(recipe)
    given = None if origin is None else origin.tokenizers
    recipe = recipe if origin is None else inherit(recipe, origin)
    corpus = locate_corpus(recipe, reporter)
    rooted = _with_root(recipe, corpus)
    known = known_hashes(store)
    identity = identify(recipe.corpus, recipe.tokenizer, corpus, known, given)
    if corpus.fetched:
        identity["fetched"] = list(corpus.fetched)
    found = find_prepared(store, identity["fingerprint"])
    if found is not None:
        data = PreparedData(found)
        remember(known, store)
        reporter.say(f"prepared data are up to date: {found}")
        return Prepared(data, True, rooted)
    changed = changes(store, recipe.name, identity)
    if changed:
        reporter.say("preparing anew, since these changed: " + ", ".join(changed))
    folder = store / f"{recipe.name}-{identity['fingerprint']}"
    settings = Settings(recipe.corpus, recipe.tokenizer, given)
    place = pool or _pool(processes, corpus, reporter)
    data = prepare(settings, corpus, folder, identity, reporter, place)
    remember(known, store)
    report(data, reporter)
    return Prepared(data, False, rooted)


def _pool(processes: int | None, corpus: Corpus, reporter: Reporter) -> Pool:
    """So many workers; without a number one for each core where there is much text."""
    if processes is None:
        size = sum(path.stat().st_size for path in corpus.files())
        processes = min(usable_cores(), MOST_WORKERS) if size >= WORTHWHILE else 1
    return pool_of(processes, lambda _: "a block of training pairs", reporter.warn)


def locate_corpus(recipe: Recipe, reporter: Reporter) -> Corpus:
    """Find the corpus's files, downloading them where the recipe says how; DataError if not."""
    folders = search_folders(recipe.folder, cache_folder())
    _fetch_named(recipe, reporter)
    try:
        return find_corpus(recipe.corpus, folders)
    except DataError:
        if recipe.corpus.download is None or Path(recipe.corpus.root).is_absolute():
            raise
    if ".." in Path(recipe.corpus.root).parts:
        raise DataError(f"corpus.root: {recipe.corpus.root}: downloads stay in their cache; no ..")
    folder = cache_folder() / recipe.corpus.root
    reporter.say(
        f"corpus.root: {recipe.corpus.root}: its files are not here; fetching them from "
        f"{recipe.corpus.download.address} into {folder}"
    )
    fetch(recipe.corpus.download, folder, reporter)
    return find_corpus(recipe.corpus, folders)


def _fetch_named(recipe: Recipe, reporter: Reporter) -> None:
    """Get what the recipe names and is not there yet: of the catalogue, or another library's."""
    selection, wanted = selected(recipe.corpus), references(recipe.corpus)
    if selection is not None:
        from nmt_cli.data.corpora.fetching import fetch_corpus

        fetch_corpus(selection, reporter)
    if wanted:
        from nmt_cli.data.corpora.libraries import fetch_text

        for one in wanted:
            fetch_text(one, recipe.corpus.source, recipe.corpus.target, reporter)


def _with_root(recipe: Recipe, corpus: Corpus) -> Recipe:
    """The recipe with an absolute corpus.root, so that it runs again from any folder."""
    if corpus.root is None:
        return recipe
    section = recipe.corpus.model_copy(update={"root": str(corpus.root)})
    return replace(recipe, corpus=section)


def report(data: PreparedData, reporter: Reporter) -> None:
    """Say what was read, kept and dropped, with examples."""
    manifest = data.manifest
    sizes = " + ".join(f"{size:,}" for size in dict.fromkeys(manifest["vocabulary"]))
    reporter.say(
        f"{data.folder}: {manifest['read']:,} pairs read, {manifest['train']:,} for training, "
        + ", ".join(f"{count:,} for {name}" for name, count in manifest["splits"].items())
        + f"; {sizes} pieces"
    )
    wanted = manifest["tokenizer"]["vocab_size"]
    if max(manifest["vocabulary"]) < wanted:
        reporter.say(
            f"the text has only {sizes} pieces, not the {wanted:,} of tokenizer.vocab_size"
        )
    if manifest["held_out"]:
        reporter.say(f"no corpus.dev: {manifest['held_out']:,} pairs held out for development")
    for name, dropped in manifest["filters"].items():
        if dropped["count"]:
            share = dropped["count"] / manifest["read"]
            reporter.say(f"  dropped {dropped['count']:,} ({share:.2%}): {name}")
            for example in dropped["examples"]:
                reporter.say(f"      {example}", style="dim")
