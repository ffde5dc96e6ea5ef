"""Running the server: the socket, signals, connections that stall."""

import asyncio
import importlib
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from nmt_cli.errors import UserError
from nmt_cli.reporting import Reporter
from nmt_cli.serving.guard import Guard
from nmt_cli.serving.metrics import Metrics
from nmt_cli.serving.requests import JsonResponse
from nmt_cli.serving.settings import ServerSettings, health

BACKLOG = 2048  # connections that the system keeps until they are accepted
MAX_CONNECTIONS = 2000
MAX_HEADER_BYTES = 64 << 10
STALL_CHECK_SECONDS = 1.0


def serve(settings: ServerSettings, reporter: Reporter) -> None:
    """Serve until SIGTERM or SIGINT, then answer what is open.

    UserError where the address cannot be bound or a run cannot be opened.
    """
    with _bind(settings.host, settings.port) as listener:
        asyncio.run(_serve(settings, reporter, listener))


async def _serve(settings: ServerSettings, reporter: Reporter, listener: socket.socket) -> None:
    metrics = Metrics()
    front = _Front(settings)
    guard = Guard(front, settings, metrics, reporter)
    server = _Server(_uvicorn_config(guard, settings))
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
    try:
        await serving
    finally:
        stalls.cancel()
        await application.stop()
    if failure.done() and (error := failure.exception()) is not None:
        raise error
    failure.cancel()


def _uvicorn_config(app: ASGIApp, settings: ServerSettings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=_Connection,
        loop="asyncio",
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=BACKLOG,
        limit_concurrency=MAX_CONNECTIONS,
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
            await JsonResponse(health(self.settings, ()))(scope, receive, send)
            return
        application: ASGIApp = await asyncio.shield(self._application)
        await application(scope, receive, send)


class _Server(uvicorn.Server):
    """A server that ends by itself after SIGTERM and SIGINT, instead of raising them again."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Answer what is open after the first signal; end at once after the second."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)


class _Connection(H11Protocol):
    """A connection that knows since when it waits for the headers of a request."""

    waiting_since: float = 0.0

    def connection_made(self, transport: Any) -> None:
        """The client has connected."""
        super().connection_made(transport)
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


def _bind(host: str, port: int) -> socket.socket:
    """A listening socket; UserError where the address cannot be bound."""
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
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise UserError(
            f"cannot listen at {host}, port {port}: {error.strerror}", hint="choose another --port"
        ) from error
    return listener


def _shown_address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
