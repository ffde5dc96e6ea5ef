"""What must not change in a line comes out exactly once, whatever the model writes."""

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from nmt_cli.data.normalization import NormalizationConfig, Normalizer
from nmt_cli.data.protected_spans import find_spans
from nmt_cli.data.text_profile import MIN_PLACEHOLDER_PAIRS, TextProfile
from nmt_cli.data.tokenization.tokenizer import TextTokenizer, TokenizerConfig, TokenizerType
from nmt_cli.data.tokenization.training import train_tokenizer
from nmt_cli.decoding.config import SearchConfig
from nmt_cli.decoding.engine import Hypothesis, TokenIds
from nmt_cli.inference import written_spans
from nmt_cli.inference.hidden_spans import HiddenSpans
from nmt_cli.inference.masks import mask_known
from nmt_cli.inference.output import WordProbability
from nmt_cli.inference.pieces import Piece
from nmt_cli.inference.protection import Protector
from nmt_cli.inference.translator import Translator
from nmt_cli.inference.words import place_words
from nmt_cli.inference.written_spans import StringKinds
from nmt_cli.vocabulary import SPAN_MARK, SPAN_PLACEHOLDERS
from tests.translators import Echo, echo, random_translator

WORDS = "The old man reads a book Two dogs don't see 1995 houses do they garden under because".split()  # noqa: SIM905
CHARACTERS = "".join(sorted({*" .,?!:;\"'()ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789äöüßÄÖÜ%/"}))
PROFILE = TextProfile("en", "de", NormalizationConfig(), source_characters=CHARACTERS)
LEARNED = replace(PROFILE, placeholder_pairs=MIN_PLACEHOLDER_PAIRS)
KEPT = "Nebelkrähe 7"  # what the search is told to keep


def made_span(draw: random.Random) -> str:
    name = "".join(draw.choice("bcdfglmnprst") + draw.choice("aeiou") for _ in range(draw.randint(2, 4)))
    number = draw.randrange(100)
    return draw.choice(
        [
            f"https://{name}.example.org/{number}?q={name}#x", f"www.{name}.com/a_({number})", f"{name}.example.net",
            f"{name}.{number}@example.org", f"/usr/{name}/{number}.txt", f"~/{name}/b",
            f"C:\\{name}\\my files\\{number}.doc",
            f"{name}/main.py", f"{name}-{number}.pdf", f"{{{number}}}", f"{{{name}}}", f"%{number % 9 + 1}$s",
            "%s", "%d",
            f"%({name})s", f"${{{name}}}", f"${name}$", f":{name}:", f"{{{{ {name} }}}}", f"<{name}>", f"</{name}>",
            f'<a href="{name} {number}">', f"[[{name}]]", "😀", "👨‍👩‍👧‍👦", "🇩🇪", "👍🏽", "❤️", "→", "€",
            "привет", "κόσμε", "שלום", "العالم", "नमस्ते", "สวัสดี", "你好", "こんにちは", "안녕", "ђаво-1", KEPT,
        ]
    )  # fmt: skip


def made_line(draw: random.Random) -> tuple[str, list[str]]:
    """A line and the strings in it that must come out."""
    words = [draw.choice(WORDS) for _ in range(draw.randint(3, 12))]
    spans = [made_span(draw) for _ in range(draw.randint(1, 4) if draw.random() < 0.95 else 12)]
    for span in spans:
        around = draw.choice(["{}", "{}", "{}", "({})", "“{}”", "{}.", "{},", "word ({})", "{}: x", "{}!"])
        words.insert(draw.randint(0, len(words)), around.format(span) if "{" not in span else span)
    return " ".join(words) + draw.choice(["", ".", "?", " 🙂", ". The man reads."]), spans


def lines_with_spans(count: int, seed: int) -> tuple[list[str], list[list[str]]]:
    draw = random.Random(seed)
    pairs = [made_line(draw) for _ in range(count)]
    return [line for line, _ in pairs], [spans for _, spans in pairs]


def translator(
    tokenizer: TextTokenizer, model: str = "transformer", profile: TextProfile = PROFILE, align: bool = False,
    **options: Any,
) -> Translator:  # fmt: skip
    keep = (r"Nebelkrähe \d+",)
    settings = {"beam": 2, "max_length": 6, "precision": "fp32", "keep_patterns": keep, **options}
    return random_translator(tokenizer, profile, model, seed=5, align=align, **settings)


@pytest.fixture(scope="module")
def with_placeholders() -> TextTokenizer:
    lines = ["The old man reads a book.", "Two dogs don't see 1995 houses, do they?"] * 4
    return train_tokenizer(lambda: lines, TokenizerConfig(vocab_size=420), placeholders=True)


def assert_each_once(line: str, spans: list[str], text: str) -> None:
    for span in set(spans):
        assert text.count(span) == line.count(span), (line, span, text)
    assert not any(character in text for character in (SPAN_MARK, *SPAN_PLACEHOLDERS)), (line, text)


MODES: dict[str, tuple[str, dict[str, Any]]] = {
    "beam": ("transformer", {}),
    "greedy": ("transformer", {"beam": 1}),
    "sampling": ("transformer", {"sampling": True, "n_best": 3}),
    "n-best": ("transformer", {"beam": 3, "n_best": 3}),
    "segments": ("transformer", {"max_source_length": 9, "repair_degenerate": False}),
    "truncated": ("transformer", {"max_source_length": 9, "split": "none"}),
    "rnn": ("rnn", {}),
    "ctc": ("ctc", {}),
    "decoder only": ("decoder_only", {}),
}


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("learned", [False, True])
def test_what_must_not_change_comes_out_once(
    mode: str, learned: bool, tokenizer: TextTokenizer, with_placeholders: TextTokenizer
) -> None:
    model, options = MODES[mode]
    count = 300 if mode in ("beam", "rnn") else 60
    lines, spans = lines_with_spans(count, 17)
    opened = translator(with_placeholders if learned else tokenizer, model, LEARNED if learned else PROFILE, **options)
    for line, line_spans, translation in zip(lines, spans, opened.translate(lines), strict=True):
        assert translation.candidates
        for candidate in translation.candidates:
            assert_each_once(line, line_spans, candidate.text)


