"""The server of `nmt serve`: its speed, and what hostile clients do to it.

python -m benchmarks.serving speed RUN TEXT [--clients 16] [--seconds 30] [--engine NAME] [--workers N]
python -m benchmarks.serving hostile RUN [--minutes 10] [--seed 1]

speed: one sentence at a time through the Python API, by one client and by many, over connections that are kept.
hostile: valid requests beside huge, deep, broken, slow and abandoned ones, and a killed engine worker per minute; exits
with 1 where an answer is a 5xx that is our bug, a valid request gets another translation, or memory grows.
"""

import argparse
import asyncio
import itertools
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from benchmarks.machine import describe_machine
from benchmarks.workloads import nmt_command, save_result

OVERLOADED = (503, 504)  # said clearly, and no bug
MAX_GROWTH = 1.15  # of resident memory from a tenth of the time to the end
SENTENCES = ["The old man reads a book.", "Two dogs sleep. The sun shines.", "A woman sees 12 houses."]


@dataclass(frozen=True)
class ServerProcess:
    """A server that was started, and the languages of its first run."""

    process: "subprocess.Popen[bytes]"
    port: int
    source: str
    target: str

    def resident_bytes(self) -> int:
        """Of the server and its workers."""
        return sum(map(_resident_bytes, [self.process.pid, *worker_processes(self.process.pid)]))


@contextmanager
def running_server(run: Path, *arguments: object) -> Iterator[ServerProcess]:
    """A server that has opened its run; ended, which must go well."""
    process = subprocess.Popen(nmt_command("serve", run, "--port", 0, *arguments), stderr=subprocess.PIPE)
    assert process.stderr is not None
    address = re.search(rb":(\d+): serving", process.stderr.readline())
    assert address, process.stderr.read().decode()
    port = int(address[1])
    drain = subprocess.Popen(["cat"], stdin=process.stderr, stdout=sys.stderr)
    process.stderr.close()
    try:
        while asyncio.run(_get(port, "/health"))["status"] != "ok":
            time.sleep(0.05)
        language = asyncio.run(_get(port, "/frontend/settings"))["language"]
        yield ServerProcess(process, port, language["source"]["code"], language["target"]["code"])
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(120)
        drain.wait()
    assert code == 0, f"the server ended with {code}"


class Client:
    """A connection that is kept, and speaks as much HTTP as is needed."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def request(self, head: str, body: bytes = b"") -> tuple[int, bytes]:
        """Status and body of the answer; OSError or EOFError where the server closes the connection."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self.port)
        reader, writer = self._streams
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        writer.write(f"{head}\r\nHost: 127.0.0.1\r\n{length}\r\n".encode() + body)
        await writer.drain()
        header = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        size = re.search(r"content-length: (\d+)", header)
        content = await reader.readexactly(int(size[1]) if size else 0)
        if "connection: close" in header:
            self.close()
        return int(header.split(" ")[1]), content

    async def post(self, path: str, parameters: Any) -> tuple[int, Any]:
        """POST JSON."""
        head = f"POST {path} HTTP/1.1\r\nContent-Type: application/json"
        status, content = await self.request(head, json.dumps(parameters).encode())
        return status, json.loads(content)

    def close(self) -> None:
        """Close the connection."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def _get(port: int, path: str) -> Any:
    with closing(Client(port)) as client:
        _, content = await client.request(f"GET {path} HTTP/1.1")
    return json.loads(content)


def measure_speed(
    run: Path, text: Path, clients: int, seconds: float, engine: str | None, workers: int | None
) -> dict[str, Any]:
    """Throughput and latency through the Python API, by one client and by many."""
    lines = [line for line in text.read_text(encoding="utf-8").splitlines() if line.strip()]
    engine_choice = ["--engine", engine] if engine else []
    result: dict[str, Any] = {"python": _latencies_of_python(run, lines, seconds, engine)}
    worker_choice = ["--workers", workers] if workers else []
    with running_server(run, *engine_choice, *worker_choice) as server:
        for count in (1, clients):
            result[f"{count} clients"] = asyncio.run(_measure_clients(server, lines, count, seconds))
    one, many = result["1 clients"], result[f"{clients} clients"]
    result["throughput ratio"] = round(many["per_second"] / one["per_second"], 2)
    result["overhead ms"] = round(one["median_ms"] - result["python"]["median_ms"], 2)
    result["p99 / median"] = round(many["p99_ms"] / many["median_ms"], 2)
    return result


def _latencies_of_python(run: Path, lines: list[str], seconds: float, engine: str | None) -> dict[str, float]:
    program = f"""
