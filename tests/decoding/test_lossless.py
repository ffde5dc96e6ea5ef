"""Line i in, line i out, whatever the bytes; a real translator over a random model."""

import io
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import strategies as st

from nmt_cli.data.sources.files import reject_wide_encodings
from nmt_cli.data.tokenization.tokenizer import TextTokenizer
from nmt_cli.decoding.config import SearchConfig
from nmt_cli.decoding.engine import Hypothesis
from nmt_cli.errors import DataError
from nmt_cli.inference import segments
from nmt_cli.inference.output import TranslatedLine
from nmt_cli.inference.translator import Translator
from nmt_cli.models import MODELS
from nmt_cli.models.contract import Autoregressive
from tests.conftest import examples
from tests.margins import clear_lines
from tests.opening import open_translator
from tests.streams import translate_stream
from tests.translators import Echo, echo, random_translator

ROOT = Path(__file__).parents[2]


def real(tokenizer: TextTokenizer, name: str = "transformer", **options: Any) -> Translator:
    settings = {"beam": 2, "max_length": 4, "max_source_length": 12, **options}
    return random_translator(tokenizer, None, name, seed=3, **settings)


def stream(translator: Translator, text: bytes, *rest: Any, **options: Any) -> list[TranslatedLine]:
    return list(translate_stream(translator, io.BytesIO(text), *rest, **options))


def expected_lines(text: bytes) -> list[bytes]:
    lines = text.split(b"\n")
    return lines[:-1] if lines[-1] == b"" else lines


def is_wide(text: bytes) -> bool:
    """Whether a text is refused as UTF-16 or UTF-32."""
    try:
        reject_wide_encodings(text.split(b"\n")[0], "text", binary=False)
    except DataError:
        return True
    return False


BYTES = st.one_of(
    st.binary(max_size=60),
    st.text(max_size=40).map(str.encode),
    st.lists(
        st.sampled_from(
            [b"a book", b"\n", b"\r", b"\r\n", b"\x00", b"\xef\xbb\xbf", b"\xff", "\u2028".encode(),
             "\x85".encode(), b"\x0b", b"\x0c", b" ", "🙂".encode(), "ሰላም".encode(), b"<0x0A>",
             b"</s>", b"dogs. " * 9]
        ),
        max_size=12,
    ).map(b"".join),
).filter(lambda text: not is_wide(text))  # fmt: skip
FEW = examples(40, suppress_health_check=[HealthCheck.function_scoped_fixture])


@FEW
@given(text=BYTES, guard=st.booleans(), name=st.sampled_from(["transformer", "ctc"]))
def test_any_bytes_give_as_many_lines_as_they_are(
    text: bytes, guard: bool, name: str, tokenizer: TextTokenizer
) -> None:
    lines = expected_lines(text)
    translated_lines = stream(real(tokenizer, name, repair_degenerate=guard), text)
    assert [translated.line.number for translated in translated_lines] == list(range(1, len(lines) + 1))
    for raw, translated in zip(lines, translated_lines, strict=True):
        assert "\n" not in translated.translation.text
        assert bool(translated.translation.candidates) == bool(translated.line.text.strip())
        try:
            raw.decode()
        except UnicodeDecodeError:
            assert "invalid UTF-8 was replaced by U+FFFD" in translated.warnings


@FEW
@given(text=BYTES, limit=st.integers(8, 40))
@example(text="\x00🀀a\n(🙂dog) -🙂a".encode(), limit=8)
@example(text=b"\x00#A:A", limit=8)
@example(text="0\x00<0>a\n0:<0>A\n0 🀀\x00a".encode(), limit=8)
def test_every_character_of_every_line_reaches_the_model(text: bytes, limit: int, tokenizer: TextTokenizer) -> None:
    translator = echo(tokenizer, None, max_source_length=limit)
    for line in stream(translator, text):
        read = "".join(line.translation.text.split())
        whole = tokenizer.decode(tokenizer.encode([line.line.text.strip()]))[0]  # its NFC form
        if re.search(r"\S<\w+>\S|#\w+[^\s\w]\S", line.line.text):  # a tag inside a word comes out beside it
            read, whole = "".join(sorted(read)), "".join(sorted(whole))
        assert read == "".join(whole.split())
        assert line.translation.truncated_tokens == 0


