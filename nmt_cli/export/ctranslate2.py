"""CTranslate2: the Transformer in all its variants, in float32, int8, bfloat16 and others.

The specification is built from CTranslate2's own Python classes, whose encoder and decoder take
more options than its converters and `TransformerSpec.from_config` pass on: rotary positions,
RMSNorm, gated feed-forward networks and grouped-query attention.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nmt_cli.data.prepared import Tokenizers
from nmt_cli.data.tokenizer import TextTokenizer
from nmt_cli.decoding.engine import Engine
from nmt_cli.decoding.hypothesis import SearchConfig
from nmt_cli.device import find_device
from nmt_cli.models.attention import MultiHeadAttention
from nmt_cli.models.contract import ModelConfig, TranslationModel
from nmt_cli.models.positions import sinusoids
from nmt_cli.models.transformer import Transformer, TransformerConfig

if TYPE_CHECKING:
    from ctranslate2.specs import TransformerSpec

PACKAGES: tuple[str, ...] = ("ctranslate2",)
QUANTIZATIONS: tuple[str, ...] = (
    "float32", "int8", "bfloat16", "float16", "int8_float16", "int8_bfloat16",
)  # fmt: skip
POSITIONS = 2048  # rows of a table of positions, where search asks for no more

SEVEN_BITS = 63
Array = NDArray[np.float32]
_ACTIVATIONS = {"relu": "RELU", "gelu": "GELU", "swish": "SWISH", "swiglu": "SWISH"}


def problems(config: ModelConfig, search: SearchConfig, joint: bool) -> list[str]:
    """See `Format.problems`."""
    found = []
    if not isinstance(config, TransformerConfig):
        found.append(f"model.type: CTranslate2 runs transformer, not {config.type}")
    if search.coverage_penalty:
        found.append(
            "search.coverage_penalty: CTranslate2 adds up one layer's attention: set it to 0"
        )
    return found


def write(
    model: TranslationModel[Any],
    tokenizers: Tokenizers,
    search: SearchConfig,
    folder: Path,
    quantization: str,
) -> None:
    """See `Format.write`: model.bin, config.json and a JSON list of pieces for each vocabulary."""
    assert isinstance(model, Transformer)
    spec = _specification(model.config)
    _fill(spec, model, table_size(model.config, search))
    spec.register_source_vocabulary(_pieces(tokenizers.source))
    spec.register_target_vocabulary(_pieces(tokenizers.target))
    _configure(spec.config, model, tokenizers, search)
    spec.validate()
    if quantization.startswith("int8"):
        spec.optimize()  # writes equal matrices once
        _to_seven_bits(spec)
    else:
        spec.optimize(quantization)
    spec.save(str(folder))


def engine(folder: Path, device: str, quantization: str) -> Engine:
    """See `Format.engine`."""
    from nmt_cli.export.ctranslate2_engine import CTranslate2Engine

    return CTranslate2Engine(folder, find_device(device), quantization)


def table_size(config: TransformerConfig, search: SearchConfig) -> int:
    """How many positions a table of them needs on either side."""
    if config.positions == "learned":
        return config.max_positions
    longest = search.max_source_length
    return max(POSITIONS, longest + 1, search.longest(longest) + 1)


def _pieces(tokenizer: TextTokenizer) -> list[str]:
    """Every piece in the order of ids, each once: CTranslate2 is spoken to in pieces."""
    pieces = tokenizer.pieces(range(tokenizer.size))
    assert len(set(pieces)) == tokenizer.size
    return pieces


def _specification(config: TransformerConfig) -> "TransformerSpec":
    """The layers as CTranslate2 describes them, without weights."""
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
    if config.positions == "rotary":  # 0: all dimensions of a head, the first half with the second
        options |= {"rotary_dim": 0, "rotary_interleave": False, "rotary_base": 10000}
    return TransformerSpec(
        TransformerEncoderSpec(config.encoder_layers, config.heads, **options),
        TransformerDecoderSpec(config.decoder_layers, config.heads, **options),
    )


def _configure(
    config: Any, model: Transformer, tokenizers: Tokenizers, search: SearchConfig
) -> None:
    """What CTranslate2 reads from config.json."""
    vocabulary = model.vocabulary
    ids = (vocabulary.unknown, vocabulary.start, vocabulary.end, model.first_token)
    names = ("unk_token", "bos_token", "eos_token", "decoder_start_token")
    for name, piece in zip(names, tokenizers.target.pieces(ids), strict=True):
        setattr(config, name, piece)
    config.add_source_eos = True
    config.layer_norm_epsilon = model.config.norm_epsilon
    if model.config.positions != "rotary":  # read by our engine only
        config.add_attribute("max_position_embeddings", table_size(model.config, search))


def _fill(spec: Any, model: Transformer, rows: int) -> None:
    """The model's weights into the specification, as copies: quantizing works in place."""
    for side, layers, embeddings in (
        (spec.encoder, model.encoder, [(spec.encoder.embeddings[0], model.source_embedding)]),
        (spec.decoder, model.decoder, [(spec.decoder.embeddings, model.target_embedding)]),
    ):
        for place, table in embeddings:
            place.weight = _copy(table.weight)
        side.scale_embeddings = True
        if model.config.positions != "rotary":
            source = side is spec.encoder
            module = model.source_positions if source else model.target_positions
            side.position_encodings.encodings = _position_table(model.config, module, rows)
        for layer_spec, layer in zip(side.layer, layers, strict=True):
            _fill_layer(layer_spec, layer)
    if model.config.norm_position == "pre":
        _norm(spec.encoder.layer_norm, model.encoder_norm)
        _norm(spec.decoder.layer_norm, model.decoder_norm)
    _linear(spec.decoder.projection, model.output)


