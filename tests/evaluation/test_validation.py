"""The batches in which training translates its development text, and the loss of it."""

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from nmt_cli.data.prepared.store import SequenceStore
from nmt_cli.data.prepared.writer import SequenceWriter
from nmt_cli.decoding.config import SearchConfig
from nmt_cli.distributed.process_group import SINGLE_PROCESS
from nmt_cli.evaluation.validation import Validator, validation_tokens_per_batch
from nmt_cli.models import MODELS
from nmt_cli.vocabulary import Vocabulary


def test_batches_are_smaller_on_a_cpu_unless_the_recipe_says_how_large() -> None:
    on_cpu: Any = SimpleNamespace(device=torch.device("cpu"), kv_cache_per_token=8)
    on_gpu: Any = SimpleNamespace(device=torch.device("cuda"), kv_cache_per_token=8)
    assert validation_tokens_per_batch(on_cpu, SearchConfig()) == SearchConfig().max_positions("cpu", 8) // 2 == 4096
    assert validation_tokens_per_batch(on_cpu, SearchConfig(tokens_per_batch=100)) == 100
    assert validation_tokens_per_batch(on_gpu, SearchConfig()) == "auto"


def test_the_loss_of_a_ctc_model_is_that_of_the_targets_that_it_can_emit(tmp_path: Path) -> None:
    vocabulary = Vocabulary(source_size=40, target_size=40, joint=True)
    model = MODELS["ctc"](MODELS["ctc"].config_class.tiny_configs()[0], vocabulary).eval()

    def loss(pairs: list[tuple[list[int], list[int]]]) -> float:
        stores = []
        for side, name in enumerate(("source", "target")):
            with SequenceWriter(tmp_path, name, 40) as writer:
                for pair in pairs:
                    writer.write(pair[side])
            stores.append(SequenceStore.open(tmp_path, name))
        own: Any = SimpleNamespace(
            split=SimpleNamespace(source_ids=stores[0], target_ids=stores[1]), model=model, vocabulary=vocabulary,
            config=SimpleNamespace(max_positions=1000), processes=SINGLE_PROCESS,
        )  # fmt: skip
        return Validator.loss(own)

    possible, impossible = ([5, 6, 7], [8, 9]), ([5], list(range(8, 38)))
    assert 0 < loss([possible, impossible]) == pytest.approx(loss([possible]))
    assert loss([impossible]) == math.inf
