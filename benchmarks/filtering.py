"""How much of each kind of noise the filters of a corpus take out, how many clean pairs they lose, and how fast.

    python -m benchmarks.filtering CORPUS.en CORPUS.de [--foreign TEXT] [--share 0.03]
    python -m benchmarks.filtering quickstart --foreign TEXT
    python -m benchmarks.filtering CORPUS.en CORPUS.de --run RUN --share 0.1

adds each kind of noise to a share of the pairs (drawn by --seed), in place of the clean ones, cleans them as `nmt
prepare` does with all filters on, and prints a Markdown table. The files may be compressed. --foreign is text in a
third language, a line per pair; without it that kind is left out. --write DIR writes clean.*, noisy.* (the clean pairs
and the noise beside them) and filtered.* as corpora to train on (the sides end with --languages).
"""

import argparse
import html
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from nmt_cli.commands.rescore import rescore
from nmt_cli.data.cleaning import PAIRS_PER_BLOCK, PairFilter, measure_corpus
from nmt_cli.data.config import CorpusConfig
from nmt_cli.data.filtering.config import FilterConfig
from nmt_cli.data.filtering.rules import RULES, every_filter
from nmt_cli.data.sources.base import RawPair
from nmt_cli.data.sources.quickstart import read_quickstart
from nmt_cli.data.sources.scores import ScoreCut
from nmt_cli.evaluation.metrics import read_texts

CLEAN = "clean"
Pair = tuple[str, str]


class Corpus(NamedTuple):
    """Clean pairs, and lines in a third language."""

    pairs: list[Pair]
    foreign: list[str]


def _copy(corpus: Corpus, index: int, draw: random.Random) -> Pair | None:
    source, _ = corpus.pairs[index]
    return source, source


def _swap(corpus: Corpus, index: int, draw: random.Random) -> Pair | None:
    source, target = corpus.pairs[index]
    return target, source


def _foreign_target(corpus: Corpus, index: int, draw: random.Random) -> Pair | None:
    return (corpus.pairs[index][0], corpus.foreign[index % len(corpus.foreign)]) if corpus.foreign else None


def _foreign_source(corpus: Corpus, index: int, draw: random.Random) -> Pair | None:
    return (corpus.foreign[index % len(corpus.foreign)], corpus.pairs[index][1]) if corpus.foreign else None


def _other_source(corpus: Corpus, index: int, draw: random.Random) -> Pair | None:
    return corpus.pairs[index][0], draw.choice(corpus.pairs)[0]


def _mojibake(corpus: Corpus, index: int, draw: random.Random) -> Pair | None:
    source, target = corpus.pairs[index]
    if source.isascii() and target.isascii():
        return None
    return source.encode().decode("cp1252", "replace"), target.encode().decode("cp1252", "replace")


def _latin1(corpus: Corpus, index: int, draw: random.Random) -> Pair | None:
    source, target = corpus.pairs[index]
    return None if target.isascii() else (source, target.encode().decode("latin-1"))


def _replacement(corpus: Corpus, index: int, draw: random.Random) -> Pair | None:
    source, target = corpus.pairs[index]
    return None if target.isascii() else (source, target.encode("latin-1", "replace").decode("utf-8", "replace"))


def _entities(corpus: Corpus, index: int, draw: random.Random) -> Pair | None:
    source, target = corpus.pairs[index]
    escaped = "".join(f"&{html.entities.codepoint2name[ord(c)]};" if ord(c) in html.entities.codepoint2name else c
                      for c in target)  # fmt: skip
    return source, escaped if escaped != target else target + " &nbsp;"


def _markup(corpus: Corpus, index: int, draw: random.Random) -> Pair | None:
    source, target = corpus.pairs[index]
    tag = draw.choice(["<b>{}</b>", "<p>{}", "{}<br />", '<a href="/index.html">{}</a>', '<span class="t">{}</span>'])
    return source, tag.format(target)