def test_it_comes_out_once_in_a_few_lines_of_every_kind(
    tokenizer: TextTokenizer, with_placeholders: TextTokenizer
) -> None:
    lines, spans = lines_with_spans(40, 23)
    for opened in (translator(tokenizer), translator(with_placeholders, "rnn", LEARNED, beam=1)):
        for line, line_spans, translation in zip(lines, spans, opened.translate(lines), strict=True):
            assert_each_once(line, line_spans, translation.text)


@pytest.mark.parametrize("learned", [False, True])
def test_a_prefix_may_have_it_or_not(learned: bool, tokenizer: TextTokenizer, with_placeholders: TextTokenizer) -> None:
    lines = ["Open {0} and see %s now", "The man reads {0} {1}", "See http://a.example/b."] * 2
    prefixes = ["ein {0} Haus", "Der {1}", "http://a.example/b ist", "ein", "liest {", "x"]
    opened = translator(with_placeholders if learned else tokenizer, profile=LEARNED if learned else PROFILE)
    for line, prefix, translation in zip(lines, prefixes, opened.translate(lines, prefixes), strict=True):
        assert translation.text.startswith(prefix)
        for span in ("{0}", "{1}", "%s", "http://a.example/b"):
            assert translation.text.count(span) == line.count(span), (line, prefix, translation.text)


def test_a_line_without_any_is_read_and_translated_as_before(tokenizer: TextTokenizer) -> None:
    lines = ["The old man reads a book.", "and/or 5 % of it, e.g. 24/7: yes!", "Two dogs don't see U.S. houses 1:2"]
    plain, protected = translator(tokenizer, keep="none"), translator(tokenizer)
    assert [unit.hidden for plan in protected.planner.plan(lines) for unit in plan.units] == [None] * 3
    for before, after in zip(plain.translate(lines), protected.translate(lines), strict=True):
        assert before == after


def test_what_is_read_has_placeholders_or_nothing(tokenizer: TextTokenizer, with_placeholders: TextTokenizer) -> None:
    lines = ["The man (see https://a.example/b) reads <b>a</b> book {0}.", "{0}: the man, {1} or {2}, reads"]

    def read(opened: Translator) -> list[str]:
        return [unit.read_text for plan in opened.planner.plan(lines) for unit in plan.units]

    first, second, third = SPAN_PLACEHOLDERS[:3]
    assert read(translator(tokenizer)) == ["The man (see) reads a book.", "the man, or, reads"]
    assert read(translator(with_placeholders, profile=LEARNED)) == [
        f"The man (see {first}) reads {second}a{third} book {SPAN_PLACEHOLDERS[3]}.",
        f"{first}: the man, {second} or {third}, reads",
    ]


@pytest.mark.parametrize(
    "masked, spans, written, alignment, expected",
    [
        ("See # now.", ["URL"], "Jetzt sehen.", [(1, 0), (0, 1)], "Jetzt sehen URL."),
        ("See # now.", ["URL"], "Sieh jetzt.", [(0, 0), (1, 1)], "Sieh URL jetzt."),
        ("See #.", ["URL"], "Sieh.", [(0, 0)], "Sieh URL."),
        ("See (#).", ["URL"], "Sieh.", [(0, 0)], "Sieh (URL)."),
        ("#old# man", ["<b>", "</b>"], "Mann alt", [(1, 0), (0, 1)], "Mann <b>alt</b>"),
        ("#dogs #cats", ["{0}", "{1}"], "Katzen Hunde", [(0, 1), (1, 0)], "{1}Katzen {0}Hunde"),
        ("#: the man", ["%s"], "der Mann", [(0, 0), (1, 1)], "%s: der Mann"),
        ("the man # reads", ["{0}"], "", [], "{0}"),
        ("the man # reads", ["{0}"], "der Mann liest", None, "der Mann {0} liest"),
        ("the man # reads", ["{0}"], "这个人读书", None, "这个人 {0} 读书"),
        ("the man # reads", ["{0}"], "der {0} Mann {0} liest", None, "der {0} Mann liest"),
        ("请访问#。", ["https://a.b/c"], "Please visit.", None, "Please visit https://a.b/c."),
        ("私のアドレスは#。", ["a@b.com"], "My address is.", None, "My address is a@b.com."),
        ("电子邮件：#。", ["a@b.com"], "电子邮件：。", None, "电子邮件：a@b.com。"),
        ("#'s comment was deleted.", ["{user}"], "评论已被删除。", None, "{user} 评论已被删除。"),
        ("Edit #’s header", ["README.md"], "Bearbeite den Kopf", None, "Bearbeite README.md den Kopf"),
        ("Hello, #, how are you?", ["{name}"], "Hallo,, wie geht es?", None, "Hallo, {name}, wie geht es?"),
        ("Hello, #!!", ["{name}"], "Hallo,!!", None, "Hallo, {name}!!"),
        ("Cart (# items)", ["{n}"], "购物车（项）", None, "购物车（{n} 项）"),
        ("file # (see #)", ["{a}", "{x}"], "文件（见）", None, "文件 {a}（见 {x}）"),
    ],
)
def test_it_is_put_where_the_alignment_says(
    masked: str, spans: list[str], written: str, alignment: list[tuple[int, int]] | None, expected: str
) -> None:
    hidden = HiddenSpans(masked.replace("#", SPAN_MARK), spans)
    assert hidden.restore(written, alignment).text == expected


