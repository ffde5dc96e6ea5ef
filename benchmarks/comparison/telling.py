"""What every part of docs/comparison.md needs: results, pictures, machines, dates."""

import json
from collections.abc import Iterable
from typing import Any

from experiment import RESULTS, ROOT

PICTURES = ROOT / "docs/comparison"


def result(name: str) -> Any:
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


def figures(*names: str) -> str:
    """Those pictures that were drawn."""
    drawn = [name for name in names if (PICTURES / f"{name}.svg").exists()]
    return "".join(f"\n![{name}](comparison/{name}.svg)\n" for name in drawn)


def machines(made: Iterable[dict[str, Any]]) -> str:
    """What results were made on."""
    machines_used = {
        f"{entry['processor']}, {entry['hardware']}, PyTorch {entry['versions']['torch']}" for entry in made
    }
    return "; ".join(sorted(machines_used))


def span(days: Iterable[str]) -> str:
    """The first day and the last."""
    ordered = sorted(days)
    return " to ".join(dict.fromkeys((ordered[0], ordered[-1])))
