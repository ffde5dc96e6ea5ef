"""Import of a MarianMT folder of transformers: its configuration, tokenizers and weights.

Only JSON, safetensors and SentencePiece files are read.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from nmt_cli.data.tokenization.imported import ImportedTokenizer, ImportedTokenizerInfo
from nmt_cli.data.tokenization.sentencepiece import build_tokenizer, read_sentencepiece
from nmt_cli.data.tokenization.tokenizer import MAX_TOKENIZER_FILE_BYTES, TextTokenizer
from nmt_cli.data.tokenization.tokenizer_pair import Tokenizers
from nmt_cli.errors import RunError, error_reason
from nmt_cli.fs import read_json
from nmt_cli.models.contract import NamedTensors
from nmt_cli.vocabulary import Vocabulary

WEIGHTS_FILE, PICKLE_FILE = "model.safetensors", "pytorch_model.bin"
BANNED_TOKEN_BIAS = -100.0  # output bias of tokens that `generate` must not produce (bad_words_ids)


@dataclass(frozen=True)
class MarianFolder:
    """The contents of the JSON files of a folder."""

    path: Path
    config: dict[str, Any]
    generation_config: dict[str, Any]
    tokenizer_config: dict[str, Any]

    @property
    def joint_vocabulary(self) -> bool:
        """Whether source and target share one vocabulary."""
        return bool(self.config.get("share_encoder_decoder_embeddings", True))


def open_marian(path: Path) -> MarianFolder:
    """Read the JSON files; RunError if the folder is not a MarianMT model that `Transformer` can represent."""
    if not (path / "config.json").is_file():
        is_marian = any(path.glob("*.npz")) or (path / "decoder.yml").is_file()
        format_hint = "; it is in Marian's own format: convert it with transformers first" if is_marian else ""
        raise RunError(f"{path}: not a MarianMT folder: it has no config.json{format_hint}")
    config = _read_optional_json(path / "config.json")
    if config.get("model_type") != "marian":
        raise RunError(f"{path}: model_type is {config.get('model_type')}; nmt import reads marian")
    if not (path / WEIGHTS_FILE).is_file():
        raise RunError(f"{path}: has no {WEIGHTS_FILE}" + _pickle_hint(path))
    folder = MarianFolder(
        path,
        config,
        _read_optional_json(path / "generation_config.json"),
        _read_optional_json(path / "tokenizer_config.json"),
    )
    unsupported = _unsupported_settings(config)
    if unsupported:
        raise RunError(f"{path}: not a Transformer that nmt can import: {'; '.join(unsupported)}")
    return folder


def _pickle_hint(path: Path) -> str:
    if not (path / PICKLE_FILE).is_file():
        return ""
    return (
        f", only {PICKLE_FILE}, a pickle, which can run code when it is read. If you trust it: "
        'python -c "from transformers import MarianMTModel as M; '
        f"M.from_pretrained('{path}').save_pretrained('{path}')\""
    )


def _read_optional_json(path: Path) -> dict[str, Any]:
    return read_json(path, error_class=RunError) if path.is_file() else {}


def _unsupported_settings(config: dict[str, Any]) -> list[str]:
    """Settings that `Transformer` does not have."""
    unsupported = [
        f"{key}: {config[key]}"
        for key in ("normalize_before", "normalize_embedding", "add_final_layer_norm")
        if config.get(key)
    ]
    for key in ("attention_heads", "ffn_dim"):
        values = [config.get(f"{side}_{key}") for side in ("encoder", "decoder")]
        if values[0] != values[1]:
            unsupported.append(f"{key}: {values[0]} in the encoder, {values[1]} in the decoder")
    if config.get("activation_function") not in ("relu", "gelu", "swish", "silu"):
        unsupported.append(f"activation_function: {config.get('activation_function')}")
    return unsupported


def model_section(folder: MarianFolder, tensors: NamedTensors) -> dict[str, Any]:
    """The recipe's model section."""
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
        "tied_embeddings": _tied_embeddings(config),
        **{key: float(config.get(key, 0.0)) for key in ("dropout", "attention_dropout", "activation_dropout")},
    }
    if _position_tensor_name("encoder") in tensors:  # a written-out table, as nmt export makes
        max_positions = tensors[_position_tensor_name("encoder")].shape[0]
        section |= {"positions": "learned", "max_positions": max_positions}
    return section


