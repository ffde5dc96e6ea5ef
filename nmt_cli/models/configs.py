"""The options of each model: the model section of a recipe. Imports no torch, so that recipes are read at once."""

from typing import ClassVar, Literal, Self, get_args

from pydantic import Field

from nmt_cli.config import Section

Activation = Literal["relu", "gelu", "swish", "swiglu"]
AttentionType = Literal["none", "additive", "dot", "general", "concat", "cosine"]
CellType = Literal["lstm", "gru"]
NormalizationType = Literal["layer", "rms"]
SinusoidType = Literal["sinusoidal", "sinusoidal_halves", "sinusoidal_marianmt"]
PositionType = Literal[SinusoidType, "learned", "rotary", "none"]


class ModelConfig(Section):
    """What every model's section of a recipe offers."""

    type: str
    """Name in the registry of models."""

    @property
    def has_attention(self) -> bool:
        """Whether a model of this configuration can return weights over the source (`Autoregressive.attention`)."""
        return False

    def errors(self, joint_vocabulary: bool) -> list[str]:
        """Options that contradict each other, each as `key: what is wrong`."""
        return []

    attention_label: ClassVar[str] = "attention weight"
    """What the weights of `Autoregressive.attention` are, in lines of a few words."""
    writes_all_at_once: ClassVar[bool] = False
    """Whether the model is a `NonAutoregressive`, whose loss sums over all alignments."""

    tiny_base: ClassVar[dict[str, object]] = {}
    tiny_variants: ClassVar[tuple[dict[str, object], ...]]

    @classmethod
    def tiny_configs(cls) -> list[Self]:
        """Configurations of a few thousand parameters for tests: `tiny_base` with each of `tiny_variants`, which
        together use every value of every option."""
        return [cls.model_validate(cls.tiny_base | variant) for variant in cls.tiny_variants]


class LayerConfig(ModelConfig):
    """Options of every model that is made of Transformer layers."""

    d_model: int = Field(default=512, ge=1)
    """Width of embeddings and layers."""
    heads: int = Field(default=8, ge=1)
    """Attention heads per layer; divides d_model."""
    key_value_heads: int | None = Field(default=None, ge=1)
    """Heads that have keys and values of their own (Ainslie et al. 2023); null: all of them."""
    d_ff: int = Field(default=2048, ge=1)
    """Inner width of the feed-forward networks."""
    activation: Activation = "relu"
    """Activation of the feed-forward networks."""
    norm: NormalizationType = "layer"
    """Layer normalisation or RMSNorm."""
    norm_epsilon: float = Field(default=1e-6, gt=0, lt=1)
    """Added to the variance; 1e-5 in many other programs, such as MarianMT in transformers."""
    norm_position: Literal["pre", "post"] = "pre"
    """Normalise the input of each sub-layer (pre) or the sum after it, as in the paper (post)."""
    positions: PositionType = "sinusoidal"
    """How positions are encoded; rotary is applied to queries and keys."""
    max_positions: int = Field(default=1024, ge=8)
    """Number of positions if they are learned."""
    scaled_attention: bool = True
    """Divide dot products by the square root of the head width."""
    dropout: float = Field(default=0.1, ge=0, lt=1)
    """Rate after each sub-layer and on embeddings."""
    attention_dropout: float = Field(default=0.0, ge=0, lt=1)
    """Rate on attention weights."""
    activation_dropout: float = Field(default=0.0, ge=0, lt=1)
    """Rate inside the feed-forward networks."""
    tied_embeddings: Literal["all", "target", "none"] = "all"
    """all: source, target and output share one table; target: only target and output do; none: nothing is shared."""

    tiny_base: ClassVar = {"d_model": 16, "heads": 4, "d_ff": 32, "dropout": 0.0}

    @property
    def kv_heads(self) -> int:
        """G."""
        return self.key_value_heads or self.heads

    @property
    def kv_cache_per_layer(self) -> int:
        """Elements in the keys and values of a position in one layer."""
        return 2 * self.kv_heads * self.d_model // self.heads

    def errors(self, joint_vocabulary: bool) -> list[str]:
        """Options that contradict each other."""
        errors = []
        if self.d_model % self.heads:
            errors.append(f"heads: d_model {self.d_model} is not divisible by heads {self.heads}")
        elif self.positions == "rotary" and self.d_model // self.heads % 2:
            errors.append("positions: rotary needs an even head width (d_model / heads)")
        if self.heads % self.kv_heads:
            errors.append(f"key_value_heads: heads {self.heads} is not divisible by {self.kv_heads}")
        if self.tied_embeddings == "all" and not joint_vocabulary:
            choices = get_args(type(self).model_fields["tied_embeddings"].annotation)
            alternatives = " or ".join(choices[1:])
            errors.append(f"tied_embeddings: all needs tokenizer.joint: true; use {alternatives}")
        return errors

    def warnings(self) -> list[str]:
        """Options that have no effect."""
        if self.positions != "learned" and self.non_default("max_positions"):
            return [f"max_positions: does nothing with positions: {self.positions}"]
        return []


