"""What a request can fail with."""


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
