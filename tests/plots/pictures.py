"""What tests look at in a file of a picture."""

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
