"""Recurrent encoder-decoders, without attention and with every attention of the classic papers.

Legend: B batch, S source, T target, E embedding, U units, M memory width, R readout, V vocabulary,
W hypotheses a sentence, N = B * W.
"""

from typing import Literal, Self

import torch
from pydantic import Field
from torch import Tensor, nn

from nmt_cli.models.alignment import Aligner, Alignment, Memory
from nmt_cli.models.contract import Autoregressive, ModelConfig, Sequences
from nmt_cli.models.dropout import Dropout
from nmt_cli.models.embedding import Embedding
from nmt_cli.models.recurrent import (
    Cell,
    CellStack,
    Readout,
    RecurrentEncoder,
    backwards,
    initialize,
)
from nmt_cli.models.recurrent_state import RecurrentState
from nmt_cli.vocabulary import Vocabulary


class RNNConfig(ModelConfig):
    """Options of the recurrent models; the defaults are RNNsearch (Bahdanau et al. 2015)."""

    type: Literal["rnn"] = "rnn"
    attention: Alignment = "additive"
    """none: one fixed vector, read at every step as in Cho et al. 2014; additive: from the previous
    state, as in RNNsearch; the others from the present state, as in Luong et al. 2015."""
    cell: Cell = "gru"
    """Recurrent unit."""
    embedding_size: int = Field(default=256, ge=1)
    """Width of word vectors."""
    hidden_size: int = Field(default=512, ge=1)
    """Units of the decoder."""
    encoder_hidden_size: int | None = Field(default=None, ge=1)
    """Units of each direction of the encoder; null: hidden_size."""
    encoder_layers: int = Field(default=1, ge=1)
    """Layers of the encoder."""
    decoder_layers: int = Field(default=1, ge=1)
    """Layers of the decoder."""
    bidirectional: bool = True
    """Read the source in both directions."""
    reverse_source: bool = False
    """Read the source from its last word to its first (Sutskever et al. 2014)."""
    readout: Literal["tanh", "maxout"] = "tanh"
    """How state, word and context become the vector that predicts (maxout: Bahdanau, appendix)."""
    readout_size: int | None = Field(default=None, ge=1)
    """Width of that vector; null: embedding_size."""
    input_feeding: bool = True
    """Feed the last attentional vector to the next step (attention other than additive)."""
    scaled_attention: bool = False
    """Divide dot and general scores by the square root of hidden_size."""
    local_window: int | None = Field(default=None, ge=1)
    """Radius of predictive local attention (Luong et al. 2015, local-p); null: global."""
    tied_embeddings: Literal["all", "target", "none"] = "target"
    """Share one table between source, target and output; between target and output; or not."""
    dropout: float = Field(default=0.2, ge=0, lt=1)
    """Rate on embeddings, between layers and on the readout."""

    @property
    def encoder_units(self) -> int:
        """Of each direction."""
        return self.encoder_hidden_size or self.hidden_size

    @property
    def memory_size(self) -> int:
        """M, the units of all directions."""
        return self.encoder_units * (2 if self.bidirectional else 1)

    def problems(self, joint_vocabulary: bool) -> list[str]:
        """Options that do not fit together."""
        found = []
        if self.attention in ("dot", "cosine") and self.memory_size != self.hidden_size:
            found.append(
                f"attention: {self.attention} needs an encoder as wide as the decoder, "
                f"{self.hidden_size} units and not {self.memory_size}; set encoder_hidden_size "
                "(of each direction), or use general"
            )
        if self.local_window is not None and self.attention in ("none", "additive"):
            found.append(f"local_window: does not go with attention {self.attention}")
        if self.scaled_attention and self.attention not in ("dot", "general"):
            found.append("scaled_attention: goes with attention dot or general only")
        if self.readout == "maxout" and self.attention not in ("none", "additive"):
            found.append("readout: maxout goes with attention additive or none only")
        if self.tied_embeddings != "none" and self.readout_size not in (None, self.embedding_size):
            found.append(
                f"readout_size: {self.readout_size} is not embedding_size {self.embedding_size}; "
                "tied_embeddings needs them equal"
            )
        if self.tied_embeddings == "all" and not joint_vocabulary:
            found.append("tied_embeddings: all needs tokenizer.joint: true; use target or none")
        return found

    def doubts(self) -> list[str]:
        """See `Section.doubts`."""
        if self.attention in ("none", "additive") and self.changed("input_feeding"):
            return [f"input_feeding: does nothing with attention: {self.attention}"]
        return []

    @classmethod
    def tiny(cls) -> list[Self]:
        """Configurations of a few thousand parameters that use every option."""
        small = {"embedding_size": 12, "hidden_size": 16, "dropout": 0.0}
        variants: list[dict[str, object]] = [
            {},
            {"cell": "lstm", "readout": "maxout", "tied_embeddings": "none", "readout_size": 10},
            {"attention": "none", "cell": "lstm", "reverse_source": True, "bidirectional": False},
            {
                "attention": "none",
                "tied_embeddings": "all",
                "encoder_layers": 2,
                "decoder_layers": 2,
            },
            {"attention": "dot", "bidirectional": False, "cell": "lstm", "decoder_layers": 2},
            {
                "attention": "dot",
                "bidirectional": False,
                "scaled_attention": True,
                "local_window": 2,
            },
            {"attention": "general", "input_feeding": False},
            {"attention": "concat", "encoder_layers": 2},
            {"attention": "cosine", "bidirectional": False},
            {"attention": "dot", "encoder_hidden_size": 8, "encoder_layers": 2},
            {"attention": "none", "encoder_hidden_size": 10},
        ]
        return [cls.model_validate(small | variant) for variant in variants]