def search_section(folder: MarianFolder) -> dict[str, Any]:
    """The recipe's search section, from the defaults of `generate`."""
    settings = folder.config | folder.generation_config
    section: dict[str, Any] = {}
    if isinstance(settings.get("num_beams"), int):
        section["beam"] = settings["num_beams"]
    if isinstance(settings.get("length_penalty"), (int, float)):
        section["length_penalty"] = float(settings["length_penalty"])
    for name, key in (("no_repeat_ngram_size", "no_repeat_ngram"), ("min_new_tokens", "min_length")):
        if isinstance(settings.get(name), int) and settings[name] > 0:
            section[key] = settings[name]
    return section


def _read_exported_tokenizer(path: Path) -> TextTokenizer:
    """A tokenizer that nmt export wrote, without the post-processor that appends the end of sentence."""
    return TextTokenizer.from_dict(read_json(path, MAX_TOKENIZER_FILE_BYTES) | {"post_processor": None}, path)


def read_tokenizers(folder: MarianFolder) -> tuple[Tokenizers, str]:
    """The tokenizers and their type; RunError or DataError if they are missing or damaged."""
    path = folder.path
    if (path / "tokenizer.json").is_file():  # nmt export wrote it
        source = _read_exported_tokenizer(path / "tokenizer.json")
        target_path = path / "target" / "tokenizer.json"
        target = _read_exported_tokenizer(target_path) if target_path.is_file() else source
        return Tokenizers(source, target), _tokenizer_type(source)
    names = ["source.spm", "target.spm", "vocab.json"]
    if folder.tokenizer_config.get("separate_vocabs"):
        names.append("target_vocab.json")
    missing = [name for name in names if not (path / name).is_file()]
    if missing:
        raise RunError(f"{path}: has no {' and no '.join(missing)}")
    models = [read_sentencepiece(path / name) for name in names[:2]]
    token_lists = [_read_tokens(path / name) for name in names[2:]]
    vocabulary = _build_vocabulary(folder, token_lists)
    sizes = (vocabulary.source_size, vocabulary.target_size)
    tokenizers = [
        ImportedTokenizer(build_tokenizer(model), _pad_tokens(tokens, size), vocabulary)
        for model, tokens, size in zip(models, (token_lists[0], token_lists[-1]), sizes, strict=True)
    ]
    original_paths = [path / name for name in (*names, "tokenizer_config.json")]
    files = {original.name: original.read_bytes() for original in original_paths if original.is_file()}
    return Tokenizers(tokenizers[0], tokenizers[1], ImportedTokenizerInfo(vocabulary, files)), models[0].model_type


def _tokenizer_type(tokenizer: TextTokenizer) -> str:
    content = json.loads(tokenizer.backend.to_str())["model"]
    if content["type"] == "WordLevel":
        return "word"
    return "unigram" if content["type"] == "Unigram" else "bpe"


def _read_tokens(path: Path) -> list[str]:
    """Tokens in the order of their ids; RunError if ids are missing or repeated."""
    content = _read_optional_json(path)
    items_by_id = sorted(content.items(), key=lambda item: item[1])
    if [token_id for _, token_id in items_by_id] != list(range(len(items_by_id))):
        raise RunError(f"{path}: the ids are not 0 to {len(items_by_id) - 1}")
    return [token for token, _ in items_by_id]


def _pad_tokens(tokens: list[str], size: int) -> list[str]:
    """Tokens for all embeddings of the model; those of unused rows never occur in text."""
    return tokens + [f"<row {token_id}>" for token_id in range(len(tokens), size)]


def _build_vocabulary(folder: MarianFolder, token_lists: list[list[str]]) -> Vocabulary:
    """Sizes and special tokens; RunError if they contradict each other."""
    config = folder.config
    source_size = int(config["vocab_size"])
    target_size = int(config.get("decoder_vocab_size") or source_size)
    for tokens, size in zip((token_lists[0], token_lists[-1]), (source_size, target_size), strict=True):
        if len(tokens) > size:
            raise RunError(f"{folder.path}: has {len(tokens)} subwords, the model has {size} embeddings")
    eos_id, pad_id = config["eos_token_id"], config["pad_token_id"]
    if any("<unk>" not in tokens for tokens in token_lists):
        raise RunError(f"{folder.path}: vocab.json has no <unk>")
    unknown_ids = {tokens.index("<unk>") for tokens in token_lists}
    if len(unknown_ids) > 1 or not isinstance(eos_id, int):
        raise RunError(f"{folder.path}: the two vocabularies have different special tokens")
    return Vocabulary(
        source_size=source_size,
        target_size=target_size,
        joint=folder.joint_vocabulary,
        pad=pad_id,
        unknown=unknown_ids.pop(),
        start=config["decoder_start_token_id"],
        end=eos_id,
    )


