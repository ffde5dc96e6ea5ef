"""What a signal raises in a command."""

import signal


class Interrupted(SystemExit):
    """Ctrl-C or SIGTERM where nobody waits for it; `again` is the command that goes on."""

    def __init__(self, number: int, again: str | None = None) -> None:
        super().__init__(128 + number)
        self.number, self.again = number, again

    def __str__(self) -> str:
        said = "interrupted" if self.number == signal.SIGINT else "terminated"
        return f"{said}. Go on with: {self.again}" if self.again else said
