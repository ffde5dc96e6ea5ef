"""Learning rates in a table."""

import pytest

from nmt_cli.training.schedule import Schedule, rate

TABLE: list[tuple[Schedule, int, float]] = [
    ("constant", 50, 0.5), ("constant", 100, 1.0), ("constant", 1000, 1.0),
    ("plateau", 1000, 1.0),
    ("inverse_sqrt", 50, 0.5), ("inverse_sqrt", 100, 1.0), ("inverse_sqrt", 400, 0.5),
    ("cosine", 100, 1.0), ("cosine", 550, 0.5), ("cosine", 1000, 0.0),
    ("linear", 100, 1.0), ("linear", 550, 0.5), ("linear", 1000, 0.0),
]  # fmt: skip


@pytest.mark.parametrize("schedule, update, expected", TABLE)
def test_rates_are_those_of_the_formula(schedule: Schedule, update: int, expected: float) -> None:
    found = rate(schedule, 1.0, update, warmup=100, updates=1000, width=512)
    assert found == pytest.approx(expected, abs=1e-9)


def test_noam_is_equation_three_of_the_paper() -> None:
    for update in (1, 2000, 4000, 100_000):
        found = rate("noam", 2.0, update, warmup=4000, updates=100_000, width=512)
        wanted = 2.0 * 512**-0.5 * min(update**-0.5, update * 4000**-1.5)
        assert found == pytest.approx(wanted)


def test_without_warmup_the_first_update_has_the_full_rate() -> None:
    assert rate("constant", 0.1, 1, warmup=0, updates=10, width=8) == pytest.approx(0.1)
