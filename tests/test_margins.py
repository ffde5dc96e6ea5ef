"""A near tie is told from a clear decision, in greedy search and in a beam."""

import pytest
import torch

from nmt_cli.decoding.config import SearchConfig
from tests.decoding.test_beam import END, TableModel
from tests.margins import watched


def decided(beam: int, rank: int, gap: float) -> bool:
    """Whether a search is clear in which the first token of this rank has the next one so near."""
    model = TableModel(1, sharpness=3.0)
    with torch.no_grad():
        model.table[:, :, :, END] -= 2.0
        for row in model.table[4, 0]:  # for each token before
            values, tokens = row.topk(rank + 1)
            row[tokens[rank]] = values[rank - 1] - gap
    ((sure, bound),) = watched(model, [[4]], SearchConfig(beam=beam, max_length=3))
    assert 0 < bound < 1e-4
    return sure


@pytest.mark.parametrize("beam", [1, 2])
@pytest.mark.parametrize("gap, sure", [(0.0, False), (1e-6, False), (0.5, True)])
def test_a_choice_is_clear_where_the_best_that_is_left_out_is_far(beam: int, gap: float, sure: bool) -> None:
    assert decided(beam, beam, gap) == sure


def test_a_tie_inside_a_beam_is_none() -> None:
    """Both go on, in whatever order."""
    assert decided(2, 1, 1e-7)
