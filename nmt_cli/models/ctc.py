"""Non-autoregressive translation with CTC (Libovický and Helcl 2018).

Legend: B batch, S source, K = upsample, U = S * K emitted positions, D model width, V vocabulary.
"""

import torch
from torch import Tensor, nn

from nmt_cli.models.attention import additive_mask
from nmt_cli.models.configs import CTCConfig
from nmt_cli.models.contract import NonAutoregressive, Sequences
from nmt_cli.models.dropout import Dropout
from nmt_cli.models.embedding import Embedding
from nmt_cli.models.layers import SelfAttentionLayer, initialize_weights, make_final_normalization
from nmt_cli.models.linear import Linear
from nmt_cli.models.positions import make_positions
from nmt_cli.vocabulary import Vocabulary


class CTC(NonAutoregressive[CTCConfig]):
    """An encoder whose states are split into several positions, each of which emits a token."""

    config_class = CTCConfig
    summary = "all positions at once, non-autoregressive (Libovický and Helcl 2018)"

    def __init__(self, config: CTCConfig, vocabulary: Vocabulary) -> None:
        super().__init__(config, vocabulary)
        d_model = config.d_model
        self.source_embedding = Embedding(vocabulary.source_size, d_model, scaled=True)
        self.source_positions = make_positions(config.positions, d_model, config.max_positions)
        self.emitted_positions = make_positions(config.positions, d_model, config.max_positions * config.upsample)
        self.dropout = Dropout(config.dropout)
        self.before = nn.ModuleList(SelfAttentionLayer(config) for _ in range(config.encoder_layers))
        self.split = Linear(d_model, d_model * config.upsample)
        self.after = nn.ModuleList(SelfAttentionLayer(config) for _ in range(config.decoder_layers))
        self.norm = make_final_normalization(config)
        self.output = nn.Linear(d_model, vocabulary.target_size)
        if config.tied_embeddings == "all":
            self.output.weight = self.source_embedding.weight
        initialize_weights(self)

    @property
    def max_source_positions(self) -> int | None:
        """The number of learned positions; None for other positions."""
        return self.config.max_positions if self.config.positions == "learned" else None

    def output_length(self, source_length: int) -> int:
        """U."""
        return source_length * self.config.upsample

    def compilable_layers(self) -> list[nn.Module]:
        """See `TranslationModel.compilable_layers`."""
        return [*self.before, *self.after]

    def forward(self, source: Sequences) -> tuple[Tensor, Tensor]:
        """See `NonAutoregressive.forward`."""
        factor, padding = self.config.upsample, source.padding_mask()
        x = self.dropout(self.source_positions(self.source_embedding(source.ids)))
        bias = None if padding is None else additive_mask(padding[:, None, None], x)  # [B, 1, 1, S]
        for layer in self.before:
            x = layer(x, bias)
        x = self.split(x).unflatten(-1, (factor, self.d_model)).flatten(1, 2)  # [B, U, D]
        x = self.emitted_positions(x)
        bias = None if bias is None else torch.repeat_interleave(bias, factor, 3)
        for layer in self.after:
            x = layer(x, bias)
        return self.norm(x), source.lengths * factor
