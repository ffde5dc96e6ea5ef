"""Hugging Face transformers: a MarianMT folder, for Transformers with post-norm layers.

The architecture is that of `MarianMTModel` (Junczys-Dowmunt et al. 2018). Any table of positions
can be written out, query heads that share keys get copies of them, and unscaled attention is folded
into the queries; so these options fit although MarianMT knows nothing of them.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save_file
from tokenizers import processors
from torch import Tensor, nn

from nmt_cli.data.imported import Imported
from nmt_cli.data.prepared import Tokenizers
from nmt_cli.data.tokenizer import TextTokenizer
from nmt_cli.decoding.engine import Engine
from nmt_cli.decoding.hypothesis import SearchConfig
from nmt_cli.device import find_device
from nmt_cli.models.attention import MultiHeadAttention
from nmt_cli.models.contract import ModelConfig, TranslationModel
from nmt_cli.models.positions import sinusoids
from nmt_cli.models.transformer import Transformer, TransformerConfig
from nmt_cli.vocabulary import SPECIAL_PIECES, Vocabulary

if TYPE_CHECKING:
    from transformers import GenerationConfig, MarianConfig

PACKAGES: tuple[str, ...] = ("transformers",)
QUANTIZATIONS: tuple[str, ...] = ("float32",)
POSITIONS = 512  # rows of the table of positions, where search asks for no more
TARGET = "target"  # folder of the tokenizer of the target language, where it is another one


def problems(config: ModelConfig, search: SearchConfig, joint: bool) -> list[str]:
    """See `Format.problems`."""
    if not isinstance(config, TransformerConfig):
        return [f"model.type: MarianMT is a transformer, not {config.type}"]
    found = []
    for key, fits in (
        ("norm_position", config.norm_position == "post"),
        ("norm", config.norm == "layer"),
        ("activation", config.activation != "swiglu"),
        ("positions", config.positions != "rotary"),
    ):
        if not fits:
            found.append(f"model.{key}: {getattr(config, key)} is nothing that MarianMT knows")
    if search.length_normalization == "gnmt":
        found.append("search.length_normalization: transformers knows average and none, not gnmt")
    if search.coverage_penalty:
        found.append("search.coverage_penalty: transformers has none: set it to 0")
    return found


def write(
    model: TranslationModel[Any],
    tokenizers: Tokenizers,
    search: SearchConfig,
    folder: Path,
    quantization: str,
) -> None:
    """See `Format.write`: weights, configurations and the tokenizer of transformers."""
    assert isinstance(model, Transformer) and quantization == "float32"
    rows = _positions(model.config, search)
    tensors = {name: value.clone().contiguous() for name, value in _tensors(model, rows).items()}
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    _config(model, rows).save_pretrained(folder)
    _generation(model.vocabulary, search, rows).save_pretrained(folder)
    if tokenizers.imported is not None:
        _write_originals(tokenizers.imported, folder)
        return
    _write_tokenizer(tokenizers.source, folder, rows)
    if tokenizers.source is not tokenizers.target:
        (folder / TARGET).mkdir()
        _write_tokenizer(tokenizers.target, folder / TARGET, rows)


def engine(folder: Path, device: str, quantization: str) -> Engine:
    """See `Format.engine`."""
    from nmt_cli.export.huggingface_engine import HuggingFaceEngine

    return HuggingFaceEngine(folder, find_device(device))


def _positions(config: TransformerConfig, search: SearchConfig) -> int:
    """How many positions MarianMT is told of; it reads and writes no more."""
    if config.positions == "learned":
        return config.max_positions
    longest = search.max_source_length
    return max(POSITIONS, longest + 1, search.longest(longest) + 1)


def _config(model: Transformer, rows: int) -> "MarianConfig":
    from transformers import MarianConfig

    config, vocabulary = model.config, model.vocabulary
    sides = {
        f"{side}_{key}": value
        for side in ("encoder", "decoder")
        for key, value in (("attention_heads", config.heads), ("ffn_dim", config.d_ff))
    }
    return MarianConfig(
        architectures=["MarianMTModel"],
        vocab_size=vocabulary.source_size,
        decoder_vocab_size=vocabulary.target_size,
        d_model=config.d_model,
        encoder_layers=config.encoder_layers,
        decoder_layers=config.decoder_layers,
        activation_function=config.activation,
        max_position_embeddings=rows,
        scale_embedding=True,
        share_encoder_decoder_embeddings=config.tied_embeddings == "all",
        tie_word_embeddings=config.tied_embeddings != "none",
        pad_token_id=vocabulary.pad,
        bos_token_id=None,
        eos_token_id=vocabulary.end,
        decoder_start_token_id=vocabulary.start,
        forced_eos_token_id=None,
        dropout=config.dropout,
        attention_dropout=config.attention_dropout,
        activation_dropout=config.activation_dropout,
        dtype="float32",
        **sides,
    )


def _generation(vocabulary: Vocabulary, search: SearchConfig, rows: int) -> "GenerationConfig":
    """How `generate` searches when it is told nothing: as the run does, as far as it can."""
    from transformers import GenerationConfig

    options: dict[str, Any] = {}
    if search.beam > 1:
        average = search.length_normalization == "average"
        options = {
            "length_penalty": search.length_penalty if average else 0.0,
            "early_stopping": "never",  # until no live hypothesis can win
        }
    if search.min_length:
        options["min_new_tokens"] = search.min_length
    if search.no_repeat_ngram is not None:
        options["no_repeat_ngram_size"] = search.no_repeat_ngram
    if search.max_length is not None:  # and the first token and the end of sentence
        rows = min(rows, search.max_length + 2)
    return GenerationConfig(
        num_beams=search.beam,
        max_length=rows,
        pad_token_id=vocabulary.pad,
        eos_token_id=vocabulary.end,
        decoder_start_token_id=vocabulary.start,
        **options,
    )


def _tensors(model: Transformer, rows: int) -> dict[str, Tensor]:
    """The weights by MarianMT's names."""
    config = model.config
    found = {
        "final_logits_bias": model.output.bias[None],
        "model.encoder.embed_tokens.weight": model.source_embedding.weight,
        "model.decoder.embed_tokens.weight": model.target_embedding.weight,
        "lm_head.weight": model.output.weight,
    }
    if config.tied_embeddings != "none":
        del found["lm_head.weight"]
    if config.tied_embeddings == "all":
        del found["model.decoder.embed_tokens.weight"]
        found["model.shared.weight"] = found.pop("model.encoder.embed_tokens.weight")
    for side, layers, positions in (
        ("encoder", model.encoder, model.source_positions),
        ("decoder", model.decoder, model.target_positions),
    ):
        if config.positions != "sinusoidal_marianmt":  # that table is made by MarianMT itself
            found[f"model.{side}.embed_positions.weight"] = _table(config, positions, rows)
        for number, layer in enumerate(layers):
            found |= _layer(f"model.{side}.layers.{number}", layer)
    return {name: value.detach() for name, value in found.items()}


