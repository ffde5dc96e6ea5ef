"""The cache of keys and values: it must act as if every hypothesis kept a copy of its own."""

import pytest
import torch
from torch import Tensor

from nmt_cli.models import kv_cache
from nmt_cli.models.attention import MultiHeadAttention
from nmt_cli.models.kv_cache import BatchSelection, GrowingKVCache, KVCache

LAYERS, KV_HEADS, HEAD_DIM, STEPS = 2, 2, 4, 6
Entries = list[list[list[Tensor]]]  # the keys [G, K] that each hypothesis of each sentence has written or inherited


def make_cache(sentences: int, beam_size: int, prefix_entries: int = 0) -> KVCache:
    like = torch.empty(sentences, beam_size)
    return KVCache(like, LAYERS, KV_HEADS, HEAD_DIM, STEPS * beam_size, prefix_entries)


def visible_keys(keys: Tensor, bias: Tensor, sentence: int, slot: int) -> list[Tensor]:
    """The keys [G, K] that a hypothesis attends to, of keys [B, G, entries, K] and a bias [B, 1, W, entries]."""
    return [keys[sentence, :, entry] for entry in torch.nonzero(bias[sentence, 0, slot] == 0).flatten().tolist()]


def check_equal(actual: list[Tensor], expected: list[Tensor]) -> None:
    assert len(actual) == len(expected)
    assert all(torch.equal(a, b) for a, b in zip(actual, expected, strict=True))


@pytest.mark.parametrize("initial_steps", [STEPS, 1])
def test_a_hypothesis_sees_what_its_ancestors_wrote_and_nothing_else(
    initial_steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kv_cache, "INITIAL_STEPS", initial_steps)
    torch.manual_seed(1)
    beam_size, sentences = 3, [0, 1, 2, 3]
    cache = make_cache(len(sentences), beam_size)
    written: Entries = [[[] for _ in range(beam_size)] for _ in sentences]
    for step in range(STEPS):
        cache.advance()
        keys = torch.randn(len(sentences), KV_HEADS, beam_size, HEAD_DIM)
        for layer in range(LAYERS):
            all_keys, all_values = cache.write(layer, keys + layer, keys - layer)
        bias = cache.attention_bias()
        assert bias is not None and bias.shape == (len(sentences), 1, beam_size, (step + 1) * beam_size)
        assert bool(((bias == 0) | (bias == float("-inf"))).all())
        for row in range(len(sentences)):
            for slot in range(beam_size):
                written[row][slot].append(keys[row, :, slot])
                layer = LAYERS - 1
                check_equal(visible_keys(all_keys, bias, row, slot), [key + layer for key in written[row][slot]])
                check_equal(visible_keys(all_values, bias, row, slot), [key - layer for key in written[row][slot]])
        parents = torch.randint(beam_size, (len(sentences), beam_size))
        cache.reorder(parents)
        written = [[list(row[p]) for p in ps] for row, ps in zip(written, parents.tolist(), strict=True)]
        if step in (1, 3):
            rows = [0, 3, 2] if step == 1 else [2, 1]
            cache.select(BatchSelection.from_indices(torch.tensor(rows)))
            sentences, written = [sentences[row] for row in rows], [written[row] for row in rows]


def test_reordering_never_moves_keys() -> None:
    cache = make_cache(2, 3)
    cache.advance()
    cache.write(0, torch.randn(2, KV_HEADS, 3, HEAD_DIM), torch.randn(2, KV_HEADS, 3, HEAD_DIM))
    before, address = cache.entries[0, :, :, :, :3].clone(), cache.entries.data_ptr()
    cache.reorder(torch.tensor([[2, 2, 0], [1, 0, 0]]))
    assert torch.equal(cache.entries[0, :, :, :, :3], before) and cache.entries.data_ptr() == address


