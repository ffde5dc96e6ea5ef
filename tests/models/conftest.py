"""What the tests of both contracts share."""

from typing import Any

import pytest
import torch

from nmt_cli.models import MODELS
from nmt_cli.models.configs import ModelConfig
from nmt_cli.models.contract import Sequences, TranslationModel
from nmt_cli.training.loss import evaluate_nll, forward_backward
from nmt_cli.training.optimizer import FlatOptimizer
from nmt_cli.training.parameters import FlatParameters
from nmt_cli.vocabulary import Vocabulary

VOCABULARY = Vocabulary(source_size=23, target_size=23, joint=True)
SEPARATE = Vocabulary(source_size=19, target_size=23, joint=False)


def every_configuration(contract: type[TranslationModel[Any]]) -> list[Any]:
    """Name and tiny configuration of each model that keeps this contract."""
    cases = []
    for name, model in MODELS.items():
        if not issubclass(model, contract):
            continue
        for number, config in enumerate(model.config_class.tiny_configs()):
            options = config.model_dump(exclude_defaults=True)
            label = "-".join(f"{v}" for v in options.values() if isinstance(v, str))
            cases.append(pytest.param(name, config, id=f"{name}-{number}-{label}"))
    return cases


def one_of_each(cases: list[Any]) -> list[Any]:
    """The same cases; all but the first of each model are marked slow."""
    names = [case.values[0] for case in cases]
    slow = [name in names[:number] for number, name in enumerate(names)]
    return [
        pytest.param(*case.values, id=case.id, marks=[pytest.mark.slow] if late else [])
        for case, late in zip(cases, slow, strict=True)
    ]


def build(name: str, config: ModelConfig) -> TranslationModel[Any]:
    """A model in evaluation mode; with separate vocabularies unless all embeddings are tied."""
    joint = getattr(config, "tied_embeddings", "all") == "all"
    torch.manual_seed(5)
    return MODELS[name](config, VOCABULARY if joint else SEPARATE).eval()


def sequences(lengths: list[int], size: int, seed: int) -> Sequences:
    """Random ids of these lengths; padding is random, too, so that it would show if it mattered."""
    draw = torch.Generator().manual_seed(seed)
    ids = torch.randint(4, size, (len(lengths), max(lengths)), generator=draw)
    return Sequences(ids, torch.tensor(lengths))


def overfit(model: TranslationModel[Any], source: Sequences, target_in: Sequences, target_out: Sequences) -> float:
    """The loss per token of these pairs after 400 updates on them, or fewer if it is near zero by then."""
    optimizer = FlatOptimizer(FlatParameters(model, torch.float32), "adam", (0.9, 0.98), 1e-9, 0.0)
    tokens = int(target_out.lengths.sum())
    for update in range(400):
        loss = forward_backward(model, source, target_in, target_out, smoothing=0.0, scale=1 / 90)
        optimizer.step(0.01 if update < 250 else 0.003, 1.0)
        if float(loss) / tokens < 0.05:
            break
    return float(evaluate_nll(model, source, target_in, target_out)) / tokens


def check_gradients(model: TranslationModel[Any], source: Sequences, target: Sequences) -> None:
    """Every parameter gets a gradient that is not all zeros."""
    forward_backward(model, source, target, target, smoothing=0.1, scale=1.0)
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert float(parameter.grad.abs().sum()) > 0, name
