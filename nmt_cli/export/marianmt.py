"""The way in: a MarianMT folder of transformers as configuration, tokenizers and weights of ours.

Only JSON, safetensors and SentencePiece models are read.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from nmt_cli.data.imported import Imported, ImportedTokenizer
from nmt_cli.data.prepared import Tokenizers
from nmt_cli.data.sentencepiece import SentencePieceModel, build_tokenizer, read_sentencepiece
from nmt_cli.data.tokenizer import LARGEST, TextTokenizer
from nmt_cli.disk import read_json
from nmt_cli.errors import RunError
from nmt_cli.vocabulary import Vocabulary

WEIGHTS, PICKLE = "model.safetensors", "pytorch_model.bin"
BANNED = -100.0  # bias of a token that `generate` was told never to write

Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class MarianFolder:
    """What the JSON files of a folder say."""

    path: Path
    config: dict[str, Any]
    generation: dict[str, Any]
    tokenizer: dict[str, Any]

    @property
    def shared(self) -> bool:
        """Whether source and target have one list of pieces."""
        return bool(self.config.get("share_encoder_decoder_embeddings", True))


def open_marian(path: Path) -> MarianFolder:
    """Read the JSON files; RunError where the folder is no MarianMT model that fits ours."""
    if not (path / "config.json").is_file():
        raise RunError(f"{path}: not a MarianMT folder: it has no config.json")
    config = _json(path / "config.json")
    if config.get("model_type") != "marian":
        raise RunError(f"{path}: model_type is {config.get('model_type')}; nmt import reads marian")
    if not (path / WEIGHTS).is_file():
        raise RunError(f"{path}: has no {WEIGHTS}" + _pickle_hint(path))
    found = MarianFolder(
        path, config, _json(path / "generation_config.json"), _json(path / "tokenizer_config.json")
    )
    misfits = _misfits(config)
    if misfits:
        raise RunError(f"{path}: does not fit a transformer of ours: {'; '.join(misfits)}")
    return found


def _pickle_hint(path: Path) -> str:
    if not (path / PICKLE).is_file():
        return ""
    return (
        f", only {PICKLE}, a pickle, which can run code when it is read. Where you trust it: "
        'python -c "from transformers import MarianMTModel as M; '
        f"M.from_pretrained('{path}').save_pretrained('{path}')\""
    )


def _json(path: Path) -> dict[str, Any]:
    return read_json(path, kind=RunError) if path.is_file() else {}


def _misfits(config: dict[str, Any]) -> list[str]:
    """Settings that ours does not have."""
    found = [
        f"{key}: {config[key]}"
        for key in ("normalize_before", "normalize_embedding", "add_final_layer_norm")
        if config.get(key)
    ]
    for key in ("attention_heads", "ffn_dim"):
        both = [config.get(f"{side}_{key}") for side in ("encoder", "decoder")]
        if both[0] != both[1]:
            found.append(f"{key}: {both[0]} in the encoder, {both[1]} in the decoder")
    if config.get("activation_function") not in ("relu", "gelu", "swish", "silu"):
        found.append(f"activation_function: {config.get('activation_function')}")
    return found


def model_section(folder: MarianFolder, tensors: Tensors) -> dict[str, Any]:
    """The model section of the recipe."""
    config = folder.config
    activation = config["activation_function"]
    section = {
        "type": "transformer",
        "d_model": config["d_model"],
        "heads": config["encoder_attention_heads"],
        "encoder_layers": config["encoder_layers"],
        "decoder_layers": config["decoder_layers"],
        "d_ff": config["encoder_ffn_dim"],
        "activation": "swish" if activation == "silu" else activation,
        "norm_position": "post",
        "norm_epsilon": 1e-5,
        "positions": "sinusoidal_marianmt",
        "tied_embeddings": _tied(config),
        **{
            key: float(config.get(key, 0.0))
            for key in ("dropout", "attention_dropout", "activation_dropout")
        },
    }
    if _position_name("encoder") in tensors:  # a table of its own, as nmt export writes
        rows = tensors[_position_name("encoder")].shape[0]
        section |= {"positions": "learned", "max_positions": rows}
    return section


def search_section(folder: MarianFolder) -> dict[str, Any]:
    """The search section of the recipe: what `generate` does when it is told nothing."""
    settings = folder.config | folder.generation
    section: dict[str, Any] = {}
    if isinstance(settings.get("num_beams"), int):
        section["beam"] = settings["num_beams"]
    if isinstance(settings.get("length_penalty"), (int, float)):
        section["length_penalty"] = float(settings["length_penalty"])
    return section


def _exported(path: Path) -> TextTokenizer:
    """A tokenizer as nmt export writes it: ours, which for transformers ends each text itself."""
    return TextTokenizer.of(read_json(path, LARGEST) | {"post_processor": None}, path)


def read_tokenizers(folder: MarianFolder) -> tuple[Tokenizers, str]:
    """The tokenizers and their type; RunError or DataError where the folder has none."""
    path = folder.path
    if (path / "tokenizer.json").is_file():  # what nmt export wrote
        source = _exported(path / "tokenizer.json")
        other = path / "target" / "tokenizer.json"
        target = _exported(other) if other.is_file() else source
        return Tokenizers(source, target), _kind(source)
    names = ["source.spm", "target.spm", "vocab.json"]
    if folder.tokenizer.get("separate_vocabs"):
        names.append("target_vocab.json")
    missing = [name for name in names if not (path / name).is_file()]
    if missing:
        raise RunError(f"{path}: has no {' and no '.join(missing)}")
    models = [read_sentencepiece(path / name) for name in names[:2]]
    lists = [_pieces(path / name) for name in names[2:]]
    vocabulary = _vocabulary(folder, lists)
    sizes = (vocabulary.source_size, vocabulary.target_size)
    sides = [
        _imported(model, _filled(pieces, size), vocabulary)
        for model, pieces, size in zip(models, (lists[0], lists[-1]), sizes, strict=True)
    ]
    originals = [path / name for name in (*names, "tokenizer_config.json")]
    files = {one.name: one.read_bytes() for one in originals if one.is_file()}
    return Tokenizers(sides[0], sides[1], Imported(vocabulary, files)), models[0].kind


def _kind(tokenizer: TextTokenizer) -> str:
    content = json.loads(tokenizer.backend.to_str())["model"]
    if content["type"] == "WordLevel":
        return "word"
    return "unigram" if content["type"] == "Unigram" else "bpe"


def _imported(
    model: SentencePieceModel, pieces: list[str], vocabulary: Vocabulary
) -> ImportedTokenizer:
    return ImportedTokenizer(build_tokenizer(model), pieces, vocabulary)


def _pieces(path: Path) -> list[str]:
    """Pieces in the order of ids; RunError where ids are missing or double."""
    content = _json(path)
    ordered = sorted(content.items(), key=lambda item: item[1])
    if [number for _, number in ordered] != list(range(len(ordered))):
        raise RunError(f"{path}: the ids are not 0 to {len(ordered) - 1}")
    return [piece for piece, _ in ordered]


def _filled(pieces: list[str], size: int) -> list[str]:
    """As many pieces as the model has; rows without one are never found in text."""
    return pieces + [f"<row {number}>" for number in range(len(pieces), size)]


def _vocabulary(folder: MarianFolder, lists: list[list[str]]) -> Vocabulary:
    """Sizes and special tokens; RunError where they do not agree."""
    config = folder.config
    source = int(config["vocab_size"])
    target = int(config.get("decoder_vocab_size") or source)
    for pieces, size in zip((lists[0], lists[-1]), (source, target), strict=True):
        if len(pieces) > size:
            raise RunError(
                f"{folder.path}: has {len(pieces)} pieces, the model has {size} embeddings"
            )
    ends, pads = config["eos_token_id"], config["pad_token_id"]
    if any("<unk>" not in pieces for pieces in lists):
        raise RunError(f"{folder.path}: vocab.json has no <unk>")
    unknown = {pieces.index("<unk>") for pieces in lists}
    if len(unknown) > 1 or not isinstance(ends, int):
        raise RunError(f"{folder.path}: the two vocabularies have other special tokens")
    return Vocabulary(
        source_size=source,
        target_size=target,
        joint=folder.shared,
        pad=pads,
        unknown=unknown.pop(),
        start=config["decoder_start_token_id"],
        end=ends,
    )


def read_weights(folder: MarianFolder) -> Tensors:
    """The tensors by MarianMT's names, in float32; RunError where the file is damaged."""
    path = folder.path / WEIGHTS
    try:
        return {name: value.float() for name, value in load_file(path).items()}
    except (OSError, SafetensorError) as error:
        raise RunError(f"{path}: damaged: {error}") from error