@FEW
@given(lines=st.lists(st.text("ab .\u2028\x85🙂", max_size=30), max_size=12), order=st.randoms())
def test_the_order_of_lines_is_restored_whatever_their_lengths(
    lines: list[str], order: Any, tokenizer: TextTokenizer
) -> None:
    translator = real(tokenizer)
    shuffled = lines[:]
    order.shuffle(shuffled)
    texts = dict(zip(shuffled, translator.translate(shuffled), strict=True))
    for line, translation in zip(lines, translator.translate(lines), strict=True):
        assert translation.text == texts[line].text


NEVER_LINE_ENDS = ["\r", "\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e"]


@pytest.mark.parametrize("character", NEVER_LINE_ENDS, ids=lambda one: f"{ord(one):x}")
def test_a_line_ends_at_a_line_feed_only(character: str, tokenizer: TextTokenizer) -> None:
    text = f"a{character}b{character}\nc".encode()
    first, second = stream(echo(tokenizer, None), text)
    kept = character if character in "\u2028\u2029" else ""  # at the end, as a line break within a text
    assert first.translation.text == f"a{character}b{kept}" and second.translation.text == "c"


# Lines longer than the model reads

HUGE = {
    "no spaces": "x" * 100_000,
    "no sentence ends": "word " * 20_000,
    "sentences": "The old man reads a book. " * 4_000,
    "emoji": "🙂" * 100_000,
    "Chinese": "我喜欢读书。" * 16_000,
    "accents": "e\u0301" * 50_000,
    "a tower of accents": "e" + "\u0301" * 99_999,
    "NULs": "\x00" * 100_000,
    "dots": "." * 100_000,
    "blanks inside": "a" + " " * 100_000 + "b",
    "carriage returns": "a\r" * 50_000,
}


SOON = ("no spaces", "sentences", "a tower of accents", "dots")


