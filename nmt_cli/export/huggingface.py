"""Hugging Face transformers: a MarianMT folder, for Transformers with post-norm layers.

The architecture is that of `MarianMTModel` (Junczys-Dowmunt et al. 2018). MarianMT lacks some options that can
still be exported: position tables are written out, shared key-value heads are copied for each query head, and
unscaled attention is folded into the query weights.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenizers import processors
from torch import Tensor, nn

from nmt_cli.data.sources.base import Languages
from nmt_cli.data.tokenization.imported import ImportedTokenizerInfo
from nmt_cli.data.tokenization.tokenizer import TextTokenizer
from nmt_cli.data.tokenization.tokenizer_pair import Tokenizers
from nmt_cli.decoding.config import SearchConfig
from nmt_cli.decoding.engine import Engine
from nmt_cli.device import find_device
from nmt_cli.export.format import position_limit
from nmt_cli.export.huggingface_engine import HuggingFaceEngine, beam_options
from nmt_cli.fs import write_json, write_tensors
from nmt_cli.models.attention import MultiHeadAttention
from nmt_cli.models.configs import ModelConfig, TransformerConfig
from nmt_cli.models.contract import TranslationModel
from nmt_cli.models.positions import position_table
from nmt_cli.models.transformer import Transformer
from nmt_cli.vocabulary import SPECIAL_TOKENS, Vocabulary

if TYPE_CHECKING:
    from transformers import GenerationConfig, MarianConfig

PACKAGES: tuple[str, ...] = ("transformers",)
QUANTIZATIONS: tuple[str, ...] = ("float32",)
MIN_POSITIONS = 512  # or more if the search allows longer text
TARGET_TOKENIZER_FOLDER = "target"  # with the tokenizer of the target language, if it is not the source tokenizer


def incompatibilities(config: ModelConfig, search: SearchConfig) -> list[str]:
    """See `ExportFormat.incompatibilities`."""
    if type(config) is not TransformerConfig:  # a subclass may compute otherwise
        return [f"model.type: MarianMT is a transformer, not {config.type}"]
    reasons = []
    for key, supported in (
        ("norm_position", config.norm_position == "post"),
        ("norm", config.norm == "layer"),
        ("activation", config.activation != "swiglu"),
        ("positions", config.positions != "rotary"),
    ):
        if not supported:
            reasons.append(f"model.{key}: MarianMT does not support {getattr(config, key)}")
    if search.length_normalization == "gnmt":
        reasons.append("search.length_normalization: transformers supports average and none, not gnmt")
    if search.coverage_penalty:
        reasons.append("search.coverage_penalty: transformers does not support it: set it to 0")
    return reasons


def export_model(
    model: TranslationModel[Any],
    tokenizers: Tokenizers,
    search: SearchConfig,
    folder: Path,
    quantization: str,
    languages: Languages | None = None,
) -> None:
    """See `ExportFormat.export_model`: writes weights, configurations and tokenizer files of transformers."""
    assert isinstance(model, Transformer) and quantization == "float32"
    max_positions = position_limit(model.max_source_positions, search, MIN_POSITIONS)
    tensors = {name: value.clone().contiguous() for name, value in _marian_tensors(model, max_positions).items()}
    write_tensors(folder / "model.safetensors", tensors, {"format": "pt"})
    _marian_config(model, max_positions).save_pretrained(folder)
    _generation_config(model.vocabulary, search, max_positions).save_pretrained(folder)
    sides = {} if languages is None else dict(zip(("source_lang", "target_lang"), languages, strict=True))
    if tokenizers.imported is not None:
        _write_original_files(tokenizers.imported, folder, sides)
        return
    _write_tokenizer(tokenizers.source, folder, max_positions, sides)
    if tokenizers.source is not tokenizers.target:
        (folder / TARGET_TOKENIZER_FOLDER).mkdir()
        _write_tokenizer(tokenizers.target, folder / TARGET_TOKENIZER_FOLDER, max_positions, sides)


def load_engine(folder: Path, device: str, quantization: str) -> Engine:
    """See `ExportFormat.load_engine`."""
    return HuggingFaceEngine(folder, find_device(device))


def _marian_config(model: Transformer, max_positions: int) -> "MarianConfig":
    from transformers import MarianConfig

    config, vocabulary = model.config, model.vocabulary
    return MarianConfig(
        architectures=["MarianMTModel"],
        vocab_size=vocabulary.source_size,
        decoder_vocab_size=vocabulary.target_size,
        d_model=config.d_model,
        encoder_layers=config.encoder_layers,
        decoder_layers=config.decoder_layers,
        encoder_attention_heads=config.heads,
        decoder_attention_heads=config.heads,
        encoder_ffn_dim=config.d_ff,
        decoder_ffn_dim=config.d_ff,
        activation_function=config.activation,
        max_position_embeddings=max_positions,
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
    )


def _generation_config(vocabulary: Vocabulary, search: SearchConfig, max_positions: int) -> "GenerationConfig":
    """The defaults of `generate`: the run's search options, as far as it has them."""
    from transformers import GenerationConfig

    options = {} if search.beam == 1 else beam_options(search)
    if search.min_length:
        options["min_new_tokens"] = search.min_length
    if search.no_repeat_ngram is not None:
        options["no_repeat_ngram_size"] = search.no_repeat_ngram
    if search.max_length is not None:  # plus the start token and the end of sentence
        max_positions = min(max_positions, search.max_length + 2)
    return GenerationConfig(
        num_beams=search.beam,
        max_length=max_positions,
        pad_token_id=vocabulary.pad,
        eos_token_id=vocabulary.end,
        decoder_start_token_id=vocabulary.start,
        **options,
    )


