"""Translators of a random model, and of engines without any: what they read is what they write."""

from typing import Any

import torch

from nmt_cli.data.normalization import NormalizationConfig
from nmt_cli.data.text_profile import TextProfile
from nmt_cli.data.tokenization.tokenizer import TextTokenizer
from nmt_cli.data.tokenization.tokenizer_pair import Tokenizers
from nmt_cli.decoding.config import SearchConfig
from nmt_cli.decoding.engine import Engine, Hypothesis
from nmt_cli.decoding.torch_engine import TorchEngine
from nmt_cli.inference.translator import Translator
from nmt_cli.models import MODELS

PROFILE = TextProfile("en", "de", NormalizationConfig())


class Echo(Engine):
    """Answers every source with itself, so that a translation shows what reached the model."""

    def __init__(self, longest: int | None = None) -> None:
        self.max_source_positions = self.max_target_positions = longest
        self.most = 0  # pieces of the longest source so far

    def max_batch_positions(self, config: SearchConfig) -> int:
        return 1 << 16

    def search(self, sources: list[list[int]], config: SearchConfig, prefixes: Any = None) -> list[list[Hypothesis]]:
        self.most = max(self.most, *map(len, sources))
        starts = prefixes or [[] for _ in sources]
        return [[Hypothesis([*start, *ids], -1.0, -1.0)] for start, ids in zip(starts, sources, strict=True)]


def echo(
    tokenizer: TextTokenizer, profile: TextProfile | None = PROFILE, engine: Engine | None = None, **search: Any
) -> Translator:
    """A translator with `Echo` or the engine that is given."""
    tokenizers = Tokenizers(tokenizer, tokenizer)
    return Translator(engine or Echo(), tokenizers, SearchConfig.model_validate(search), profile)


def random_translator(
    tokenizer: TextTokenizer,
    profile: TextProfile | None = None,
    model: str = "transformer",
    number: int = 0,
    *,
    seed: int,
    align: bool = False,
    **search: Any,
) -> Translator:
    """A translator of a tiny model, by its name and the number of its configuration."""
    torch.manual_seed(seed)
    tokenizers = Tokenizers(tokenizer, tokenizer)
    network = MODELS[model](MODELS[model].config_class.tiny_configs()[number], tokenizers.vocabulary).eval()
    return Translator(TorchEngine(network), tokenizers, SearchConfig.model_validate(search), profile, align=align)
