"""Numbers are compared by what they mean, not by how they are written."""

import io
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt_cli.data import numbers
from nmt_cli.data.numbers import _numbers, _readings, missing_numbers
from nmt_cli.data.tokenization.tokenizer import TextTokenizer
from nmt_cli.inference.lines import InputLine
from nmt_cli.inference.output import Candidate, TranslatedLine, Translation
from tests.streams import translate_stream
from tests.translators import echo


@pytest.mark.parametrize(
    "source, translation",
    [
        ("no number", "7"), ("It costs 1,234.5 euros", "1.234,5 Euro"), ("1,234.5", "1\u202f234,5"),
        ("1.234,5", "1 234.5"),
        ("1,234", "1.234"), ("1,234", "1234"), ("1.5", "1,5"), ("12,34,567.8", "1.234.567,8"), ("1'234", "1 234"),
        ("12.05.2023", "05/12/2023"), ("at 10:30", "um 10.30 Uhr"), ("the 3rd", "der 3."), ("A4 and B2", "B2 und A4"),
        ("3 and 3", "3, 3"), ("٣", "3"), ("50%", "50 %"), ("x²", "x²"), ("1.50", "1,5"), ("10 20", "10 und 20"),
        ("ዘፍ 1፡10", "Genesis 1:10"), ("ዮሐ 3፥16", "John 3:16"), ("10：30", "10.30"), ("א׳ 1׃10", "1:10"),
        ("መዝ 119፡105", "Psalm 119:105"), ("ዘፍ 1፡9", "Genesis 1:9"),
        ("፵፪ ሰብ", "42 people"), ("፲፱፻፺፱", "1999"), ("፻፳፫", "123"), ("፪፼፫፻፩", "20,301"), ("፼", "10000"),
        ("42 people", "፵፪ ሰብ"), ("፩፡፲", "1:10"), ("1፡10", "፩፡፲"), ("፩፡፱", "1:9"), ("፻፲፱፡፻፭", "119:105"),
        ("߁߂", "12"), ("𞥑𞥒", "12"),
    ],
)  # fmt: skip
def test_the_same_numbers_in_other_clothes(source: str, translation: str) -> None:
    assert missing_numbers(source, translation) == []


@pytest.mark.parametrize(
    "source, translation, missing",
    [
        ("7 dogs and 8 cats", "sieben Hunde und 8 Katzen", ["7"]), ("1,234.5", "1.234,6", ["1,234.5"]),
        ("3 and 3", "3", ["3"]),
        ("12", "1 2", ["12"]), ("1.5", "15", ["1.5"]), ("2019 to 2020", "2020", ["2019"]), ("5", "", ["5"]),
        ("፵፪ ሰብ", "43 people", ["፵፪"]), ("1፡10", "1:11", ["1፡10"]), ("43", "፵፪", ["43"]),
    ],
)  # fmt: skip
def test_numbers_that_are_missing(source: str, translation: str, missing: list[str]) -> None:
    assert missing_numbers(source, translation) == missing


NUMBER_TEXTS = st.lists(
    st.sampled_from(["1", "1,234", "1.234", "1234", "1.23", "1,5", "1.50", "10:30", "1.2.3", "x", "٣", "3"])
).map(" ".join)


@given(NUMBER_TEXTS, NUMBER_TEXTS)
def test_each_number_has_the_first_one_left_that_means_the_same(source: str, translation: str) -> None:
    left = [readings for _, readings in _numbers(translation)]
    missing = []
    for written, readings in _numbers(source):
        match = next((other for other in left if readings & other), None)
        if match is None:
            missing.append(written)
        else:
            left.remove(match)
    assert missing_numbers(source, translation) == missing


def test_numbers_are_looked_up_and_not_each_compared_with_all_others(monkeypatch: pytest.MonkeyPatch) -> None:
    class Counted(frozenset[Decimal]):
        looks = 0

        def __and__(self, other: Any) -> Any:
            Counted.looks += 1
            return super().__and__(other)

        def __iter__(self) -> Iterator[Decimal]:
            Counted.looks += 1
            return super().__iter__()

    monkeypatch.setattr(numbers, "_readings", lambda written: Counted(_readings(written)))
    source, translation = (" x ".join(map(str, range(start, start + 100))) for start in (0, 100))
    assert len(missing_numbers(source, translation)) == 100
    assert 0 < Counted.looks <= 2 * 200


def test_a_line_reports_them(tokenizer: TextTokenizer) -> None:
    line = TranslatedLine(InputLine(1, "7 dogs and 1,234 cats", False), Translation([Candidate("1.234", -1.0, -1.0)]))
    assert line.record()["numbers"] == ["7"] and "added_numbers" not in line.record()
    line = TranslatedLine(InputLine(1, "1,234 cats", False), Translation([Candidate("1.234 und 70", -1.0, -1.0)]))
    assert line.record()["added_numbers"] == ["70"] and "numbers" not in line.record()
    assert line.warnings == []
    (same,) = translate_stream(echo(tokenizer), io.BytesIO(b"The 7 dogs see 1995 houses.\n"))
    assert same.warnings == [] and not {"numbers", "added_numbers"} & set(same.record())