def _table(config: TransformerConfig, module: Any, rows: int) -> Tensor:
    """What is added to embeddings, [rows, D]."""
    assert config.positions != "rotary"
    if config.positions == "learned":
        weight: Tensor = module.weight
        return weight
    if config.positions == "none":
        return torch.zeros(rows, config.d_model)
    return sinusoids(rows, config.d_model, config.positions)


def _layer(prefix: str, layer: Any) -> dict[str, Tensor]:
    """A layer of the encoder, or of the decoder, which looks at the source as well."""
    sublayers = [("self_attn", layer.self_attention)]
    if hasattr(layer, "cross_attention"):
        sublayers.append(("encoder_attn", layer.cross_attention))
    found: dict[str, Tensor] = {}
    for name, sublayer in sublayers:
        found |= _attention(f"{prefix}.{name}", sublayer.attend)
        found |= _pair(f"{prefix}.{name}_layer_norm", sublayer.norm)
    found |= _pair(f"{prefix}.fc1", layer.feed_forward.network.expand)
    found |= _pair(f"{prefix}.fc2", layer.feed_forward.network.contract)
    return found | _pair(f"{prefix}.final_layer_norm", layer.feed_forward.norm)


def _attention(prefix: str, attend: MultiHeadAttention) -> dict[str, Tensor]:
    """Queries, keys and values apart, with a key and value head for each query head.

    MarianMT divides dot products by the root of the head width; queries make up for a model that
    does not.
    """
    factor = attend.scale * attend.head_width**0.5
    found = {
        f"{prefix}.q_proj.weight": attend.query.weight * factor,
        f"{prefix}.q_proj.bias": attend.query.bias * factor,
    }
    for kind, both in (("weight", attend.key_value.weight), ("bias", attend.key_value.bias)):
        for name, part in zip("kv", both.chunk(2), strict=True):
            heads = part.unflatten(0, (attend.groups, attend.head_width))
            spread = heads.repeat_interleave(attend.heads // attend.groups, 0).flatten(0, 1)
            found[f"{prefix}.{name}_proj.{kind}"] = spread
    return found | _pair(f"{prefix}.out_proj", attend.out)


def _pair(prefix: str, module: nn.Module) -> dict[str, Tensor]:
    return {f"{prefix}.{name}": value for name, value in module.named_parameters()}


def _write_originals(imported: Imported, folder: Path) -> None:
    """The SentencePiece files that a model came with, for the class that it came with."""
    settings = json.dumps({"tokenizer_class": "MarianTokenizer"}).encode()
    for name, content in ({"tokenizer_config.json": settings} | imported.originals).items():
        (folder / name).write_bytes(content)


def _write_tokenizer(tokenizer: TextTokenizer, folder: Path, longest: int) -> None:
    """tokenizer.json, which adds the end of sentence, and what PreTrainedTokenizerFast asks for."""
    pad, unknown, start, end = SPECIAL_PIECES
    content = json.loads(tokenizer.backend.to_str())
    ending = processors.TemplateProcessing(
        single=f"$A {end}", special_tokens=[(end, SPECIAL_PIECES.index(end))]
    )
    content["post_processor"] = json.loads(ending.__getstate__())
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "pad_token": pad,
        "unk_token": unknown,
        "bos_token": start,
        "eos_token": end,
        "model_max_length": longest,
        "clean_up_tokenization_spaces": False,
        "split_special_tokens": True,  # text that spells one is text
        "padding_side": "right",
        "model_input_names": ["input_ids", "attention_mask"],
    }
    for name, one in (("tokenizer.json", content), ("tokenizer_config.json", settings)):
        text = json.dumps(one, indent=2, ensure_ascii=False)
        (folder / name).write_text(text + "\n", encoding="utf-8")
