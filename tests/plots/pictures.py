"""What tests look at in a file of a picture, and in its colours."""

import re
import struct
import xml.etree.ElementTree as ElementTree
from pathlib import Path

SVG = "{http://www.w3.org/2000/svg}"


def png_size(path: Path) -> tuple[int, int]:
    """Width and height in pixels; fails where the file is no PNG."""
    content = path.read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n" and content[12:16] == b"IHDR"
    assert content.endswith(b"IEND\xaeB`\x82")
    width, height = struct.unpack(">II", content[16:24])
    return width, height


def svg_size(path: Path) -> tuple[float, float]:
    """Width and height in points; fails where the file is no well-formed SVG."""
    root = ElementTree.parse(path).getroot()
    assert root.tag == f"{SVG}svg"
    return float(root.attrib["width"][:-2]), float(root.attrib["height"][:-2])


def contrast(*colours: str) -> float:
    """That of WCAG 2.2 between two colours, each as #abc, #aabbcc or rgb(1, 2, 3)."""
    darker, lighter = sorted(map(_relative_luminance, colours))
    return (lighter + 0.05) / (darker + 0.05)


def blended(colours: list[str]) -> str:
    """What is seen of colours over each other, each as rgb(1, 2, 3) or rgba(1, 2, 3, 0.4), the topmost last."""
    seen = [255.0] * 3
    for colour in colours:
        red, green, blue, opacity = [*map(float, re.findall(r"[\d.]+", colour)), 1.0][:4]
        seen = [opacity * above + (1 - opacity) * below for above, below in zip((red, green, blue), seen, strict=True)]
    return f"rgb({', '.join(str(round(channel)) for channel in seen)})"


def _relative_luminance(colour: str) -> float:
    if colour.startswith("#"):
        digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
        channels = list(bytes.fromhex(digits))
    else:
        channels = [int(channel) for channel in re.findall(r"\d+", colour)[:3]]
    shares = [channel / 255 for channel in channels]
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    return sum(weight * value for weight, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
