"""Attention weights as one HTML file that needs nothing else: pointing at a word shows its weights.

The page is attention.html beside this file; the weights of every layer and head go into it.
"""

import html
import json
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nmt_cli.plots.attention import AttentionMap, Choice
from nmt_cli.plots.fonts import visible

PAGE = Path(__file__).with_name("attention.html")
UNIT = 10_000  # weights are written as whole numbers of this part


def attention_page(maps: Sequence[AttentionMap], title: str, layer: Choice, head: Choice) -> str:
    """The page, with these layer and head chosen at first (`all` as mean)."""
    content = {
        "unit": UNIT,
        "layers": maps[0].weights.shape[0] if maps else 1,
        "heads": maps[0].weights.shape[1] if maps else 1,
        "layer": "mean" if layer == "all" else layer,
        "head": "mean" if head == "all" else head,
        "sentences": [
            {
                "number": one.number,
                "source": list(map(visible, one.source)),
                "target": list(map(visible, one.target)),
                "weights": np.rint(one.weights * UNIT).astype(int).tolist(),
            }
            for one in maps
        ],
    }
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    safe = text.replace("<", "\\u003c")  # no text can end the script element
    parts = {"@TITLE@": html.escape(visible(title)), "@DATA@": safe}
    page = PAGE.read_text(encoding="utf-8")
    return re.sub("@TITLE@|@DATA@", lambda found: parts[found.group()], page)
