"""Tags that entries of a corpus put before their sources: as if they stood in the files, and known as tags for sure."""

import json
from pathlib import Path
from typing import Any

import pytest

from nmt_cli.data.augmentation import AugmentConfig, Augmenter
from nmt_cli.data.cleaning import CorpusCleaner, measure_corpus
from nmt_cli.data.config import CorpusConfig
from nmt_cli.data.filtering.corpus_profile import CorpusProfile
from nmt_cli.data.language_tags import find_language_tags, split_tag
from nmt_cli.data.overlap import read_evaluation_texts
from nmt_cli.data.placeholders import PlaceholderMaker
from nmt_cli.data.prepared.build import PreparationSettings, prepare
from nmt_cli.data.prepared.store import PreparedData
from nmt_cli.data.sources.bad_rows import BadRows
from nmt_cli.data.sources.corpus import find_corpus
from nmt_cli.data.text_profile import TextProfile
from nmt_cli.data.tokenization.tokenizer import TokenizerConfig
from nmt_cli.reporting import Reporter
from tests.data.test_augmentation import NONE


def corpus_config(root: Path, **options: Any) -> CorpusConfig:
    content = {"source": "en", "target": "de", "root": str(root), **options}
    return CorpusConfig.model_validate_json(json.dumps(content))


def write(root: Path, **texts: list[tuple[str, str]]) -> None:
    for name, pairs in texts.items():
        for side, language in enumerate(("en", "de")):
            (root / f"{name}.{language}").write_text("".join(f"{pair[side]}\n" for pair in pairs), encoding="utf-8")


def sources(config: CorpusConfig, split: str = "train") -> list[str]:
    return [pair.source.decode() for text in getattr(find_corpus(config, []), split) for pair in text.read(BadRows())]


def test_a_tag_stands_before_each_source_of_its_entry(tmp_path: Path) -> None:
    write(tmp_path, a=[("one", "eins"), ("<2de> two", "zwei"), ("", "x")], b=[("one", "un")], dev=[("ten", "zehn")])
    train = [{"name": "a", "tag": "<2de>"}, {"name": "b", "tag": ">>fr<<"}, "b"]
    config = corpus_config(tmp_path, train=train, dev={"name": "dev", "tag": "__de__"}, test="dev")
    assert sources(config) == ["<2de> one", "<2de> two", "<2de> ", ">>fr<< one", "one"]
    assert (sources(config, "dev"), sources(config, "test")) == (["__de__ ten"], ["ten"])
    assert config.tags == ("<2de>", ">>fr<<", "__de__")
    train += [{"name": "b", "tag": ">>fr<<"}]
    labels = [text.label for text in find_corpus(corpus_config(tmp_path, train=train), []).train]
    assert labels == ["a.en", "b.en >>fr<<", "b.en", "b.en >>fr<< (2)"]


def test_examples_of_several_lines_have_the_tag_once(tmp_path: Path) -> None:
    write(tmp_path, a=[(f"s{n}", f"t{n}") for n in range(50)])
    joined = sources(corpus_config(tmp_path, train=[{"name": "a", "tag": "<2de>"}], dev="a", concatenate=3))
    assert {source.count("<2de>") for source in joined} == {1} and max(map(len, joined)) > len("<2de> s49 s50")
    assert all(source.startswith("<2de> s") for source in joined)


def test_declared_tags_are_tags_whatever_the_text_says() -> None:
    pairs = [("<br> a dog", "<br> ein Hund"), *[("a dog", "ein Hund")] * 10_000]
    assert find_language_tags(pairs) == ()
    assert find_language_tags(pairs, ["<br>"]) == ("<br>",)
    assert find_language_tags([("<2de> a dog", "ein Hund")] * 9, ["<BT>"]) == ("<2de>", "<BT>")
    assert split_tag("<br>  a dog", ["<br>"]) == ("<br>  ", "a dog")
    assert split_tag("<em> a dog", ["<br>"]) == ("", "<em> a dog") and split_tag("dog", ()) == ("", "dog")


def cleaned(config: CorpusConfig, profile: CorpusProfile | None = None) -> tuple[list[str], dict[str, int]]:
    corpus = find_corpus(config, [])
    profile = profile or measure_corpus([text.read(BadRows()) for text in corpus.train], config)
    evaluation_texts = read_evaluation_texts(corpus.evaluation_texts(), config, profile.tags)
    cleaner = CorpusCleaner(config, evaluation_texts, profile)
    kept = [source for text in corpus.train for source, _ in cleaner.clean(text.read(BadRows()), text.label)]
    return kept, {name: stats.count for name, stats in cleaner.report.items() if stats.count}