def convert(folder: MarianFolder, tensors: Tensors) -> Tensors:
    """The weights by our names; RunError where one is missing."""
    try:
        return _converted(folder, tensors)
    except KeyError as error:
        raise RunError(f"{folder.path / WEIGHTS}: has no {error.args[0]}") from error


def _tied(config: dict[str, Any]) -> str:
    """Which tables ours can share: without scaled embeddings, none with the output."""
    if not config.get("tie_word_embeddings", True) or not config.get("scale_embedding"):
        return "none"
    return "all" if config.get("share_encoder_decoder_embeddings", True) else "target"


def _converted(folder: MarianFolder, tensors: Tensors) -> Tensors:
    config = folder.config
    found = _embeddings(folder, tensors)
    for side in ("encoder", "decoder"):
        if _position_name(side) in tensors:
            name = "source" if side == "encoder" else "target"
            found[f"{name}_positions.weight"] = tensors[_position_name(side)]
        for number in range(config[f"{side}_layers"]):
            found |= _layer(f"model.{side}.layers.{number}", f"{side}.{number}", tensors)
    return found


def _embeddings(folder: MarianFolder, tensors: Tensors) -> Tensors:
    config = folder.config
    source, target = (  # a table that is shared is stored once
        tensors.get(f"model.{side}.embed_tokens.weight", tensors.get("model.shared.weight"))
        for side in ("encoder", "decoder")
    )
    if source is None or target is None:
        raise KeyError("model.shared.weight")
    output = target if config.get("tie_word_embeddings", True) else tensors["lm_head.weight"]
    bias = tensors.get("final_logits_bias", torch.zeros(1, len(output)))[0].clone()
    for banned in folder.generation.get("bad_words_ids") or config.get("bad_words_ids") or []:
        if len(banned) == 1:
            bias[banned[0]] = BANNED
    # Ours multiplies embeddings with the square root of their width, always.
    scale = 1.0 if config.get("scale_embedding") else config["d_model"] ** -0.5
    found = {"source_embedding.weight": source * scale, "output.bias": bias}
    if _tied(config) != "all":
        found["target_embedding.weight"] = target * scale
    if _tied(config) == "none":
        found["output.weight"] = output.clone()
    return found


def _layer(theirs: str, ours: str, tensors: Tensors) -> Tensors:
    """One layer of either side."""
    names = {
        "feed_forward.network.expand": "fc1",
        "feed_forward.network.contract": "fc2",
        "feed_forward.norm": "final_layer_norm",
    }
    found: Tensors = {}
    for our, their in (("self_attention", "self_attn"), ("cross_attention", "encoder_attn")):
        if our == "cross_attention" and ours.startswith("encoder"):
            continue
        names[f"{our}.norm"] = f"{their}_layer_norm"
        names[f"{our}.attend.query"] = f"{their}.q_proj"
        names[f"{our}.attend.out"] = f"{their}.out_proj"
        for kind in ("weight", "bias"):
            both = [tensors[f"{theirs}.{their}.{one}_proj.{kind}"] for one in "kv"]
            found[f"{ours}.{our}.attend.key_value.{kind}"] = torch.cat(both)
    for our, their in names.items():
        for kind in ("weight", "bias"):
            found[f"{ours}.{our}.{kind}"] = tensors[f"{theirs}.{their}.{kind}"]
    return found


def _position_name(side: str) -> str:
    return f"model.{side}.embed_positions.weight"