@pytest.mark.parametrize("has_links", [False, True])
@pytest.mark.parametrize(
    "line, read",
    [
        ("The dog ({0} kg, {1} cm) sees.", "The dog (kg, cm) sees."),
        ("(%d of %d)", "(of)"),
        ('He said "{0} dogs" to me', 'He said "dogs" to me'),
        ("dog ({0}; cat) {1}", "dog (; cat)"),
        ("Error: %s (%d)", "Error:"),
        ("Error: %s (%d).", "Error:."),
        ("Dog {0} ({1}) {2}", "Dog"),
        ("See %s (%d) now", "See now"),
        ("See %s(%d) now", "See now"),
        ("Loading {0}...", "Loading..."),
        ("supprimer « {0} » ?", "supprimer ?"),
        ("Est-ce « {0} chats » ?", "Est-ce « chats » ?"),
        ("„{0}“ löschen", "löschen"),
        ("{n}s ago", "ago"),
        ("s <b>s</b> tebou", "s s tebou"),
        ("मेरा <b>हिन्दी</b> नाम, {0}", "मेरा हिन्दी नाम,"),
        ("नमस्ते {0}, आप", "नमस्ते, आप"),
        ("你有{count}条来自团队的新消息。", "你有条来自团队的新消息。"),
        ("请在<b>设置</b>中打开，{0}条。", "请在设置中打开，条。"),
        ("删除“{0}”和《{1}》吗？", "删除和吗？"),
        ("「{0}」を削除、ファイル『{1}』を（{2}）開く", "を削除、ファイルを開く"),
        ("มี {count} ไฟล์", "มี ไฟล์"),
        ("กรุณาคลิก<b>ที่นี่</b>เพื่อดาวน์โหลด", "กรุณาคลิกที่นี่เพื่อดาวน์โหลด"),
        ("ដើម្បីទាញយក {count} ឯកសារ", "ដើម្បីទាញយក ឯកសារ"),
    ],
)
def test_it_is_put_back_where_it_was(line: str, read: str, has_links: bool) -> None:
    spans = find_spans(line)
    masked, texts = mask_known(line, [line[start:end] for start, end in spans])
    hidden = HiddenSpans(masked, texts)
    assert hidden.read_text == read
    links = [(word, word) for word in range(len(read.split()))] if has_links else None
    assert hidden.restore(read, links).text == line


@pytest.mark.parametrize(
    "masked, spans, written, expected",
    [
        ("Cart (# items)", ["{n}"], "Warenkorb (Artikel)", "Warenkorb ({n} Artikel)"),
        ("Error: # (#)", ["%s", "%d"], "Fehler:", "Fehler: %s (%d)"),
        ("click # here", ["{n}"], "ไฟล์นี่", "ไฟล์ {n} นี่"),
        ("click # here", ["{n}"], "ကျေးဇူးမြန်", "ကျေး {n} ဇူးမြန်"),
        ("click # here", ["{n}"], "ឡើង្បី", "ឡើ {n} ង្បី"),
        ("click # here", ["{n}"], "ໄຟລ໌ນາ", "ໄຟລ໌ {n} ນາ"),
        ("click # here", ["{n}"], "ཡིག་ནི།", "ཡིག་ {n} ནི།"),
        ("click # here", ["{n}"], "ファイルを", "ファイル {n} を"),
        ("to # you", ["{n}"], "กรุณาคลิกที่นี่เพื่อดาวน์โหลด ไฟล์", "กรุณาคลิกที่นี่เพื่อดาวน์โหลด {n} ไฟล์"),
        ("click #here# to open", ["<b>", "</b>"], "คลิกที่นี่เพื่อเปิด ไฟล์ใหม่", "<b>คลิกที่นี่เพื่อเปิด</b> ไฟล์ใหม่"),
        ("dog #, come", ["{n}"], "कुत्ते आओ", "कुत्ते {n} आओ"),
        ("请在#设置#中打开", ["<b>", "</b>"], "Open in settings please", "Open <b>in</b> settings please"),
        ("the very old #dog# and cat see", ["<b>", "</b>"], "le chien", "le <b>chien</b>"),
    ],
)
def test_without_an_alignment_it_is_put_in_proportion_between_words(
    masked: str, spans: list[str], written: str, expected: str
) -> None:
    hidden = HiddenSpans(masked.replace("#", SPAN_MARK), spans)
    assert hidden.restore(written).text == expected


@pytest.mark.parametrize(
    "masked, written, expected",
    [
        ('Delete "#" now?', "„%s“ löschen?", "„%s“ löschen?"),
        ('Delete "#" now?', "« %s » löschen?", "« %s » löschen?"),
        ('Delete "#" now?', "Löschen %s jetzt?", 'Löschen "%s" jetzt?'),
        ('Delete "#" now?', "„%s.“ löschen?", "„%s.“ löschen?"),
        ('Delete "#" now?', "„%s“ %s löschen?", "„%s“ löschen?"),
        ('Delete "#" now?', "Datei „“ löschen?", "Datei „%s“ löschen?"),
        ('Delete "#" now?', "Fichier « » supprimer ?", "Fichier « %s » supprimer ?"),
        ("Delete '#' now?", "Datei ‚‘ löschen?", "Datei ‚%s‘ löschen?"),
        ("Delete (#) now?", "Datei () löschen?", "Datei (%s) löschen?"),
        ("Delete (#) now?", "文件（）吗？", "文件（%s）吗？"),
        ("Delete # now?", "Datei „“ löschen?", "Datei „%s“ löschen?"),
        ("Delete # () now?", "Datei () löschen?", "Datei %s () löschen?"),
        ("Delete # now?", "删除%s吗？", "删除%s吗？"),
        ("Delete # now?", "%s를 삭제할까요?", "%s를 삭제할까요?"),
    ],
)
def test_quotation_marks_and_brackets_are_those_of_the_translation(masked: str, written: str, expected: str) -> None:
    assert HiddenSpans(masked.replace("#", SPAN_MARK), ["%s"]).restore(written).text == expected


@pytest.mark.parametrize("written", ["Datei „%s“ löschen?", "Datei „“ löschen?", "Datei “%s“ löschen?"])
def test_quotation_marks_that_the_training_text_never_had_stand_in_place_of_those_of_the_translation(
    written: str,
) -> None:
    hidden = HiddenSpans(f"Delete {SPAN_MARK * 3} now?", ["“", "%s", "”"])
    assert hidden.restore(written).text == "Datei “%s” löschen?"


