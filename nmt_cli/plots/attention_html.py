"""Attention weights as a self-contained HTML file: pointing at a word shows its weights.

attention.html beside this file is the template; the weights of every layer and head are inserted into it.
"""

import html
import json
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nmt_cli.plots.attention import AttentionMap, Selection
from nmt_cli.plots.fonts import escape_controls

TEMPLATE_PATH = Path(__file__).with_name("attention.html")
WEIGHT_SCALE = 10_000  # weights are written as integers, in units of 1 / WEIGHT_SCALE


def attention_page(maps: Sequence[AttentionMap], title: str, layer: Selection, head: Selection) -> str:
    """The page of at least one map, which shows this layer and head at first (the mean for `all`)."""
    layer_count, head_count = maps[0].weights.shape[:2]
    content = {
        "unit": WEIGHT_SCALE,
        "label": " ".join(maps[0].weight_label.split()),
        "layers": layer_count,
        "heads": head_count,
        "layer": "mean" if layer == "all" else layer,
        "head": "mean" if head == "all" else head,
        "sentences": [
            {
                "name": attention_map.name,
                "source": list(map(escape_controls, attention_map.source)),
                "target": list(map(escape_controls, attention_map.target)),
                "directions": {"source": _direction(attention_map.source), "target": _direction(attention_map.target)},
                "weights": np.rint(attention_map.weights * WEIGHT_SCALE).astype(int).tolist(),
            }
            for attention_map in maps
        ],
    }
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    escaped = text.replace("<", "\\u003c")  # so that no text can end the script element
    replacements = {"@TITLE@": html.escape(escape_controls(title)), "@DATA@": escaped}
    template = TEMPLATE_PATH.read_text(encoding="utf-8")
    return re.sub("@TITLE@|@DATA@", lambda match: replacements[match.group()], template)


def _direction(labels: Sequence[str]) -> str:
    """The direction in which labels are laid out, that of the first letter that has one: ltr or rtl."""
    for character in "".join(labels):
        if (bidirectional := unicodedata.bidirectional(character)) in ("L", "R", "AL"):
            return "ltr" if bidirectional == "L" else "rtl"
    return "ltr"
