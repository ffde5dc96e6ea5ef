"""CTranslate2: the Transformer in all its variants, in float32, int8, bfloat16 and others.

The specification is built from CTranslate2's own Python classes, whose encoder and decoder support more options
than its converters and `TransformerSpec.from_config` pass on: rotary positions, RMSNorm, gated feed-forward
networks and grouped-query attention.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nmt_cli.data.sources.base import Languages
from nmt_cli.data.tokenization.tokenizer import TextTokenizer
from nmt_cli.data.tokenization.tokenizer_pair import Tokenizers
from nmt_cli.decoding.config import SearchConfig
from nmt_cli.decoding.engine import Engine
from nmt_cli.export.ctranslate2_engine import CTranslate2Engine
from nmt_cli.export.ctranslate2_support import PACKAGES as PACKAGES
from nmt_cli.export.ctranslate2_support import QUANTIZATIONS as QUANTIZATIONS
from nmt_cli.export.ctranslate2_support import incompatibilities as incompatibilities
from nmt_cli.export.format import position_limit
from nmt_cli.models.attention import MultiHeadAttention
from nmt_cli.models.configs import TransformerConfig
from nmt_cli.models.contract import TranslationModel
from nmt_cli.models.positions import position_table
from nmt_cli.models.transformer import Transformer

if TYPE_CHECKING:
    from ctranslate2.specs import TransformerSpec

MIN_POSITIONS = 2048  # or more if the search allows longer text
MAX_7BIT_WEIGHT = 63
Array = NDArray[np.float32]
_ACTIVATIONS = {"relu": "RELU", "gelu": "GELU", "swish": "SWISH", "swiglu": "SWISH"}


def export_model(
    model: TranslationModel[Any],
    tokenizers: Tokenizers,
    search: SearchConfig,
    folder: Path,
    quantization: str,
    languages: Languages | None = None,
) -> None:
    """See `ExportFormat.export_model`: writes model.bin, config.json and a JSON list of tokens per vocabulary."""
    assert isinstance(model, Transformer)
    position_rows = position_limit(model.max_source_positions, search, MIN_POSITIONS)
    spec = build_spec(model, position_rows)
    spec.register_source_vocabulary(_vocabulary_tokens(tokenizers.source))
    spec.register_target_vocabulary(_vocabulary_tokens(tokenizers.target))
    _fill_config(spec.config, model, tokenizers, position_rows)
    spec.validate()
    if quantization.startswith("int8"):
        spec.optimize()  # writes equal matrices once
        _quantize_to_7_bits(spec)
    else:
        spec.optimize(quantization)
    spec.save(str(folder))


def load_engine(folder: Path, device: str, quantization: str) -> Engine:
    """See `ExportFormat.load_engine`."""
    return CTranslate2Engine(folder, device, quantization)


def _vocabulary_tokens(tokenizer: TextTokenizer) -> list[str]:
    """All tokens in the order of their ids, without duplicates, since CTranslate2 takes tokens instead of ids."""
    tokens = tokenizer.ids_to_tokens(range(tokenizer.vocab_size))
    assert len(set(tokens)) == tokenizer.vocab_size
    return tokens


def _empty_spec(config: TransformerConfig) -> "TransformerSpec":
    from ctranslate2.specs import TransformerSpec
    from ctranslate2.specs.common_spec import Activation
    from ctranslate2.specs.transformer_spec import TransformerDecoderSpec, TransformerEncoderSpec

    options: dict[str, Any] = {
        "pre_norm": config.norm_position == "pre",
        "activation": Activation[_ACTIVATIONS[config.activation]],
        "ffn_glu": config.activation == "swiglu",
        "rms_norm": config.norm == "rms",
    }
    if config.key_value_heads not in (None, config.heads):
        options["num_heads_kv"] = config.key_value_heads
    if config.positions == "rotary":  # 0: all dimensions of a head; the halves form pairs
        options |= {"rotary_dim": 0, "rotary_interleave": False, "rotary_base": 10000}
    return TransformerSpec(
        TransformerEncoderSpec(config.encoder_layers, config.heads, **options),
        TransformerDecoderSpec(config.decoder_layers, config.heads, **options),
    )


def _fill_config(config: Any, model: Transformer, tokenizers: Tokenizers, position_rows: int) -> None:
    vocabulary = model.vocabulary
    ids = (vocabulary.unknown, vocabulary.start, vocabulary.end, model.decoder_start_id)
    tokens = tokenizers.target.ids_to_tokens(ids)
    config.unk_token, config.bos_token, config.eos_token, config.decoder_start_token = tokens
    config.add_source_eos = True
    config.layer_norm_epsilon = model.config.norm_epsilon
    if model.config.positions != "rotary":  # read by `CTranslate2Engine` only
        config.add_attribute("max_position_embeddings", position_rows)


def build_spec(model: Transformer, position_rows: int) -> "TransformerSpec":
    """CTranslate2's description of the model, with copies of its weights, which quantization then changes.

    The tables of positions have `position_rows` rows.
    """
    spec: Any = _empty_spec(model.config)
    spec.encoder.embeddings[0].weight = _to_numpy(model.source_embedding.weight)
    spec.decoder.embeddings.weight = _to_numpy(model.target_embedding.weight)
    for side_spec, layers, positions in (
        (spec.encoder, model.encoder, model.source_positions),
        (spec.decoder, model.decoder, model.target_positions),
    ):
        side_spec.scale_embeddings = True
        if model.config.positions != "rotary":
            # written out: CTranslate2's own sinusoids have sines and cosines in halves and begin at position 1
            table = position_table(positions, position_rows, model.d_model)
            side_spec.position_encodings.encodings = _to_numpy(table)
        for layer_spec, layer in zip(side_spec.layer, layers, strict=True):
            _fill_layer(layer_spec, layer)
    if model.config.norm_position == "pre":
        _fill_norm(spec.encoder.layer_norm, model.encoder_norm)
        _fill_norm(spec.decoder.layer_norm, model.decoder_norm)
    _fill_linear(spec.decoder.projection, model.output)
    return spec


def _fill_layer(spec: Any, layer: Any) -> None:
    """Copy the weights of an encoder layer, or of a decoder layer, which has cross-attention as well."""
    attend: MultiHeadAttention = layer.self_attention.attend
    _fill_norm(spec.self_attention.layer_norm, layer.self_attention.norm)
    spec.self_attention.queries_scale = np.float32(attend.scale)
    _fill_linear(spec.self_attention.linear[0], attend.query, attend.key_value)
    _fill_linear(spec.self_attention.linear[1], attend.out)
    if hasattr(layer, "cross_attention"):
        attend = layer.cross_attention.attend
        _fill_norm(spec.attention.layer_norm, layer.cross_attention.norm)
        spec.attention.queries_scale = np.float32(attend.scale)
        for linear_spec, linear in zip(
            spec.attention.linear, (attend.query, attend.key_value, attend.out), strict=True
        ):
            _fill_linear(linear_spec, linear)
    network = layer.feed_forward.network
    _fill_norm(spec.ffn.layer_norm, layer.feed_forward.norm)
    weight, bias = network.expand.weight, network.expand.bias
    if network.gated:
        (weight, linear), (bias, linear_bias) = weight.chunk(2), bias.chunk(2)
        spec.ffn.linear_0_noact.weight = _to_numpy(linear)
        spec.ffn.linear_0_noact.bias = _to_numpy(linear_bias)
    spec.ffn.linear_0.weight, spec.ffn.linear_0.bias = _to_numpy(weight), _to_numpy(bias)
    _fill_linear(spec.ffn.linear_1, network.contract)


def _quantize_to_7_bits(spec: "TransformerSpec") -> None:
    """Quantise matrices to integers from -63 to 63, with a scale per row.

    With the 8 bits that CTranslate2 uses by default, the sum of two products does not fit into the 16 bits that
    oneDNN uses for it on a CPU without VNNI; docs/decisions.md has the cost of the lost bit.
    """
    from ctranslate2.specs.model_spec import NumpyVariable, Variable, visit_spec

    def quantize_weight(layer: Any, name: str, value: Any) -> None:
        attribute = name.rpartition("/")[2]
        if not isinstance(value, Variable) or not hasattr(layer, f"{attribute}_scale"):
            return
        matrix = value.numpy()
        scale = MAX_7BIT_WEIGHT / np.maximum(np.abs(matrix).max(1), 1e-30)
        setattr(layer, attribute, NumpyVariable(np.rint(matrix * scale[:, None]).astype(np.int8)))
        setattr(layer, f"{attribute}_scale", NumpyVariable(scale.astype(np.float32)))

    visit_spec(spec, quantize_weight)


def _fill_linear(spec: Any, *layers: nn.Linear) -> None:
    """Concatenate linear layers that read the same input into one matrix."""
    spec.weight = np.concatenate([_to_numpy(layer.weight) for layer in layers])
    spec.bias = np.concatenate([_to_numpy(layer.bias) for layer in layers])


def _fill_norm(spec: Any, module: Any) -> None:
    spec.gamma = _to_numpy(module.weight)
    if hasattr(spec, "beta"):
        spec.beta = _to_numpy(module.bias)


def _to_numpy(weight: Tensor) -> Array:
    return weight.detach().to("cpu", torch.float32).numpy().copy()