def read_weights(folder: MarianFolder) -> NamedTensors:
    """The tensors by their names in MarianMT, in float32; RunError if the file is damaged."""
    path = folder.path / WEIGHTS_FILE
    try:
        with open(path, "rb"):  # safetensors says that a file that may not be read is not there
            pass
        return {name: value.float() for name, value in load_file(path).items()}
    except PermissionError as error:
        raise RunError(f"{path}: cannot be read: {error.strerror}") from error
    except (OSError, SafetensorError) as error:
        raise RunError(f"{path}: damaged: {error_reason(error)}") from error


def convert_weights(folder: MarianFolder, tensors: NamedTensors) -> NamedTensors:
    """The weights by their names in `Transformer`; RunError if one is missing."""
    try:
        converted = _convert_embeddings(folder, tensors)
        for side, name in (("encoder", "source"), ("decoder", "target")):
            if _position_tensor_name(side) in tensors:
                converted[f"{name}_positions.weight"] = tensors[_position_tensor_name(side)]
            for layer in range(folder.config[f"{side}_layers"]):
                converted |= _convert_layer(f"model.{side}.layers.{layer}", f"{side}.{layer}", tensors)
    except KeyError as error:
        raise RunError(f"{folder.path / WEIGHTS_FILE}: has no {error.args[0]}") from error
    return converted


def _tied_embeddings(config: dict[str, Any]) -> str:
    """The `tied_embeddings` of the recipe; unscaled embeddings cannot be tied to the output."""
    if not config.get("tie_word_embeddings", True) or not config.get("scale_embedding"):
        return "none"
    return "all" if config.get("share_encoder_decoder_embeddings", True) else "target"


def _convert_embeddings(folder: MarianFolder, tensors: NamedTensors) -> NamedTensors:
    config = folder.config
    source, target = (  # a shared table is stored once
        tensors.get(f"model.{side}.embed_tokens.weight", tensors.get("model.shared.weight"))
        for side in ("encoder", "decoder")
    )
    if source is None or target is None:
        raise KeyError("model.shared.weight")
    output = target if config.get("tie_word_embeddings", True) else tensors["lm_head.weight"]
    bias = tensors.get("final_logits_bias", torch.zeros(1, len(output)))[0].clone()
    for banned_ids in folder.generation_config.get("bad_words_ids") or config.get("bad_words_ids") or []:
        if len(banned_ids) == 1:
            bias[banned_ids[0]] = BANNED_TOKEN_BIAS
    # `Transformer` always multiplies embeddings by the square root of their width.
    scale = 1.0 if config.get("scale_embedding") else config["d_model"] ** -0.5
    converted = {"source_embedding.weight": source * scale, "output.bias": bias}
    if _tied_embeddings(config) != "all":
        converted["target_embedding.weight"] = target * scale
    if _tied_embeddings(config) == "none":
        converted["output.weight"] = output.clone()
    return converted


def _convert_layer(marian_prefix: str, prefix: str, tensors: NamedTensors) -> NamedTensors:
    names = {
        "feed_forward.network.expand": "fc1",
        "feed_forward.network.contract": "fc2",
        "feed_forward.norm": "final_layer_norm",
    }
    converted: NamedTensors = {}
    for name, marian_name in (("self_attention", "self_attn"), ("cross_attention", "encoder_attn")):
        if name == "cross_attention" and prefix.startswith("encoder"):
            continue
        names[f"{name}.norm"] = f"{marian_name}_layer_norm"
        names[f"{name}.attend.query"] = f"{marian_name}.q_proj"
        names[f"{name}.attend.out"] = f"{marian_name}.out_proj"
        for kind in ("weight", "bias"):
            projections = [tensors[f"{marian_prefix}.{marian_name}.{projection}_proj.{kind}"] for projection in "kv"]
            converted[f"{prefix}.{name}.attend.key_value.{kind}"] = torch.cat(projections)
    for name, marian_name in names.items():
        for kind in ("weight", "bias"):
            converted[f"{prefix}.{name}.{kind}"] = tensors[f"{marian_prefix}.{marian_name}.{kind}"]
    return converted


def _position_tensor_name(side: str) -> str:
    return f"model.{side}.embed_positions.weight"
