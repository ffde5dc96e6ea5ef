"""Whether the numbers of a line are in its translation, whichever way decimals and thousands are marked.

1,234.5 is 1.234,5 and 1 234,5. Where a number can be read in two ways (1,234), either will do. Numbers in words are not
known, so that one that is written out in the translation is missing. The digits of all scripts are, and the numerals of
Ethiopic: ፵፪ is 42.
"""

import re
import unicodedata
from collections import defaultdict, deque
from collections.abc import Iterator
from decimal import Decimal

_GROUPING = ",.'’ \u00a0\u2009\u202f\u066c"
_COLON = ":：∶፡፥׃"  # between hours and minutes, or chapter and verse
_HUNDRED, _MYRIAD = "፻", "፼"
_ETHIOPIC = re.compile(f"[፩-{_MYRIAD}]+")
_NUMBER = re.compile(
    rf"\d{{1,2}}[{_COLON}]\d{{2}}(?!\d)|\d+(?:[{_GROUPING}\u066b]\d+)*|"
    rf"{_ETHIOPIC.pattern}(?:[{_COLON}]{_ETHIOPIC.pattern})?"
)
_PART = re.compile(rf"\d+|{_ETHIOPIC.pattern}")
_GROUPED = re.compile(
    rf"(?P<whole>\d{{1,3}}(?:(?P<mark>[{_GROUPING}])\d{{3}})(?:(?P=mark)\d{{3}})*)"
    r"(?:(?P<point>[.,\u066b])(?P<fraction>\d+))?"
)
_INDIAN = re.compile(r"\d{1,2}(?:,\d{2})+,\d{3}(?:\.(?P<fraction>\d+))?")
_DECIMAL = re.compile(rf"(?P<whole>\d+)[.,\u066b{_COLON}](?P<fraction>\d+)")  # a time, too

Readings = frozenset[Decimal]


def missing_numbers(source: str, translation: str) -> list[str]:
    """The numbers of a source that its translation does not have, or not as often, as the source writes them."""
    if not _NUMBER.search(source):
        return []
    positions: dict[Decimal, deque[int]] = defaultdict(deque)  # of each reading among the translation's numbers
    for position, (_, readings) in enumerate(_numbers(translation)):
        for reading in readings:
            positions[reading].append(position)
    missing, matched = [], set[int]()
    for written, readings in _numbers(source):
        candidates = [positions[reading] for reading in readings if reading in positions]
        for queue in candidates:
            while queue and queue[0] in matched:
                queue.popleft()
        first = min((queue[0] for queue in candidates if queue), default=None)
        if first is None:
            missing.append(written)
        else:
            matched.add(first)
    return missing


def _numbers(text: str) -> Iterator[tuple[str, Readings]]:
    """Each number with what it can mean; what no number is written like, such as a date, is several numbers."""
    for match in _NUMBER.finditer(text):
        written = match[0]
        if readings := _readings(written):
            yield written, readings
            continue
        for part in _PART.findall(written):
            yield part, _readings(part)


def _ethiopic_value(numeral: str) -> int:
    """The value of a numeral such as ፲፱፻፺፱ (19 hundreds and 99)."""
    value = hundreds = units = 0
    for sign in numeral:
        if sign == _MYRIAD:
            value, hundreds, units = (value + hundreds + units or 1) * 10_000, 0, 0
        elif sign == _HUNDRED:
            hundreds, units = hundreds + (units or 1) * 100, 0
        else:
            units += int(unicodedata.numeric(sign))
    return value + hundreds + units


def _readings(written: str) -> Readings:
    if _ETHIOPIC.match(written):
        written = _ETHIOPIC.sub(lambda numeral: str(_ethiopic_value(numeral[0])), written)
        if not _NUMBER.fullmatch(written):  # verse 1:9 is two numbers
            return frozenset()
    digits = "".join(str(unicodedata.digit(c)) if c.isdigit() else c for c in written)
    if digits.isdigit():
        return frozenset([Decimal(digits)])
    values = set()
    if grouped := _GROUPED.fullmatch(digits):
        if grouped["point"] != grouped["mark"]:
            values.add(Decimal(re.sub(r"\D", "", grouped["whole"]) + "." + (grouped["fraction"] or "0")))
    elif indian := _INDIAN.fullmatch(digits):
        values.add(Decimal(re.sub(r"\D", "", digits.split(".")[0]) + "." + (indian["fraction"] or "0")))
    if decimal := _DECIMAL.fullmatch(digits):
        values.add(Decimal(f"{decimal['whole']}.{decimal['fraction']}"))
    return frozenset(values)