def test_what_stands_in_quotation_marks_of_the_target_language_is_left_to_a_model_that_copies_it(
    tokenizer: TextTokenizer,
) -> None:
    line, written = 'Do they see "%s" and (%d) now?', "Sehen sie jetzt (%d) und „%s“?"
    translator = rewriting(tokenizer, lambda text: written)
    assert [translation.text for translation in translator.translate([line])] == [written]
    assert isinstance(translator.engine, Rewriting) and translator.engine.read == [line]


def test_placeholders_are_replaced_and_copies_removed() -> None:
    first, second, third = SPAN_PLACEHOLDERS[:3]
    remaining = [first, second]
    hidden = HiddenSpans(f"a {SPAN_MARK} b {SPAN_MARK} c", ["{0}", "{0}"], lambda text: remaining.pop(0))
    assert hidden.read_text == f"a {first} b {second} c" and hidden.source_text == "a {0} b {0} c"
    assert hidden.restore(f"A {second} B ({first}) C").text == "A {0} B ({0}) C"
    assert hidden.restore(f"{first} A {first} {third} B {second} {second}.").text == "{0} A B {0}."
    restored = hidden.restore(f"A {second} B C", [(0, 0), (3, 1), (2, 2), (4, 3)])
    assert restored.text == "A {0} {0} B C"
    assert restored.alignment is not None and {(0, 0), (1, 1), (3, 2), (2, 3), (4, 4)} <= set(restored.alignment)


def test_alignments_are_those_of_the_whole_line(tokenizer: TextTokenizer) -> None:
    opened = translator(tokenizer, align=True)
    line = "The old {0} man reads https://a.example/b c {1}."
    (translation,) = opened.translate([line])
    words, target_words = line.split(), translation.text.split()
    alignment = translation.candidates[0].alignment or []
    for source, target in alignment:
        assert 0 <= source < len(words) and 0 <= target < len(target_words)
    assert (words.index("{0}"), next(i for i, word in enumerate(target_words) if "{0}" in word)) in alignment


def test_pairs_to_score_are_those_that_were_written(tokenizer: TextTokenizer, with_placeholders: TextTokenizer) -> None:
    pair = ("See {0} and %s now.", "Jetzt %s und {0} sehen.")
    first, second = SPAN_PLACEHOLDERS[:2]
    assert translator(tokenizer).planner.split_pair(*pair) == [("See and now.", "Jetzt und sehen.")]
    learned = translator(with_placeholders, profile=LEARNED).planner.split_pair(*pair)
    assert learned == [(f"See {first} and {second} now.", f"Jetzt {second} und {first} sehen.")]


def test_nothing_is_protected_if_nothing_is_kept(tokenizer: TextTokenizer) -> None:
    (plan,) = translator(tokenizer, keep="none").planner.plan(["See {0} Nebelkrähe 7 привет 😀 now."])
    assert [unit.hidden for unit in plan.units] == [None]


def test_hidden_in_the_echo_of_its_source_everything_stands_where_it_stood(with_placeholders: TextTokenizer) -> None:
    lines, _ = lines_with_spans(100, 29)
    opened = echo(with_placeholders, LEARNED, keep_patterns=(r"Nebelkrähe \d+",))
    few = [
        line
        for line, plan in zip(lines, opened.planner.plan(lines), strict=True)
        if all(len(unit.hidden.spans) <= len(SPAN_PLACEHOLDERS) for unit in plan.units if unit.hidden is not None)
    ]
    assert len(few) > 80
    assert [translation.text for translation in opened.translate(few)] == few


@pytest.mark.parametrize("kind", ["bpe", "unigram", "character", "word"])
def test_placeholders_are_pieces_of_every_kind_of_tokenizer(kind: TokenizerType) -> None:
    lines = ["The old man reads a book.", "Two dogs don't see houses."] * 9
    trained = train_tokenizer(lambda: lines, TokenizerConfig(type=kind, vocab_size=340), placeholders=True)
    for placeholder in SPAN_PLACEHOLDERS:
        text = f"The {placeholder} reads" if kind == "word" else f"The {placeholder}, ({placeholder}) x{placeholder}."
        tokens = trained.ids_to_tokens(trained.encode([text])[0])
        assert trained.decode(trained.encode([text])) == [text]
        assert sum(placeholder in token for token in tokens) == text.count(placeholder)
    without = train_tokenizer(lambda: lines, TokenizerConfig(type=kind, vocab_size=340))
    assert without.backend.token_to_id(SPAN_PLACEHOLDERS[0]) is None


def test_a_piece_between_sentences_is_copied_with_what_is_protected_in_it(tokenizer: TextTokenizer) -> None:
    opened = translator(tokenizer)
    (plan,) = opened.planner.plan(["- {0} The man reads. 😀 www.example.org/a Two dogs see."])
    assert next(unit.given for unit in plan.units if unit.given is not None) == "-"
    assert opened.planner.protector.assign([Piece(f"{SPAN_MARK}", is_copied=True)], ["{0}"])[0].text == "{0}"


@pytest.mark.parametrize(
    "line",
    [
        "<p>The man reads.</p><p>A book</p>",
        "The man<br>Two houses<br/>A garden",
        r"The man reads.\NTwo dogs",
        "“Hello, {name}!” reads A book",
        "To: a@b.de, c@d.fr; A book",
        "See 3°C or 2×4",
        "The man❤️reads",
        "Dogs[{0}] do ({1}).",
        "10.0.0.1 - - The man",
        "[A book](https://a.example/b) do **under** it",
        "“The man.”{0} A book",
        "Name:<b>The man</b> reads",
        "(The man)<b>A book</b>",
    ],
)
@pytest.mark.parametrize("split", ["sentences", "none"])
def test_what_stands_around_a_span_stays_as_it_is(line: str, split: str, tokenizer: TextTokenizer) -> None:
    assert echo(tokenizer, PROFILE, split=split).translate([line])[0].text == line