@pytest.mark.parametrize("filters", [None, {}])
def test_cleaning_does_not_see_the_tag(tmp_path: Path, filters: dict[str, Any] | None) -> None:
    """Blank sources stay blank, ratios those of the text, and what development text has is found."""
    text = [
        ("the dog", "der Hund"),
        ("", "leer"),
        ("the cat", "die Katze"),
        ("ja", "nein " * 6),
        ("the dog", "der Hund"),
    ]
    write(tmp_path, a=text, b=[("the dog", "der Hund")], dev=[("the cat", "die Katze")])
    train = [{"name": "a", "tag": "<BT>"}, "b"]
    config = corpus_config(tmp_path, train=train, dev="dev", max_length_ratio=9, filters=filters)
    kept, dropped = cleaned(config, None if filters is not None else CorpusProfile(tags=config.tags))
    assert kept == ["<BT> the dog", "the dog"]  # two tags are two examples
    assert dropped == {"empty": 1, "length ratio": 1, "in development or test text": 1, "duplicate": 1}


def test_development_text_with_a_tag_is_compared_without_it(tmp_path: Path) -> None:
    pairs = [("the dog", "der Hund"), ("the cat", "die Katze"), ("", "leer"), ("Bonn", "Bonn")]
    write(tmp_path, a=pairs[:1], dev=pairs)
    config = corpus_config(tmp_path, train=["a"], dev={"name": "dev", "tag": "<2de>"}, filters=None)
    (text,) = read_evaluation_texts(find_corpus(config, []).evaluation_texts(), config, config.tags)
    assert (text.blank, text.copies) == (1, 1)
    assert cleaned(config, CorpusProfile(tags=config.tags)) == ([], {"in development or test text": 1})


def test_lines_with_the_same_tag_are_joined_and_have_it_once() -> None:
    config = AugmentConfig.model_validate(NONE | {"join": 1.0})
    augment = Augmenter(config, CorpusConfig(source="en", target="de"), ["<2de>", "<2fr>"])
    same = augment((["<2de> a dog", "<2de> a cat"], ["ein Hund", "eine Katze"]), 0)
    assert same == {0: ("<2de> a dog a cat", "ein Hund eine Katze")}
    for first, second in (("<2de>", "<2fr>"), ("<2de>", "no"), ("no", "<2de>"), ("<em>", "<em>")):
        assert augment(([f"{first} a dog", f"{second} a cat"], ["ein Hund", "eine Katze"]), 0) == {}


def test_a_tag_hides_no_placeholder_of_the_text_and_is_never_one() -> None:
    corpus = CorpusConfig(source="en", target="de", placeholders=0.5)
    make = PlaceholderMaker(corpus, ["<2de>"])
    source, target = make("<2de> {0} dogs", "{0} Hunde")
    assert source.startswith("<2de> ") and source[6] == target[0] != "{" and source[7:] == " dogs"
    assert make("<2de> a dog", "<2de> Hund") == ("<2de> a dog", "<2de> Hund")


def prepared(root: Path, tokenizer: dict[str, Any] | None = None, name: str = "data", **options: Any) -> PreparedData:
    config = corpus_config(root, dev="dev", **options)
    pieces = TokenizerConfig.model_validate({"vocab_size": 400} | (tokenizer or {}))
    settings = PreparationSettings(config, pieces, None, AugmentConfig(copies=1))
    identity = {"fingerprint": "f00d", "inputs": []}
    return prepare(settings, find_corpus(config, []), root / name, identity, Reporter(quiet=True))


