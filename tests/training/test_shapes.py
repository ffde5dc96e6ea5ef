"""Batches of few shapes, so that oneDNN makes its kernels in the first epoch and never again."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from nmt_cli.reporting import Reporter
from nmt_cli.runs.loading import build_model
from nmt_cli.runs.preparation import prepare_recipe
from nmt_cli.runs.setup import kernel_limit
from nmt_cli.training.batches import BatchIterator
from nmt_cli.training.config import TrainingConfig
from nmt_cli.training.gradients import GradientAccumulator
from nmt_cli.training.parameters import FlatParameters
from nmt_cli.training.state import TrainingState
from tests.conftest import environment as environment_of_tests
from tests.conftest import toy_recipe, write_syllables


def train_three_epochs() -> None:
    """Run by the test in a process of its own, where oneDNN's messages can be read."""
    recipe = toy_recipe(Path("text"))
    data = prepare_recipe(recipe, Reporter(quiet=True)).data
    model = build_model(recipe, data.tokenizers.vocabulary).train()
    gradients = GradientAccumulator(
        model, FlatParameters(model, torch.bfloat16), device=torch.device("cpu"), seed=1, smoothing=0.1
    )
    batches, state = BatchIterator(data, 512, seed=1), TrainingState()
    for _ in range(3):
        for _ in batches.epoch_schedule().batches:
            state.update += 1
            gradients.accumulate_gradients(batches.next_micro_batches(), state)
            gradients.parameters.zero_grad()
        print("epoch over", flush=True)


def test_only_a_training_with_few_validations_limits_the_kernels() -> None:
    assert [kernel_limit(TrainingConfig(updates=updates, validate_every=500)) for updates in (2500, 2501, 4500)] == [
        384, 1024, 1024,
    ]  # fmt: skip


@pytest.mark.slow
def test_after_the_first_epoch_onednn_makes_no_kernel_anew(tmp_path: Path) -> None:
    write_syllables(tmp_path / "text", {"train": 1500, "dev": 2, "test": 2}, longest=30)
    environment = environment_of_tests() | {"ONEDNN_VERBOSE": "profile_create"}
    done = subprocess.run(
        [sys.executable, "-c", "from tests.training.test_shapes import train_three_epochs as run; run()"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr.decode()
    epochs = done.stdout.decode().split("epoch over\n")
    made = [len(re.findall("create:cache_miss", epoch)) for epoch in epochs[:3]]
    used = [len(re.findall("create:cache_hit", epoch)) for epoch in epochs[:3]]
    if not made[0]:
        pytest.skip("PyTorch multiplies bfloat16 without oneDNN on this processor")
    assert made[1:] == [0, 0] and used[1] == used[2] > 500
    assert made[0] < 384  # as many as `limit_kernel_cache` lets it keep