@pytest.mark.parametrize(
    "line, expected",
    [
        ('"The man reads."', ["The man reads."]),
        ("“The man (it) reads,” they do", ["The man it reads, they do"]),
        ("The man reads…", ["The man reads."]),
        ("The man… reads", ["The man reads"]),
        ("The man reads; two dogs do.", ["The man reads.", "two dogs do."]),
        ('The man: "Two dogs do."', ["The man.", "Two dogs do."]),
        ("Q: The man reads. A: Two dogs do.", ["The man reads.", "Two dogs do."]),
        ("The man &amp; two dogs see 1:2", ["The man two dogs see"]),
        ("The man’s dogs do", ["The man’s dogs do"]),
    ],
)
def test_punctuation_that_was_never_seen_is_not_read_and_comes_out(
    line: str, expected: list[str], tokenizer: TextTokenizer
) -> None:
    characters = "".join(set(CHARACTERS) - set(":;…\"()[]/'0123456789"))
    opened = echo(tokenizer, replace(PROFILE, source_characters=characters))
    (plan,) = opened.planner.plan([line])
    assert [unit.read_text for unit in plan.units if unit.given is None] == expected
    assert opened.translate([line])[0].text == line


@pytest.mark.parametrize(
    "line, characters, expected",
    [
        ("The man reads፡፡", CHARACTERS, "The man reads."),
        ("The man reads፡፡ Two dogs do።", CHARACTERS, "The man reads. Two dogs do."),
        ("The man reads.", CHARACTERS.replace(".", "。"), "The man reads。"),
        ("እናቴ ዳቦ፡፡", "እናቴ ዳቦ.።", "እናቴ ዳቦ።"),
        ("እናቴ ዳቦ፤", "እናቴ ዳቦ.።", "እናቴ ዳቦ።"),
        ("نماز۔", "نماز.", "نماز."),
        ("अम्मा।", "अम्मा.", "अम्मा."),
    ],
)
def test_a_full_stop_that_was_never_seen_is_read_as_one_that_was(line: str, characters: str, expected: str) -> None:
    protector = Protector(
        SearchConfig(), replace(PROFILE, source_characters=characters), Normalizer(NormalizationConfig())
    )
    (piece,) = protector.assign([Piece(line)], ())
    hidden = protector.hide(piece)
    assert (piece.text if hidden is None else hidden.read_text) == expected
    if hidden is not None:  # the model writes the stop of its own script
        assert hidden.restore("Mutter kauft Brot.").text == f"Mutter kauft Brot{line[-1]}"
        assert hidden.restore("የገዛ ዳቦ።").text == f"የገዛ ዳቦ{line[-1]}"


@pytest.mark.parametrize(
    "line, expected",
    [
        ("ሓዊ ኣሎ፤ ኣደይ ማይ ትደሊ።", ["ሓዊ ኣሎ።", "ኣደይ ማይ ትደሊ።"]),
        ("ሓዊ ኣሎ፨ ኣደይ ማይ ትደሊ።", ["ሓዊ ኣሎ።", "ኣደይ ማይ ትደሊ።"]),
        ("ሓዊ ኣሎ፦  ኣደይ ማይ፡ትደሊ።", ["ሓዊ ኣሎ።", "ኣደይ ማይ፡ትደሊ።"]),
        ("يأكل؛ ينام", ["يأكل።", "ينام"]),
        ("यह है; वह", ["यह है።", "वह"]),  # a vowel sign is before it
        ("我喜欢；他也", ["我喜欢።", "他也"]),
        ("我 12：30 他", ["我 12：30 他"]),
    ],
)
def test_a_sentence_is_cut_behind_a_colon_of_any_script_that_was_never_seen(
    line: str, expected: list[str], tokenizer: TextTokenizer
) -> None:
    characters = "".join(set(line) - set(";፤፨፦؛；：")) + "።"
    opened = echo(tokenizer, replace(PROFILE, source_characters=characters))
    assert [unit.read_text for unit in opened.planner.plan([line])[0].units] == expected
    seen = echo(tokenizer, replace(PROFILE, source_characters=line + "።"))
    assert "፨" in line or len(seen.planner.plan([line])[0].units) == 1


def test_a_label_is_copied_only_if_the_colon_was_never_seen(tokenizer: TextTokenizer) -> None:
    for unseen, is_copied in ((":", True), (";", False)):
        opened = echo(tokenizer, replace(PROFILE, source_characters=(CHARACTERS + ":;").replace(unseen, "")))
        assert [unit.given is not None for unit in opened.planner.plan(["Reads:"])[0].units] == [is_copied]


def test_a_mark_that_closes_stays_with_the_stop_before_it() -> None:
    masked, spans = f"{SPAN_MARK}Yes,{SPAN_MARK} he says.", ["“", "”"]
    hidden = HiddenSpans(masked, spans)
    assert hidden.restore("Ja, sagt er.", [(0, 0), (0, 1), (1, 2)]).text == "“Ja,” sagt er."


def test_paragraphs_are_read_by_themselves(tokenizer: TextTokenizer) -> None:
    (plan,) = translator(tokenizer).planner.plan(["<p>The man</p><p><b>A book</b></p>"])
    assert [unit.read_text for unit in plan.units if unit.given is None] == ["The man", "A book"]
    (translation,) = translator(tokenizer).translate(["The man<br>A book"], ["Der Mann<br>Ein"])
    assert translation.text.startswith("Der Mann<br>Ein") and translation.text.count("<br>") == 1


@pytest.mark.parametrize("line", ["(<b>dog</b>) sees", "-<b>dog", 'a "<i>dog</i>" sees', "a -{x}dog", "\x01<0>a"])
def test_a_tag_behind_an_opening_mark_stays_with_the_word_behind_it(line: str, tokenizer: TextTokenizer) -> None:
    assert echo(tokenizer).translate([line])[0].text == line.lstrip("\x01")


