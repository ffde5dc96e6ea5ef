"""nmt import: turn a MarianMT folder of transformers into a run for translation and fine-tuning."""

import re
from dataclasses import dataclass
from pathlib import Path

from nmt_cli.data import SIDES
from nmt_cli.errors import RunError, UserError
from nmt_cli.export.marianmt import (
    MarianFolder,
    convert_weights,
    model_section,
    open_marian,
    read_tokenizers,
    read_weights,
    search_section,
)
from nmt_cli.fs import atomic_folder, atomic_write_text
from nmt_cli.recipe.loader import build_recipe
from nmt_cli.runs.folder import RunFolder
from nmt_cli.runs.loading import build_model, check_weights


@dataclass(frozen=True)
class MarianImport:
    """The new run, its number of parameters, and whether it tokenizes by SentencePiece."""

    folder: Path
    parameters: int
    sentencepiece: bool


def import_marian(folder: Path, out: Path, source: str | None = None, target: str | None = None) -> MarianImport:
    """Turn a MarianMT folder into the run folder `out`; `source` and `target` are language codes.

    `out` appears completely or not at all. RunError if it exists or the model cannot be imported, DataError if its
    tokenizers cannot, UserError if the languages are unknown.
    """
    if RunFolder(out).exists():
        raise RunError(f"{out} exists: choose another folder")
    marian = open_marian(folder)
    languages = _languages(marian, source, target)
    tensors = read_weights(marian)
    tokenizers, tokenizer_type = read_tokenizers(marian)
    recipe = build_recipe(
        {
            "name": re.sub(r"[\s/]+", "-", folder.resolve().name) or "imported",
            "corpus": {**dict(zip(SIDES, languages, strict=True)), "normalization": "nfc"},
            "tokenizer": {
                "type": tokenizer_type,
                "vocab_size": tokenizers.vocabulary.target_size,
                "joint": tokenizers.vocabulary.joint,
            },
            "model": model_section(marian, tensors),
            "search": search_section(marian),
        },
        str(folder),
    )
    weights = convert_weights(marian, tensors)
    model = build_model(recipe, tokenizers.vocabulary)
    check_weights(model, weights, folder)
    with atomic_folder(out) as scratch:
        run = RunFolder(scratch)
        run.checkpoints.folder.mkdir(parents=True)
        tokenizers.save(scratch)
        run.write_json("manifest.json", {"imported": str(folder.resolve())})
        run.checkpoints.save_best(0, weights, {"imported": folder.resolve().name})
        atomic_write_text(run.recipe_path, recipe.to_yaml())
    parameter_count = sum(parameter.numel() for parameter in model.parameters())
    return MarianImport(out, parameter_count, tokenizers.imported is not None)


def _languages(folder: MarianFolder, source: str | None, target: str | None) -> tuple[str, str]:
    """Language codes by the user, else the tokenizer's configuration, else the name of an OPUS-MT folder."""
    name_match = re.search(r"opus-mt-(?:tc-\w+-)?(\w+)-(\w+)$", folder.path.resolve().name)
    named = name_match.groups() if name_match else ("", "")
    codes = [
        requested or folder.tokenizer_config.get(f"{side}_lang") or from_name
        for side, requested, from_name in zip(SIDES, (source, target), named, strict=True)
    ]
    if not all(isinstance(code, str) and code for code in codes):
        raise UserError(f"{folder.path}: its languages are unknown", hint="use --source and --target")
    return str(codes[0]), str(codes[1])
