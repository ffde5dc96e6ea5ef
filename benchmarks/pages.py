"""Pages of figures that programs write."""

from collections.abc import Callable, Iterable
from pathlib import Path

NOT_MEASURED = "Not measured yet.\n"
Section = tuple[str, str, Callable[[], str]]  # title, what it is about (perhaps nothing), the rest


def table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def write_page(path: Path, head: str, sections: Iterable[Section]) -> None:
    """The head, and each part under its title."""
    blocks = [head]
    for title, text, body in sections:
        blocks.append(f"\n## {title}\n\n" + (f"{text}\n\n" if text else "") + body())
    path.write_text("".join(blocks), encoding="utf-8")
