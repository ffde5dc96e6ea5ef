"""Learning rates in a table."""

import pytest

from nmt_cli.training.config import Schedule
from nmt_cli.training.schedule import scheduled_learning_rate

TABLE: list[tuple[Schedule, int, float]] = [
    ("constant", 50, 0.5), ("constant", 100, 1.0), ("constant", 1000, 1.0),
    ("plateau", 1000, 1.0),
    ("inverse_sqrt", 50, 0.5), ("inverse_sqrt", 100, 1.0), ("inverse_sqrt", 400, 0.5),
    ("cosine", 100, 1.0), ("cosine", 550, 0.5), ("cosine", 1000, 0.0),
    ("linear", 100, 1.0), ("linear", 550, 0.5), ("linear", 1000, 0.0),
]  # fmt: skip


@pytest.mark.parametrize("schedule, update, expected", TABLE)
def test_rates_are_those_of_the_formula(schedule: Schedule, update: int, expected: float) -> None:
    learning_rate = scheduled_learning_rate(schedule, 1.0, update, warmup_updates=100, total_updates=1000, d_model=512)
    assert learning_rate == pytest.approx(expected, abs=1e-9)


def test_noam_is_equation_three_of_the_paper() -> None:
    for update in (1, 2000, 4000, 100_000):
        learning_rate = scheduled_learning_rate(
            "noam", 2.0, update, warmup_updates=4000, total_updates=100_000, d_model=512
        )
        expected = 2.0 * 512**-0.5 * min(update**-0.5, update * 4000**-1.5)
        assert learning_rate == pytest.approx(expected)


def test_without_warmup_the_first_update_has_the_full_rate() -> None:
    assert scheduled_learning_rate("constant", 0.1, 1, warmup_updates=0, total_updates=10, d_model=8) == pytest.approx(
        0.1
    )