def _truncate_target(corpus: Corpus, index: int, draw: random.Random) -> Pair | None:
    source, target = corpus.pairs[index]
    words = target.split()
    return (source, " ".join(words[: len(words) // 3])) if len(words) > 2 else None


def _truncate_source(corpus: Corpus, index: int, draw: random.Random) -> Pair | None:
    source, target = corpus.pairs[index]
    words = source.split()
    return (" ".join(words[: len(words) // 3]), target) if len(words) > 2 else None


def _numbers(corpus: Corpus, index: int, draw: random.Random) -> Pair | None:
    source, target = corpus.pairs[index]
    if not (re.search(r"\d", source) and re.search(r"\d", target)):
        return None
    return source, re.sub(r"\d+", lambda match: str(int(match[0]) + draw.randint(1, 9)), target)


def _shift(corpus: Corpus, index: int, draw: random.Random) -> Pair | None:
    return corpus.pairs[index][0], corpus.pairs[(index + 1) % len(corpus.pairs)][1]


KINDS: dict[str, Callable[[Corpus, int, random.Random], Pair | None]] = {
    "target is the source": _copy,
    "target is another source": _other_source,
    "sides swapped": _swap,
    "target in a third language": _foreign_target,
    "source in a third language": _foreign_source,
    "UTF-8 read as cp1252": _mojibake,
    "target read as Latin-1": _latin1,
    "target with U+FFFD": _replacement,
    "entities in the target": _entities,
    "tags in the target": _markup,
    "target cut to a third": _truncate_target,
    "source cut to a third": _truncate_source,
    "other numbers in the target": _numbers,
}
SHIFTED = "target of the next line"


def add_noise(
    corpus: Corpus, share: float, seed: int, kinds: Sequence[str] = tuple(KINDS)
) -> tuple[list[Pair], list[str]]:
    """The pairs, of which each kind of noise has taken the place of a share, and the kind of each.

    A kind that few pairs are fit for (with numbers, with letters beyond ASCII) takes all of these, at most.
    """
    draw = random.Random(seed)
    pairs, kind_of = list(corpus.pairs), [CLEAN] * len(corpus.pairs)
    for kind in sorted(kinds, key=lambda name: name != "other numbers in the target"):  # the rarest first
        wanted = int(share * len(pairs))
        for index in draw.sample(range(len(pairs)), len(pairs)):
            if not wanted:
                break
            make = _shift if kind == SHIFTED else KINDS[kind]
            if kind_of[index] == CLEAN and (noisy := make(corpus, index, draw)) is not None:
                pairs[index], kind_of[index] = noisy, kind
                wanted -= 1
    return pairs, kind_of


class Filtered(NamedTuple):
    """Why each pair is dropped (None: it is kept), and processor times."""

    reasons: list[str | None]
    measuring_seconds: float
    filtering_seconds: float


def filter_pairs(config: CorpusConfig, pairs: Sequence[Pair]) -> Filtered:
    raw_pairs = [RawPair(source.encode(), target.encode(), number) for number, (source, target) in enumerate(pairs)]
    start = time.process_time()
    pair_filter = PairFilter(config, profile=measure_corpus([raw_pairs], config))
    measured = time.process_time()
    reasons: list[str | None] = [None] * len(pairs)
    for first in range(0, len(raw_pairs), PAIRS_PER_BLOCK):
        block = [(*pair,) for pair in raw_pairs[first : first + PAIRS_PER_BLOCK]]
        for reason, _, number in pair_filter(block).dropped_pairs:
            reasons[number] = reason
    return Filtered(reasons, measured - start, time.process_time() - measured)


def config_with(filters: FilterConfig, languages: Sequence[str]) -> CorpusConfig:
    return CorpusConfig(source=languages[0], target=languages[1], filters=filters, deduplicate=False)


def report(corpus: Corpus, share: float, seed: int, languages: Sequence[str]) -> list[str]:
    """The lines of two tables: what each kind of noise loses, and what clean text loses by which filter."""
    config = config_with(every_filter(None), languages)
    pairs, kind_of = add_noise(corpus, share, seed)
    reasons, measuring_seconds, filtering_seconds = filter_pairs(config, pairs)
    lines = ["| kind | pairs | out | by |", "|---|---|---|---|"]
    for kind in [*KINDS, CLEAN]:
        kind_reasons = [reason for reason, name in zip(reasons, kind_of, strict=True) if name == kind]
        dropped = Counter(reason for reason in kind_reasons if reason)
        if kind_reasons:
            names = ", ".join(f"{name} {count:,}" for name, count in dropped.most_common())
            lines.append(f"| {kind} | {len(kind_reasons):,} | {dropped.total() / len(kind_reasons):.2%} | {names} |")
    lost = Counter(reason for reason in filter_pairs(config, corpus.pairs).reasons if reason)
    lines += ["", "| filter | clean pairs lost | default |", "|---|---|---|"]
    for rule in RULES:
        default = getattr(FilterConfig(), rule.name)
        lines.append(
            f"| {rule.name} | {lost[rule.name] / len(corpus.pairs):.3%} | {'off' if default is None else default} |"
        )
    without_model = config_with(every_filter(None).model_copy(update={"language": None, "length": None}), languages)
    rule_seconds = filter_pairs(without_model, pairs).filtering_seconds
    lines += [
        "",
        f"{len(pairs) / filtering_seconds:,.0f} pairs per second of processor time, {len(pairs) / rule_seconds:,.0f} "
        f"without language and length; the first pass took {measuring_seconds:.1f} s",
    ]
    return lines


def shifted_report(corpus: Corpus, share: float, seed: int, languages: Sequence[str], run: Path) -> list[str]:
    """A table of what scores of a run leave of pairs with the target of the next line."""
    pairs, kind_of = add_noise(corpus, share, seed, (SHIFTED,))
    rotation = len(pairs) // 3
    with TemporaryDirectory() as name:
        folder = Path(name)
        paths = [folder / f"text.{language}" for language in languages]
        for side, path in enumerate(paths):
            path.write_text("".join(pair[side] + "\n" for pair in pairs), encoding="utf-8", newline="\n")
        lines = paths[0].read_text("utf-8").splitlines(keepends=True)
        (folder / "other").write_text("".join(lines[rotation:] + lines[:rotation]), encoding="utf-8", newline="\n")
        for source, out in ((paths[0], "forward"), (folder / "other", "baseline")):
            text = "".join(scored.text + "\n" for scored in rescore([run], source, paths[1], []))
            (folder / out).write_text(text, encoding="utf-8", newline="\n")
        table = ["| keep_share | shifted pairs removed | clean pairs lost |", "|---|---|---|"]
        for kept_percent in (94, 93, 92, 91, 90, 88, 85):
            cut = ScoreCut((folder / "forward",), None, kept_percent / 100, folder / "baseline")
            lost = [not cut.keeps(number) for number in range(1, len(pairs) + 1)]
            by_kind = {
                kind: [flag for flag, k in zip(lost, kind_of, strict=True) if k == kind] for kind in set(kind_of)
            }
            shares = {kind: sum(flags) / len(flags) for kind, flags in by_kind.items()}
            table.append(f"| {kept_percent / 100} | {shares[SHIFTED]:.1%} | {shares[CLEAN]:.2%} |")
    return table


def write_corpora(folder: Path, corpus: Corpus, noise: list[Pair], languages: Sequence[str]) -> None:
    """The clean pairs, the same with noise added, and what the filters leave of these; all to be trained on with
    corpus.filters: null."""
    pairs = corpus.pairs + noise
    reasons = filter_pairs(config_with(every_filter(None), languages), pairs).reasons
    filtered = [pair for pair, reason in zip(pairs, reasons, strict=True) if reason is None]
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in (("clean", corpus.pairs), ("noisy", pairs), ("filtered", filtered)):
        for side, language in enumerate(languages):
            text = "".join(pair[side] + "\n" for pair in content)
            (folder / f"{name}.{language}").write_text(text, encoding="utf-8", newline="\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", nargs="+", help="two files, or quickstart")
    parser.add_argument("--foreign", type=Path, help="text in a third language")
    parser.add_argument("--share", type=float, default=0.03, help="of the pairs, for each kind of noise")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--languages", nargs=2, default=("en", "de"))
    parser.add_argument("--run", type=Path, help="a run whose scores are to tell shifted pairs")
    parser.add_argument("--write", type=Path, metavar="DIR", help="write the corpora here")
    arguments = parser.parse_args()
    if arguments.corpus == ["quickstart"]:
        pairs = [(pair.source.decode(), pair.target.decode()) for pair in read_quickstart("train")]
    else:
        pairs = list(zip(*(read_texts(Path(path)) for path in arguments.corpus), strict=True))
    foreign = read_texts(arguments.foreign) if arguments.foreign else []
    corpus = Corpus([(source.strip(), target.strip()) for source, target in pairs], [text.strip() for text in foreign])
    if arguments.run:
        print("\n".join(shifted_report(corpus, arguments.share, arguments.seed, arguments.languages, arguments.run)))
        return
    print("\n".join(report(corpus, arguments.share, arguments.seed, arguments.languages)))
    if arguments.write:
        noisy, kind_of = add_noise(corpus, arguments.share, arguments.seed)
        noise = [pair for pair, kind in zip(noisy, kind_of, strict=True) if kind != CLEAN]
        write_corpora(arguments.write, corpus, noise, arguments.languages)


if __name__ == "__main__":
    main()
