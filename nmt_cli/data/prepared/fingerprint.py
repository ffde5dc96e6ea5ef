"""Fingerprints of prepared data: what they were made from, so that they can be reused while it is unchanged."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import suppress
from itertools import zip_longest
from pathlib import Path
from typing import Any

from nmt_cli.config import original_form, present_form
from nmt_cli.data.augmentation import AugmentConfig
from nmt_cli.data.config import CorpusConfig
from nmt_cli.data.prepared.store import FORMAT_VERSION, read_manifest
from nmt_cli.data.sources.corpus import Corpus
from nmt_cli.data.tokenization.tokenizer import TokenizerConfig
from nmt_cli.data.tokenization.tokenizer_pair import Tokenizers
from nmt_cli.errors import DataError, RunError
from nmt_cli.fs import read_json, sha256_of_file, write_json

HashCache = dict[str, Any]  # path to [size, modification time in ns, SHA-256]
TOKENIZER_TEXT_KEY, HELD_OUT_KEY = "tokenizer_learned_from", "held_out_by"
LATER_FACTS = (TOKENIZER_TEXT_KEY, HELD_OUT_KEY)  # data were first prepared without them, in another way
HELD_OUT_BY_SOURCE = "hash of seed and source"
HELD_OUT_BY_UNTAGGED_SOURCE = "hash of seed and source without its tag"  # the same for a source without one
UNRELATED_KEYS = ("root", "download", "max_bad_rows")  # they do not change the prepared data


def build_identity(
    corpus_config: CorpusConfig,
    tokenizer: TokenizerConfig,
    corpus: Corpus,
    hash_cache: HashCache,
    given_tokenizers: Tokenizers | None = None,
    augment: AugmentConfig | None = None,
) -> dict[str, Any]:
    """Settings, the SHA-256 of every input file, and the fingerprint of all of it.

    `given_tokenizers` are used instead of training new ones; `augment` is training.augment. `hash_cache` provides the
    hashes of files whose size and modification time are unchanged, and new hashes are added to it.
    """
    files = {str(path): file_hash(path, hash_cache) for path in corpus.files()}
    facts: dict[str, Any] = {
        "corpus": corpus_config.model_dump(mode="json", exclude=set(UNRELATED_KEYS)),
        "tokenizer": tokenizer.model_dump(mode="json"),
        **_tokenizer_origin(corpus, given_tokenizers),
        **({} if corpus.dev else {HELD_OUT_KEY: HELD_OUT_BY_SOURCE}),
        **({} if augment is None else {"augment": augment.model_dump(mode="json")}),
        "inputs": [{"file": Path(path).name, "sha256": digest} for path, digest in files.items()],
    }
    return {**facts, "fingerprint": _fingerprint(facts)}


def describes(identity: dict[str, Any], manifest: dict[str, Any]) -> bool:
    """Whether prepared data with this manifest were made from these inputs, be it before there were LATER_FACTS."""
    facts = {key: value for key, value in identity.items() if key not in ("fingerprint", "fetched")}
    for key in LATER_FACTS:
        if key not in manifest:
            facts.pop(key, None)
    return _fingerprint(facts) == str(manifest["fingerprint"])


def _fingerprint(facts: dict[str, Any]) -> str:
    stable_facts = facts | {section: original_form(section, facts[section]) for section in ("corpus", "tokenizer")}
    text = json.dumps([FORMAT_VERSION, stable_facts], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _tokenizer_origin(corpus: Corpus, given_tokenizers: Tokenizers | None) -> dict[str, str]:
    """Where the tokenizers come from, unless they are trained on all of the training text.

    Data prepared before 2026-11-21 have another fingerprint: their tokenizers were also trained on held-out pairs.
    """
    if given_tokenizers is not None:
        return {"given_tokenizer": given_tokenizers.digest()}
    return {} if corpus.dev else {TOKENIZER_TEXT_KEY: "pairs that are not held out"}


def find_prepared(store: Path, fingerprint: str) -> Path | None:
    """The folder in the store with this fingerprint, whichever recipe made it."""
    return min((path.parent for path in store.glob(f"*-{fingerprint}/manifest.json")), default=None)


def describe_changes(store: Path, name: str, identity: dict[str, Any]) -> list[str]:
    """What differs from the newest data prepared under this name; empty if there are none."""
    manifests = [path for path in store.glob("*-*/manifest.json") if path.parent.name.rpartition("-")[0] == name]
    if not manifests:
        return []
    return describe_differences(max(manifests, key=lambda path: path.stat().st_mtime).parent, identity)


def describe_differences(folder: Path, identity: dict[str, Any]) -> list[str]:
    """What differs from the inputs of prepared data."""
    try:
        old_manifest = read_manifest(folder)
    except DataError:
        return [f"the format of {folder.name}"]
    differences: list[str] = []
    for section in ("corpus", "tokenizer"):
        old_values, new_values = (present_form(section, facts.get(section, {})) for facts in (old_manifest, identity))
        differences += _changed_values(section, old_values, new_values)
    if old_manifest.get("given_tokenizer") != identity.get("given_tokenizer"):
        differences.append("the tokenizer of training.init_from")
    if old_manifest.get("augment") != identity.get("augment"):
        differences.append("training.augment")
    inputs = old_manifest.get("inputs", [])
    differences += [
        f"the text of {input_file['file']}" for input_file in identity["inputs"] if input_file not in inputs
    ]
    if not differences and old_manifest.get(TOKENIZER_TEXT_KEY) != identity.get(TOKENIZER_TEXT_KEY):
        differences.append("the text that the tokenizer is trained on, now without held-out pairs")
    if not differences and (HELD_OUT_KEY in old_manifest) != (HELD_OUT_KEY in identity):
        differences.append("which pairs are held out")
    return differences


def _changed_values(key: str, old: Any, new: Any) -> Iterator[str]:
    """`key (old -> new)` for each value that differs; of sections and lists only what differs in them is shown."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in new | old:
            yield from _changed_values(f"{key}.{name}", old.get(name), new.get(name))
    elif isinstance(old, list) and isinstance(new, list):
        for index, values in enumerate(zip_longest(old, new)):
            yield from _changed_values(f"{key}[{index}]", *values)
    elif old != new:
        texts = [json.dumps(value, ensure_ascii=False) for value in (old, new)]
        abbreviated = [text if len(text) <= 40 else text[:37] + "..." for text in texts]
        old_text, new_text = abbreviated if abbreviated[0] != abbreviated[1] else texts
        yield f"{key} ({old_text} -> {new_text})"


def load_hash_cache(store: Path) -> HashCache:
    """The hashes in `store`/inputs.json; empty if it is missing or damaged."""
    try:
        return read_json(store / "inputs.json")
    except DataError:
        return {}


def save_hash_cache(hash_cache: HashCache, store: Path) -> None:
    """Write the hashes to `store`/inputs.json if they have changed, and can be written: they are only a cache."""
    if hash_cache == load_hash_cache(store):
        return
    with suppress(OSError, RunError):
        store.mkdir(parents=True, exist_ok=True)
        write_json(store / "inputs.json", hash_cache, indent=1, ensure_ascii=True, concurrent=True)


def file_hash(path: Path, hash_cache: HashCache) -> str:
    """The SHA-256 of a file, which is read only if the cache does not know it."""
    stat = path.stat()
    size_and_mtime = [stat.st_size, stat.st_mtime_ns]
    entry = hash_cache.get(str(path))
    if isinstance(entry, list) and len(entry) == 3 and entry[:2] == size_and_mtime:
        return str(entry[2])
    try:
        digest = sha256_of_file(path)
    except OSError as error:
        raise DataError(f"{path}: cannot read: {error.strerror}") from error
    hash_cache[str(path)] = [*size_and_mtime, digest]
    return digest
