"""Pairs cut by scores that a model gave them, as `nmt rescore` prints them.

With scores of both directions, a pair has its dual conditional cross-entropy (Junczys-Dowmunt 2018, equation 2),
negated so that more is better: of the cross-entropies a and b per token, -(|a - b| + (a + b) / 2). A baseline, the
scores of the same targets with sources of other pairs, is taken off: what is left is what the source explains.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nmt_cli.data.sources.bad_rows import BadRows
from nmt_cli.data.sources.base import RawPair
from nmt_cli.data.sources.files import read_lines
from nmt_cli.errors import DataError, pluralize

LOWEST_BASELINE = -100.0  # where a baseline could not be computed


@dataclass(frozen=True)
class ScoreCut:
    """Which pairs of a text are kept by their scores."""

    paths: tuple[Path, ...]
    min_score: float | None = None
    keep_share: float | None = None
    baseline: Path | None = None

    def keeps(self, line_number: int) -> bool:
        """Whether the pair on this line, counted from 1, is kept."""
        return bool(self._mask[line_number - 1])

    def check_count(self, pairs: Iterator[RawPair], bad_rows: BadRows) -> Iterator[RawPair]:
        """The pairs of the text; DataError where it has more or fewer lines than there are scores.

        Then the scores may be those of another text, or lack the one of a header, which counts as a line. Fewer lines
        are noticed when the last pair was read.
        """
        line_count = 0
        for pair in pairs:
            line_count = pair.line_number
            if line_count > len(self._mask):
                last_number = max((pair.line_number for pair in pairs), default=line_count)
                raise self._wrong_count(last_number, has_header=bad_rows.has_header)
            yield pair
        line_count = max(line_count, bad_rows.last_line_number)
        if line_count < len(self._mask):
            raise self._wrong_count(line_count, has_header=False)

    def _wrong_count(self, line_count: int, *, has_header: bool) -> DataError:
        names, score_count = " and ".join(map(str, self.files())), len(self._mask)
        lines = pluralize(line_count, "line")
        advice = "one for each is needed"
        if has_header and line_count == score_count + 1:
            lines += ", the first of which is its header"
            advice = "put a line with any number before the first score"
        return DataError(f"{names}: {pluralize(score_count, 'score')}, but the text has {lines}: {advice}")

    @cached_property
    def _mask(self) -> NDArray[np.bool_]:
        scores = self.scores()
        keep = np.isfinite(scores)
        if self.min_score is not None:
            keep &= scores >= self.min_score
        if self.keep_share is not None and len(scores):
            kept_count = max(1, round(self.keep_share * len(scores)))
            best_lines = np.argsort(-scores, kind="stable")  # of equal scores, the first ones of the text
            keep[best_lines[kept_count:]] = False
        return keep

    def scores(self) -> NDArray[np.float64]:
        """The score of each line; DataError where a file is damaged, or they have different numbers of lines."""
        paths = self.files()
        columns = [_read_column(path) for path in paths]
        if len({len(column) for column in columns}) > 1:
            counts = " and ".join(f"{path} {len(column):,}" for path, column in zip(paths, columns, strict=True))
            raise DataError(f"scores of the same text need as many lines: {counts}")
        scores = columns[0]
        with np.errstate(invalid="ignore"):  # of -inf
            if len(self.paths) == 2:
                first, second = -columns[0], -columns[1]
                scores = -(np.abs(first - second) + (first + second) / 2)
            if self.baseline is not None:
                scores = scores - np.maximum(columns[-1], LOWEST_BASELINE)
        return np.where(np.isnan(scores), -np.inf, scores)

    def files(self) -> tuple[Path, ...]:
        """Every file that is read."""
        return self.paths if self.baseline is None else (*self.paths, self.baseline)


def _read_column(path: Path) -> NDArray[np.float64]:
    """One number per line, or the second of several columns: of nmt rescore, the log-probability per token."""
    scores = []
    for number, line in enumerate(read_lines(path), 1):
        columns = line.split(b"\t")
        try:
            scores.append(float(columns[min(1, len(columns) - 1)]))
        except ValueError:
            raise DataError(f"{path}: line {number}: no score: {line.decode(errors='replace')[:50]}") from None
    return np.array(scores, np.float64)
