"""The contract of non-autoregressive models, for each of them and every value of every option."""

from typing import Any

import pytest
import torch

from nmt_cli.models.configs import ModelConfig
from nmt_cli.models.contract import NonAutoregressive, Sequences
from tests.models import conftest
from tests.models.conftest import check_gradients, every_configuration, one_of_each, overfit, sequences

each_model = pytest.mark.parametrize("name, config", every_configuration(NonAutoregressive))


def build(name: str, config: ModelConfig) -> NonAutoregressive[Any]:
    model = conftest.build(name, config)
    assert isinstance(model, NonAutoregressive)
    return model


@each_model
@torch.no_grad()
def test_padding_order_and_other_sentences_change_nothing(name: str, config: ModelConfig) -> None:
    model = build(name, config)
    source = sequences([5, 2, 7, 1], model.vocabulary.source_size, 1)
    hidden, emitted = model(source)
    logits = model.output_logits(hidden)
    assert logits.shape[2] == 23 and bool((emitted >= source.lengths).all())
    assert emitted.tolist() == [model.output_length(length) for length in source.lengths.tolist()]
    for row in range(4):
        length = int(source.lengths[row])
        alone = Sequences(source.ids[row : row + 1, :length], source.lengths[row : row + 1])
        single = model.output_logits(model(alone)[0])[0]
        expected = logits[row, : int(emitted[row])]
        torch.testing.assert_close(single, expected, atol=1e-5, rtol=1e-5)


@each_model
def test_every_parameter_gets_a_gradient(name: str, config: ModelConfig) -> None:
    model = build(name, config).train()
    source = sequences([5, 2, 7, 3], model.vocabulary.source_size, 1)
    target = sequences([4, 3, 6, 3], model.vocabulary.target_size, 2)
    check_gradients(model, source, target)


@pytest.mark.parametrize("name, config", one_of_each(every_configuration(NonAutoregressive)))
def test_it_overfits_twenty_pairs(name: str, config: ModelConfig) -> None:
    model = build(name, config).train()
    source = sequences([4 + n % 3 for n in range(20)], model.vocabulary.source_size, 7)
    target = sequences([3 + n % 4 for n in range(20)], model.vocabulary.target_size, 8)
    is_bag_of_words = getattr(config, "positions", "") == "none"  # which cannot overfit
    assert overfit(model, source, target, target) < (2.0 if is_bag_of_words else 0.1)
