"""nmt tokenize and nmt detokenize: text to visible subwords and back."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Literal

from nmt_cli.data.normalization import LEGACY, NormalizationConfig, Normalizer
from nmt_cli.data.tokenization.tokenizer import TextTokenizer, batched
from nmt_cli.data.tokenization.tokenizer_pair import Tokenizers
from nmt_cli.errors import DataError, UserError
from nmt_cli.fs import DAMAGE_HINT, read_json, reject_external_symlinks
from nmt_cli.inference.lines import to_single_line
from nmt_cli.recipe.paths import read_recipe_text
from nmt_cli.yaml12 import YamlError, read_yaml

Side = Literal["source", "target"]


def open_tokenizer(path: Path, side: Side | None) -> TextTokenizer:
    """The tokenizer of a run folder, a prepared folder or a file.

    UserError if a folder has two different ones and `side` does not choose one.
    """
    if path.is_file():
        return TextTokenizer.load(path)
    if not path.is_dir():
        raise DataError(f"{path}: no such run folder or tokenizer file")
    reject_external_symlinks(path)
    tokenizers = Tokenizers.load(path)
    if not tokenizers.joint and side is None:
        raise UserError(f"{path}: source and target have different tokenizers: use --side")
    return tokenizers.target if side == "target" else tokenizers.source


def open_normalizer(path: Path) -> Normalizer | None:
    """How the text of a run or prepared folder was normalised; None for a tokenizer file, which does not say.

    UserError where the folder's recipe or manifest is damaged.
    """
    file = next((file for file in (path / "recipe.yaml", path / "manifest.json") if file.is_file()), None)
    if file is None:
        return None
    try:
        content = read_json(file, hint=DAMAGE_HINT) if file.suffix == ".json" else read_yaml(read_recipe_text(file))[0]
        corpus = dict(content.get("corpus") or {})
        config = NormalizationConfig.model_validate(corpus["normalization"]) if "normalization" in corpus else LEGACY
    except YamlError as error:
        raise DataError(f"{file}: {error}", hint=DAMAGE_HINT) from error
    except (AttributeError, TypeError, ValueError) as error:
        raise DataError(f"{file}: damaged: corpus.normalization is not what was written", hint=DAMAGE_HINT) from error
    return Normalizer(config)


def tokenize(
    lines: Iterable[str], tokenizer: TextTokenizer, normalize: Callable[[str], str] | None = None
) -> Iterator[str]:
    """The subwords of each line, joined by spaces; a space inside a subword is shown as U+2581."""
    for batch in batched(lines, 1000):
        for ids in tokenizer.encode(batch if normalize is None else [normalize(line) for line in batch]):
            yield " ".join(tokenizer.ids_to_visible_tokens(ids))


def detokenize(lines: Iterable[str], tokenizer: TextTokenizer) -> Iterator[str]:
    """The text of each line of subwords, on one line; DataError if a subword is unknown."""
    for number, line in enumerate(lines, 1):
        subwords = line.split(" ") if line else []
        try:
            ids = tokenizer.visible_tokens_to_ids(subwords)
        except DataError as error:
            raise DataError(f"line {number}: {error}") from error
        yield to_single_line(tokenizer.decode([ids])[0])
