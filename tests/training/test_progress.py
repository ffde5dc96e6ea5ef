"""Which validation is the best, when a run is stale, and when it learns nothing."""

import math
from dataclasses import asdict

import numpy as np
import pytest

from nmt_cli.data.prepared.store import SequenceStore
from nmt_cli.evaluation.validation import unigram_loss
from nmt_cli.training.config import TrainingConfig
from nmt_cli.training.metrics import ValidationResult
from nmt_cli.training.progress import judge_validation, not_learning
from nmt_cli.training.state import TrainingState

CONFIG = TrainingConfig(updates=1000, warmup_updates=100)


def judged(
    *validations: tuple[int, float, float], state: TrainingState | None = None
) -> tuple[TrainingState, list[int]]:
    """The state after validations (update, score, loss), and the updates of those that were the best so far."""
    state, best_updates = state or TrainingState(), []
    for state.update, score, loss in validations:
        if judge_validation(state, ValidationResult(loss, {"bleu": score}), CONFIG):
            best_updates.append(state.update)
    return state, best_updates


def test_equal_scores_are_decided_by_the_loss() -> None:
    state, best_updates = judged(
        (1, 0.0, 9.0), (2, 0.0, 8.0), (3, 0.0, 8.5), (4, 0.0, 8.0), (5, 2.0, 9.0), (6, 1.0, 1.0)
    )
    assert best_updates == [1, 2, 5]
    assert (state.best_score, state.best_loss, state.best_update, state.lowest_validation_loss) == (2.0, 9.0, 5, 1.0)


def test_a_validation_is_stale_only_if_neither_score_nor_loss_is_the_best_so_far() -> None:
    falling = [(200 + number, 0.0, 9.0 - number) for number in range(5)]
    assert judged(*falling)[0].stale_validations == 0
    assert judged((200, 5.0, 3.0), (300, 6.0, 4.0))[0].stale_validations == 0
    state, _ = judged((200, 5.0, 3.0), (300, 5.0, 3.0), (400, 4.0, 3.5), (500, 5.0, math.nan))
    assert state.stale_validations == state.plateau_stale_validations == 3
    assert judged((600, 5.0, 2.9), state=state)[0].stale_validations == 0


def test_patience_counts_only_after_the_warm_up() -> None:
    validations = [(20, 5.0, 3.0), (60, 1.0, 9.0), (100, 1.0, 9.0)]
    assert judged(*validations)[0].stale_validations == 0
    assert judged(*validations, (101, 1.0, 9.0))[0].stale_validations == 1


def test_a_score_that_is_no_number_is_never_the_best() -> None:
    assert judged((1, math.nan, 9.0), (2, math.nan, 8.0))[1] == []


def test_a_checkpoint_of_an_earlier_version_resumes_with_what_it_knows() -> None:
    record = asdict(TrainingState(update=300, best_score=5.0, best_update=200))
    for key in ("best_loss", "lowest_validation_loss", "stale_validations", "plateau_stale_validations"):
        del record[key]
    for names in (("validations_since_best", "plateau_bad_validations"), ("stale", "plateau_stale")):
        state = TrainingState.from_record(record | dict(zip(names, (2, 1), strict=True)))
        assert (state.stale_validations, state.plateau_stale_validations) == (2, 1)
    assert judged((400, 5.0, 1.0), state=state)[1] == []  # equal, and the loss of the best one is not known
    assert judged((500, 5.1, 2.0), state=state)[1] == [500]


def problem(update: int, loss: float = 5.0, only_output: str | None = None) -> str | None:
    validation = ValidationResult(loss, {"bleu": 0.0}, only_output=only_output, baseline_loss=6.0)
    return not_learning(TrainingState(update=update), validation, CONFIG)


@pytest.mark.parametrize(
    ("update", "loss", "only_output", "reason"),
    [
        (101, 6.0, None, "the development loss is 6.00, and 6.00 for a model"),
        (101, 5.0, "x" * 99, "translated as “" + "x" * 60 + "…”"),
        (101, 5.0, "", "translated as “”"),
        (101, 5.9, None, None),
        (100, 9.0, "x", None),
    ],
)
def test_a_run_that_learns_nothing_after_the_warm_up_says_so(
    update: int, loss: float, only_output: str | None, reason: str | None
) -> None:
    said = problem(update, loss, only_output)
    assert said is None if reason is None else reason in str(said)


def test_a_run_that_ends_within_its_warm_up_is_judged_at_its_end() -> None:
    state = TrainingState(update=50)
    config = TrainingConfig(updates=50, warmup_updates=100)
    assert not_learning(state, ValidationResult(9.0, {}, baseline_loss=6.0), config) is not None


def test_a_run_of_few_updates_is_not_judged() -> None:
    for update, config in ((49, TrainingConfig(updates=49)), (49, TrainingConfig(updates=500, warmup_updates=0))):
        assert not_learning(TrainingState(update=update), ValidationResult(9.0, {}, baseline_loss=6.0), config) is None


def test_the_baseline_is_the_cross_entropy_of_frequencies() -> None:
    training = SequenceStore(np.array([5, 5, 6, 5], dtype=np.uint16), np.array([0, 2, 4]))
    development = SequenceStore(np.array([5, 7], dtype=np.uint16), np.array([0, 2]))
    counts = {5: 4, 6: 2, 7: 1, "end": 2}
    total = 4 + 8 + 2  # tokens, one more for each of 8, ends of sentences
    expected = -sum(math.log(counts[key] / total) for key in (5, 7, "end")) / 3
    assert unigram_loss(training, development, 8) == pytest.approx(expected)


def test_a_checkpoint_resumes_with_every_field() -> None:
    state = TrainingState(best_loss=2.0, lowest_validation_loss=1.0, stale_validations=3, lowest_median_loss=4.0)
    assert TrainingState.from_record(asdict(state)) == state
