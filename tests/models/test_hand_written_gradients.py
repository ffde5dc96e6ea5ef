"""Gradients that are written by hand, against those of PyTorch's own operations."""

from collections import Counter
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torch.utils._python_dispatch import TorchDispatchMode

from nmt_cli.models.attention import MultiHeadAttention
from nmt_cli.models.configs import AttentionType, CellType, RNNConfig
from nmt_cli.models.contract import Sequences
from nmt_cli.models.embedding import Embedding
from nmt_cli.models.linear import Linear, SharedProduct
from nmt_cli.models.recurrent import CellStack, RecurrentEncoder
from nmt_cli.models.rnn import RNN
from nmt_cli.vocabulary import Vocabulary

TYPES = [torch.float32, torch.bfloat16]
TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 0.03}  # of the largest entry; bfloat16 has 8 bits, sums of 8 terms


def assert_near(actual: Tensor, expected: Tensor, dtype: torch.dtype) -> None:
    difference = (actual.float() - expected.float()).abs().max()
    assert float(difference) <= TOLERANCE[dtype] * float(expected.float().abs().max())


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("rotary", [None, 3, torch.tensor([2, 0])], ids=["", "rotary", "rotary-of-each-sentence"])
@pytest.mark.parametrize("key_value_heads, masked", [(4, True), (2, False)])
def test_attention_by_hand_equals_composed_attention(
    dtype: torch.dtype, rotary: int | Tensor | None, key_value_heads: int, masked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(1)
    attend = MultiHeadAttention(16, 4, key_value_heads, 0.0).to(dtype).train()
    x, direction = torch.randn(2, 5, 16, dtype=dtype), torch.randn(2, 5, 16, dtype=dtype)
    bias = torch.zeros(2, 1, 5, 5).masked_fill(torch.ones(5, 5).triu(1).bool(), float("-inf")) if masked else None
    results = []
    for by_hand in (True, False):
        if not by_hand:
            monkeypatch.setattr(MultiHeadAttention, "_differentiates_by_hand", lambda *_: False)
        leaf = x.clone().requires_grad_()
        attended = attend(attend.queries(leaf), *attend.keys_values(leaf), bias, rotary)
        attend.zero_grad()
        (attended * direction).sum().backward()
        assert leaf.grad is not None
        results.append(
            [attended.detach(), leaf.grad, *(p.grad.clone() for p in attend.parameters() if p.grad is not None)]
        )
    assert len(results[0]) == len(results[1]) == 8
    for actual, expected in zip(*results, strict=True):
        assert_near(actual, expected, dtype)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("bias", [True, False])
def test_a_linear_layer_adds_its_gradients_to_what_is_there(dtype: torch.dtype, bias: bool) -> None:
    torch.manual_seed(1)
    layer, plain = Linear(6, 4, bias=bias).to(dtype), nn.Linear(6, 4, bias=bias).to(dtype)
    plain.load_state_dict(layer.state_dict())
    inputs = [torch.randn(2, 3, 6, dtype=dtype).requires_grad_() for _ in range(4)]  # the first finds no gradient
    twins = [x.detach().clone().requires_grad_() for x in inputs]
    for x, twin in zip(inputs, twins, strict=True):
        for module, leaf in ((layer, x), (plain, twin)):
            module(leaf).square().sum().backward()
        assert x.grad is not None and twin.grad is not None
        assert_near(x.grad, twin.grad, dtype)
    for parameter, expected in zip(layer.parameters(), plain.parameters(), strict=True):
        assert parameter.grad is not None and expected.grad is not None
        assert_near(parameter.grad, expected.grad, dtype)
    assert torch.equal(layer(inputs[0]), plain(inputs[0]))


@pytest.mark.parametrize("dtype", TYPES)
def test_the_gradient_of_a_frequent_word_is_summed_in_float32(dtype: torch.dtype) -> None:
    """1,024 times 1/256 would stop at 1 in bfloat16, where 1 + 1/256 is 1."""
    embedding = Embedding(5, 2).to(dtype)
    ids = torch.full((1024,), 3)
    for total in (4.0, 8.0):
        (embedding(ids) / 256).sum().backward()
        assert embedding.weight.grad is not None
        assert embedding.weight.grad[3].tolist() == [total, total] and float(embedding.weight.grad.sum()) == 2 * total


class CountedProducts(TorchDispatchMode):
    """Counts matrix products, and numbers that operators write."""

    def __init__(self) -> None:
        super().__init__()
        self.products: Counter[tuple[tuple[int, ...], ...]] = Counter()
        self.written_numel = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func in (torch.ops.aten.mm.default, torch.ops.aten.bmm.default):
            self.products[tuple(args[0].shape), tuple(args[1].shape)] += 1
        if isinstance(result, Tensor) and not func.is_view:
            self.written_numel += result.numel()
        return result


def test_a_shared_product_computes_the_gradient_of_its_matrix_once() -> None:
    torch.manual_seed(1)
    matrix, bias = torch.randn(3, 5, requires_grad=True), torch.randn(5, requires_grad=True)
    inputs = [torch.randn(2, 3, requires_grad=True) for _ in range(4)]
    direction = torch.randn(2, 5)
    product = SharedProduct(matrix, bias)
    loss = torch.stack([(product(x) * direction).sum() for x in inputs]).sum() + matrix.square().sum()
    with CountedProducts() as counted:
        grads = torch.autograd.grad(loss, [matrix, bias, *inputs])
    plain = torch.stack([((x @ matrix + bias) * direction).sum() for x in inputs]).sum() + matrix.square().sum()
    for actual, expected in zip(grads, torch.autograd.grad(plain, [matrix, bias, *inputs]), strict=True):
        assert_near(actual, expected, torch.float32)
    assert counted.products == {((3, 8), (8, 5)): 1, ((2, 5), (5, 3)): 4}


def test_a_shared_product_of_a_matrix_per_sentence() -> None:
    torch.manual_seed(1)
    matrix = torch.randn(2, 3, 5, dtype=torch.double, requires_grad=True)
    queries = [torch.randn(2, 1, 3, dtype=torch.double, requires_grad=True) for _ in range(3)]

    def products(matrix: Tensor, *queries: Tensor) -> Tensor:
        product = SharedProduct(matrix)
        return torch.stack([product(query).tanh() for query in queries])

    assert torch.autograd.gradcheck(products, (matrix, *queries))


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_cells_by_hand_equal_those_of_pytorch(cell: CellType) -> None:
    torch.manual_seed(1)
    stack = CellStack(cell, 4 + 2, 3, 2, dropout=0.0).double()
    embeddings = torch.randn(2, 5, 4, dtype=torch.double, requires_grad=True)
    feed = torch.randn(2, 2, dtype=torch.double, requires_grad=True)
    results = []
    for by_hand in (True, False):
        states, tops = stack.init_states(torch.zeros(2, 3, dtype=torch.double)), []
        if by_hand:
            for advance in stack.unroll(embeddings):
                top, states = advance(feed, states)
                tops.append(top)
        else:
            for embedding in embeddings.unbind(1):
                top, states = stack(torch.cat([embedding, feed], 1), states)
                tops.append(top)
        outputs = torch.stack([*tops, *(tensor for state in states for tensor in state)])
        direction = torch.arange(float(outputs.numel()), dtype=torch.double).view_as(outputs).sin()
        grads = torch.autograd.grad((outputs * direction).sum(), [embeddings, feed, *stack.parameters()])
        results.append([outputs.detach(), *grads])
    for actual, expected in zip(*results, strict=True):
        torch.testing.assert_close(actual, expected)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("bidirectional", [True, False])
def test_an_encoder_in_training_equals_pytorchs_layers(cell: CellType, bidirectional: bool) -> None:
    torch.manual_seed(1)
    encoder = RecurrentEncoder(cell, 4, 3, 2, bidirectional, dropout=0.0).double()
    x = torch.randn(3, 5, 4, dtype=torch.double, requires_grad=True)
    lengths = torch.tensor([2, 5, 1])
    source = Sequences(torch.ones(3, 5, dtype=torch.long), lengths)
    packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    expected = pad_packed_sequence(encoder.layers(packed)[0], batch_first=True)[0]
    outputs, summary = encoder(x, source)
    torch.testing.assert_close(outputs, expected)
    with torch.no_grad():
        torch.testing.assert_close(encoder(x, source), (outputs.detach(), summary.detach()))
    direction = torch.randn_like(outputs)
    leaves = [x, *encoder.parameters()]
    grads = [torch.autograd.grad((result * direction).sum(), leaves) for result in (outputs, expected)]
    for actual, other in zip(*grads, strict=True):
        torch.testing.assert_close(actual, other)


@pytest.mark.parametrize("attention", ["none", "dot"])
def test_training_a_recurrent_model_takes_linear_memory_traffic(attention: AttentionType) -> None:
    """A pair twice as long is written in twice the numbers at most; only additive attention keeps a vector for each
    pair of positions."""
    vocabulary = Vocabulary(source_size=10, target_size=10, joint=True)
    units = {"encoder_hidden_size": 16, "hidden_size": 32}
    model = RNN(RNNConfig(attention=attention, embedding_size=16, dropout=0.0, **units), vocabulary)
    written = []
    for length in (16, 32):
        batch = Sequences(torch.full((1, length), 5), torch.tensor([length]))
        model.zero_grad()
        with CountedProducts() as counted:
            model(batch, batch).sum().backward()
        written.append(counted.written_numel)
    assert written[1] < 2 * written[0]
