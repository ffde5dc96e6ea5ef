"""Training text is changed as people type it: as often as said, by seed, and never so that a pair is lost."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nmt_cli.data.augmentation import AugmentConfig, Augmenter
from nmt_cli.data.config import CorpusConfig
from nmt_cli.data.prepared.build import PreparationSettings, prepare
from nmt_cli.data.prepared.store import PreparedData
from nmt_cli.data.sources.corpus import find_corpus
from nmt_cli.data.text_profile import TextProfile
from nmt_cli.data.tokenization.encoding import PairEncoder
from nmt_cli.data.tokenization.tokenizer import TextTokenizer, TokenizerConfig
from nmt_cli.data.tokenization.tokenizer_pair import Tokenizers
from nmt_cli.reporting import Reporter
from nmt_cli.workers import PoolFactory, pool_factory, serial_pool

NONE = dict.fromkeys(("upper", "title", "no_stop", "typos", "spaces", "join"), 0.0)
BLOCK = (
    [f"the old man reads {n} books." for n in range(400)],
    [f"der Mann liest {n} große Bücher." for n in range(400)],
)


def augmenter(*, seed: int = 1, target: str = "de", normalization: str = "nfc", **shares: Any) -> Augmenter:
    corpus = CorpusConfig.model_validate_json(
        json.dumps({"source": "en", "target": target, "seed": seed, "normalization": normalization})
    )
    return Augmenter(AugmentConfig.model_validate(NONE | shares), corpus)


@pytest.mark.parametrize(
    ("kind", "source", "target"),
    [
        ("upper", "THE OLD MAN READS 0 BOOKS.", "DER MANN LIEST 0 GROSSE BÜCHER."),
        ("title", "The Old Man Reads 0 Books.", "der Mann liest 0 große Bücher."),
        ("no_stop", "the old man reads 0 books", "der Mann liest 0 große Bücher"),
    ],
)
def test_each_kind_does_what_it_says_to_both_sides(kind: str, source: str, target: str) -> None:
    assert augmenter(**{kind: 1.0})(BLOCK, 0)[0] == (source, target)


def test_typos_and_spaces_are_in_the_source_alone() -> None:
    for kind in ("typos", "spaces"):
        changed = augmenter(**{kind: 1.0})(BLOCK, 0)
        assert changed and all(target == BLOCK[1][index] for index, (_, target) in changed.items())
    assert "  " in augmenter(spaces=1.0)(BLOCK, 0)[0][0]
    corpus = CorpusConfig(source="en", target="de")  # whose white space is normalised
    assert Augmenter(AugmentConfig.model_validate(NONE | {"spaces": 1.0}), corpus)(BLOCK, 0)[0] == (
        BLOCK[0][0], BLOCK[1][0],
    )  # fmt: skip


def test_an_english_target_is_titled_too() -> None:
    assert augmenter(title=1.0, target="en")((["der Mann"], ["the man"]), 0) == {0: ("Der Mann", "The Man")}


def test_neighbours_are_joined_alike_on_both_sides() -> None:
    changed = augmenter(join=1.0)(BLOCK, 0)
    counts = [source.count(".") for source, _ in changed.values()]
    assert set(counts) == {2, 3}
    for index, (source, target) in changed.items():
        count = source.count(".")
        assert (source, target) == tuple(" ".join(side[index : index + count]) for side in BLOCK)
    assert 399 not in changed  # nothing follows the last pair


def test_shares_hold_and_the_seed_and_the_copy_decide() -> None:
    share = augmenter(upper=0.25)
    assert len(share(BLOCK, 0)) / 400 == pytest.approx(0.25, abs=0.08)
    assert share(BLOCK, 0) == augmenter(upper=0.25)(BLOCK, 0)
    assert share(BLOCK, 0) != share(BLOCK, 1)
    assert share(BLOCK, 0) != augmenter(upper=0.25, seed=2)(BLOCK, 0)


def test_a_pair_that_would_become_too_long_stays_as_it_was(tokenizer: TextTokenizer) -> None:
    sides = (["The old man reads a book.", "two dogs"], ["Der alte Mann liest ein Buch.", "zwei Häuser"])
    limit = len(tokenizer.encode(["zwei Häuser"])[0]) + len(tokenizer.encode(["Der alte Mann liest ein Buch."])[0]) - 1
    tokenizers, config = Tokenizers(tokenizer, tokenizer), TokenizerConfig(vocab_size=420)
    plain = PairEncoder(tokenizers, config, limit)(sides)
    augmented = PairEncoder(tokenizers, config, limit, augmenter(join=1.0, copies=1))(sides)
    assert augmented == plain and plain.keep_mask == b"\1\1"
    assert PairEncoder(tokenizers, config, None, augmenter(join=1.0, copies=1))(sides).ids != plain.ids


def prepared(root: Path, name: str, augment: AugmentConfig | None, pool: PoolFactory = serial_pool) -> PreparedData:
    corpus = CorpusConfig(source="en", target="de", root=str(root), dev="dev")
    settings = PreparationSettings(corpus, TokenizerConfig(vocab_size=400), None, augment)
    identity = {"fingerprint": "f00d", "inputs": []}
    return prepare(settings, find_corpus(corpus, []), root / name, identity, Reporter(quiet=True), pool)


def test_prepared_copies_differ_and_the_profile_is_that_of_the_text_as_trained(tmp_path: Path) -> None:
    for language, side in zip(("en", "de"), BLOCK, strict=True):
        (tmp_path / f"train.{language}").write_text("".join(f"{line}\n" for line in side), encoding="utf-8")
        (tmp_path / f"dev.{language}").write_text("a dog.\n", encoding="utf-8")
    config = AugmentConfig.model_validate(NONE | {"upper": 0.3, "join": 0.5, "copies": 2})
    plain, data = prepared(tmp_path, "plain", None), prepared(tmp_path, "augmented", config)
    parallel = prepared(tmp_path, "parallel", config, pool_factory(2, lambda _: "a block", lambda _: None))
    assert len(data.variants) == 2 and len(plain.variants) == 1
    assert len(data.variants[0][0]) == len(plain.variants[0][0])
    copies = [stores[0] for stores in data.variants]
    assert not np.array_equal(copies[0].ids, copies[1].ids)
    for stores, parallel_stores in zip(data.variants, parallel.variants, strict=True):
        assert all(np.array_equal(a.ids, b.ids) for a, b in zip(stores, parallel_stores, strict=True))
    profiles = [TextProfile.load(d.folder, CorpusConfig(source="en", target="de")) for d in (plain, data)]
    assert profiles[0].lengths.sentences == {1: 400} and profiles[0].source_case.upper == 0
    assert profiles[1].lengths.sentences.keys() == {1, 2, 3}
    assert profiles[1].source_case.upper == pytest.approx(0.3, abs=0.08)
    assert profiles[1].truecaser.forms == profiles[0].truecaser.forms != {}
    files = [(d.folder / "train.source.txt").read_bytes() for d in (plain, data)]
    assert files[0] == files[1]  # words, abbreviations and figures are of the text itself