def test_a_run_learns_the_same_of_its_text_with_and_without_tags(tmp_path: Path) -> None:
    numbers = [(f"The {'dog' if n % 3 else 'cat'} sees the house no {n}.", f"Nr. {n} sieht er.") for n in range(90)]
    numbers += [(f"STOP THE DOG NO {n}.", f"HALT, NR. {n}.") for n in range(10, 22)]
    numbers += [(f"- The bird no {n} sings.", f"- Nr. {n} singt.") for n in range(20)]
    numbers += [(rf"The car no {n}.\nIt is red.", rf"Nr. {n}.\nRot.") for n in range(20)]
    tagged = [(f"<2de> {source}", target) for source, target in numbers]
    write(tmp_path, a=numbers, tagged=tagged, dev=numbers[:9])
    settings = {"filters": None, "drop_overlap": "none"}
    plain = prepared(tmp_path, name="plain", train=["a"], **settings)
    declared = prepared(tmp_path, name="declared", train=[{"name": "a", "tag": "<2de>"}], **settings)
    in_text = prepared(tmp_path, name="in_text", train=["tagged"], **settings)
    profiles = [TextProfile.load(data.folder, corpus_config(tmp_path)) for data in (plain, declared, in_text)]
    assert (declared.folder / "text.json").read_bytes() == (in_text.folder / "text.json").read_bytes()
    assert [profile.truecaser.forms for profile in profiles[1:]] == [profiles[0].truecaser.forms] * 2
    assert [profile.language_tags for profile in profiles] == [(), ("<2de>",), ("<2de>",)]
    assert [profile.tagged_share for profile in profiles] == [0, 1, 1]
    for name in (
        "source_words",
        "source_case",
        "source_characters",
        "line_starters",
        "list_marks",
        "added_stops",
        "replaced_marks",
        "capitals_words",
        "paragraph_ends",
        "apostrophes",
        "entities",
    ):
        assert getattr(profiles[0], name) == getattr(profiles[1], name), name
    assert (profiles[0].capitals_words, profiles[0].list_marks) == (("STOP",), ("-",))
    assert profiles[0].paragraph_ends == (r"\n",)
    words = [(data.folder / "words.source.txt").read_text() for data in (plain, declared, in_text)]
    assert words[0] == words[1] == words[2]
    assert (declared.folder / "train.source.txt").read_text().startswith("<2de> The cat")


def test_a_tag_of_a_few_lines_is_known_to_the_run(tmp_path: Path) -> None:
    text = [(f"a dog {n}", f"ein Hund {n}") for n in range(200)]
    write(tmp_path, a=text, small=[("a cow", "eng Kou")], dev=text[:1])
    data = prepared(tmp_path, train=["a", {"name": "small", "tag": "<lb>"}])
    profile = TextProfile.load(data.folder, corpus_config(tmp_path))
    assert profile.language_tags == ("<lb>",) and profile.language_tag("<lb> a cow") == "<lb> "


@pytest.mark.parametrize("joint", [True, False])
def test_declared_and_found_tags_are_pieces_of_the_source(tmp_path: Path, joint: bool) -> None:
    text = [(f"<2fr> a dog {n}", f"un chien {n}") for n in range(90)]
    write(tmp_path, a=text, small=[("a cow", "eng Kou")], dev=text[:1])
    data = prepared(tmp_path, {"joint": joint}, train=["a", {"name": "small", "tag": "<lb>"}])
    source, target = data.tokenizers.source, data.tokenizers.target
    assert source.tags == ("<2fr>", "<lb>") and target.tags == (source.tags if joint else ())
    ids = [data.variants[0][0][index].tolist() for index in (0, data.manifest["train"] - 1)]
    assert [source.ids_to_tokens(line)[:2] for line in ids] == [[" <2fr>", " a"], [" <lb>", " a"]]


def test_the_key_changes_no_fingerprint_where_it_is_not_set() -> None:
    entries = CorpusConfig.model_validate(
        {"source": "en", "target": "de", "train": ({"name": "a"}, {"name": "b", "tag": "<BT>"})}
    ).model_dump(mode="json")["train"]
    assert "tag" not in entries[0] and entries[1]["tag"] == "<BT>"


def test_a_tag_of_no_training_text_is_warned_of(tmp_path: Path) -> None:
    (warning,) = corpus_config(
        tmp_path, train=[{"name": "a", "tag": "<2de>"}], dev={"name": "dev", "tag": "<de>"}
    ).warnings()
    assert warning == "dev: tag: <de> is that of no entry of train"
    (warning,) = corpus_config(
        tmp_path, train=[{"name": "a", "tag": "<2de>"}], test=["a", {"name": "b", "tag": "<BT>"}]
    ).warnings()
    assert warning == "test.1: tag: <BT> is that of no entry of train"
    assert corpus_config(tmp_path, train=["in_text"], dev={"name": "dev", "tag": "<de>"}).warnings() == []


def test_a_weight_of_development_or_test_text_is_said_to_do_nothing(tmp_path: Path) -> None:
    weighted = {"name": "a", "weight": 2}
    config = corpus_config(tmp_path, train=[weighted], dev=["b", weighted], test=weighted)
    assert config.warnings() == [
        "dev.1: weight: does nothing, since only training text is weighted",
        "test: weight: does nothing, since only training text is weighted",
    ]
