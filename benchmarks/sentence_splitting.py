"""F1 of sentence boundaries for each language of tests/data/sentences: ours, a plain rule's, pysbd's; and our speed.

    python benchmarks/sentence_splitting.py                 # both parts
    python benchmarks/sentence_splitting.py --part tuned    # the lines that the rules were tuned on
    python benchmarks/sentence_splitting.py --part tuned --errors

A line of a set is a line with `¦` where a sentence begins in it; `* ` in front marks a hard one. Every third line of a
file is held out. Another set is measured with --set FOLDER: tests/data/sentences/more has lines that were written after
the rules, measured once, and then tuned on. pysbd is compared where it is installed: `pip install pysbd` (whose wheel
has a package called benchmarks: run this as a file, not with -m).
Boundaries of all the lines are counted together; those at the ends of lines are not.
"""

import argparse
import re
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from nmt_cli.data.sentences.splitter import SentenceSplitter

SET = Path(__file__).parent.parent / "tests" / "data" / "sentences"
MARK, HARD = "¦", "* "
TUNED, HELD_OUT, BOTH = "tuned", "held-out", "both"
PLAIN_RULE = re.compile(r"(?<=[.!?])\s+(?=[A-ZÀ-ÖØ-ÞĀ-ŽΑ-ΩА-ЯЁІЇЄ])")
MIXED = "mixed"  # a file of several languages

FindStarts = Callable[[str], list[int]]


@dataclass(frozen=True)
class Case:
    text: str
    starts: tuple[int, ...]
    """Where sentences begin behind the first."""
    is_hard: bool


def f1(counts: Counter[str]) -> float:
    """In percent; that of no boundaries at all is 100."""
    total = 2 * counts["right"] + counts["wrong"] + counts["missed"]
    return 100.0 if total == 0 else 200.0 * counts["right"] / total


def parse_case(line: str) -> Case:
    is_hard = line.startswith(HARD)
    parts = line.removeprefix(HARD).split(MARK)
    starts = [sum(map(len, parts[:number])) for number in range(1, len(parts))]
    return Case("".join(parts), tuple(starts), is_hard)


def read_cases(path: Path, part: str) -> Iterator[Case]:
    for number, line in enumerate(path.read_text("utf-8").rstrip("\n").split("\n"), 1):
        is_held_out = number % 3 == 0
        if part == BOTH or is_held_out == (part == HELD_OUT):
            yield parse_case(line)


def language_of(path: Path) -> str | None:
    return None if path.stem == MIXED else path.stem


def count_boundaries(
    cases: Iterable[Case], find_starts: FindStarts, show: Callable[[str], None] | None = None
) -> Counter[str]:
    """How many boundaries are right, wrong or missed, and how many lines there are and have all of them right."""
    counts: Counter[str] = Counter()
    for case in cases:
        expected, starts = set(case.starts), set(find_starts(case.text))
        counts["right"] += len(expected & starts)
        counts["wrong"] += len(starts - expected)
        counts["missed"] += len(expected - starts)
        counts["lines"] += 1
        counts["right lines"] += expected == starts
        if show and expected != starts:
            marks = dict.fromkeys(expected & starts, MARK)
            marks |= dict.fromkeys(starts - expected, "[+]") | dict.fromkeys(expected - starts, "[-]")
            show("".join(marks.get(position, "") + character for position, character in enumerate(case.text)))
    return counts


def plain_starts(line: str) -> list[int]:
    return [match.end() for match in PLAIN_RULE.finditer(line)]


def pysbd_starts(language: str | None) -> FindStarts | None:
    try:
        import pysbd
        from pysbd.languages import LANGUAGE_CODES
    except ImportError:
        return None
    if language is not None and language not in LANGUAGE_CODES:
        return None
    segmenter = pysbd.Segmenter(language=language or "en", clean=False)

    def find_starts(line: str) -> list[int]:
        """Its sentences are looked up in the line in order, since it may drop white space."""
        starts, at = [], 0
        for sentence in segmenter.segment(line):
            found = line.find(sentence.strip(), at)
            if found < 0:
                continue
            starts.append(found)
            at = found + len(sentence.strip())
        return [start for start in starts if line[:start].strip()]

    return find_starts


def measure_speed(seconds: float) -> list[tuple[str, float, int]]:
    """Lines a second of one process: of lines without an inner stop, and of those with some."""
    splitter = SentenceSplitter("en")
    texts = {
        "without an inner stop": ["We painted the fence green and the gate white."] * 1000,
        "two sentences, two abbreviations": ["Dr. Marsh left at 5 p.m. on Monday. Nobody saw her again."] * 1000,
    }
    rates = []
    for name, lines in texts.items():
        done, start = 0, time.process_time()
        while time.process_time() - start < seconds:
            for line in lines:
                splitter.split(line)
            done += len(lines)
        rates.append((name, done / (time.process_time() - start), len(lines[0])))
    return rates


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", type=Path, default=SET)
    parser.add_argument("--part", choices=(TUNED, HELD_OUT, BOTH), default=BOTH)
    parser.add_argument("--errors", action="store_true", help="show lines with a wrong [+] or a missed [-] boundary")
    parser.add_argument("--speed-seconds", type=float, default=1.0)
    options = parser.parse_args()
    totals: defaultdict[str, Counter[str]] = defaultdict(Counter)
    common: defaultdict[str, Counter[str]] = defaultdict(Counter)  # where pysbd knows the language
    print(f"{'':8}{'lines':>6}{'hard':>6}{'ours':>8}{'plain':>8}{'pysbd':>8}   F1 in %, part: {options.part}")
    for path in sorted(options.set.glob("*.txt")):
        language = language_of(path)
        cases = list(read_cases(path, options.part))
        systems: dict[str, FindStarts | None] = {
            "ours": SentenceSplitter(language).find_starts,
            "plain": plain_starts,
            "pysbd": pysbd_starts(language),
        }
        columns = []
        for name, find_starts in systems.items():
            if find_starts is None:
                columns.append(f"{'-':>8}")
                continue
            counts = count_boundaries(cases, find_starts)
            totals[name] += counts
            if systems["pysbd"]:
                common[name] += counts
            columns.append(f"{f1(counts):8.1f}")
        print(f"{path.stem:8}{len(cases):6}{sum(case.is_hard for case in cases):6}{''.join(columns)}")
        if options.errors and systems["ours"]:
            count_boundaries(cases, systems["ours"], lambda line: print(f"    {line}", file=sys.stderr))
    for name, counts in totals.items():
        print(
            f"{name:8} F1 {f1(counts):.2f} %, {counts['right lines']} of {counts['lines']} lines right, "
            f"{counts['wrong']} boundaries wrong, {counts['missed']} missed"
        )
    if common:
        print("where pysbd has the language: " + ", ".join(f"{name} {f1(c):.2f} %" for name, c in common.items()))
    for text, rate, length in measure_speed(options.speed_seconds) if options.speed_seconds else []:
        print(f"{rate:,.0f} lines of {length} characters a second of a core: {text}")


if __name__ == "__main__":
    main()
