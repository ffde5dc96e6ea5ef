"""The contract of autoregressive models, for each of them and every value of every option."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor

from nmt_cli.models import MODELS, contract
from nmt_cli.models.configs import ModelConfig
from nmt_cli.models.contract import Autoregressive, Sequences
from tests.models import conftest
from tests.models.conftest import check_gradients, every_configuration, one_of_each, overfit, sequences

Model = Autoregressive[Any, Any]
CASES = every_configuration(Autoregressive)
EXPORTABLE = [case for case in CASES if getattr(MODELS[case.values[0]], "exportable_state", None) is not None]
each_model = pytest.mark.parametrize("name, config", CASES)


def build(name: str, config: ModelConfig) -> Model:
    model = conftest.build(name, config)
    assert isinstance(model, Autoregressive)
    return model


def batch(model: Model) -> tuple[Sequences, Sequences]:
    source = sequences([5, 2, 7, 1], model.vocabulary.source_size, 1)
    target = sequences([4, 6, 1, 3], model.vocabulary.target_size, 2)
    target.ids[:, 0] = model.decoder_start_id
    return source, target


def real(logits: Tensor, target: Sequences) -> list[Tensor]:
    return [row[:n] for row, n in zip(logits, target.lengths.tolist(), strict=True)]


def test_every_option_value_occurs_in_the_tiny_configurations() -> None:
    for name, model in MODELS.items():
        seen = model.config_class.tiny_configs()
        for key, field in model.config_class.model_fields.items():
            choices = getattr(field.annotation, "__args__", ())
            expected = [c for c in choices if isinstance(c, str)]
            if field.annotation is bool:
                expected = [True, False]
            missing = set(expected) - {getattr(config, key) for config in seen}
            assert not missing, f"{name}.{key}: no tiny configuration has {missing}"


@each_model
def test_tiny_configurations_are_consistent(name: str, config: ModelConfig) -> None:
    assert config.errors(joint_vocabulary=True) == []


@each_model
@torch.no_grad()
def test_forward_equals_step_by_step(name: str, config: ModelConfig) -> None:
    model = build(name, config)
    source, target = batch(model)
    whole = real(model.output_logits(model(source, target)), target)
    state = model.init_state(source, 1, target.ids.shape[1])
    steps = []
    for token in target.ids.unbind(1):
        logits, state = model.decode_step(token, state)
        steps.append(logits)
    for expected, step_logits in zip(whole, real(torch.stack(steps, 1), target), strict=True):
        torch.testing.assert_close(step_logits, expected, atol=1e-5, rtol=1e-5)


def test_chunks_cover_all_rows_in_order_without_needless_padding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contract, "MAX_CPU_CHUNK_POSITIONS", 12)
    source = sequences([5, 2, 7, 1, 4, 3], 50, 1)
    chunks = list(source.chunks())
    assert [rows for rows, _ in chunks] == [slice(0, 2), slice(2, 3), slice(3, 6)]
    for rows, chunk in chunks:
        assert chunk.lengths.tolist() == source.lengths[rows].tolist()
        assert chunk.ids.shape[1] == chunk.lengths.max()
        assert torch.equal(chunk.ids, source.ids[rows, : chunk.ids.shape[1]])
    monkeypatch.setattr(contract, "MAX_CPU_CHUNK_POSITIONS", source.ids.numel())
    assert [chunk for _, chunk in source.chunks()] == [source]


@each_model
@torch.no_grad()
def test_padding_order_and_other_sentences_change_nothing(name: str, config: ModelConfig) -> None:
    model = build(name, config)
    source, target = batch(model)
    together = real(model.output_logits(model(source, target)), target)
    order = torch.tensor([2, 0, 3, 1])
    shuffled = Sequences(source.ids[order], source.lengths[order])
    turned = Sequences(target.ids[order], target.lengths[order])
    mixed = real(model.output_logits(model(shuffled, turned)), turned)
    for row, before in enumerate(order.tolist()):
        torch.testing.assert_close(mixed[row], together[before], atol=1e-5, rtol=1e-5)
    for row in range(4):
        s, t = int(source.lengths[row]), int(target.lengths[row])
        alone = model.output_logits(
            model(
                Sequences(source.ids[row : row + 1, :s], source.lengths[row : row + 1]),
                Sequences(target.ids[row : row + 1, :t], target.lengths[row : row + 1]),
            )
        )
        torch.testing.assert_close(alone[0], together[row], atol=1e-5, rtol=1e-5)


@each_model
@torch.no_grad()
def test_reorder_and_select_follow_the_hypotheses(
    name: str, config: ModelConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A beam that is reordered at every step scores each path as teacher forcing does.

    The source is encoded in three chunks.
    """
    monkeypatch.setattr(contract, "MAX_CPU_CHUNK_POSITIONS", 12)
    model = build(name, config)
    source, _ = batch(model)
    draw = torch.Generator().manual_seed(3)
    width, sentences = 3, [0, 1, 2, 3]
    paths = [[[model.decoder_start_id]] * width for _ in sentences]
    state = model.init_state(source, width, 8)
    for length in range(6):
        tokens = torch.tensor([path[-1] for row in paths for path in row])
        logits, state = model.decode_step(tokens, state)
        logits = logits.view(len(sentences), width, -1)
        for row, sentence in enumerate(sentences):
            for slot, path in enumerate(paths[row]):
                expected = _alone(model, source, sentence, path)
                torch.testing.assert_close(logits[row, slot], expected, atol=1e-5, rtol=1e-5)
        parents = torch.randint(width, (len(sentences), width), generator=draw)
        fresh = torch.randint(4, 23, (len(sentences), width), generator=draw)
        paths = [
            [[*row[int(p)], int(new)] for p, new in zip(ps, news, strict=True)]
            for row, ps, news in zip(paths, parents, fresh, strict=True)
        ]
        state.reorder(parents)
        if length in (1, 3):
            rows = torch.tensor([0, 3, 2] if length == 1 else [2, 1])
            state.select(rows)
            sentences = [sentences[i] for i in rows.tolist()]
            paths = [paths[i] for i in rows.tolist()]


