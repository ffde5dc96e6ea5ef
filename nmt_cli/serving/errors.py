"""What a request can fail with."""

from nmt_cli.errors import UserError


class RequestError(Exception):
    """A request that is refused: an HTTP status and what is wrong, for the client."""

    def __init__(self, status: int, message: str, *, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.retry_after = status, message, retry_after


class ClientGone(Exception):
    """The client has closed its connection; nobody waits for an answer."""


def quote(value: object) -> str:
    """A value of a request, short enough for a message."""
    text = value if isinstance(value, str) else type(value).__name__
    return text if len(text) <= 40 else f"{text[:40]}..."


def refuse_bad_input(error: UserError) -> RequestError:
    """What the engine refuses, as an answer."""
    return RequestError(400, f"Invalid request: {error}")
