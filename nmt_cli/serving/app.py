"""The application: which endpoint answers which address.

Importing it takes a second, in which the server already answers /health (see server.py).
"""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router

from nmt_cli.reporting import Reporter
from nmt_cli.serving.engines import EnginePool
from nmt_cli.serving.errors import RequestError
from nmt_cli.serving.jobs import JobQueue
from nmt_cli.serving.libretranslate import LibreTranslateApi
from nmt_cli.serving.metrics import Metrics
from nmt_cli.serving.pages import Page
from nmt_cli.serving.requests import JsonResponse
from nmt_cli.serving.service import TranslationService
from nmt_cli.serving.settings import ServerSettings, health


class Application:
    """Everything behind an address: engines, APIs, page. Made inside a running event loop."""

    def __init__(self, settings: ServerSettings, metrics: Metrics, reporter: Reporter) -> None:
        limits, self.metrics, self.settings = settings.limits, metrics, settings
        specs = {run.name: settings.engine.spec(run) for run in settings.runs}
        queue = JobQueue(limits.max_queue, self.metrics)
        self.engines = EnginePool(specs, settings.workers, queue, self.metrics, reporter, limits.timeout)
        self.service = TranslationService(settings.runs, queue, limits)
        self.routes = self._routes()
        self.asgi = Router(self.routes, redirect_slashes=False)

    def _routes(self) -> list[Route]:
        limits = self.settings.limits
        api, page = LibreTranslateApi(self.service, limits), Page(self.service, limits)
        return [
            Route("/", page.index, methods=["GET", "POST"]),
            Route("/page/{name}", page.file, methods=["GET"]),
            Route("/translate", api.translate, methods=["POST"]),
            Route("/detect", api.detect, methods=["POST"]),
            Route("/languages", api.languages, methods=["GET"]),
            Route("/frontend/settings", api.frontend_settings, methods=["GET"]),
            Route("/suggest", _refuse_suggestion, methods=["POST"]),
            Route("/health", self._health, methods=["GET"]),
            Route("/metrics", self._metrics, methods=["GET"]),
        ]

    async def _health(self, request: Request) -> Response:
        """GET /health."""
        return JsonResponse(health(self.settings, self.engines.opened_runs))

    async def _metrics(self, request: Request) -> Response:
        """GET /metrics."""
        return Response(self.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


async def _refuse_suggestion(request: Request) -> Response:
    """POST /suggest."""
    raise RequestError(403, "Suggestions are disabled on this server")
