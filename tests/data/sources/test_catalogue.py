"""The catalogue that is shipped: whole, with real addresses, licences and digests."""

import re

import pytest

from nmt_cli.data.sources.base import SPLITS, Languages
from nmt_cli.data.sources.catalogue import _load_catalogue, catalogue_corpora
from nmt_cli.data.sources.catalogue_corpus import CatalogueCorpus, find_catalogue_corpus
from nmt_cli.errors import DataError

CORPORA = list(catalogue_corpora())
ALL_PAIRS = [
    find_catalogue_corpus(name, Languages(*pair.split("-")))
    for name, entry in catalogue_corpora().items()
    for pair in entry.pairs
]


def test_the_corpora_that_people_ask_for_are_there() -> None:
    assert {"multi30k", "iwslt14", "iwslt15", "iwslt17", "wmt14", "wmt16"} <= set(CORPORA)


@pytest.mark.parametrize("name", CORPORA)
def test_every_corpus_says_its_terms_and_whom_to_cite(name: str) -> None:
    entry = catalogue_corpora()[name]
    assert entry.title and 5 < len(entry.licence) < 50 and len(entry.terms) > 40
    assert entry.citation.startswith("@inproceedings{") or entry.citation == "see wmt16"


@pytest.mark.parametrize("corpus", ALL_PAIRS, ids=lambda corpus: f"{corpus.name}-{corpus.pair}")
def test_every_text_of_every_pair_has_two_sides_in_files_that_there_are(corpus: CatalogueCorpus) -> None:
    for role in SPLITS:
        texts = list(corpus.texts(role))
        assert texts or (role == "dev" and corpus.entry.splits.every)
        for first, second in texts:
            assert (first[:2] != second[:2]) == (".tmx" not in first.file)
            assert not {"{", "}"} & set(first.format_name + second.format_name)
            assert {first.language, second.language} == set(corpus.languages)
    assert all(corpus.files())


def test_every_file_has_an_address_with_tls_and_all_but_one_a_digest() -> None:
    files = _load_catalogue().files
    assert all(file.address.startswith("https://") for file in files.values())
    bare = [name for name, file in files.items() if not (file.sha256 or file.text_sha256)]
    assert bare == ["iwslt14.de-en.tgz"]
    digests = [file.sha256 or file.text_sha256 for file in files.values() if file.bytes]
    assert all(re.fullmatch("[0-9a-f]{64}", str(file_digest)) for file_digest in digests)
    assert len(set(digests)) == len(digests)


def test_every_file_belongs_to_a_corpus() -> None:
    used = {name for corpus in ALL_PAIRS for name in corpus.files()}
    assert used == set(_load_catalogue().files)


def test_both_directions_are_the_same_corpus() -> None:
    corpora = [find_catalogue_corpus("wmt16", Languages(*languages)) for languages in (("de", "en"), ("en", "de"))]
    assert corpora[0].folder == corpora[1].folder and corpora[0].files() == corpora[1].files()
    first, second = next(corpora[1].texts("test"))
    assert first.member == "dev/newstest2016-deen-src.de.sgm"
    assert second.member == "dev/newstest2016-deen-ref.en.sgm"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("wmt15", "no corpus 'wmt15' (see nmt corpora); did you mean wmt16?"),
        ("iwslt15", "iwslt15 has no en-de; it has en-vi"),
        ("multi30k", "multi30k has no en-en; it has en-de, en-fr, de-fr"),
    ],
)
def test_what_there_is_not_is_said_with_what_there_is(name: str, message: str) -> None:
    with pytest.raises(DataError) as caught:
        find_catalogue_corpus(name, Languages("en", "en" if name == "multi30k" else "de"))
    assert str(caught.value) == message