def _marian_tensors(model: Transformer, max_positions: int) -> dict[str, Tensor]:
    """The weights by their names in MarianMT."""
    config = model.config
    tensors = {
        "final_logits_bias": model.output.bias[None],
        "model.encoder.embed_tokens.weight": model.source_embedding.weight,
        "model.decoder.embed_tokens.weight": model.target_embedding.weight,
        "lm_head.weight": model.output.weight,
    }
    if config.tied_embeddings != "none":
        del tensors["lm_head.weight"]
    if config.tied_embeddings == "all":
        del tensors["model.decoder.embed_tokens.weight"]
        tensors["model.shared.weight"] = tensors.pop("model.encoder.embed_tokens.weight")
    for side, layers, positions in (
        ("encoder", model.encoder, model.source_positions),
        ("decoder", model.decoder, model.target_positions),
    ):
        if config.positions != "sinusoidal_marianmt":  # MarianMT computes that table itself
            tensors[f"model.{side}.embed_positions.weight"] = position_table(positions, max_positions, config.d_model)
        for index, layer in enumerate(layers):
            tensors |= _layer_tensors(f"model.{side}.layers.{index}", layer)
    return {name: value.detach() for name, value in tensors.items()}


def _layer_tensors(prefix: str, layer: Any) -> dict[str, Tensor]:
    """The weights of an encoder layer, or of a decoder layer, which has cross-attention as well."""
    sublayers = [("self_attn", layer.self_attention)]
    if hasattr(layer, "cross_attention"):
        sublayers.append(("encoder_attn", layer.cross_attention))
    tensors: dict[str, Tensor] = {}
    for name, sublayer in sublayers:
        tensors |= _attention_tensors(f"{prefix}.{name}", sublayer.attend)
        tensors |= _named_tensors(f"{prefix}.{name}_layer_norm", sublayer.norm)
    tensors |= _named_tensors(f"{prefix}.fc1", layer.feed_forward.network.expand)
    tensors |= _named_tensors(f"{prefix}.fc2", layer.feed_forward.network.contract)
    return tensors | _named_tensors(f"{prefix}.final_layer_norm", layer.feed_forward.norm)


def _attention_tensors(prefix: str, attend: MultiHeadAttention) -> dict[str, Tensor]:
    """Separate query, key and value weights, with one key and one value head per query head.

    MarianMT always divides dot products by the square root of the head width; query weights are scaled up to undo
    that for a model with unscaled attention.
    """
    query_scale = attend.scale * attend.head_dim**0.5
    tensors = {
        f"{prefix}.q_proj.weight": attend.query.weight * query_scale,
        f"{prefix}.q_proj.bias": attend.query.bias * query_scale,
    }
    for kind, fused in (("weight", attend.key_value.weight), ("bias", attend.key_value.bias)):
        for name, projection in zip("kv", fused.chunk(2), strict=True):
            kv_heads = projection.unflatten(0, (attend.kv_heads, attend.head_dim))
            repeated = kv_heads.repeat_interleave(attend.heads // attend.kv_heads, 0).flatten(0, 1)
            tensors[f"{prefix}.{name}_proj.{kind}"] = repeated
    return tensors | _named_tensors(f"{prefix}.out_proj", attend.out)


def _named_tensors(prefix: str, module: nn.Module) -> dict[str, Tensor]:
    return {f"{prefix}.{name}": value for name, value in module.named_parameters()}


def _write_original_files(imported: ImportedTokenizerInfo, folder: Path, languages: dict[str, str]) -> None:
    """Write the SentencePiece files that an imported model came with, for the tokenizer class they belong to."""
    tokenizer_config = json.dumps({"tokenizer_class": "MarianTokenizer", **languages}).encode()
    for name, content in ({"tokenizer_config.json": tokenizer_config} | imported.original_files).items():
        (folder / name).write_bytes(content)


def _write_tokenizer(tokenizer: TextTokenizer, folder: Path, max_length: int, languages: dict[str, str]) -> None:
    """Write tokenizer.json, which appends the end of sentence, and the options of PreTrainedTokenizerFast."""
    pad, unknown, start, end = SPECIAL_TOKENS
    content = json.loads(tokenizer.backend.to_str())
    end_template = processors.TemplateProcessing(single=f"$A {end}", special_tokens=[(end, SPECIAL_TOKENS.index(end))])
    content["post_processor"] = json.loads(end_template.__getstate__())
    tokenizer_config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "pad_token": pad,
        "unk_token": unknown,
        "bos_token": start,
        "eos_token": end,
        "model_max_length": max_length,
        "clean_up_tokenization_spaces": False,
        "split_special_tokens": True,  # "</s>" in a text is not the end of sentence
        "padding_side": "right",
        "model_input_names": ["input_ids", "attention_mask"],
        **languages,
    }
    for name, document in (("tokenizer.json", content), ("tokenizer_config.json", tokenizer_config)):
        write_json(folder / name, document)
