"""A server on this machine, and a catalogue whose corpora it has."""

import gzip
import hashlib
import io
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from nmt_cli.data.sources import catalogue
from nmt_cli.yaml12 import write_yaml
from tests.conftest import backwards, syllable_lines


class Shop:
    """What the server has, what it was asked for, and the catalogue that says so."""

    def __init__(self, folder: Path) -> None:
        self.goods: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.cut: set[str] = set()  # names whose answer ends too early
        self.cache = folder / "cache" / "nmt"
        self.catalogue = folder / "catalogue.yaml"
        self.address = ""

    def open(self) -> None:
        """Offer the usual corpora."""
        lines = syllable_lines(120, 1)
        parts = {"train": lines[:100], "dev": lines[100:110], "test": lines[110:]}
        plain = {
            f"{name}.{language}.gz": gzip.compress("".join(f"{line}\n" for line in text).encode())
            for name, part_lines in parts.items()
            for language, text in (("ab", part_lines), ("ba", [backwards(line) for line in part_lines]))
        }
        self.goods |= plain
        members = {"talks/train.tags.ab-ba.ab": tags(lines[:46]), "talks/other": b"x" * 99}
        members["talks/train.tags.ab-ba.ba"] = tags([backwards(line) for line in lines[:46]])
        members["talks/t.ab.xml"] = segments(lines[50:55])
        members["talks/t.ba.xml"] = segments([backwards(line) for line in lines[50:55]])
        self.goods["talks.tgz"] = archive(members)
        self.write()

    def write(self, **changes: dict[str, Any]) -> None:
        """The catalogue, in which files may differ by `changes` (a dot in a name is _)."""
        files: dict[str, Any] = {}
        for name, content in self.goods.items():
            entry = {"address": self.address + name, "bytes": len(content)}
            files[name] = entry | {"sha256": hashlib.sha256(content).hexdigest()}
            files[name] |= changes.get(name.replace(".", "_"), {})
        splits = {role: [{"file": role + ".{language}.gz"}] for role in ("train", "dev", "test")}
        talk = {"file": "talks.tgz", "member": "talks/train.tags.{pair}.{language}"}
        test = {"file": "talks.tgz", "member": "talks/t.{language}.xml"}
        text = {"title": "Syllables", "licence": "free", "terms": "Do as\nyou like.", "citation": ""}
        corpora = {
            "toy": {**text, "citation": "@misc{toy}\n", "pairs": {"ab-ba": {"pairs": [100, 10, 10]}}, "splits": splits},
            "talks": {
                **text,
                "note": "Every tenth.",
                "pairs": {"ab-ba": {"pairs": [42, 4, 5]}},
                "splits": {"train": [talk], "every": 10, "test": [test]},
            },
        }
        self.catalogue.write_text(write_yaml({"files": files, "corpora": corpora}))
        catalogue._load_catalogue.cache_clear()


def tags(lines: list[str]) -> bytes:
    """A talk as IWSLT gives it: lines of tags between lines of text."""
    head = "<url>x</url>\n<title>A title</title>\n <description>d</description>\n"
    return (head + "".join(f" {line} \n" for line in lines) + "</doc>\n").encode()


def segments(lines: list[str]) -> bytes:
    """A test set as IWSLT and WMT give it."""
    body = "".join(f'<seg id="{n}"> {line} </seg>\n' for n, line in enumerate(lines, 1))
    return f"<refset>\n<doc><hl>\n{body}</hl></doc>\n</refset>\n".encode()


def archive(members: dict[str, bytes], links: dict[str, str] | None = None) -> bytes:
    """A .tgz with these files, and symbolic links to where they lead."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as file:
        for name, target in (links or {}).items():
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, target
            file.addfile(link)
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    return packed.getvalue()


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """A shop that is open; the catalogue is the shop's, the cache a folder of the test."""
    served = Shop(tmp_path)

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.removeprefix("/")
            served.asked.append(name)
            content = served.goods.get(name)
            self.send_response(404 if content is None else 200)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write((content or b"")[: -9 if name in served.cut else None])

        def log_message(self, format: str, *args: Any) -> None:
            pass

    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(catalogue, "CATALOGUE_PATH", served.catalogue)
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        served.address = f"http://127.0.0.1:{server.server_port}/"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        served.open()
        yield served
        server.shutdown()
        thread.join()
    catalogue._load_catalogue.cache_clear()
