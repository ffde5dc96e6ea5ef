"""The application: which endpoint answers which address.

Importing it takes a second, in which the server already answers /health (see server.py).
"""

from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router

from nmt_cli.reporting import Reporter
from nmt_cli.serving.deepl import DeepLApi
from nmt_cli.serving.engines import EnginePool, open_engine_work
from nmt_cli.serving.errors import RequestError
from nmt_cli.serving.files import FileApi, FileStore
from nmt_cli.serving.inspector import Inspector, open_inspection_work
from nmt_cli.serving.jobs import JobQueue
from nmt_cli.serving.libretranslate import LibreTranslateApi
from nmt_cli.serving.metrics import Metrics
from nmt_cli.serving.pages import Page
from nmt_cli.serving.requests import JsonResponse, health_response
from nmt_cli.serving.service import TranslationService
from nmt_cli.serving.settings import ServerSettings
from nmt_cli.serving.specification import specification
from nmt_cli.workers import usable_cores


class Application:
    """Everything behind an address: engines, APIs, page. Made inside a running event loop."""

    def __init__(self, settings: ServerSettings, metrics: Metrics, reporter: Reporter) -> None:
        limits, self.metrics, self.settings = settings.limits, metrics, settings
        specs = {run.name: settings.engine.spec(run) for run in settings.runs}
        queue = JobQueue(limits.max_queue, metrics)
        threads = max(1, usable_cores() // settings.workers)
        open_work = partial(open_engine_work, specs, threads, reporter.quiet)
        self.engines = EnginePool(list(specs), open_work, settings.workers, queue, metrics, reporter, limits.timeout)
        inspection_specs = {run.name: settings.engine.inspection_spec(run) for run in settings.runs}
        self.inspector = Inspector(partial(open_inspection_work, inspection_specs), reporter, limits.timeout)
        self.service, self._store = TranslationService(settings.runs, queue, limits), FileStore(limits)
        self.files = FileApi(self.service, self._store, settings.public_url)
        self.routes = self._routes()
        self.asgi = Router(self.routes, redirect_slashes=False)

    async def stop(self) -> None:
        """End the engines, and delete what was kept."""
        await self.engines.stop()
        await self.inspector.stop()
        self._store.close()

    def _routes(self) -> list[Route]:
        service = self.service
        api, page = LibreTranslateApi(service, self.inspector), Page(service)
        deepl, files = DeepLApi(service, self.metrics), self.files
        return [
            Route("/", page.index, methods=["GET", "POST"]),
            Route("/page/{name}", page.file, methods=["GET"]),
            Route("/translate", api.translate, methods=["POST"]),
            Route("/detect", api.detect, methods=["POST"]),
            Route("/languages", api.languages, methods=["GET"]),
            Route("/frontend/settings", api.frontend_settings, methods=["GET"]),
            Route("/translate_file", files.translate, methods=["POST"]),
            Route("/download_file/{name}", files.download, methods=["GET"]),
            Route("/suggest", _refuse_suggestion, methods=["POST"]),
            Route("/inspect", api.inspect, methods=["POST"]),
            Route("/v2/translate", deepl.translate, methods=["POST"]),
            Route("/v2/languages", deepl.languages, methods=["GET", "POST"]),
            Route("/v2/usage", deepl.usage, methods=["GET", "POST"]),
            Route("/spec", _specification, methods=["GET"]),
            Route("/health", self._health, methods=["GET"]),
            Route("/metrics", self._metrics, methods=["GET"]),
        ]

    async def _health(self, request: Request) -> Response:
        """GET /health."""
        return health_response(self.settings, self.engines.opened_runs, self.engines.lost_runs)

    async def _metrics(self, request: Request) -> Response:
        """GET /metrics."""
        return Response(self.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


async def _refuse_suggestion(request: Request) -> Response:
    """POST /suggest."""
    raise RequestError(403, "Suggestions are disabled on this server")


async def _specification(request: Request) -> Response:
    """GET /spec."""
    return JsonResponse(specification())
