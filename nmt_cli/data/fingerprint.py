"""What prepared data were made from, so that unchanged data are found again."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from nmt_cli.data.corpus import Corpus
from nmt_cli.data.corpus_settings import CorpusConfig
from nmt_cli.data.prepared import FORMAT, Tokenizers, read_manifest
from nmt_cli.data.tokenizer import TokenizerConfig
from nmt_cli.disk import read_json
from nmt_cli.errors import DataError

Known = dict[str, Any]  # path to [size, time of the last change in ns, SHA-256]
LEARNED_FROM = "tokenizer_learned_from"
PLACES = ("root", "download")  # where the text was found does not change what is made of it


def identify(
    corpus_config: CorpusConfig,
    tokenizer: TokenizerConfig,
    corpus: Corpus,
    known: Known,
    given: Tokenizers | None = None,
) -> dict[str, Any]:
    """Settings and the SHA-256 of every input file, and the fingerprint of it all.

    `given` are tokenizers that are used as they are instead of learning new ones.

    Hashes of files whose size and time have not changed are taken from `known`, and new ones noted
    in it. Nothing is written; `remember` does that when the data could be prepared.
    """
    files = {str(path): _file_hash(path, known) for path in corpus.files()}
    facts = {
        "corpus": corpus_config.model_dump(mode="json", exclude=set(PLACES)),
        "tokenizer": tokenizer.model_dump(mode="json"),
        **_tokenizer_text(corpus, given),
        "inputs": [{"file": Path(path).name, "sha256": digest} for path, digest in files.items()],
    }
    text = json.dumps([FORMAT, facts], sort_keys=True)
    return {**facts, "fingerprint": hashlib.sha256(text.encode()).hexdigest()[:12]}


def _tokenizer_text(corpus: Corpus, given: Tokenizers | None) -> dict[str, str]:
    """Where tokenizers come from, unless it is all of the training text.

    Data prepared before 2026-11-21 have tokenizers that saw held-out pairs, too, and so another
    fingerprint.
    """
    if given is not None:
        return {"given_tokenizer": given.digest()}
    return {LEARNED_FROM: "pairs that are not held out"} if corpus.dev is None else {}


def find_prepared(store: Path, fingerprint: str) -> Path | None:
    """The folder in the store that has this fingerprint, whatever recipe made it."""
    found = sorted(p for p in store.glob(f"*-{fingerprint}") if (p / "manifest.json").is_file())
    return found[0] if found else None


def changes(store: Path, name: str, identity: dict[str, Any]) -> list[str]:
    """What differs from the newest data prepared under this name; empty where there are none."""
    named = [p for p in store.glob("*-*") if p.name.rpartition("-")[0] == name]
    folders = [p for p in named if (p / "manifest.json").is_file()]
    if not folders:
        return []
    newest = max(folders, key=lambda path: (path / "manifest.json").stat().st_mtime)
    try:
        before = read_manifest(newest)
    except DataError:
        return [f"the format of {newest.name}"]
    found = []
    for section in ("corpus", "tokenizer"):
        for key, value in identity[section].items():
            old = before.get(section, {}).get(key)
            if old != value:
                found.append(f"{section}.{key} ({_short(old)} -> {_short(value)})")
    if before.get("given_tokenizer") != identity.get("given_tokenizer"):
        found.append("the tokenizer that training.init_from gives")
    inputs = before.get("inputs", [])
    found += [f"the text of {one['file']}" for one in identity["inputs"] if one not in inputs]
    if not found and before.get(LEARNED_FROM) != identity.get(LEARNED_FROM):
        found.append("the text that the tokenizer is learned from, now without held-out pairs")
    return found


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else text[:37] + "..."


def known_hashes(store: Path) -> Known:
    """What `store`/inputs.json says about files; empty where it is missing or damaged."""
    try:
        return read_json(store / "inputs.json")
    except DataError:
        return {}


def remember(known: Known, store: Path) -> None:
    """Write `store`/inputs.json, for the next time."""
    store.mkdir(parents=True, exist_ok=True)
    scratch = store / f".inputs.json.{os.getpid()}"  # others may prepare at the same time
    scratch.write_text(json.dumps(known, indent=1))
    scratch.replace(store / "inputs.json")


def _file_hash(path: Path, known: Known) -> str:
    status = path.stat()
    key = [status.st_size, status.st_mtime_ns]
    entry = known.get(str(path))
    if isinstance(entry, list) and len(entry) == 3 and entry[:2] == key:
        return str(entry[2])
    try:
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path}: cannot read: {error.strerror}") from error
    known[str(path)] = [*key, digest]
    return digest