def _alone(model: Model, source: Sequences, sentence: int, path: list[int]) -> Tensor:
    length = int(source.lengths[sentence])
    single = Sequences(source.ids[sentence : sentence + 1, :length], source.lengths[[sentence]])
    written = Sequences(torch.tensor([path]), torch.tensor([len(path)]))
    return model.output_logits(model(single, written))[0, -1]


def test_the_state_of_every_shipped_model_is_made_of_named_tensors() -> None:
    exportable = {case.values[0] for case in EXPORTABLE}
    assert exportable >= {"transformer", "rnn", "decoder_only"}
    assert {name for name, model in MODELS.items() if issubclass(model, Autoregressive)} >= exportable


@pytest.mark.parametrize("name, config", EXPORTABLE)
@torch.no_grad()
def test_a_state_rebuilt_from_its_tensors_continues_alike(name: str, config: ModelConfig) -> None:
    model = build(name, config)
    assert model.exportable_state is not None
    source, target = batch(model)
    state, rebuilt = (model.init_state(source, 1, 8) for _ in range(2))
    first = rebuilt.tensors()
    for token in target.ids.unbind(1):
        tensors = rebuilt.tensors()
        assert (list(tensors.memory), list(tensors.updated)) == (list(first.memory), list(first.updated))
        assert all(len(tensor) == 4 for tensor in (tensors.memory | tensors.updated).values())
        expected, state = model.decode_step(token, state)
        logits, rebuilt = model.decode_step(token, model.exportable_state.from_tensors(tensors))
        torch.testing.assert_close(logits, expected, atol=1e-5, rtol=1e-5)


@each_model
@torch.no_grad()
def test_kv_cache_per_token_is_what_a_longer_cache_holds(name: str, config: ModelConfig) -> None:
    model = build(name, config)
    source, _ = batch(model)
    count = source.ids.shape[0]
    states = [model.init_state(source, 1, capacity) for capacity in (3, 4)]
    if not hasattr(states[0], "cache"):  # the state does not grow with the text
        assert model.kv_cache_per_token == 0
        return
    sizes = [decoder_state.cache.entries.numel() for decoder_state in states]
    assert sizes[1] - sizes[0] == count * model.kv_cache_per_token


@each_model
@torch.no_grad()
def test_attention_weights_are_a_distribution_over_the_source(name: str, config: ModelConfig) -> None:
    model = build(name, config)
    source, target = batch(model)
    weights = model.attention(source, target)
    assert model.has_attention == (weights is not None)
    if weights is None:
        return
    assert weights.shape[0] == 4 and weights.shape[3:] == (6, 7)
    padded = torch.arange(7)[None, :] >= source.lengths[:, None]
    for row, t in enumerate(target.lengths.tolist()):
        inside = weights[row, :, :, :t]
        assert float(inside[..., padded[row]].sum()) == 0.0
        total = inside.sum(-1)
        if getattr(config, "local_window", None) is None:
            torch.testing.assert_close(total, torch.ones_like(total))
        else:
            assert bool((total <= 1 + 1e-5).all())


@each_model
def test_every_parameter_gets_a_gradient(name: str, config: ModelConfig) -> None:
    model = build(name, config).train()
    source, target = batch(model)
    check_gradients(model, source, target)


@pytest.mark.parametrize("name, config", one_of_each(every_configuration(Autoregressive)))
def test_it_overfits_twenty_pairs(name: str, config: ModelConfig) -> None:
    model = build(name, config).train()
    source = sequences([4 + n % 3 for n in range(20)], model.vocabulary.source_size, 7)
    out = sequences([3 + n % 4 for n in range(20)], model.vocabulary.target_size, 8)
    start = torch.full((20, 1), model.decoder_start_id)
    target_in = Sequences(torch.cat([start, out.ids[:, :-1]], 1), out.lengths)
    assert overfit(model, source, target_in, out) < 0.1


@each_model
def test_a_copy_with_the_same_weights_gives_the_same_output(name: str, config: ModelConfig) -> None:
    model = build(name, config)
    source, target = batch(model)
    named = {key: value.detach().clone() for key, value in model.named_parameters()}
    other = copy.deepcopy(MODELS[name](config, model.vocabulary)).eval()
    for key, parameter in other.named_parameters():
        parameter.data.copy_(named[key])
    assert torch.equal(other(source, target), model(source, target))
