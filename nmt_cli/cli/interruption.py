"""What a signal raises in a command."""

import signal


class Interrupted(SystemExit):
    """Ctrl-C or SIGTERM outside of training; it carries the command that resumes, if there is one."""

    def __init__(self, signal_number: int, resume_command: str | None = None) -> None:
        super().__init__(128 + signal_number)
        self.signal_number, self.resume_command = signal_number, resume_command

    def __str__(self) -> str:
        reason = "interrupted" if self.signal_number == signal.SIGINT else "terminated"
        return f"{reason}. Resume with: {self.resume_command}" if self.resume_command else reason