@pytest.mark.parametrize("marks", ["()", "[]", "“”", "«»", "»«", "„”"])
@pytest.mark.parametrize("behind", ["", ","])
def test_what_closes_a_bracket_stands_behind_what_opens_it(marks: str, behind: str) -> None:
    spans = [marks[0], marks[1] + behind] * 2
    hidden = HiddenSpans(f"the man {SPAN_MARK}who sleeps{SPAN_MARK} buys {SPAN_MARK}a car{SPAN_MARK}", spans)
    words = ["der", "Mann", "der", "schläft", "kauft", "ein", "Auto"]
    for seed in range(100):
        draw = random.Random(seed)
        links = [(source, draw.randrange(len(words))) for source in range(7)]
        depth, text = 0, hidden.restore(" ".join(words), links).text
        for character in text:
            depth += (character == marks[0]) - (character == marks[1])
            assert depth >= 0, text
        assert depth == 0 and [text.count(mark) for mark in marks] == [2, 2], text


class Rewriting(Echo):
    """An engine that writes a text for each that it reads, and keeps what it read."""

    def __init__(self, tokenizer: TextTokenizer, rewrite: Callable[[str], str] = str) -> None:
        super().__init__()
        self.tokenizer, self.rewrite, self.read = tokenizer, rewrite, list[str]()

    def search(self, sources: list[TokenIds], config: SearchConfig, prefixes: Any = None) -> list[list[Hypothesis]]:
        texts = self.tokenizer.decode(sources)
        self.read += texts
        return super().search(self.tokenizer.encode([self.rewrite(text) for text in texts]), config, prefixes)


def rewriting(tokenizer: TextTokenizer, rewrite: Callable[[str], str], characters: str = "{}%") -> Translator:
    profile = replace(PROFILE, source_characters=CHARACTERS + characters)
    return echo(tokenizer, profile, Rewriting(tokenizer, rewrite), repair_degenerate=False)


@pytest.mark.parametrize(
    "rewrite, is_taken",
    [
        (str, True), (lambda text: text.replace("{name}", "{mane}"), True), (lambda text: f"{text} {{name}}", False),
        (lambda text: text.replace("{name}", "{name}}"), False), (lambda text: f"{{0}} {text}", False),
        (lambda text: " ".join(["a book"] * 20 + [text]), False),
    ],
)  # fmt: skip
def test_what_a_model_copies_exactly_is_left_to_it(
    rewrite: Callable[[str], str], is_taken: bool, tokenizer: TextTokenizer
) -> None:
    translator = rewriting(tokenizer, rewrite)
    (translation,) = translator.translate(["The old man reads {name}."])
    assert isinstance(translator.engine, Rewriting)
    hidden = [] if is_taken else ["The old man reads."]
    assert translator.engine.read == ["The old man reads {name}.", *hidden]
    assert translation.text.count("{name}") == 1


@pytest.mark.parametrize(
    "source, written, expected",
    [
        ("Mail bob@example.com now.", "Mail bob@example.com now.", True),
        ("Mail bob@example.com now.", "Mail rob-bob@example.com now.", False),
        ("See example.com now.", "See my.example.com now.", False),
        ("See http://a.de/ now.", "See http://a.de/x1 now.", False),
        ("See http://a.de/x now.", "Now see http://a.de/x.", True),
        ("It is 192.168.0.1 now.", "It is 192.168.0.1.5", False),
        ("Call +49 30 123456 now.", "Call +49 30 123456-78.", False),
        ("Read <b>book</b> now.", "Now read <b>Buch</b>.", True),
        ("Read <b>book</b> now.", "Read </b>Buch<b>.", False),
        ("The ({name}) reads.", "The {name} reads.", False),
        ("The ({name}) reads.", "It reads ({name}).", True),
        ("Read {name} now.", "Read{name}now.", False),
        ("Read {name} now.", "{name}", False),
        ("Read {name}, now.", "Now “{name}”!", True),
        ("{name}", "{name}", True),
        ("Go to [{name}] now.", "Now to [{name}]!", True),
        ("The {name}'s dog", "Der Hund von {name}", True),
        ("{n}s of dogs", "{n}e von Hunden", False),
        ("{a} or {b}", "{b} or {a}", True),
        ("20% of {name}", "{name} has 20%", True),
        ('Delete "{name}" now?', "Jetzt „{name}“ löschen?", True),
        ('Delete "{name}" now?', "Jetzt « {name} » löschen?", True),
        ('Delete "{name}" now?', "Jetzt {name} löschen?", False),
        ('Delete "{name}" now?', "Jetzt „{mane}“ löschen?", False),
        ("Delete '%s' now?", "Jetzt ‚%s‘ löschen?", True),
        ("Delete (%s) now?", "Jetzt （%s） löschen?", True),
        ("Delete (%s) now?", "Jetzt „%s“ löschen?", False),
        ('Set a="{name}" now', 'Jetzt a="{name}" setzen', True),
        ("Read it.{name}", "Lies es.{name}", True),
        ("Read it.{name}", "Lies es{name}", False),
        ("Read {name}.", "Lies {name}.b", False),
        ("Read “it.”{name} now", "Jetzt „es!“{name} lesen", True),
    ],
)
def test_what_is_exactly_the_same(source: str, written: str, expected: bool, tokenizer: TextTokenizer) -> None:
    planner = rewriting(tokenizer, str, characters="{}%<>@/:.-+[]“”").planner
    (plan,) = planner.plan([source])
    hidden = plan.units[0].hidden or planner.protector.hide(planner._whole(source))
    assert hidden is not None and planner.protector.has_exactly(hidden, written) is expected


@pytest.mark.parametrize(
    "line, written, expected",
    [
        ("See https://a.example/docs/161.", "Siehe https://a.example/docs/111.", "Siehe https://a.example/docs/161."),
        ('See "%1$s" now', "Jetzt „%s“ sehen", "Jetzt „%1$s“ sehen"),
        ('See "%1$s" now', "Jetzt %s sehen", 'Jetzt "%1$s" sehen'),
        ("Read MX-31221/B now", "Jetzt T-2222/A lesen", "Jetzt MX-31221/B lesen"),
        ('A <a href="http://a.example/b">dog</a> reads', "Ein <b>Hund</a> liest",
         'Ein <a href="http://a.example/b">Hund</a> liest'),
        ("See https://a.example/docs/330 and https://b.example/dl/140.",
         "Siehe https://b.example/dl/11, https://a.example/33",
         "Siehe https://b.example/dl/140, https://a.example/docs/330"),
        ("Read config.ini now", "Jetzt konfig.ini lesen", "Jetzt config.ini lesen"),
    ],
)  # fmt: skip
def test_what_a_model_miscopied_is_replaced_where_it_stands(
    line: str, written: str, expected: str, tokenizer: TextTokenizer
) -> None:
    translator = rewriting(tokenizer, lambda _: written, characters="{}%$<>=-")
    translator = translator.with_search(keep_patterns=(r"\b[A-Z]{1,3}-\d+/[A-E]",))
    (translation,) = translator.translate([line])
    assert isinstance(translator.engine, Rewriting) and translator.engine.read == [line]
    assert translation.text == expected and not translation.warnings


