"""Pages of figures that programs write."""

from collections.abc import Callable, Iterable
from pathlib import Path

ABSENT = "Not measured yet.\n"
Part = tuple[str, str, Callable[[], str]]  # title, what it is about (perhaps nothing), the rest


def table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def write_page(path: Path, head: str, parts: Iterable[Part]) -> None:
    """The head, and each part under its title."""
    told = [head]
    for title, text, body in parts:
        told.append(f"\n## {title}\n\n" + (f"{text}\n\n" if text else "") + body())
    path.write_text("".join(told), encoding="utf-8")