class TransformerConfig(LayerConfig):
    """Options of the Transformer; the defaults are the base model, with pre-norm layers."""

    type: Literal["transformer"] = "transformer"
    encoder_layers: int = Field(default=6, ge=1)
    """Layers of the encoder."""
    decoder_layers: int = Field(default=6, ge=1)
    """Layers of the decoder; few layers make translation fast (Kasai et al. 2021)."""

    @property
    def has_attention(self) -> bool:
        """Always."""
        return True

    tiny_base: ClassVar = LayerConfig.tiny_base | {"encoder_layers": 2, "decoder_layers": 2}
    tiny_variants = (
        {},
        {"norm_position": "post", "positions": "learned", "activation": "gelu"},
        {"positions": "rotary", "norm": "rms", "activation": "swiglu", "key_value_heads": 2},
        {"positions": "none", "activation": "swish", "tied_embeddings": "target"},
        {"positions": "sinusoidal_halves", "tied_embeddings": "none", "scaled_attention": False},
        {
            "decoder_layers": 1,
            "key_value_heads": 1,
            "norm": "rms",
            "norm_position": "post",
            "positions": "sinusoidal_marianmt",
        },
    )


class RNNConfig(ModelConfig):
    """Options of the recurrent models; the defaults are RNNsearch (Bahdanau et al. 2015)."""

    type: Literal["rnn"] = "rnn"
    attention: AttentionType = "additive"
    """none: one fixed vector, read at every step as in Cho et al. 2014; additive: computed from the previous state, as
    in RNNsearch; the others from the current state, as in Luong et al. 2015. dot and cosine need an encoder as wide as
    the decoder: halve encoder_hidden_size if it is bidirectional."""
    cell: CellType = "gru"
    """Recurrent unit."""
    embedding_size: int = Field(default=256, ge=1)
    """Width of word vectors."""
    hidden_size: int = Field(default=512, ge=1)
    """Units of the decoder."""
    encoder_hidden_size: int | None = Field(default=None, ge=1)
    """Units per direction of the encoder; null: hidden_size, so that a bidirectional one has twice as many."""
    encoder_layers: int = Field(default=1, ge=1)
    """Layers of the encoder."""
    decoder_layers: int = Field(default=1, ge=1)
    """Layers of the decoder."""
    bidirectional: bool = True
    """Read the source in both directions."""
    reverse_source: bool = False
    """Read the source from its last word to its first (Sutskever et al. 2014)."""
    readout: Literal["tanh", "maxout"] = "tanh"
    """How the new state, word and context are combined into the readout that predicts (maxout: Bahdanau et al. 2015,
    appendix A.2.2, with the new state in place of the previous one)."""
    readout_size: int | None = Field(default=None, ge=1)
    """Width of the readout; null: embedding_size."""
    input_feeding: bool = True
    """Feed the attentional vector to the next step (not with additive attention)."""
    scaled_attention: bool = False
    """Divide dot and general scores by the square root of hidden_size."""
    local_window: int | None = Field(default=None, ge=1)
    """Radius of predictive local attention (Luong et al. 2015, local-p); null: global."""
    tied_embeddings: Literal["all", "target", "none"] = "target"
    """all: source, target and output share one table; target: only target and output do; none: nothing is shared."""
    dropout: float = Field(default=0.2, ge=0, lt=1)
    """Rate on embeddings, between layers and on the readout."""

    @property
    def has_attention(self) -> bool:
        """Whether the decoder has more than one fixed vector."""
        return self.attention != "none"

    @property
    def encoder_units(self) -> int:
        """Units per direction of the encoder."""
        return self.encoder_hidden_size or self.hidden_size

    @property
    def memory_size(self) -> int:
        """M, the units of all directions of the encoder."""
        return self.encoder_units * (2 if self.bidirectional else 1)

    def errors(self, joint_vocabulary: bool) -> list[str]:
        """Options that contradict each other."""
        errors = []
        if self.attention in ("dot", "cosine") and self.memory_size != self.hidden_size:
            errors.append(
                f"attention: {self.attention} needs an encoder as wide as the decoder, "
                f"{self.hidden_size} units and not {self.memory_size}; set encoder_hidden_size "
                "(of each direction), or use general"
            )
        if self.local_window is not None and self.attention in ("none", "additive"):
            errors.append(f"local_window: does not go with attention {self.attention}")
        if self.scaled_attention and self.attention not in ("dot", "general"):
            errors.append("scaled_attention: goes with attention dot or general only")
        if self.readout == "maxout" and self.attention not in ("none", "additive"):
            errors.append("readout: maxout goes with attention additive or none only")
        if self.tied_embeddings != "none" and self.readout_size not in (None, self.embedding_size):
            errors.append(
                f"readout_size: {self.readout_size} is not embedding_size {self.embedding_size}; "
                "tied_embeddings needs them equal"
            )
        if self.tied_embeddings == "all" and not joint_vocabulary:
            errors.append("tied_embeddings: all needs tokenizer.joint: true; use target or none")
        return errors

    def warnings(self) -> list[str]:
        """Options that have no effect."""
        if self.attention in ("none", "additive") and self.non_default("input_feeding"):
            return [f"input_feeding: does nothing with attention: {self.attention}"]
        return []

    tiny_base: ClassVar = {"embedding_size": 12, "hidden_size": 16, "dropout": 0.0}
    tiny_variants = (
        {},
        {"cell": "lstm", "readout": "maxout", "tied_embeddings": "none", "readout_size": 10},
        {"attention": "none", "cell": "lstm", "reverse_source": True, "bidirectional": False},
        {"attention": "none", "tied_embeddings": "all", "encoder_layers": 2, "decoder_layers": 2},
        {"attention": "dot", "bidirectional": False, "cell": "lstm", "decoder_layers": 2},
        {"attention": "dot", "bidirectional": False, "scaled_attention": True, "local_window": 2},
        {"attention": "general", "input_feeding": False},
        {"attention": "concat", "encoder_layers": 2},
        {"attention": "cosine", "bidirectional": False},
        {"attention": "dot", "encoder_hidden_size": 8, "encoder_layers": 2},
        {"attention": "none", "encoder_hidden_size": 10},
    )


