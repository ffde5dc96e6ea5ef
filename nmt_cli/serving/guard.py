"""What stands before every endpoint: hosts, origins, sizes, slow senders, errors, and what is counted."""

import asyncio
import ipaddress
import time

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nmt_cli.errors import UserError
from nmt_cli.reporting import Reporter
from nmt_cli.serving.errors import ClientGone, RequestError, quote
from nmt_cli.serving.metrics import Metrics
from nmt_cli.serving.requests import JsonResponse
from nmt_cli.serving.settings import DEFAULT_PORTS, ServerSettings, host_name

INTERNAL_ERROR = "Internal error: see the messages of the server"
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
FILE_ENDPOINTS = frozenset({"/translate_file"})
MAX_DISCARDED_BYTES = 32 << 20  # of a body that is refused
MAX_DISCARD_SECONDS = 5.0
SECURITY_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
CORS_HEADERS = [(b"access-control-allow-methods", b"GET, POST"), (b"access-control-allow-headers", b"*")]


class Guard:
    """Wraps the application: refuses what it must not see, and answers whatever it raises."""

    def __init__(self, app: ASGIApp, settings: ServerSettings, metrics: Metrics, reporter: Reporter) -> None:
        self.app, self.settings, self.metrics, self.reporter = app, settings, metrics, reporter
        self.endpoints: frozenset[str] = frozenset()
        """Paths that are counted by name."""
        self._open_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            return
        exchange = _Exchange(self, scope, receive, send)
        self.metrics.gauges["nmt_open_requests"] += 1
        start = time.monotonic()
        try:
            self._check(scope, exchange)
            if exchange.is_preflight:
                await exchange.answer(Response(status_code=204))
            else:
                await self.app({**scope, "app": self}, exchange.receive, exchange.send)  # errors are raised then
        except RequestError as error:
            await exchange.send_error(error)
        except HTTPException as error:
            await exchange.send_error(RequestError(error.status_code, error.detail))
        except ClientGone:
            self.metrics.counts["nmt_clients_gone_total"] += 1
            return
        except UserError as error:  # such as a file of a run that was damaged while it is served
            self.reporter.warning(f"{scope['method']} {quote(scope['path'])}: {error.with_hint}")
            await exchange.send_error(RequestError(500, INTERNAL_ERROR))
        except Exception as error:
            self.reporter.warning(f"our bug: {scope['method']} {quote(scope['path'])}: {type(error).__name__}: {error}")
            if self.reporter.silent is False:
                self.reporter.console.print_exception()
            await exchange.send_error(RequestError(500, INTERNAL_ERROR))
        finally:
            self.metrics.gauges["nmt_open_requests"] -= 1
            self._open_bytes -= exchange.received_bytes
            endpoint = scope["path"] if scope["path"] in self.endpoints else "other"
            if exchange.status:
                self.metrics.requests[endpoint, exchange.status] += 1
                self.metrics.request_durations[endpoint].observe(time.monotonic() - start)

    def take_bytes(self, count: int) -> None:
        """Count bytes of a body; RequestError 503 where all open requests have too many."""
        if self._open_bytes + count > self.settings.limits.max_open_bytes:
            raise RequestError(503, "Too much is being received: try again later", retry_after=5)
        self._open_bytes += count

    def _check(self, scope: Scope, exchange: "_Exchange") -> None:
        """RequestError for a host or origin that is not ours, and for a body that is announced too large."""
        headers = dict(scope["headers"])
        host_and_port = headers.get(b"host", b"").decode("latin-1").lower()
        host = host_name(host_and_port)
        if not self._is_own_host(host, scope):
            if not host:
                raise RequestError(400, "Invalid request: no host in the header Host")
            raise RequestError(403, f"Host {quote(host)} is not the address of this server; --allow-host names others")
        origin = headers.get(b"origin")
        if origin is not None:
            self._check_origin(origin.decode("latin-1"), host_and_port, scope, exchange)
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > exchange.max_bytes:
            raise exchange.too_large()

    def _is_own_host(self, host: str, scope: Scope) -> bool:
        """Whether a host is the bound address, a name of it, that of --public-url, or allowed by --allow-host."""
        if "*" in self.settings.allowed_hosts or host in self.settings.allowed_hosts:
            return True
        public_origin = self.settings.public_origin
        if public_origin is not None and host == host_name(public_origin.partition("://")[2]):
            return True
        bound = self.settings.host.lower()
        bound_address = _parse_address(bound or "0.0.0.0")
        if host == bound and not (bound_address and bound_address.is_unspecified):
            return True
        arrived_at = _parse_address((scope.get("server") or ("", 0))[0])
        if arrived_at is None:
            return False
        return _parse_address(host) == arrived_at or (host in LOOPBACK_NAMES and arrived_at.is_loopback)

    def _check_origin(self, origin: str, host_and_port: str, scope: Scope, exchange: "_Exchange") -> None:
        """Let pages of this server and of --cors ask; RequestError 403 for other pages."""
        if "*" in self.settings.cors_origins or origin in self.settings.cors_origins:
            exchange.cors_headers = [(b"access-control-allow-origin", origin.encode("latin-1")), (b"vary", b"Origin")]
            if scope["method"] == "OPTIONS":
                exchange.is_preflight = True
                exchange.cors_headers += CORS_HEADERS
        elif origin != self.settings.public_origin and not _is_of_host(origin, host_and_port):
            raise RequestError(403, f"Pages of {quote(origin)} may not use this server; --cors names those that may")