@pytest.mark.parametrize("kind", [pytest.param(one, marks=[] if one in SOON else pytest.mark.slow) for one in HUGE])
def test_a_hundred_thousand_characters_in_a_line_are_all_read(
    kind: str, tokenizer: TextTokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = HUGE[kind]
    translator, encode, encoded = echo(tokenizer, None, split="long", keep="none"), TextTokenizer.encode, 0

    def counted(self: TextTokenizer, texts: list[str], *rest: Any) -> list[list[int]]:
        nonlocal encoded
        encoded += sum(map(len, texts))
        return encode(self, texts, *rest)

    monkeypatch.setattr(TextTokenizer, "encode", counted)
    (translated, after) = stream(translator, f"{line}\na\n".encode())
    assert encoded <= 12 * len(line)  # a few times each, not once more for each part
    assert isinstance(translator.engine, Echo) and translator.engine.most <= 256
    whole = tokenizer.decode(tokenizer.encode([line.strip()]))[0]
    assert "".join(translated.translation.text.split()) == "".join(whole.split())
    assert after.translation.text == "a" and after.warnings == []
    if kind == "carriage returns":  # each ends a line within the line, and none is too long
        assert translated.warnings == []
        return
    (warning,) = translated.warnings
    assert warning.startswith("longer than the model reads: translated in ")
    assert 2 <= int(warning.split()[-2]) < 5000


@pytest.mark.parametrize("kind", ["no spaces", "sentences", "dots", "Chinese"])
def test_a_huge_line_is_all_read_by_default_and_put_together_in_one_go(
    kind: str, tokenizer: TextTokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = HUGE[kind][:30_000].strip()
    translator, encode = echo(tokenizer, None), TextTokenizer.encode
    encoded = comparisons = 0

    def counting_encode(self: TextTokenizer, texts: list[str], *rest: Any) -> list[list[int]]:
        nonlocal encoded
        encoded += sum(map(len, texts))
        return encode(self, texts, *rest)

    def counting_in_scripts(*arguments: Any) -> bool:
        nonlocal comparisons
        comparisons += 1
        return in_scripts(*arguments)

    in_scripts = segments._in_scripts
    monkeypatch.setattr(TextTokenizer, "encode", counting_encode)
    monkeypatch.setattr(segments, "_in_scripts", counting_in_scripts)
    (translation,) = translator.translate([line])
    assert "".join(translation.text.split()) == "".join(line.split())
    assert encoded <= 12 * len(line) and comparisons <= 6 * max(1, len(translation.sentences))
    assert len(translation.sentences) > 100 or kind == "dots"


def test_a_huge_line_goes_through_a_real_model(tokenizer: TextTokenizer) -> None:
    translator = real(tokenizer, max_source_length=200, beam=1, repair_degenerate=False)
    translations = translator.translate(["The old man reads a book. " * 4_000, "a book"])
    assert len(translations[0].candidates) == 1 and "\n" not in translations[0].text
    assert translations[1].text == translator.translate(["a book"])[0].text


@pytest.mark.parametrize("longest, limit", [(None, 10), (11, 256)])
def test_without_splitting_a_long_line_is_cut_and_that_is_said(
    longest: int | None, limit: int, tokenizer: TextTokenizer
) -> None:
    translator = echo(tokenizer, None, Echo(longest), split="none", max_source_length=limit)
    line = "The old man reads a book and two dogs and the houses and 1995 of them."
    pieces = len(tokenizer.encode([line])[0])
    (translated,) = stream(translator, line.encode())
    assert translated.warnings == [f"longer than the model reads: {pieces - 10} of its subwords were not read"]
    assert translated.record()["truncated_tokens"] == pieces - 10
    with pytest.raises(DataError, match=r"line 1: longer than the model reads \(--strict\)"):
        stream(translator, line.encode(), strict=True)
    assert stream(echo(tokenizer, None, split="none"), line.encode(), strict=True)[0].warnings == []


def test_a_character_of_more_pieces_than_are_read_is_cut_and_that_is_said(tokenizer: TextTokenizer) -> None:
    (translated,) = stream(echo(tokenizer, None, max_source_length=3, keep="none"), "a 🙂".encode())
    assert any(warning.endswith("of its subwords were not read") for warning in translated.warnings)


# Bytes that are not UTF-8


def test_strict_refuses_bytes_that_are_not_utf8_before_their_line(tokenizer: TextTokenizer) -> None:
    texts = []
    with pytest.raises(DataError) as caught:
        lines = translate_stream(echo(tokenizer, None), io.BytesIO(b"a\nb\n\xff\nc\n"), strict=True)
        for translated in lines:
            texts.append(translated.translation.text)
    assert texts == ["a", "b"] and str(caught.value) == "line 3: not UTF-8 text (--strict)"
    assert len(stream(echo(tokenizer, None), b"a\n\xef\xbf\xbd\n", strict=True)) == 2  # a real U+FFFD


# Prefixes


def write(folder: Path, content: bytes) -> Path:
    path = folder / "prefixes"
    path.write_bytes(content)
    return path


def test_lines_that_have_a_prefix_are_translated_before_its_lack_is_said(
    tokenizer: TextTokenizer, tmp_path: Path
) -> None:
    texts = []
    path = write(tmp_path, b"x\ny\n")
    with pytest.raises(DataError, match="prefixes: fewer lines than the input"):
        for translated in translate_stream(echo(tokenizer, None), io.BytesIO(b"a\nb\nc\n"), path):
            texts.append(translated.translation.text)
    assert texts == ["x a", "y b"]


def test_more_prefixes_than_lines_are_a_mistake_that_is_said_at_the_end(
    tokenizer: TextTokenizer, tmp_path: Path
) -> None:
    texts = []
    with pytest.raises(DataError, match="more lines than the input, which has 2"):
        path = write(tmp_path, b"x\ny\nz\n")
        for translated in translate_stream(echo(tokenizer, None), io.BytesIO(b"a\nb\n"), path):
            texts.append(translated.translation.text)
    assert texts == ["x a", "y b"]


def test_prefixes_that_are_not_utf8_are_refused_with_their_line_after_those_before(
    tokenizer: TextTokenizer, tmp_path: Path
) -> None:
    texts = []
    with pytest.raises(DataError, match=r"prefixes:2: not UTF-8 text"):
        path = write(tmp_path, b"x\n\xff\ny\n")
        for translated in translate_stream(echo(tokenizer, None), io.BytesIO(b"a\nb\nc\n"), path):
            texts.append(translated.translation.text)
    assert texts == ["x a"]


def test_prefixes_that_cannot_be_used_are_said(tokenizer: TextTokenizer, tmp_path: Path) -> None:
    path = write(tmp_path, b"x\n" + b"y " * 30 + b"\n\n")
    blank, cut, none = stream(echo(tokenizer, None, Echo(9)), b"\na\n\n", path)
    assert blank.warnings == ["the line is blank: its prefix was not used"]
    assert cut.warnings == ["the prefix is longer than the 8 subwords that the model can write: it was cut"]
    assert none.warnings == []


def test_the_prefix_of_a_long_line_begins_its_first_part_only(tokenizer: TextTokenizer) -> None:
    (translation,) = echo(tokenizer, None, max_source_length=9).translate(["a book. " * 20], ["Der"])
    assert translation.text.count("Der") == 1 and translation.text.startswith("Der")


# The guard


class Loops(Echo):
    """Loops unless that is forbidden: a fake."""

    def search(self, sources: list[list[int]], config: SearchConfig, prefixes: Any = None) -> list[list[Hypothesis]]:
        times = 1 if config.no_repeat_ngram else 7
        return [[Hypothesis(ids * times, -float(times), -1.0)] for ids in sources]


def test_a_loop_is_mended_flagged_and_said(tokenizer: TextTokenizer) -> None:
    translator = echo(tokenizer, None, Loops())
    loop, blank = stream(translator, b"old man\n\n")
    assert loop.translation.text == "old man"
    assert loop.record()["degeneration"] == {"issues": ["loop"], "remaining": [], "resolved": True}
    assert loop.record()["warnings"] == ["the translation was repeating itself; it was replaced by a better one"]
    assert loop.record()["log_probability"] == -1.0
    assert "degeneration" not in blank.record() and blank.warnings == []
    free = echo(tokenizer, None, Loops(), repair_degenerate=False)
    (loop,) = stream(free, b"old man\n")
    assert loop.translation.text == " ".join(["old man"] * 7) and loop.warnings == []


def test_a_part_of_a_long_line_is_mended_by_itself(tokenizer: TextTokenizer) -> None:
    line = "The old man reads a book. Two dogs don't see 1995 houses, do they?"
    (translation,) = echo(tokenizer, None, Loops(), max_source_length=8).translate([line])
    assert translation.diagnosis is not None and translation.diagnosis.replaced
    assert translation.text == line


def test_the_guard_leaves_repetitive_sources_alone(tokenizer: TextTokenizer) -> None:
    translator = echo(tokenizer, None)
    lines = ["ha ha ha ha", "1 1 1 1 1", "0 | 0 | 0 | 0 | 0 | 0 | 0 | 0 | 0 | 0", "no, no, no, no!"]
    for line, translation in zip(lines, translator.translate(lines), strict=True):
        assert translation.text == line and translation.diagnosis is None and translation.warnings == []


class Silent(Echo):
    """Finds nothing at all, as search over weights that are not numbers does: a fake."""

    def search(self, sources: list[list[int]], config: SearchConfig, prefixes: Any = None) -> list[list[Hypothesis]]:
        return [[] for _ in sources]


@pytest.mark.parametrize("guard", [True, False])
def test_a_line_without_any_hypothesis_is_never_silent(guard: bool, tokenizer: TextTokenizer) -> None:
    translator = echo(tokenizer, None, Silent(), repair_degenerate=guard, max_source_length=8)
    for line in ("a book", "The old man reads a book. The old man reads a book."):
        (translation,) = translator.translate([line])
        assert translation.text == "" and "search found no translation" in translation.warnings


# Batches


@pytest.mark.parametrize("name", list(MODELS))
def test_a_translation_is_the_same_alone_in_a_batch_and_in_another_order(name: str, tokenizer: TextTokenizer) -> None:
    translator = real(tokenizer, name, beam=3, max_length=8, max_source_length=256, repair_degenerate=True)
    words = ["The", "old", "man", "reads", "a", "book", "dogs", "see", "houses", "1995", "ein"]
    lines = [" ".join(words[n % 11 :][: 1 + n % 7]) for n in range(64)]
    together, backwards = translator.translate(lines), translator.translate(lines[::-1])[::-1]
    # Texts of CTC that are scored alike may take turns; their scores may not.
    is_autoregressive = isinstance(translator.engine.model, Autoregressive)  # type: ignore[attr-defined]
    certain = clear_lines(translator, lines[:7]) if is_autoregressive else [False] * 7
    for number, line in enumerate(lines[:7]):
        (alone,) = translator.translate([line])
        for other in (together[number], backwards[number]):
            assert not certain[number] or other.text == alone.text
            best = other.candidates[0].log_probability
            assert best == pytest.approx(alone.candidates[0].log_probability, abs=1e-4)


def test_batch_mates_change_nothing_in_an_ensemble(tiny_run: Path, tmp_path: Path) -> None:
    translator = open_translator([tiny_run, tiny_run], ["search.beam=3", "search.n_best=3"], "cpu")
    lines = ["a book", "The old man reads a book.", "", "dogs", "Two dogs see 1995 houses, do they?"]
    assert all(clear_lines(translator, lines))
    for line, translation in zip(lines, translator.translate(lines), strict=True):
        (alone,) = translator.translate([line])
        assert [c.text for c in alone.candidates] == [c.text for c in translation.candidates]
        for a, b in zip(alone.candidates, translation.candidates, strict=True):
            assert a.log_probability == pytest.approx(b.log_probability, abs=1e-4)


# Memory


@pytest.mark.slow
def test_a_hundred_thousand_lines_take_no_more_memory_than_a_few(tmp_path: Path) -> None:
    script = textwrap.dedent(
        """
        import io, sys
        sys.path.insert(0, sys.argv[1])
        from tests.translators import echo
        from tests.streams import translate_stream
        from nmt_cli.data.tokenization.tokenizer import TokenizerConfig
        from nmt_cli.data.tokenization.training import train_tokenizer

        def resident():
            with open("/proc/self/statm") as file:
                return int(file.read().split()[1]) * 4096 / 2**20

        class Endless(io.RawIOBase):
            left = 100_000
            def read(self, size=-1):
                self.left -= 1
                return b"The old man reads %d books.\\n" % self.left if self.left >= 0 else b""

        tokenizer = train_tokenizer(lambda: ["The old man reads a book."] * 4,
                                    TokenizerConfig(vocab_size=300))
        count, first = 0, 0.0
        for line in translate_stream(echo(tokenizer, None), Endless()):
            count += 1
            assert line.line.number == count
            first = resident() if count == 20_000 else first
        print(count, resident() - first)
        """
    )
    done = subprocess.run([sys.executable, "-c", script, str(ROOT)], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    count, grown = done.stdout.split()
    assert int(count) == 100_000 and float(grown) < 32
