"""Running the server: the socket, signals, connections that stall."""

import asyncio
import errno
import importlib
import resource
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from nmt_cli.errors import UserError
from nmt_cli.reporting import Reporter, discard_output, terminal_outputs
from nmt_cli.serving.guard import Guard
from nmt_cli.serving.metrics import Metrics
from nmt_cli.serving.requests import health_response
from nmt_cli.serving.settings import ServerSettings

MAX_CONNECTIONS = 2000  # beyond them requests are refused, beyond twice as many the connections
OTHER_FILES = 48  # that a server has open
FILES_PER_WORKER = 4
MAX_HEADER_BYTES = 64 << 10
STALL_CHECK_SECONDS = 1.0


def serve(settings: ServerSettings, reporter: Reporter) -> None:
    """Serve until SIGTERM, SIGINT or SIGHUP, then answer what is open.

    UserError where the address cannot be bound or a run cannot be opened.
    """
    max_connections = _max_connections(settings.workers)
    if max_connections < MAX_CONNECTIONS:
        text = f"at most {max_connections:,} connections: the limit of open files allows no more (raise ulimit -n)"
        reporter.warning(text)
    with _bind(settings.host, settings.port, max_connections) as listener:
        asyncio.run(_serve(settings, reporter, listener, max_connections))


async def _serve(settings: ServerSettings, reporter: Reporter, listener: socket.socket, max_connections: int) -> None:
    metrics = Metrics()
    front = _Front(settings)
    guard = Guard(front, settings, metrics, reporter)
    server = _Server(_uvicorn_config(guard, settings, max_connections))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    stalls = asyncio.create_task(_close_stalled(server, settings.limits.receive_timeout))
    while not server.started and not serving.done():
        await asyncio.sleep(0.005)
    reporter.info(f"http://{_shown_address(listener)}: serving {', '.join(run.name for run in settings.runs)}")
    await asyncio.to_thread(importlib.import_module, "nmt_cli.serving.app")
    from nmt_cli.serving.app import Application

    application = Application(settings, metrics, reporter)
    guard.endpoints = frozenset(route.path for route in application.routes if "{" not in route.path)
    failure = application.engines.failure
    failure.add_done_callback(lambda _: _stop(server))
    application.engines.start()
    front.open(application.asgi)
    server.on_signal = application.files.stop
    if server.should_exit:  # a signal came while the application was imported
        application.files.stop()
    try:
        await serving
    finally:
        stalls.cancel()
        await application.stop()
    if failure.done() and (error := failure.exception()) is not None:
        raise error
    failure.cancel()


def _uvicorn_config(app: ASGIApp, settings: ServerSettings, max_connections: int) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=_Connection,
        loop="asyncio",
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=max_connections,
        limit_concurrency=max_connections,
        h11_max_incomplete_event_size=MAX_HEADER_BYTES,
        timeout_graceful_shutdown=int(settings.limits.timeout),
    )


class _Front:
    """Answers /health while the application is imported; other requests wait for it."""

    def __init__(self, settings: ServerSettings) -> None:
        self.settings, self._application = settings, asyncio.get_running_loop().create_future()

    def open(self, application: ASGIApp) -> None:
        """Pass on all requests, those that wait as well."""
        self._application.set_result(application)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if not self._application.done() and scope["path"] == "/health":
            await health_response(self.settings)(scope, receive, send)
            return
        application: ASGIApp = await asyncio.shield(self._application)
        await application(scope, receive, send)


class _Server(uvicorn.Server):
    """A server that ends by itself after a signal, instead of raising it again."""

    on_signal: Callable[[], None] | None = None
    """Called when a signal has arrived."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Answer what is open after the first signal; end at once after a second SIGINT. `nohup` has SIGHUP ignored."""
        loop, self._terminals = asyncio.get_running_loop(), terminal_outputs()
        is_hangup_ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        numbers = [signal.SIGTERM, signal.SIGINT, *([] if is_hangup_ignored else [signal.SIGHUP])]
        for number in numbers:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop accepting requests; whatever is written to a terminal that was closed goes nowhere."""
        if sig == signal.SIGHUP:
            discard_output(self._terminals)
        super().handle_exit(sig, frame)
        if self.on_signal is not None:
            self.on_signal()


class _Connection(H11Protocol):
    """A connection that knows since when it waits for the headers of a request."""

    waiting_since: float = 0.0

    def connection_made(self, transport: Any) -> None:
        """The client has connected; it is cut off where very many others have."""
        super().connection_made(transport)
        if self.limit_concurrency is not None and len(self.connections) > 2 * self.limit_concurrency:
            transport.abort()
        self.waiting_since = time.monotonic()

    def on_response_complete(self) -> None:
        """The client may send another request."""
        super().on_response_complete()
        self.waiting_since = time.monotonic()

    def is_stalled(self, timeout: float) -> bool:
        """Whether the client has sent no whole headers for so many seconds."""
        is_waiting = self.cycle is None or self.cycle.response_complete
        return is_waiting and time.monotonic() - self.waiting_since > timeout


async def _close_stalled(server: uvicorn.Server, timeout: float) -> None:
    """Close connections that send their headers too slowly."""
    while True:
        await asyncio.sleep(STALL_CHECK_SECONDS)
        for connection in list(server.server_state.connections):
            if isinstance(connection, _Connection) and connection.is_stalled(timeout):
                connection.transport.close()


def _stop(server: uvicorn.Server) -> None:
    server.should_exit = True


def _max_connections(workers: int) -> int:
    """How many connections the limit of open files is enough for, which is raised as far as it may.

    Twice as many may be open, and as many again be accepted before they are counted: where a file is lacking, asyncio
    prints thousands of tracebacks per second.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    other_files = OTHER_FILES + FILES_PER_WORKER * workers
    needed_files = 3 * MAX_CONNECTIONS + other_files
    if 0 <= soft < needed_files:  # negative: unlimited
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(needed_files, hard) if hard >= 0 else needed_files, hard))
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        return max(2, (soft - other_files) // 3)  # uvicorn counts the one that it looks at
    return MAX_CONNECTIONS


def _bind(host: str, port: int, backlog: int) -> socket.socket:
    """A listening socket, for which the system keeps so many connections until they are accepted.

    UserError where the address cannot be bound.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError, OverflowError) as error:
        raise UserError(f"--host {host}: {error}") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            with suppress(OSError):
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind(address)
        listener.listen(backlog)
    except OSError as error:
        listener.close()
        is_foreign = error.errno == errno.EADDRNOTAVAIL
        hint = "choose a --host of this machine, or 0.0.0.0 for all" if is_foreign else "choose another --port"
        raise UserError(f"cannot listen at {host}, port {port}: {error.strerror}", hint=hint) from error
    return listener


def _shown_address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