class DecoderOnlyConfig(LayerConfig):
    """Options of the decoder-only model."""

    type: Literal["decoder_only"] = "decoder_only"
    layers: int = Field(default=6, ge=1)
    """Layers of the stack."""
    source_attention: Literal["bidirectional", "causal"] = "bidirectional"
    """What a source token attends to: the whole source (a prefix language model) or only the tokens before it."""

    attention_label: ClassVar = "attention weight,\nas a share among\nsource words"

    @property
    def has_attention(self) -> bool:
        """Always."""
        return True

    tiny_base: ClassVar = LayerConfig.tiny_base | {"layers": 2}
    tiny_variants = (
        {"activation": "gelu"},
        {"source_attention": "causal", "norm_position": "post", "positions": "learned"},
        {
            "positions": "rotary",
            "norm": "rms",
            "activation": "swiglu",
            "key_value_heads": 2,
            "tied_embeddings": "target",
        },
        {"positions": "none", "source_attention": "causal", "activation": "swish", "tied_embeddings": "none"},
        {"positions": "sinusoidal_halves", "activation": "relu", "scaled_attention": False},
        {"positions": "sinusoidal_marianmt", "layers": 1},
    )


class CTCConfig(LayerConfig):
    """Options of the CTC model."""

    type: Literal["ctc"] = "ctc"
    encoder_layers: int = Field(default=6, ge=1)
    """Layers before each state is split into positions."""
    decoder_layers: int = Field(default=6, ge=0)
    """Layers after the split; they attend to all positions, too."""
    upsample: int = Field(default=3, ge=1, le=10)
    """Positions per source token; a target cannot have more tokens than there are positions."""
    tied_embeddings: Literal["all", "none"] = "all"
    """all: source and output share one table; none: nothing is shared."""

    writes_all_at_once: ClassVar = True

    tiny_base: ClassVar = LayerConfig.tiny_base | {"encoder_layers": 1, "decoder_layers": 1}
    tiny_variants = (
        {},
        {"norm_position": "post", "positions": "learned", "activation": "gelu", "upsample": 2},
        {"positions": "rotary", "norm": "rms", "activation": "swiglu", "key_value_heads": 2},
        {"positions": "sinusoidal_halves", "activation": "swish", "tied_embeddings": "none"},
        {"positions": "none", "scaled_attention": False, "decoder_layers": 0},
        {"positions": "sinusoidal_marianmt"},
    )


CONFIGS: dict[str, type[ModelConfig]] = {
    "transformer": TransformerConfig,
    "rnn": RNNConfig,
    "decoder_only": DecoderOnlyConfig,
    "ctc": CTCConfig,
}