@pytest.mark.parametrize(
    "line, written, expected",
    [
        ("See https://www.a.de/docs.", "Siehe https://www.", "Siehe https://www.a.de/docs."),
        ("See https://a.example/docs/161.", "Siehe {0}.", "Siehe {0} https://a.example/docs/161."),
        ("See https://a.example/docs/161.", "Siehe x@b.de.", "Siehe https://a.example/docs/161."),
        ("See x@b.de.", "Siehe https://www.", "Siehe x@b.de."),
        ("See C:\\a\\b.ini.", "Siehe https://www.", "Siehe C:\\a\\b.ini."),
        ('See "{name}" now', "Jetzt „%s“ sehen", "Jetzt „{name}“ sehen"),
        ("See <b>%1$s</b> now", "Jetzt „%s“ sehen", "Jetzt „<b>%1$s</b>“ sehen"),
        ("See <b>%s</b> now", "Jetzt „“ sehen", "Jetzt „<b>%s</b>“ sehen"),
        ("See </b>%1$s now", "%s Jetzt sehen", "%s </b>%1$s Jetzt sehen"),
        ("Read config.ini now", "Jetzt lesen www.a.de", "Jetzt lesen config.ini"),
        ("Read @config now", "Jetzt lesen", "Jetzt @config lesen"),
    ],
)
def test_what_a_model_invents_gives_way_to_what_is_missing_of_its_kind(
    line: str, written: str, expected: str, tokenizer: TextTokenizer
) -> None:
    translator = rewriting(tokenizer, lambda text: "a book, " * 9 if text == line else written)
    assert [translation.text for translation in translator.translate([line])] == [expected]


def test_what_replaces_a_miscopied_string_has_its_alignment_and_is_certain() -> None:
    hidden = HiddenSpans(f"See {SPAN_MARK} now", ["https://a.de/x"], kinds=StringKinds([], "de"))
    edits = hidden.corrected("Jetzt https://b.de/y sehen")
    assert edits.text == "Jetzt https://a.de/x sehen"
    assert edits.move_targets([(0, 2), (1, 1), (2, 0)]) == [(0, 2), (1, 1), (2, 0)]
    written = [WordProbability("Jetzt", 0.5), WordProbability("https://b.de/y", 0.2), WordProbability("sehen", 0.4)]
    placed = [WordProbability("Jetzt", 0.5), WordProbability("https://a.de/x", 1.0), WordProbability("sehen", 0.4)]
    assert place_words(written, edits.text, hidden) == placed


def test_an_address_that_the_line_has_not_is_reported(tokenizer: TextTokenizer) -> None:
    translator = rewriting(tokenizer, lambda _: "Hunde lesen https://a.example, https://www und b@c.de.")
    (translation,) = translator.translate(["Two dogs https://www.b.example/x read."])
    assert translation.text.count("https://www.b.example/x") == 1
    assert translation.warnings == ["the translation has https://www, b@c.de, which the line lacks"]


def test_what_a_model_cannot_have_learned_to_copy_is_not_tried(tokenizer: TextTokenizer) -> None:
    for translator, line in [
        (rewriting(tokenizer, str, characters=""), "The old man reads {name}."),  # it has never seen a brace
        (rewriting(tokenizer, str), "The old man reads @name."),
    ]:
        translator.translate([line])
        assert isinstance(translator.engine, Rewriting) and translator.engine.read == ["The old man reads."]


def test_a_placeholder_that_the_line_has_not_is_reported(tokenizer: TextTokenizer) -> None:
    for line, written, warnings in [
        ("Two dogs read.", "%s Two dogs {0} read.", ["the translation has %s, {0}, which the line lacks"]),
        ("Two {0} dogs.", "{0} Two dogs.", []),
        ("50 % of the dogs", "50 % der dogs", []),
        ("20 of it", "20 %s", []),
        (r"Dogs (see www.a.de) do.\nA man", r"Hunde (www.a.de).\nEin Mann", []),
        ("Dogs see www.a.de now", "Hunde www.a.de/b", ["the translation has www.a.de/b, which the line lacks"]),
        ("A man", "A <B and C> man", []),
        ("A man", "A </b> man {x}", ["the translation has </b>, {x}, which the line lacks"]),
    ]:
        (translation,) = rewriting(tokenizer, lambda _, written=written: written).translate([line])  # type: ignore[misc]
        assert translation.warnings == warnings


def test_a_percentage_of_the_target_language_is_no_placeholder() -> None:
    protector = Protector(
        SearchConfig(), TextProfile("en", "tr", NormalizationConfig()), Normalizer(NormalizationConfig())
    )
    assert protector.added_placeholders("Growth of 20% now", "%20 büyüme, %s") == ["%s"]


def test_what_is_decoded_in_the_line_is_not_added() -> None:
    for options, line, translation in [
        ({"entities": True}, "&lt;em&gt; dog", "<em> Hund"), ({"unicode": "nfkc"}, "｛name｝ dog", "{name} Hund"),
    ]:  # fmt: skip
        config = NormalizationConfig.model_validate(options)
        protector = Protector(SearchConfig(), TextProfile("en", "de", config), Normalizer(config))
        assert protector.added_placeholders(line, translation) == []


