"""The batches in which training translates its development text."""

from types import SimpleNamespace
from typing import Any

import torch

from nmt_cli.decoding.config import SearchConfig
from nmt_cli.evaluation.validation import validation_tokens_per_batch


def test_batches_are_smaller_on_a_cpu_unless_the_recipe_says_how_large() -> None:
    on_cpu: Any = SimpleNamespace(device=torch.device("cpu"), kv_cache_per_token=8)
    on_gpu: Any = SimpleNamespace(device=torch.device("cuda"), kv_cache_per_token=8)
    assert validation_tokens_per_batch(on_cpu, SearchConfig()) == SearchConfig().max_positions("cpu", 8) // 2 == 4096
    assert validation_tokens_per_batch(on_cpu, SearchConfig(tokens_per_batch=100)) == 100
    assert validation_tokens_per_batch(on_gpu, SearchConfig()) == "auto"
