"""What is said of a text once it is translated."""

from dataclasses import dataclass, field

from nmt_cli.errors import pluralize
from nmt_cli.inference.output import TranslatedLine
from nmt_cli.reporting import Reporter

MAX_NAMED_LINES = 10


@dataclass
class LineCounter:
    """How many lines there are of a kind, and the numbers of the first MAX_NAMED_LINES."""

    count: int = 0
    first_numbers: list[int] = field(default_factory=list)

    def add(self, number: int) -> None:
        """Count the line with this number."""
        self.count += 1
        if self.count <= MAX_NAMED_LINES:
            self.first_numbers.append(number)

    def __str__(self) -> str:
        first = ", ".join(f"{number:,}" for number in self.first_numbers)
        more = ", ..." if self.count > MAX_NAMED_LINES else ""
        return f"{pluralize(self.count, 'line')} ({first}{more})"


@dataclass
class TranslationSummary:
    """Counts lines that somebody should look at."""

    line_count: int = 0
    abstained_count: int = 0
    unfamiliar: LineCounter = field(default_factory=LineCounter)
    other_numbers: LineCounter = field(default_factory=LineCounter)

    def add(self, translated: TranslatedLine) -> None:
        """Count a line."""
        self.line_count += 1
        self.abstained_count += translated.translation.abstained
        if translated.unfamiliar:
            self.unfamiliar.add(translated.line.number)
        if translated.missing_numbers or translated.added_numbers:
            self.other_numbers.add(translated.line.number)

    def report(self, reporter: Reporter, prefix: str = "", *, interactive: bool = False) -> None:
        """Say how many lines there are of each kind; of unfamiliar ones on a terminal, unless the user types the lines
        and has been told of each."""
        if self.unfamiliar.count and reporter.on_terminal and not interactive:
            reporter.warning(
                f"{prefix}unlike the training text, so that translations are guesses: {self.unfamiliar};"
                " --jsonl marks them"
            )
        if self.abstained_count:
            reporter.info(
                f"{prefix}confidence too low for {self.abstained_count:,} of {self.line_count:,} lines"
                " (--abstain-below)"
            )
        if self.other_numbers.count:
            reporter.warning(
                f"{prefix}{self.other_numbers} whose translation has other numbers, or one of them in words;"
                " --jsonl names the numbers"
            )
