"""The marks that end a sentence or a clause, in all scripts.

What ends a sentence is Sentence_Terminal of Unicode 15.0 (PropList.txt), which Python's unicodedata lacks, but for
U+2024 and what is a comma in today's use (U+104A, 1735, 1B5E, A9C8). Besides, what ends verses and sections does
(U+5C3, 17D4-17D5, 17DA), and so do the shads of Tibetan, the stops of Coptic, and the ellipsis.
"""

import re
import unicodedata

_SPACED = """\
589 5C3 61D 61F 6D4 700-702 7F9 837 839 83D-83E F0D-F0E 166E 1736 1803 1809 1944-1945 1AA8-1AAB 1C3B-1C3C 1C7E-1C7F \
203C-203D 2047-2049 2CF9-2CFB 2CFE 2E2E 2E3C 2E53-2E54 A4FF A60E-A60F A6F3 A6F7 A876-A877 A92F AA5D-AA5F AAF0-AAF1 \
ABEB FE52 10A56-10A57 10F55-10F59 10F86-10F89 11143 11944 11946 11A42-11A43 11A9B-11A9C 11EF7-11EF8 16A6E-16A6F \
16AF5 16B37-16B38 16B44 16E98 1BC9F 1DA88"""
_UNSPACED = """\
964-965 104B 1362 1367-1368 17D4-17D5 17DA 1B5A-1B5B 1B5F 1B7D-1B7E 3002 A8CE-A8CF A9C9 FE12 FE15-FE16 FE56-FE57 \
FF01 FF1F FF61 11047-11048 110BE-110C1 11141-11142 111C5-111C6 111CD 111DE-111DF 11238-11239 1123B-1123C 112A9 \
1144B-1144C 115C2-115C3 115C9-115D7 11641-11642 1173C-1173E 11C41-11C42"""


def _characters(ranges: str) -> str:
    bounds = (code.partition("-") for code in ranges.split())
    return "".join(chr(code) for first, _, last in bounds for code in range(int(first, 16), int(last or first, 16) + 1))


def _is_full_stop(mark: str) -> bool:
    return not re.search("QUESTION|EXCLAMATION|INTERROBANG|SOF PASUQ|END OF TEXT", unicodedata.name(mark))


OWN_MARKS = _characters(_SPACED)
"""Marks of one script, and doubled ones, that have white space after them."""
OWN_STOPS = "".join(filter(_is_full_stop, OWN_MARKS))
"""Those that are full stops."""
UNSPACED_MARKS = _characters(_UNSPACED)
"""Marks that need no white space."""
UNSPACED_STOPS = "".join(filter(_is_full_stop, UNSPACED_MARKS))
"""Those that are full stops."""
COLONS = _characters("3A-3B 61B 703-709 1364-1366 17D6 1804 204F 2E35 A6F4 A6F6")
"""Colons and semicolons that have white space after them."""
UNSPACED_COLONS = _characters("FE13-FE14 FE54-FE55 FF1A-FF1B")
"""Those that need none."""
COMMAS = _characters("2C 60C 7F8 104A 1363 1735 1802 1808 1B5E 2E41 2E4C A4FE A60D A6F5 A9C8 1144D 16E97")
"""Commas that have white space after them."""
UNSPACED_COMMAS = _characters("3001 FE10-FE11 FE50-FE51 FF0C FF64")
"""Those that need none."""
TYPED_STOP = "፡፡"
"""Two of the marks between words of Amharic, as many keyboards write its full stop."""
_ETHIOPIC, _ARMENIAN, _INDIC = "\u1200-\u139f\u2d80-\u2ddf\uab01-\uab2f", "\u0531-\u0587", "\u0900-\u0dff"
UNSPACED_TYPED = rf"{TYPED_STOP}|(?<=[{_ETHIOPIC}])::|(?<=[{_ETHIOPIC}][»”’\"')\]])::"
"""That, and two colons behind a letter of Ethiopic, as others write it; for a pattern."""
SPACED_TYPED = rf"(?<=[{_ARMENIAN}]):|(?<=[{_INDIC}])\|"
"""Likewise a colon for the full stop of Armenian, and a bar for a danda."""
FULL_STOPS = (".", "．", *OWN_STOPS, *UNSPACED_STOPS)
FINAL_MARKS = f".．!?…{OWN_MARKS}{UNSPACED_MARKS}"
FINAL_MARK = f"(?:[{FINAL_MARKS}]|{UNSPACED_TYPED}|{SPACED_TYPED})"
"""One of them, for a pattern."""
CLOSERS = "\"'”’»)\\]」』）"
"""What may close behind them, for a class of a pattern."""
_TYPED_AT_END = re.compile(rf"(?:{UNSPACED_TYPED}|{SPACED_TYPED})\Z")
_LAST_TYPED = ("፡", ":", "|")
_MAX_TYPED = 2  # characters


def without_full_stop(text: str) -> str:
    """The text without the full stop that it ends in, if it does."""
    if text[-1:] in FULL_STOPS:
        return text[:-1]
    typed = _TYPED_AT_END.search(text, max(0, len(text) - _MAX_TYPED)) if text.endswith(_LAST_TYPED) else None
    return text[: typed.start()] if typed else text
