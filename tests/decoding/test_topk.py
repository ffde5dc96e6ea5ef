"""The best entries of rows, found column by column."""

import pytest
import torch

from nmt_cli.decoding.topk import topk


@pytest.mark.parametrize("width", [10, 64, 700, 6000, 6001, 6063])
@pytest.mark.parametrize("count", [1, 3, 10])
def test_the_best_are_those_that_pytorch_finds(width: int, count: int) -> None:
    rows = torch.randn(7, width, generator=torch.Generator().manual_seed(width))
    rows[3] = rows[3].sort().values  # the best at the end, which may be in no column
    rows[4] = rows[4].sort(descending=True).values
    values, index = topk(rows, count)
    assert torch.equal(values, rows.topk(count).values)
    assert torch.equal(rows.gather(1, index), values)


def test_rows_in_which_little_is_possible() -> None:
    rows = torch.full((2, 1000), -torch.inf)
    rows[0, 999], rows[1, 5] = 1.0, 2.0
    values, index = topk(rows, 4)
    assert values[:, 0].tolist() == [1.0, 2.0] and index[:, 0].tolist() == [999, 5]
    assert values[:, 1:].isinf().all() and int(index.max()) < 1000
    assert all(len(set(row)) == 4 for row in index.tolist())