def _fill_layer(spec: Any, layer: Any) -> None:
    """A layer of the encoder, or of the decoder, which looks at the source as well."""
    attend: MultiHeadAttention = layer.self_attention.attend
    _norm(spec.self_attention.layer_norm, layer.self_attention.norm)
    _scale(spec.self_attention, attend)
    _linear(spec.self_attention.linear[0], attend.query, attend.key_value)
    _linear(spec.self_attention.linear[1], attend.out)
    if hasattr(layer, "cross_attention"):
        attend = layer.cross_attention.attend
        _norm(spec.attention.layer_norm, layer.cross_attention.norm)
        _scale(spec.attention, attend)
        for place, linear in zip(
            spec.attention.linear, (attend.query, attend.key_value, attend.out), strict=True
        ):
            _linear(place, linear)
    network = layer.feed_forward.network
    _norm(spec.ffn.layer_norm, layer.feed_forward.norm)
    weight, bias = network.expand.weight, network.expand.bias
    if network.gated:
        (weight, linear), (bias, linear_bias) = weight.chunk(2), bias.chunk(2)
        spec.ffn.linear_0_noact.weight = _copy(linear)
        spec.ffn.linear_0_noact.bias = _copy(linear_bias)
    spec.ffn.linear_0.weight, spec.ffn.linear_0.bias = _copy(weight), _copy(bias)
    _linear(spec.ffn.linear_1, network.contract)


def _to_seven_bits(spec: "TransformerSpec") -> None:
    """Round each row of a matrix to whole numbers from -63 to 63, with a scale of its own.

    With the 8 bits that CTranslate2 would take, a sum of two products does not fit into the 16
    bits that oneDNN has for it on a CPU without VNNI instructions; see docs/decisions.md for what
    that costs.
    """
    from ctranslate2.specs.model_spec import NumpyVariable, Variable, visit_spec

    def shrink(layer: Any, name: str, value: Any) -> None:
        key = name.rpartition("/")[2]
        if not isinstance(value, Variable) or not hasattr(layer, f"{key}_scale"):
            return
        rows = value.numpy()
        scale = SEVEN_BITS / np.maximum(np.abs(rows).max(1), 1e-30)
        setattr(layer, key, NumpyVariable(np.rint(rows * scale[:, None]).astype(np.int8)))
        setattr(layer, f"{key}_scale", NumpyVariable(scale.astype(np.float32)))

    visit_spec(spec, shrink)


def _position_table(config: TransformerConfig, module: Any, rows: int) -> Array:
    """What is added to embeddings, [rows, D]; zeros where there are no positions.

    Always written out: CTranslate2's own sinusoids are halves that begin at position 1.
    """
    if config.positions == "learned":
        return _copy(module.weight)
    if config.positions == "none":
        return np.zeros((rows, config.d_model), dtype=np.float32)
    assert config.positions != "rotary"
    return _copy(sinusoids(rows, config.d_model, config.positions))


def _linear(spec: Any, *layers: nn.Linear) -> None:
    """One matrix from those of several layers that read the same input."""
    spec.weight = np.concatenate([_copy(layer.weight) for layer in layers])
    spec.bias = np.concatenate([_copy(layer.bias) for layer in layers])


def _norm(spec: Any, module: Any) -> None:
    spec.gamma = _copy(module.weight)
    if hasattr(spec, "beta"):
        spec.beta = _copy(module.bias)


def _scale(spec: Any, attend: MultiHeadAttention) -> None:
    spec.queries_scale = np.float32(attend.scale)


def _copy(weight: Tensor) -> Array:
    return weight.detach().to("cpu", torch.float32).numpy().copy()
