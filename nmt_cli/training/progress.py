"""What a validation says about a run: whether it is the best so far, whether the run is stale, or learns nothing."""

import math

from nmt_cli.training.config import TrainingConfig
from nmt_cli.training.metrics import ValidationResult
from nmt_cli.training.state import TrainingState

MAX_SHOWN_CHARS = 60
MIN_JUDGED_UPDATES = 50  # before which no run is said to learn nothing
ROUNDING = 1e-6  # relative: the same weights may give losses that differ by so much


def judge_validation(state: TrainingState, validation: ValidationResult, config: TrainingConfig) -> bool:
    """Record a validation in the state; whether it is the best so far: by its score, equal ones by loss.

    It is stale if neither score nor loss is the best so far; during the warm-up none is.
    """
    score, loss = validation.score(config.metric), validation.loss
    is_tie = score == state.best_score and state.best_loss is not None and _is_lower(loss, state.best_loss)
    is_best = not math.isnan(score) and (state.best_score is None or score > state.best_score or is_tie)
    has_lowest_loss = math.isfinite(loss) and (
        state.lowest_validation_loss is None or _is_lower(loss, state.lowest_validation_loss)
    )
    if is_best:
        state.best_score, state.best_loss, state.best_update = score, loss, state.update
    if has_lowest_loss:
        state.lowest_validation_loss = loss
    if is_best or has_lowest_loss:
        state.stale_validations = state.plateau_stale_validations = 0
    elif state.update > config.warmup_updates:
        state.stale_validations += 1
        state.plateau_stale_validations += 1
    return is_best


def _is_lower(loss: float, other: float) -> bool:
    return loss < other - ROUNDING * abs(other)


def not_learning(state: TrainingState, validation: ValidationResult, config: TrainingConfig) -> str | None:
    """Why a run seems to learn nothing, and what to try; None if it learns, or if it is too early to say."""
    if state.update < MIN_JUDGED_UPDATES or config.updates > state.update <= config.warmup_updates:
        return None
    if validation.only_output is not None:
        shown = validation.only_output[:MAX_SHOWN_CHARS] + (
            "…" if len(validation.only_output) > MAX_SHOWN_CHARS else ""
        )
        reason = f"every line of the development text is translated as “{shown}”"
    elif validation.baseline_loss is not None and validation.loss >= validation.baseline_loss:
        reason = (
            f"the development loss is {validation.loss:.2f}, and {validation.baseline_loss:.2f} for a model that "
            "knows no more than how frequent each token is"
        )
    else:
        return None
    return (
        f"update {state.update:,}: the run is not learning: {reason}; try another training.learning_rate, more "
        "training.warmup_updates, and nmt check on the corpus"
    )
