"""What a training does not hold in memory: PyTorch's compiler, and the optimizer once it is done."""

import subprocess
import sys
import weakref
from pathlib import Path
from typing import Any

import pytest

from nmt_cli.commands import train as train_command
from nmt_cli.evaluation.metrics import Score
from nmt_cli.models import MODELS
from nmt_cli.recipe.loader import Recipe, build_recipe
from nmt_cli.reporting import Reporter
from nmt_cli.runs.setup import TrainingRun
from nmt_cli.training.optimizer import FlatOptimizer
from nmt_cli.training.trainer import Trainer
from tests.conftest import environment, in_float32, toy_content

IMPORTED = """
import sys
from pathlib import Path
from nmt_cli.commands.train import train
from nmt_cli.reporting import Reporter
from tests.commands.test_train_memory import short_recipe

train(short_recipe(sys.argv[1]), Path("run"), Reporter(quiet=True))
print(*sys.modules)
"""


def short_recipe(model: str) -> Recipe:
    content = toy_content(Path("text"), updates=2, validate_every=2, metric="loss")
    content["model"] = MODELS[model].config_class.tiny_configs()[0].model_dump(mode="json")
    return build_recipe(in_float32(content))


@pytest.mark.parametrize(
    "model", ["transformer", *(pytest.param(name, marks=pytest.mark.slow) for name in ("rnn", "ctc"))]
)
def test_training_imports_no_compiler(model: str, toy: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED, model], cwd=toy, env=environment(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert {"torch._dynamo", "torch.fx.experimental.symbolic_shapes", "sympy"}.isdisjoint(done.stdout.split())


def test_the_optimizer_is_freed_before_the_test_text_is_translated(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[weakref.ref[FlatOptimizer]] = []
    left: list[FlatOptimizer | None] = []
    make_trainer = TrainingRun.make_trainer

    def remember(*arguments: Any, **options: Any) -> Trainer:
        trainer = make_trainer(*arguments, **options)
        made.append(weakref.ref(trainer.optimizer))
        return trainer

    def look(run: TrainingRun) -> tuple[list[Score], dict[str, list[Score]]]:
        left.extend(reference() for reference in made)
        assert all(parameter.grad is None for parameter in run.model.parameters())
        return [], {}

    monkeypatch.setattr(TrainingRun, "make_trainer", remember)
    monkeypatch.setattr(train_command, "_score_test", look)
    train_command.train(short_recipe("transformer"), Path("run"), Reporter(quiet=True))
    assert left == [None]