class RNN(Autoregressive[RNNConfig, RecurrentState]):
    """A recurrent encoder and a recurrent decoder that may look back at the source."""

    config_class = RNNConfig
    summary = "recurrent encoder-decoder, with or without attention (Bahdanau 2015, Luong 2015)"

    def __init__(self, config: RNNConfig, vocabulary: Vocabulary) -> None:
        super().__init__(config, vocabulary)
        units, memory = config.hidden_size, config.memory_size
        size = config.readout_size or config.embedding_size
        self.source_embedding = Embedding(vocabulary.source_size, config.embedding_size)
        shared = config.tied_embeddings == "all"
        self.target_embedding = (
            self.source_embedding
            if shared
            else Embedding(vocabulary.target_size, config.embedding_size)
        )
        self.encoder = RecurrentEncoder(
            config.cell,
            config.embedding_size,
            config.encoder_units,
            config.encoder_layers,
            config.bidirectional,
            config.dropout,
        )
        self.bridge = nn.Linear(config.encoder_units, units)
        self.early = config.attention in ("none", "additive")
        fed = memory if self.early else size * config.input_feeding
        self.decoder = CellStack(
            config.cell, config.embedding_size + fed, units, config.decoder_layers, config.dropout
        )
        if config.attention != "none":
            self.aligner = Aligner(
                config.attention,
                units,
                memory,
                scaled=config.scaled_attention,
                radius=config.local_window,
            )
        if self.early:
            inputs = units + config.embedding_size + memory
            self.readout = Readout(inputs, size, maxout=config.readout == "maxout")
        else:
            self.attentional = nn.Linear(units + memory, size)
        self.dropout = Dropout(config.dropout)
        self.output = nn.Linear(size, vocabulary.target_size)
        if config.tied_embeddings != "none":
            self.output.weight = self.target_embedding.weight
        initialize(self, self.target_embedding.weight)

    @property
    def width(self) -> int:
        """R."""
        return self.output.in_features

    @property
    def has_attention(self) -> bool:
        """Unless there is only the fixed vector."""
        return self.config.attention != "none"

    def forward(self, source: Sequences, target_in: Sequences) -> Tensor:
        """See `Autoregressive.forward`."""
        return self._unroll(source, target_in)[0]

    def project(self, hidden: Tensor) -> Tensor:
        """See `Autoregressive.project`."""
        result: Tensor = self.output(hidden)
        return result

    def start(self, source: Sequences, width: int, capacity: int) -> RecurrentState:
        """See `Autoregressive.start`."""
        memory, hidden = self._encode(source)
        units = self.decoder.first(hidden.repeat_interleave(width, 0))
        feed = hidden.new_zeros(hidden.shape[0] * width, self.width)
        return RecurrentState(memory, units, feed, width)

    def step(self, tokens: Tensor, state: RecurrentState) -> tuple[Tensor, RecurrentState]:
        """See `Autoregressive.step`."""
        word = self.target_embedding(tokens)
        top, context, _ = self._advance(word, state)
        state.feed = self._read(top, word, context) if self.early else state.feed
        return self.project(state.feed), state

    def attention(self, source: Sequences, target_in: Sequences) -> Tensor | None:
        """See `Autoregressive.attention`; one layer, one head."""
        weights = self._unroll(source, target_in)[1]
        if weights is None:
            return None
        if self.config.reverse_source:  # the memory lies backwards, the source does not
            weights = backwards(
                weights.flatten(0, 1), source.lengths.repeat_interleave(target_in.ids.shape[1])
            ).view_as(weights)
        return weights[:, None, None]

    def _encode(self, source: Sequences) -> tuple[Memory, Tensor]:
        """The memory and the decoder's first hidden state [B, U]."""
        ids, padding = source.ids, source.padding()
        if self.config.reverse_source:
            ids = backwards(ids, source.lengths)
        outputs, summary = self.encoder(self.dropout(self.source_embedding(ids)), source.lengths)
        first: Tensor = self.bridge(summary).tanh()
        if self.config.attention == "none":
            # The fixed vector: all that the decoder will ever see of the source.
            vector = outputs[:, 0] if self.config.bidirectional else summary
            if self.config.bidirectional:
                last = outputs[torch.arange(ids.shape[0], device=ids.device), source.lengths - 1]
                half = self.config.encoder_units
                vector = torch.cat([last[:, :half], vector[:, half:]], 1)
            return Memory(vector.unsqueeze(1), None, None, source.lengths), first
        keys = self.aligner.score.keys(outputs)
        mask = None if padding is None else padding[:, None]
        return Memory(outputs, keys, mask, source.lengths), first

    def _unroll(self, source: Sequences, target_in: Sequences) -> tuple[Tensor, Tensor | None]:
        """Teacher forcing: readouts [B, T, R] and, with attention, weights [B, T, S]."""
        memory, hidden = self._encode(source)
        words = self.dropout(self.target_embedding(target_in.ids))  # [B, T, E]
        state = RecurrentState(
            memory, self.decoder.first(hidden), hidden.new_zeros(len(hidden), self.width), 1
        )
        tops, contexts, weights = [], [], []
        for word in words.unbind(1):
            top, context, looked = self._advance(word, state)
            tops.append(top if self.early else state.feed)
            contexts.append(context)
            weights.append(looked)
        read = torch.stack(tops, 1)
        if self.early:
            read = self._read(read, words, torch.stack(contexts, 1))
        present = [one for one in weights if one is not None]
        return self.dropout(read), torch.stack(present, 1) if present else None

    def _advance(self, word: Tensor, state: RecurrentState) -> tuple[Tensor, Tensor, Tensor | None]:
        """One position of [N] hypotheses: top units [N, U], context [N, M], weights [N, S].

        Additive attention looks with the previous state and feeds the context to the cell; the
        others look with the new state and feed its mixture with the context to the next step.
        """
        looked: Tensor | None
        if self.early:
            context, looked = self._look(state.units[-1][0], state)
            top, state.units = self.decoder(torch.cat([word, context], -1), state.units)
            return top, context, looked
        fed = torch.cat([word, state.feed], -1) if self.config.input_feeding else word
        top, state.units = self.decoder(fed, state.units)
        context, looked = self._look(top, state)
        state.feed = self.attentional(torch.cat([context, top], -1)).tanh()
        return top, context, looked

    def _look(self, query: Tensor, state: RecurrentState) -> tuple[Tensor, Tensor | None]:
        """Context [N, M] for queries [N, U], and the weights [N, S] if there is attention."""
        memory, beam = state.memory, state.beam
        if self.config.attention == "none":
            return memory.values.expand(-1, beam, -1).flatten(0, 1), None
        context, weights = self.aligner(query.unflatten(0, (-1, beam)), memory)
        return context.flatten(0, 1), weights.flatten(0, 1)

    def _read(self, top: Tensor, word: Tensor, context: Tensor) -> Tensor:
        result: Tensor = self.readout(top, word, context)
        return result
