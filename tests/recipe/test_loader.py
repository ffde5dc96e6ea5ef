"""Recipes: every mistake at once and where it stands, --set, and the resolved form."""

import os
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt_cli.errors import RecipeError
from nmt_cli.models import MODELS
from nmt_cli.recipe.loader import SECTIONS, Recipe, build_recipe, load_recipe
from nmt_cli.recipe.paths import shipped_recipes
from nmt_cli.yaml12 import read_yaml
from tests.conftest import examples

MINIMAL = "corpus: {source: en, target: de}\n"


def write(folder: Path, text: str, name: str = "my.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def problems(folder: Path, text: str, *settings: str) -> list[str]:
    """What is wrong with a recipe, with the file's folder left out."""
    path = write(folder, text)
    with pytest.raises(RecipeError) as caught:
        load_recipe(path, settings)
    assert str(caught.value) == "\n".join(caught.value.errors)
    return [problem.replace(f"{folder}{os.sep}", "") for problem in caught.value.errors]


def test_everything_but_the_corpus_has_a_default(tmp_path: Path) -> None:
    recipe = load_recipe(write(tmp_path, MINIMAL))
    assert (recipe.name, recipe.model.type, recipe.folder) == ("my", "transformer", tmp_path)
    assert (recipe.search.beam, recipe.tokenizer.type) == (5, "bpe")


def test_all_mistakes_are_reported_at_once_with_line_path_and_nearest_key(tmp_path: Path) -> None:
    text = (
        "name: a/b\n"
        "trian: {updates: 5}\n"
        "corpus:\n"
        "  source: en\n"
        "model:\n"
        "  type: transformer\n"
        "  dmodel: 4\n"
        "  dropout: '0.1'\n"
        "training: {updates: 5.5,\n"
        "  seed: yes}\n"
        "search: {beam: 0, length_normalization: gmnt}\n"
    )
    assert sorted(problems(tmp_path, text)) == sorted(
        [
            "my.yaml:1: name: should be a name without slashes, at most 100 characters, not beginning with a dot",
            "my.yaml:2: trian: unknown key; did you mean training?",
            "my.yaml:3: corpus.target: missing",
            "my.yaml:7: model.dmodel: unknown key; did you mean d_model?",
            'my.yaml:8: model.dropout: should be a number, not the text "0.1"',
            "my.yaml:9: training.updates: should be an integer, not 5.5",
            'my.yaml:10: training.seed: should be an integer, not the text "yes"',
            "my.yaml:11: search.beam: should be greater than or equal to 1, not 0",
            "my.yaml:11: search.length_normalization: should be 'average', 'gnmt' or 'none', not the text \"gmnt\"",
        ]
    )


MISTAKES: list[tuple[str, str]] = [
    ("model: {type: transfomer}", "2: model.type: no model 'transfomer'; did you mean "
     "transformer?; see nmt models"),
    ("model: {type: 5}", f"2: model.type: no model 5; choose from {', '.join(MODELS)}; see nmt"),
    ("model: {type: null}", "2: model.type: no model None"),
    ("model: 5", "2: model: should be a mapping, not 5"),
    ("tokenizer: bpe", '2: tokenizer: should be a mapping, not the text "bpe"'),
    ("training: [1]", "2: training: should be a mapping, not the list [1]"),
    ("search: {beam: true}", "2: search.beam: should be an integer, not the truth value true"),
    ("search: {beam: null}", "2: search.beam: should be an integer, not null"),
    ("search: {beam: '5'}", '2: search.beam: should be an integer, not the text "5"'),
    ("search: {qqqq: 1}", "2: search.qqqq: unknown key; choose from beam, n_best,"),
    ("training: {learning_rate: 1e-3x}", "2: training.learning_rate: should be a number, not the "
     'text "1e-3x"'),
    ("training:\n  learning_rate: 0,003", "3: training.learning_rate: should be a number, not the text "
     '"0,003"; write 0.003'),
    ("training:\n  updates: 5,000", '3: training.updates: should be an integer, not the text "5,000"; write 5000'),
    ("training: {updates: 5, max_minutes: 2,5}", "2: training.5: unknown key; a comma ends a value here: write "
     "max_minutes: 2.5"),
    ("training: {updates: 5,000}", "2: training.000: unknown key; a comma ends a value here: write updates: 5000"),
    ("training: {seed: 5, 5: 5}", "2: training.5: unknown key; choose from "),
    ("training: {5}", "2: training.5: unknown key; choose from "),
    ("training: {learning_rate: .inf}", "2: training.learning_rate: should be a finite number"),
    ("training: {learning_rate: .nan}", "2: training.learning_rate: should be a finite number"),
    ("training: {clip_norm: 1e999}", "2: training.clip_norm: should be a finite number"),
    ("training: {tokens_per_batch: many}", "2: training.tokens_per_batch: should be an integer or "
     'auto, not the text "many"'),
    ("training: {tokens_per_batch: true}", "2: training.tokens_per_batch: should be an integer or "
     "auto, not the truth value true"),
    ("training: {tokens_per_batch: 0}", "2: training.tokens_per_batch: should be greater than or "
     "equal to 1, not 0"),
    ("training: {metric_tokenize: 13b}", "2: training.metric_tokenize: no tokenizer of sacreBLEU; "
     "use one of 13a, char, "),
    ("name: 5", "2: name: should be text, in quotes where it looks like a number, not 5"),
    ("name: ''", "2: name: should be a name without slashes"),
]  # fmt: skip


@pytest.mark.parametrize("text, message", MISTAKES, ids=[text for text, _ in MISTAKES])
def test_a_mistake_is_named(text: str, message: str, tmp_path: Path) -> None:
    (error,) = problems(tmp_path, MINIMAL + text)
    assert error.startswith(f"my.yaml:{message}")


def test_a_file_whose_name_is_not_utf8_needs_a_name_in_the_recipe(tmp_path: Path) -> None:
    path = write(tmp_path, MINIMAL, "re\udce7.yaml")
    with pytest.raises(RecipeError, match="name: should be UTF-8 text; a recipe without a name has that of its file"):
        load_recipe(path)
    assert load_recipe(path, ["name=other"]).name == "other"


CORPUS: list[tuple[str, list[str]]] = [
    ("dev: 5", ["corpus.dev: should be text or a mapping or a list, not 5"]),
    ("dev: [5]", ["corpus.dev.0: should be text or a mapping, not 5"]),
    ("dev: [], test: []", ["corpus.dev: the list is empty", "corpus.test: the list is empty"]),
    ("train: [{name: a, scores: s}]", ["corpus.train.0: scores: goes together with min_score or keep_share"]),
    ("train: [{tmx: a, scores: s, min_score: 1}]",
     ["corpus.train.0: scores: only for text in files with a line per pair"]),
    ("train: [{name: a, scores: s, min_score: 1}], dev: d, concatenate: 2",
     ["corpus.train.0: scores: not with concatenate, which joins lines"]),
    ("test: [a, {name: b, scores: s, min_score: 1}]", ["corpus.test.1: scores: only for training text"]),
    ("train: {name: a}", ['corpus.train: should be text or a list, not the mapping {"name": "a"}']),
    ("train: [7]", ["corpus.train.0: should be text or a mapping, not 7"]),
    ("train: []", ["corpus.train: the list is empty"]),
    ("train: [{name: a, wieght: 2}]", ["corpus.train.0.wieght: unknown key; did you mean weight?"]),
    ("train: [{name: a, weight: no}]", ["corpus.train.0.weight: should be a number, not the text "
                                        '"no"']),
    ("train: [{name: a}, {}]", ["corpus.train.1: needs exactly one of name, source + target, tsv, "
                                "jsonl, tmx"]),
    ("train: [{source: a}]", ["corpus.train.0: source and target go together"]),
    ("dev: {name: a, tag: 5}", ["corpus.dev.tag: should be a string, not 5"]),
    ("dev: {nme: val}", ["corpus.dev.nme: unknown key; did you mean name?"]),
    ("download: {address: x, sha256: {}, licnce: y}",
     ["corpus.download.licnce: unknown key; did you mean licence?"]),
    ("download: {sha256: {a: 5}}", ["corpus.download.address: missing",
                                    "corpus.download.sha256.a: should be a string, not 5"]),
    ("name: wmt", ["corpus.name: no corpus 'wmt' (see nmt corpora); did you mean wmt16?"]),
    ("name: brown", ["corpus.name: no corpus 'brown' (see nmt corpora); choose from quickstart, "
                     "multi30k, iwslt14, iwslt15, iwslt17, wmt14, wmt16, wmt16-ro"]),
    ("name: iwslt15", ["corpus.name: iwslt15 has no en-de; it has en-vi"]),
    ("name: 5", ["corpus.name: should be a string, not 5"]),
    ("dev: 5, train: {}, tset: a", [
        "corpus.tset: unknown key; did you mean test?",
        "corpus.train: should be text or a list, not the mapping {}",
        "corpus.dev: should be text or a mapping or a list, not 5"]),
]  # fmt: skip


@pytest.mark.parametrize("text, messages", CORPUS, ids=[text for text, _ in CORPUS])
def test_a_mistake_inside_the_corpus_is_named(text: str, messages: list[str], tmp_path: Path) -> None:
    errors = problems(tmp_path, f"corpus: {{source: en, target: de, {text}}}\n")
    assert sorted(errors) == sorted(f"my.yaml:1: {message}" for message in messages)


@pytest.mark.parametrize("tag", ["de", "<2de> ", "<2de> <2fr>", "<a>", "<unk>", "<0x41>", "<2ﬁ>", ""])
def test_a_tag_that_is_none_is_refused_with_what_one_looks_like(tag: str, tmp_path: Path) -> None:
    text = f"corpus:\n  source: en\n  target: de\n  train:\n  - a\n  - {{name: b, tag: '{tag}'}}\n"
    assert problems(tmp_path, text) == [
        f"my.yaml:6: corpus.train.1: tag: '{tag}' is no tag: write one word such as <2de>, >>de<<, __de__ or <BT>, "
        "with 2 to 16 letters, digits, _ or - between its marks, and no token of nmt such as <unk>"
    ]


def test_a_part_of_the_training_text_is_found_by_its_own_line(tmp_path: Path) -> None:
    text = "corpus:\n  source: en\n  target: de\n  train:\n  - {name: a}\n  - {tsv: b, name: c}\n"
    (error,) = problems(tmp_path, text)
    assert error.startswith("my.yaml:6: corpus.train.1: needs exactly one of")


TOGETHER: list[tuple[str, str]] = [
    ("model: {d_model: 10, heads: 4}", "model.heads: d_model 10 is not divisible by heads 4"),
    (
        "model: {type: ctc}\ntokenizer: {joint: false}",
        "model.tied_embeddings: all needs tokenizer.joint: true; use none",
    ),
    ("model: {key_value_heads: 3}", "model.key_value_heads: heads 8 is not divisible by 3"),
    ("model: {d_model: 12, heads: 4, positions: rotary}", "model.positions: rotary needs an even"),
    (
        "model: {type: rnn, attention: dot}",
        "model.attention: dot needs an encoder as wide as the decoder, 512 units and not 1024; "
        "set encoder_hidden_size (of each direction), or use general",
    ),
    ("model: {type: rnn, local_window: 3}", "model.local_window: does not go with attention"),
    ("search: {beam: 2, n_best: 3}", "search.n_best: 3 is more than beam 2: raise beam as well"),
    ("search: {min_length: 9, max_length: 3}", "search.min_length: 9 is more than max_length 3"),
    ("model: {type: rnn, scaled_attention: true}", "model.scaled_attention: goes with attention dot or general only"),
    (
        "model: {type: rnn, attention: general, readout: maxout}",
        "model.readout: maxout goes with attention additive or none only",
    ),
    (
        "model: {type: rnn, embedding_size: 8, readout_size: 9}",
        "model.readout_size: 9 is not embedding_size 8; tied_embeddings needs them equal",
    ),
    ("search: {sampling: true, no_repeat_ngram: 3}", "search.no_repeat_ngram: not with sampling: true"),
    ("search: {top_k: 4}", "search.top_k and top_p: only with sampling: true"),
    ("training: {average_checkpoints: 3, ema_decay: 0.9}", "training.average_checkpoints and ema_decay: use one"),
]


@pytest.mark.parametrize("text, message", TOGETHER, ids=[text for text, _ in TOGETHER])
def test_options_that_do_not_go_together_are_named(text: str, message: str, tmp_path: Path) -> None:
    (error,) = problems(tmp_path, MINIMAL + text)
    assert error.startswith(f"my.yaml:2: {message}")


def test_a_default_that_does_not_go_with_the_recipe_is_named(tmp_path: Path) -> None:
    (error,) = problems(tmp_path, MINIMAL + "tokenizer: {joint: false}")
    assert error == ("my.yaml: model.tied_embeddings: all needs tokenizer.joint: true; use target or none")


def test_disagreements_of_several_sections_are_reported_together(tmp_path: Path) -> None:
    text = "model: {d_model: 10, heads: 4}\nsearch: {n_best: 9}\ntraining: {average_checkpoints: 2, ema_decay: .5}"
    assert len(problems(tmp_path, MINIMAL + text)) == 3


FILES: list[tuple[bytes, str]] = [
    (b"\xff\xfe", "cannot read the recipe: not UTF-8 text"),
    (b"", "a recipe is a mapping with the keys name, corpus, tokenizer, model, training, search"),
    (b"- 1", "a recipe is a mapping"),
    (b"a: 1\na: 2", "line 2: duplicate key a"),
    (b"\tname: x", "line 1: not YAML"),
    (b"name: x", "corpus: missing: a recipe must say where its text is"),
]


@pytest.mark.parametrize("content, message", FILES)
def test_a_file_that_is_no_recipe_is_named(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "my.yaml"
    path.write_bytes(content)
    with pytest.raises(RecipeError) as caught:
        load_recipe(path)
    assert caught.value.errors[0].startswith(f"{path}: {message}")


SET: list[tuple[str, str, Any]] = [
    ("search.beam=3", "search.beam", 3),
    ("training.learning_rate=1e-4", "training.learning_rate", 1e-4),
    ("training.clip_norm=null", "training.clip_norm", None),
    ("training.clip_norm=", "training.clip_norm", None),
    ("corpus.target=no", "corpus.target", "no"),
    ("corpus.root=a=b", "corpus.root", "a=b"),
    ("model.norm_position=post", "model.norm_position", "post"),
    ("search={beam: 7, sampling: true}", "search.sampling", True),
    ("name=other", "name", "other"),
    ("model={type: rnn}", "model.type", "rnn"),
    ("corpus.dev.name=val", "corpus.dev.name", "val"),
]


@pytest.mark.parametrize("setting, path, value", SET, ids=[model_config for model_config, _, _ in SET])
def test_set_changes_the_recipe(setting: str, path: str, value: Any, tmp_path: Path) -> None:
    actual: Any = load_recipe(write(tmp_path, MINIMAL + "search: {beam: 4}"), [setting])
    for key in path.split("."):
        actual = getattr(actual, key)
    assert actual == value and type(actual) is type(value)


def test_the_last_of_two_settings_wins_and_the_others_stay(tmp_path: Path) -> None:
    path = write(tmp_path, MINIMAL + "search: {beam: 4, min_length: 2}")
    recipe = load_recipe(path, ["search.beam=6", "search.beam=7"])
    assert (recipe.search.beam, recipe.search.min_length) == (7, 2)


SET_MISTAKES: list[tuple[str, str]] = [
    ("search.beam", "--set search.beam: write it as section.key=value"),
    ("=3", "--set =3: write it as section.key=value"),
    ("search..beam=3", "--set search..beam=3: write it as section.key=value"),
    ("search.beam=[1", "--set search.beam=[1: line 1: not YAML"),
    ("search.beam=five", '--set search.beam: should be an integer, not the text "five"'),
    (
        "training.learning_rate=0,003",
        '--set training.learning_rate: should be a number, not the text "0,003"; write 0.003',
    ),
    ("search.baem=3", "--set search.baem: unknown key; did you mean beam?"),
    ("serach.beam=3", "--set serach: unknown key; did you mean search?"),
    ("model.type=rn", "--set model.type: no model 'rn'; did you mean rnn?"),
    ("search.n_best=9", "--set search.n_best: 9 is more than beam 5: raise beam as well"),
    ("search=5", "--set search: should be a mapping, not 5"),
]


@pytest.mark.parametrize("setting, message", SET_MISTAKES, ids=[model_config for model_config, _ in SET_MISTAKES])
def test_a_mistake_in_set_is_named_as_such(setting: str, message: str, tmp_path: Path) -> None:
    (error,) = problems(tmp_path, MINIMAL, setting)
    assert error.startswith(message)


def test_another_model_on_the_command_line_needs_a_section_of_its_own(tmp_path: Path) -> None:
    text = MINIMAL + "model: {type: transformer, d_model: 64, heads: 2, dropout: 0.2}"
    (error,) = problems(tmp_path, text, "model.type=rnn")
    assert error == (
        "--set model.type: rnn has no d_model, heads, which the recipe sets;"
        " --set 'model={type: rnn}' replaces the whole section"
    )
    (error,) = problems(tmp_path, MINIMAL, "model.type=rnn", "model=5")
    assert error == "--set model: should be a mapping, not 5"
    (error,) = problems(tmp_path, MINIMAL, "model.type=rnn", "model={cell: gru}")
    assert error.startswith("--set model.cell: unknown key; choose from type, d_model,")
    (error,) = problems(tmp_path, MINIMAL + "model: {d_modle: 64}", "model.type=transformer")
    assert error.endswith("model.d_modle: unknown key; did you mean d_model?")
    recipe = load_recipe(write(tmp_path, text), ["model={type: rnn}"])
    assert (recipe.model.type, recipe.model.dropout) == ("rnn", type(recipe.model)().dropout)


def test_mistakes_of_several_settings_and_of_the_file_come_together(tmp_path: Path) -> None:
    errors = problems(tmp_path, MINIMAL + "tokenizer: {typ: bpe}", "search.baem=3", "training.updates=x")
    assert [error.split(": ")[0] for error in sorted(errors)] == [
        "--set search.baem", "--set training.updates", "my.yaml:2",
    ]  # fmt: skip


def reread(recipe: Recipe) -> Recipe:
    content, _ = read_yaml(recipe.to_yaml())
    return build_recipe(content, folder=recipe.folder)


@pytest.mark.parametrize("name", list(shipped_recipes()))
def test_every_shipped_recipe_loads_and_its_resolved_form_is_the_same_recipe(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    assert reread(recipe) == recipe
    assert reread(recipe).hash() == recipe.hash()


@pytest.mark.parametrize("name", list(MODELS))
def test_every_model_configuration_is_written_out_and_read_back(name: str) -> None:
    for config in MODELS[name].config_class.tiny_configs():
        recipe = build_recipe(
            {
                "name": "no",
                "corpus": {
                    "source": "no", "target": "1e3", "train": [{"name": "a", "weight": 2}],
                    "dev": {"source": "~", "target": "010"}, "root": "a: b #c",
                },
                "model": config.model_dump(mode="json"),
            }
        )  # fmt: skip
        assert reread(recipe) == recipe


NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
PARTS = st.one_of(
    st.fixed_dictionaries({"name": NAMES}, optional={"weight": st.floats(0.001, 1000)}),
    st.fixed_dictionaries({"source": NAMES, "target": NAMES}),
    st.fixed_dictionaries({"tsv": NAMES}, optional={"weight": st.integers(1, 1000)}),
)
CONTENTS = st.fixed_dictionaries(
    {
        "name": st.from_regex(r"[^./\x00-\x1f\x7f][^/\x00-\x1f\x7f]{0,9}", fullmatch=True)
        .filter(lambda name: not re.search("[\ud800-\udfff]", name)),
        "corpus": st.fixed_dictionaries(
            {"source": NAMES, "target": NAMES},
            optional={
                "root": NAMES, "train": NAMES | st.lists(PARTS, min_size=1, max_size=3).map(tuple),
                "dev": st.none() | NAMES | PARTS, "max_length": st.none() | st.integers(1, 10**30),
                "max_length_ratio": st.none() | st.floats(1, 1e300),
                "seed": st.integers(0, 2**63 - 1),
            },
        ),
    },
    optional={
        "model": st.sampled_from(
            [config.model_dump(mode="json") for m in MODELS.values() for config in m.config_class.tiny_configs()]
        ),
        "training": st.fixed_dictionaries({}, optional={
            "learning_rate": st.floats(min_value=0, exclude_min=True, allow_infinity=False),
            "clip_norm": st.none() | st.floats(1e-300, 1e300), "updates": st.integers(1, 10**30),
            "schedule": st.sampled_from(["noam", "cosine", "constant"]),
            "metric_tokenize": st.none() | st.sampled_from(["13a", "char", "zh"]),
            "tensorboard": st.booleans(),
        }),
    },
)  # fmt: skip


@given(content=CONTENTS)
@examples(200)
def test_any_recipe_written_out_is_the_same_when_it_is_read(content: dict[str, Any]) -> None:
    recipe = build_recipe(content)
    assert reread(recipe) == recipe
    assert reread(recipe).hash() == recipe.hash()
    assert reread(recipe).to_yaml() == recipe.to_yaml()


def test_the_resolved_recipe_names_every_key(tmp_path: Path) -> None:
    content, _ = read_yaml(load_recipe(write(tmp_path, MINIMAL)).to_yaml())
    assert list(content) == ["name", *SECTIONS]
    recipe = load_recipe(write(tmp_path, MINIMAL))
    for key in SECTIONS:
        assert list(content[key]) == list(type(getattr(recipe, key)).model_fields)


def test_the_hash_changes_with_any_value_and_not_with_how_it_is_said(tmp_path: Path) -> None:
    plain = load_recipe(write(tmp_path, MINIMAL))
    said = load_recipe(write(tmp_path, MINIMAL + "search: {beam: 5}"))
    other = load_recipe(write(tmp_path, MINIMAL + "search: {beam: 6}"))
    assert plain.hash() == said.hash() != other.hash()
    assert len(plain.hash()) == 8


def test_both_multi30k_recipes_share_corpus_tokenizer_and_search_word_for_word() -> None:
    texts = [shipped_recipes()[f"multi30k-en-de-{model_type}"].read_text() for model_type in ("rnn", "transformer")]
    shared = []
    for text in texts:
        _, lines = read_yaml(text)
        starts = sorted(line for path, line in lines.items() if len(path) == 1)
        rows, shared_lines = text.split("\n"), []
        for key in ("corpus", "tokenizer", "search"):
            first = lines[(key,)]
            end = next((line for line in starts if line > first), len(rows) + 1)
            shared_lines += rows[first - 1 : end - 1]
        shared.append("\n".join(shared_lines))
    assert shared[0] == shared[1] and "download" in shared[0] and "beam" in shared[0]