class _Exchange:
    """A request and its answer."""

    def __init__(self, guard: Guard, scope: Scope, receive: Receive, send: Send) -> None:
        self._guard, self._scope, self._receive, self._send = guard, scope, receive, send
        limits = guard.settings.limits
        self.max_bytes = limits.max_file_bytes if scope["path"] in FILE_ENDPOINTS else limits.max_bytes
        self.received_bytes = self.status = 0
        self._deadline = time.monotonic() + limits.timeout  # until the whole body is there
        self.is_preflight = self._body_is_complete = False
        self.cors_headers: list[tuple[bytes, bytes]] = []

    def too_large(self) -> RequestError:
        """The error for a body that is too large."""
        return RequestError(413, f"The request is larger than {self.max_bytes:,} bytes: send it in parts")

    async def receive(self) -> Message:
        """The next part of the body, within the limits."""
        if self._body_is_complete:
            return await self._receive()
        limits = self._guard.settings.limits
        rest = self._deadline - time.monotonic()
        try:
            message = await asyncio.wait_for(self._receive(), min(limits.receive_timeout, rest))
        except TimeoutError:
            if rest < limits.receive_timeout:
                reason = f"The request took longer to arrive than {limits.timeout:g} seconds: send it in parts"
            else:
                reason = f"Nothing more of the request arrived for {limits.receive_timeout:g} seconds: send it again"
            raise RequestError(408, reason) from None
        if message["type"] == "http.disconnect":
            raise ClientGone
        size = len(message.get("body", b""))
        if self.received_bytes + size > self.max_bytes:
            raise self.too_large()
        self._guard.take_bytes(size)
        self.received_bytes += size
        self._body_is_complete = not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        """A part of the answer."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message = {**message, "headers": [*message["headers"], *SECURITY_HEADERS, *self.cors_headers]}
        await self._send(message)

    async def send_error(self, error: RequestError) -> None:
        """Answer with an error, unless an answer has begun."""
        headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
        key = "message" if self._scope["path"].startswith("/v2/") else "error"  # as at DeepL
        await self.answer(JsonResponse({key: error.message}, error.status, headers))

    async def answer(self, response: Response) -> None:
        """Answer in place of the application, unless an answer has begun."""
        if self.status:
            return
        if response.status_code == 408 or not await self._discard_body():
            response.headers["Connection"] = "close"
        await response({"type": "http"}, self._receive, self.send)

    async def _discard_body(self) -> bool:
        """Read what the client still sends, since most read no answer before they have sent all; whether that was all.

        Not for long, and not where the client waits to be told to send.
        """
        headers = dict(self._scope["headers"])
        if b"expect" in headers or int(headers.get(b"content-length", b"0")) > MAX_DISCARDED_BYTES:
            return False
        discarded_bytes, deadline = 0, time.monotonic() + MAX_DISCARD_SECONDS
        while not self._body_is_complete and discarded_bytes < MAX_DISCARDED_BYTES:
            try:
                message = await asyncio.wait_for(self._receive(), deadline - time.monotonic())
            except TimeoutError:
                return False
            discarded_bytes += len(message.get("body", b""))
            self._body_is_complete = not message.get("more_body", False)
        return self._body_is_complete


def _is_of_host(origin: str, host_and_port: str) -> bool:
    """Whether an origin is the page of a server that is asked by this `Host`."""
    scheme, _, site = origin.lower().partition("://")
    default_port = DEFAULT_PORTS.get(scheme, "")  # which either may leave out
    return bool(site) and site.removesuffix(default_port) == host_and_port.removesuffix(default_port)


def _parse_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that a text is, of IPv4 where IPv6 only wraps it (::ffff:127.0.0.1); None for a name."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    wrapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return wrapped or address
