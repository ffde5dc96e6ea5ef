"""A server in a process of its own, with a run of random weights."""

import json
import re
import shutil
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nmt_cli.inference.confidence import (
    FEATURES,
    SQUARED,
    Calibration,
    CalibrationFile,
    LogisticRegression,
    calibration_key,
)
from tests.conftest import start


class Server:
    """A running `nmt serve`."""

    def __init__(self, *arguments: object) -> None:
        self.process = start("serve", *arguments, "--port", "0")
        assert self.process.stderr is not None
        line = self.process.stderr.readline().decode()
        address = re.match(r"(http://\S+):\d+: serving|(http://\S+): serving", line)
        assert address, line + self.process.stderr.read().decode()
        self.url = line.split(": serving")[0]
        self.port = int(self.url.rpartition(":")[2])

    def wait_until_ready(self) -> None:
        """Wait until every run is open."""
        for _ in range(1200):
            if self.get("/health")[1]["status"] == "ok":
                return
            time.sleep(0.05)
        raise AssertionError("the runs were not opened")

    def send(self, request: urllib.request.Request) -> tuple[int, Any]:
        """Status and answer, from JSON if it is."""
        try:
            with urllib.request.urlopen(request, timeout=300) as response:
                status, body = response.status, response.read()
                is_json = response.headers["Content-Type"] == "application/json"
        except urllib.error.HTTPError as error:
            status, body, is_json = error.code, error.read(), error.headers["Content-Type"] == "application/json"
        return status, json.loads(body) if is_json else body.decode()

    def get(self, path: str, **headers: str) -> tuple[int, Any]:
        """GET."""
        return self.send(urllib.request.Request(self.url + path, headers=headers))

    def post(self, path: str, content: Any, **headers: str) -> tuple[int, Any]:
        """POST JSON, or bytes as they are."""
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        headers = {"Content-Type": "application/json", **headers}
        return self.send(urllib.request.Request(self.url + path, body, headers))

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal; the exit code."""
        self.process.send_signal(number)
        code = self.process.wait(timeout=60)
        self.process.communicate()
        return code


@pytest.fixture(scope="session")
def second_run(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same weights, as a run from German to French that says how sure it is."""
    folder = tmp_path_factory.mktemp("runs") / "second"
    shutil.copytree(tiny_run, folder)
    recipe = (folder / "recipe.yaml").read_text()
    recipe = recipe.replace("source: en\n", "source: de\n").replace("target: de\n  train", "target: fr\n  train")
    (folder / "recipe.yaml").write_text(recipe)
    features = len(FEATURES)
    regression = LogisticRegression(0.1, [0.02] * (features + len(SQUARED)))
    calibration = Calibration([0.0] * features, [1.0] * features, regression, regression, 100)
    CalibrationFile(50.0, {calibration_key("torch", "fp32"): calibration}).save(folder)
    return folder


@pytest.fixture(scope="session")
def server(tiny_run: Path, second_run: Path) -> Iterator[Server]:
    """A server of two runs, English to German and German to French, that is ready."""
    served = Server(tiny_run, second_run, "--timeout", 300)
    try:
        served.wait_until_ready()
        yield served
    finally:
        assert served.stop() == 0