class Rating(Rewriting):
    """As `Rewriting`, with a log-probability for each text that it reads."""

    def __init__(self, tokenizer: TextTokenizer, rewrite: Callable[[str], str], rate: Callable[[str], float]) -> None:
        super().__init__(tokenizer, rewrite)
        self.rate = rate

    def search(self, sources: list[TokenIds], config: SearchConfig, prefixes: Any = None) -> list[list[Hypothesis]]:
        rates = map(self.rate, self.tokenizer.decode(sources))
        searched = super().search(sources, config, prefixes)
        return [[Hypothesis(only.ids, rate, rate)] for (only,), rate in zip(searched, rates, strict=True)]


TWO_PARAGRAPHS = r"The man reads.\nTwo dogs do."


@pytest.mark.parametrize(
    "line, ends, written, rate, expected",
    [
        (TWO_PARAGRAPHS, (r"\n",), r"Er liest.\nHunde tun es.", -1.0, r"Er liest.\nHunde tun es."),
        (TWO_PARAGRAPHS, (r"\n",), r"Er liest.\nHunde tun es.", -90.0, TWO_PARAGRAPHS),
        (TWO_PARAGRAPHS, (r"\n",), "Er liest. Hunde tun es.", -1.0, TWO_PARAGRAPHS),
        (TWO_PARAGRAPHS, (r"\n",), r"Er liest, und Hunde tun es.\n", -1.0, TWO_PARAGRAPHS),
        (TWO_PARAGRAPHS, ("<br>",), r"Er liest.\nHunde tun es.", -1.0, TWO_PARAGRAPHS),
        (TWO_PARAGRAPHS + r"\n", (r"\n",), r"Er liest.\nHunde tun es.", -1.0, r"Er liest.\nHunde tun es.\n"),
        (r"{0} reads.\n\nTwo dogs do.", (r"\n",), r"{0} liest.\n\nSie tun es.", -1.0, r"{0} liest.\n\nSie tun es."),
    ],
)  # fmt: skip
def test_paragraphs_are_read_together_by_a_model_that_has_learned_it(
    line: str, ends: tuple[str, ...], written: str, rate: float, expected: str, tokenizer: TextTokenizer
) -> None:
    together = line.removesuffix(r"\n")
    engine = Rating(
        tokenizer, lambda text: written if text == together else text, lambda text: rate if text == together else -1.0
    )
    profile = replace(PROFILE, source_characters=CHARACTERS + "\\{}<>", paragraph_ends=ends)
    translator = echo(tokenizer, profile, engine, repair_degenerate=False)
    (translation,) = translator.translate([line])
    assert translation.text == expected
    assert (together in engine.read) is (r"\n" in ends)


def test_paragraphs_are_read_together_with_placeholders(with_placeholders: TextTokenizer) -> None:
    first = SPAN_PLACEHOLDERS[0]
    rewrites = {f"The man reads.{first}Two dogs do.": f"Er liest.{first}Hunde tun es."}
    engine = Rewriting(with_placeholders, lambda text: rewrites.get(text, text))
    profile = replace(LEARNED, paragraph_ends=(r"\n",))
    translator = echo(with_placeholders, profile, engine, repair_degenerate=False)
    assert [translation.text for translation in translator.translate([TWO_PARAGRAPHS])] == [r"Er liest.\nHunde tun es."]


def test_paragraphs_are_apart_with_a_prefix(tokenizer: TextTokenizer) -> None:
    profile = replace(PROFILE, source_characters=CHARACTERS + "\\", paragraph_ends=(r"\n",))
    translator = echo(tokenizer, profile, Rewriting(tokenizer), repair_degenerate=False)
    (translation,) = translator.translate([TWO_PARAGRAPHS], [r"Er liest.\nEin"])
    assert translation.text.startswith(r"Er liest.\nEin") and translation.text.count(r"\n") == 1
    assert isinstance(translator.engine, Rewriting) and translator.engine.read == ["Two dogs do."]


@pytest.mark.parametrize(
    "line, read",
    [
        ("The manʼs dogs don´t `do' 5'", ["The man’s dogs don’t `do' 5'"]),
        ("See https://example.org/don't_1 and man's `don't` {don't}", ["See and man’s"]),  # what must not change
        ("The д'man reads", ["The reads"]),  # nor a word with other unseen letters
    ],
)
def test_an_apostrophe_is_read_as_the_one_that_training_has_there(
    line: str, read: list[str], tokenizer: TextTokenizer
) -> None:
    profile = replace(PROFILE, source_characters=CHARACTERS + "’`{}", apostrophes={"inside": {"’": 20}})
    opened = echo(tokenizer, profile)
    (plan,) = opened.planner.plan([line])
    assert [unit.read_text for unit in plan.units if unit.given is None] == read
    assert opened.planner.translated_texts("The manʼs dogs") == ["The man’s dogs"]  # whose words are looked up


def test_an_entity_comes_out_of_a_run_that_knows_accelerators(tokenizer: TextTokenizer) -> None:
    profile = replace(PROFILE, source_characters=CHARACTERS + "&", entities=("&lt;",))
    line = "The old man &amp; &File reads &lt; 5 &quot;dogs&quot;"
    assert echo(tokenizer, profile).planner.protector.mask(line)[1] == ("&amp;", "&quot;", "&quot;")
    assert echo(tokenizer, profile).translate([line])[0].text == line
    assert echo(tokenizer, replace(profile, entities=None)).planner.protector.mask(line)[1] == ()


def test_a_run_that_counted_no_apostrophes_knows_its_only_one(tokenizer: TextTokenizer) -> None:
    for characters, read in (("amns", "manʼs"), ("amns’", "man’s"), (None, "manʼs")):
        planner = echo(tokenizer, replace(PROFILE, source_characters=characters)).planner
        assert planner.protector.mask("manʼs")[0].replace(SPAN_MARK, "manʼs") == read


def test_patterns_of_strings_are_kept_of_the_last_lines_only() -> None:
    for number in range(1500):
        assert written_spans.written_pattern(f'"{SPAN_MARK}"', (f"%{number}$s",)).search(f"„%{number}$s“")
    assert written_spans.written_pattern.cache_info().currsize <= 1024