def test_attention_over_the_cache_equals_attention_over_a_copy() -> None:
    torch.manual_seed(2)
    attention = MultiHeadAttention(16, 4, KV_HEADS, 0.0)
    cache, beam_size = make_cache(1, 2), 2
    inputs = torch.randn(3, 1, beam_size, 16)
    for step in range(3):
        cache.advance()
        keys, values = cache.write(0, *attention.keys_values(inputs[step]))
        if step < 2:
            cache.reorder(torch.tensor([[1, 0]]))
    attended = attention(attention.queries(inputs[2]), keys, values, cache.attention_bias())
    for slot in range(beam_size):
        own = torch.stack([inputs[0, 0, slot], inputs[1, 0, 1 - slot], inputs[2, 0, slot]])[None]
        expected = attention(attention.queries(inputs[2, :, slot : slot + 1]), *attention.keys_values(own), None)
        torch.testing.assert_close(attended[:, slot : slot + 1], expected)


@pytest.mark.parametrize("beam_size", [1, 2])
def test_all_hypotheses_of_a_sentence_see_its_prefix_but_not_the_padding(beam_size: int) -> None:
    cache = make_cache(2, beam_size, prefix_entries=3)
    prefix = torch.randn(2, KV_HEADS, 3, HEAD_DIM)
    for layer in range(LAYERS):
        cache.write_prefix(layer, slice(0, 1), prefix[:1], prefix[:1])
        cache.write_prefix(layer, slice(1, 2), prefix[1:, :, :2], prefix[1:, :, :2])
    cache.mask_padding(torch.tensor([[False, False, False], [False, False, True]]))
    cache.advance()
    keys = torch.randn(2, KV_HEADS, beam_size, HEAD_DIM)
    all_keys, _ = cache.write(0, keys, keys)
    bias = cache.attention_bias()
    assert bias is not None and cache.num_entries == 3 + beam_size
    for sentence, length in enumerate((3, 2)):
        for slot in range(beam_size):
            expected = [*prefix[sentence, :, :length].unbind(1), keys[sentence, :, slot]]
            check_equal(visible_keys(all_keys, bias, sentence, slot), expected)


def test_a_cache_has_room_for_twice_what_is_written_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kv_cache, "INITIAL_STEPS", 2)
    cache = KVCache(torch.empty(3, 2), LAYERS, KV_HEADS, HEAD_DIM, 2 * 5, prefix_entries=3)
    prefix, padding = torch.randn(3, KV_HEADS, 3, HEAD_DIM), torch.zeros(3, 3, dtype=torch.bool)
    cache.write_prefix(1, slice(0, 3), prefix, -prefix)
    padding[2, 2] = True
    cache.mask_padding(padding)
    rooms = []
    for step in range(5):
        cache.advance()
        rooms.append(cache.entries.shape[-2])
        keys, values = cache.write(1, torch.full((len(prefix), KV_HEADS, 2, HEAD_DIM), float(step)), prefix[:, :, :2])
        if step == 0:
            cache.select(BatchSelection.from_indices(torch.tensor([2, 1])))
            prefix = prefix[[2, 1]]
    assert rooms == [3 + 2 * steps for steps in (2, 2, 4, 4, 5)]
    assert torch.equal(keys[:, :, :3], prefix) and torch.equal(values[:, :, :3], -prefix)
    assert keys[0, 0, 3::2, 0].tolist() == [0, 1, 2, 3, 4]
    assert cache.bias_in_use()[:, 0, 0, :3].tolist() == [[0, 0, float("-inf")], [0, 0, 0]]


def test_no_bias_is_needed_where_every_hypothesis_sees_every_entry() -> None:
    cache = make_cache(2, 1, prefix_entries=3)
    cache.mask_padding(None)
    cache.advance()
    assert cache.attention_bias() is None


def test_a_growing_cache_continues_one_of_fixed_size() -> None:
    cache = make_cache(2, 1)
    steps = torch.randn(2, 2, KV_HEADS, 1, HEAD_DIM)
    cache.advance()
    for layer in range(LAYERS):
        cache.write(layer, steps[0] + layer, steps[0])
    growing = GrowingKVCache(cache.tensors(), None)
    for either in (cache, growing):
        assert int(either.length) == 1
        either.advance()
        for layer in range(LAYERS):
            keys, values = either.write(layer, steps[1] + layer, steps[1])
            assert torch.equal(keys, torch.cat([steps[0], steps[1]], 2) + layer)
            assert torch.equal(values, torch.cat([steps[0], steps[1]], 2))
    assert growing.tensors().keys() == cache.tensors().keys()
    assert all(torch.equal(tensor, cache.tensors()[name]) for name, tensor in growing.tensors().items())
