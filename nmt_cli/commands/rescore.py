"""nmt rescore: how probable a model finds given translations."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nmt_cli.commands.translate import open_translator
from nmt_cli.data.files import RawPair, read_two_files
from nmt_cli.decoding.engine import TorchEngine
from nmt_cli.decoding.rescoring import log_probabilities
from nmt_cli.decoding.stream import decode_line
from nmt_cli.decoding.translator import Translator

MOST = 4096  # pairs scored together
USUAL = 1024  # characters of a pair


@dataclass(frozen=True)
class RescoredPair:
    """A pair and its log-probability; None where it could not be computed, and why."""

    number: int  # line number, from 1
    log_probability: float | None  # natural logarithm, end of sentence included
    source_tokens: int  # end of sentence counted
    target_tokens: int  # end of sentence counted
    warnings: list[str] = field(default_factory=list)

    @property
    def average(self) -> float | None:
        """Log-probability a target token."""
        return None if self.log_probability is None else self.log_probability / self.target_tokens

    def record(self) -> dict[str, Any]:
        """The pair as an object for --jsonl."""
        record = {
            "line": self.number,
            "log_probability": self.log_probability,
            "average": self.average,
            "source_tokens": self.source_tokens,
            "target_tokens": self.target_tokens,
        }
        return record | ({"warnings": self.warnings} if self.warnings else {})

    @property
    def text(self) -> str:
        """The pair as tab-separated columns; -inf where there is no log-probability."""
        numbers = [-float("inf") if x is None else x for x in (self.log_probability, self.average)]
        counts = f"{self.source_tokens}\t{self.target_tokens}"
        return f"{numbers[0]:.6f}\t{numbers[1]:.6f}\t{counts}"


def rescore(
    runs: list[Path], source: Path, target: Path, settings: list[str], device: str = "auto"
) -> Iterator[RescoredPair]:
    """log p(target line | source line) for each pair of lines, in their order, as it is computed.

    Several runs with the same tokenizer are an ensemble; `settings` are search.key=value. The files
    may be plain, .gz or .zst. DataError where one has more lines than the other, UserError and
    RunError as for `open_translator`.
    """
    translator = open_translator(runs, settings, device)
    for block in _blocks(read_two_files(source, target)):
        yield from _rescored(translator, block)


def _blocks(pairs: Iterable[RawPair]) -> Iterator[list[RawPair]]:
    """What is scored together: MOST pairs, of which a long one counts as several."""
    block: list[RawPair] = []
    weight = 0
    for pair in pairs:
        block.append(pair)
        weight += 1 + (len(pair.source) + len(pair.target)) // USUAL
        if weight >= MOST:
            yield block
            block, weight = [], 0
    if block:
        yield block


def _rescored(translator: Translator, block: list[RawPair]) -> Iterator[RescoredPair]:
    lines = [[decode_line(raw, pair.number) for raw in pair[:2]] for pair in block]
    sources, targets = ([some[side].text.strip() for some in lines] for side in (0, 1))
    source_ids = translator.tokenizers.source.encode(sources)
    target_ids = translator.tokenizers.target.encode(targets)
    obstacles = [
        _obstacle(translator, text, len(s), len(t))
        for text, s, t in zip(sources, source_ids, target_ids, strict=True)
    ]
    chosen = [number for number, obstacle in enumerate(obstacles) if obstacle is None]
    engine = translator.engine
    assert isinstance(engine, TorchEngine)
    values = log_probabilities(
        engine.model,
        [source_ids[number] for number in chosen],
        [target_ids[number] for number in chosen],
        translator.config.budget(engine.device.type),
    )
    found = dict(zip(chosen, values, strict=True))
    for number, pair in enumerate(block):
        value, obstacle = found.get(number), obstacles[number]
        if value == -float("inf"):
            value, obstacle = None, "the model cannot write so many pieces for this source"
        warnings = [obstacle] if obstacle is not None else []
        if any(line.damaged for line in lines[number]):
            warnings.insert(0, "bytes that are not UTF-8 became U+FFFD")
        sizes = len(source_ids[number]) + 1, len(target_ids[number]) + 1
        yield RescoredPair(pair.number, value, *sizes, warnings)


def _obstacle(translator: Translator, source: str, pieces: int, target_pieces: int) -> str | None:
    """Why a pair cannot be scored; None where it can."""
    if not source or not pieces:
        return "the source is blank: not scored"
    if pieces > translator.limit:
        return (
            f"{pieces:,} source pieces are more than search.max_source_length or the model "
            f"allow ({translator.limit:,}): not scored"
        )
    longest = max(translator.config.longest(translator.limit), translator.limit)
    if translator.engine.longest_target is not None:
        longest = min(longest, translator.engine.longest_target - 1)
    if target_pieces > longest:
        return f"{target_pieces:,} target pieces are more than {longest:,}: not scored"
    return None