import itertools, json, sys, time
import nmt_cli
translator = nmt_cli.load_run({str(run)!r}{f", engine={engine!r}" if engine else ""})
lines = json.load(sys.stdin)
for line in lines[:5]:
    translator.translate([line])
times, end = [], time.monotonic() + {seconds}
for line in itertools.cycle(lines):
    start = time.monotonic()
    translator.translate([line])
    times.append(time.monotonic() - start)
    if time.monotonic() > end:
        break
print(json.dumps(times))
"""
    done = subprocess.run([sys.executable, "-c", program], input=json.dumps(lines).encode(), capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    return _summary(json.loads(done.stdout), seconds)


async def _measure_clients(server: ServerProcess, lines: list[str], count: int, seconds: float) -> dict[str, float]:
    times: list[float] = []
    end = time.monotonic() + seconds

    async def ask(index: int) -> None:
        query = {"source": server.source, "target": server.target}
        with closing(Client(server.port)) as client:
            for line in itertools.cycle(lines[index:] + lines[:index]):
                start = time.monotonic()
                status, _ = await client.post("/translate", {"q": line, **query})
                assert status == 200
                times.append(time.monotonic() - start)
                if time.monotonic() > end:
                    break

    step = max(1, len(lines) // count)
    await asyncio.gather(*(ask(index * step) for index in range(count)))
    return _summary(times, seconds)


def _summary(times: list[float], seconds: float) -> dict[str, float]:
    p99 = quantiles(times, n=100)[98]
    figures = {"per_second": len(times) / seconds, "median_ms": 1000 * median(times), "p99_ms": 1000 * p99}
    return {key: round(value, 2) for key, value in figures.items()}


@dataclass
class HostileReport:
    """What the server answered, and its memory."""

    statuses: Counter[str] = field(default_factory=Counter)  # "kind status"
    problems: list[str] = field(default_factory=list)
    kills: int = 0
    resident_bytes: list[int] = field(default_factory=list)  # over time

    def count(self, kind: str, status: int) -> None:
        """Count an answer; 0 is a connection that was closed without one."""
        self.statuses[f"{kind} {status}"] += 1
        if status >= 500 and status not in OVERLOADED:
            self.problems.append(f"{kind}: {status}")

    def check_memory(self) -> None:
        """Memory at the end may not be much above that after a tenth of the time, when everything has been used."""
        early = max(self.resident_bytes[: max(1, len(self.resident_bytes) // 5)])
        late = median(self.resident_bytes[-max(1, len(self.resident_bytes) // 10) :])
        if late > MAX_GROWTH * early:
            self.problems.append(f"memory grew from {early >> 20} to {int(late) >> 20} MiB")


class HostileClients:
    """Clients of all kinds, each of which does its worst again and again."""

    def __init__(self, server: ServerProcess, seed: int) -> None:
        self.server, self.draw, self.report = server, random.Random(seed), HostileReport()
        self.query = {"source": server.source, "target": server.target}
        self._expected: dict[str, str] = {}

    async def run(self, seconds: float, kill_every: float | None) -> HostileReport:
        """Let them loose for so many seconds."""
        end = time.monotonic() + seconds
        for sentence in SENTENCES:
            self._expected[sentence] = (await self._ask(sentence))["translatedText"]
        kinds: list[Callable[[], Awaitable[None]]] = [
            self.valid, self.valid, self.valid, self.lists, self.inspections, self.files, self.huge, self.deep,
            self.broken, self.odd_texts, self.odd_addresses, self.leavers, self.half_closed, self.slow, self.idle,
        ]  # fmt: skip
        await asyncio.gather(
            *(self._repeat(kind, end) for kind in kinds), self._watch_memory(end), self._kill_workers(end, kill_every)
        )
        answer = await self._ask(SENTENCES[0])
        if answer.get("translatedText") != self._expected[SENTENCES[0]]:
            self.report.problems.append(f"afterwards: {answer}")
        return self.report

    async def _ask(self, sentence: str) -> dict[str, str]:
        with closing(Client(self.server.port)) as client:
            answer: dict[str, str] = (await client.post("/translate", {"q": sentence, **self.query}))[1]
        return answer

    async def _repeat(self, kind: Callable[[], Awaitable[None]], end: float) -> None:
        name = getattr(kind, "__name__", "?")
        while time.monotonic() < end:
            try:
                await asyncio.wait_for(kind(), 120)
            except (OSError, EOFError):
                self.report.count(name, 0)
            except TimeoutError:
                self.report.problems.append(f"{name}: no answer after two minutes")
            await asyncio.sleep(self.draw.random() * 0.02)

    async def _watch_memory(self, end: float) -> None:
        while time.monotonic() < end:
            self.report.resident_bytes.append(self.server.resident_bytes())
            await asyncio.sleep(1)

    async def _kill_workers(self, end: float, kill_every: float | None) -> None:
        while kill_every is not None and time.monotonic() + kill_every < end:
            await asyncio.sleep(kill_every)
            for worker in worker_processes(self.server.process.pid)[:1]:
                os.kill(worker, signal.SIGKILL)
                self.report.kills += 1

    async def _post(self, kind: str, path: str, content: bytes, content_type: str = "application/json") -> bytes:
        with closing(Client(self.server.port)) as client:
            status, answer = await client.request(f"POST {path} HTTP/1.1\r\nContent-Type: {content_type}", content)
        self.report.count(kind, status)
        return answer

    async def valid(self) -> None:
        """A request that must be answered well."""
        sentence = self.draw.choice(SENTENCES)
        answer = json.loads(await self._post("valid", "/translate", self._json(q=sentence)))
        if answer.get("translatedText", self._expected[sentence]) != self._expected[sentence]:
            self.report.problems.append(f"another translation: {answer}")

    async def lists(self) -> None:
        """Long lists, and a text of many lines."""
        texts = [self.draw.choice(SENTENCES) for _ in range(self.draw.randint(1, 60))]
        answer = json.loads(await self._post("lists", "/translate", self._json(q=[*texts, "\n".join(texts)])))
        expected = [self._expected[text] for text in texts]
        if answer.get("translatedText", [*expected, "\n".join(expected)]) != [*expected, "\n".join(expected)]:
            self.report.problems.append("another translation of a list")

    async def inspections(self) -> None:
        """What our own engine is asked."""
        content = {"text": self.draw.choice(SENTENCES), **self.query, "beam": self.draw.random() < 0.5}
        await self._post("inspections", "/inspect", json.dumps(content).encode())

    async def files(self) -> None:
        """Files, also ones that are none."""
        content = self.draw.choice([b"A house.\r\n" * 20, self.draw.randbytes(2000), b""])
        fields = "".join(
            f'--x\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in self.query.items()
        )
        head = '--x\r\nContent-Disposition: form-data; name="file"; filename="../../a.txt"\r\n\r\n'
        form = fields.encode() + head.encode() + content + self.draw.choice([b"\r\n--x--\r\n", b""])
        await self._post("files", "/translate_file", form, "multipart/form-data; boundary=x")

    async def huge(self) -> None:
        """Bodies and texts that are too large."""
        content = self.draw.choice(
            [self._json(q="a" * 3_000_000), self._json(q="word " * 19_000), b"q=" + b"&q=" * 50_000]
        )
        await self._post("huge", "/translate", content)

    async def deep(self) -> None:
        """Nested JSON."""
        depth = self.draw.choice([100, 5_000, 200_000])
        await self._post("deep", "/translate", self.draw.choice([b"[", b'{"q":']) * depth)

    async def broken(self) -> None:
        """What is no JSON, no UTF-8, no form, no number."""
        content = self.draw.choice(
            [
                self.draw.randbytes(self.draw.randint(1, 2000)), b'{"q": "\xff"}', b'{"q": 1e999}', b"null", b"{}",
                self._json(q={"a": []}), self._json(q="a", alternatives=10**30), self._json(q="a", format=[]),
                b'{"q":' + b"9" * 10_000 + b"}", self._json(q="\ud800 a"), self._json(q="a", source="../../etc"),
            ]
        )  # fmt: skip
        content_type = self.draw.choice(["application/json", "application/x-www-form-urlencoded", "text/plain", "\x7f"])
        await self._post(
            "broken", self.draw.choice(["/translate", "/detect", "/inspect", "/v2/translate"]), content, content_type
        )

    async def odd_texts(self) -> None:
        """Texts that are hard on tokenizers and searches."""
        text = self.draw.choice(
            [
                "a" * 5000,
                "\u0301" * 500,
                "😀" * 300,
                "\x00\x01\u202e",
                ". " * 2000,
                "<b>" * 500,
                "1 " * 2000,
                "語" * 800,
            ]
        )
        await self._post("odd_texts", "/translate", self._json(q=text, format=self.draw.choice(["text", "html"])))

    async def odd_addresses(self) -> None:
        """Addresses that are none, and methods."""
        path = self.draw.choice(
            ["/../../etc/passwd", "/page/..%2f..%2fx", "/download_file/x", "//", "/%00", "/" + "a" * 9000]
        )
        method = self.draw.choice(["GET", "PUT", "DELETE", "OPTIONS"])
        with closing(Client(self.server.port)) as client:
            status, _ = await client.request(f"{method} {path} HTTP/1.1")
        self.report.count("odd_addresses", status)

    async def leavers(self) -> None:
        """A long request whose client leaves."""
        _, writer = await self._send(self._json(q=[self.draw.choice(SENTENCES) for _ in range(500)]))
        await asyncio.sleep(self.draw.random() * 0.3)
        writer.close()
        self.report.count("leavers", 0)

    async def half_closed(self) -> None:
        """A client that closes its side and waits."""
        reader, writer = await self._send(self._json(q=SENTENCES[0]))
        writer.write_eof()
        with suppress(OSError):
            await asyncio.wait_for(reader.read(), 60)
        writer.close()
        self.report.count("half_closed", 0)

    async def slow(self) -> None:
        """A client that sends a byte now and then, and then no more."""
        _, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        for byte in b"POST /translate HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\nq=a"[
            : self.draw.randint(1, 80)
        ]:
            writer.write(bytes([byte]))
            await asyncio.sleep(0.01)
        await asyncio.sleep(self.draw.random() * 2)
        writer.close()
        self.report.count("slow", 0)

    async def idle(self) -> None:
        """Connections without a word."""
        connections = [await asyncio.open_connection("127.0.0.1", self.server.port) for _ in range(20)]
        await asyncio.sleep(1)
        for _, writer in connections:
            writer.close()
        self.report.count("idle", 0)

    async def _send(self, content: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Send a request, and leave the connection open."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        head = "POST /translate HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        writer.write(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
        await writer.drain()
        return reader, writer

    def _json(self, **parameters: Any) -> bytes:
        return json.dumps({**self.query, **parameters}).encode()


def worker_processes(server_process: int) -> list[int]:
    """The process ids of the workers of a server."""
    children = Path(f"/proc/{server_process}/task/{server_process}/children").read_text(encoding="utf-8").split()
    return [int(child) for child in children if b"spawn_main" in _read_bytes(Path(f"/proc/{child}/cmdline"))]


def _resident_bytes(process_id: int) -> int:
    fields = re.search(rb"VmRSS:\s+(\d+)", _read_bytes(Path(f"/proc/{process_id}/status")))
    return 1024 * int(fields[1]) if fields else 0


def _read_bytes(path: Path) -> bytes:
    with suppress(OSError):
        return path.read_bytes()
    return b""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    speed, hostile = commands.add_parser("speed"), commands.add_parser("hostile")
    for command in (speed, hostile):
        command.add_argument("run", type=Path)
    speed.add_argument("text", type=Path)
    speed.add_argument("--clients", type=int, default=16)
    speed.add_argument("--seconds", type=float, default=30.0)
    speed.add_argument("--engine")
    speed.add_argument("--workers", type=int)
    hostile.add_argument("--minutes", type=float, default=10.0)
    hostile.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    if arguments.command == "speed":
        options = (arguments.clients, arguments.seconds, arguments.engine, arguments.workers)
        result = measure_speed(arguments.run, arguments.text, *options)
        print(json.dumps(result, indent=1))
        save_result("serving", {"machine": describe_machine(), "engine": arguments.engine, **result})
        return
    with running_server(arguments.run, "--receive-timeout", 5) as server:
        clients = HostileClients(server, arguments.seed)
        report = asyncio.run(clients.run(60 * arguments.minutes, 60.0))
    report.check_memory()
    memory = [count >> 20 for count in report.resident_bytes]
    print(json.dumps(dict(sorted(report.statuses.items())), indent=1))
    print(f"{sum(report.statuses.values()):,} exchanges, {report.kills} workers killed")
    print(f"resident memory in MiB: {memory[:: max(1, len(memory) // 10)]}")
    print("\n".join(report.problems) or "no problems")
    sys.exit(bool(report.problems))


if __name__ == "__main__":
    main()
