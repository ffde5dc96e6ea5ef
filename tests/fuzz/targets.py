"""What is fuzzed: each target takes any bytes, and only a UserError may come out of it.

Besides, what was read must be what it promises: a recipe reads its own resolved form back, every
reader gives the same twice, and a translation has a line for each line.
"""

import io
import json
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

from nmt_cli.data.sources.bad_rows import BadRows
from nmt_cli.data.sources.base import Languages
from nmt_cli.data.sources.rows import read_jsonl, read_tsv
from nmt_cli.data.sources.tmx import read_tmx
from nmt_cli.data.tokenization.tokenizer import TextTokenizer, TokenizerConfig
from nmt_cli.data.tokenization.tokenizer_pair import Tokenizers
from nmt_cli.data.tokenization.training import train_tokenizer
from nmt_cli.decoding.torch_engine import TorchEngine
from nmt_cli.errors import UserError
from nmt_cli.inference.translator import Translator
from nmt_cli.models import MODELS
from nmt_cli.recipe.loader import build_recipe, load_recipe
from nmt_cli.recipe.paths import shipped_recipes
from nmt_cli.runs.loading import build_model
from nmt_cli.yaml12 import read_yaml
from tests.streams import translate_stream

LANGUAGES = Languages("en", "de")
SET = b"\n--set "  # what stands behind it, to the end of the line, is a --set
LINES = ["The old man reads a book.", "Zwei Häuser — „schön“", "我喜欢读书 </s> ▁ \t"]


@cache
def scratch() -> Path:
    """A folder of this process."""
    return Path(tempfile.mkdtemp(prefix="nmt-fuzz-"))


def recipe(data: bytes) -> None:
    """The recipe reader with --set."""
    text, *settings = data.split(SET)
    path = scratch() / "fuzz.yaml"
    path.write_bytes(text)
    loaded = load_recipe(path, [setting.decode("utf-8", "surrogateescape") for setting in settings])
    content, _ = read_yaml(loaded.to_yaml())
    again = build_recipe(content, folder=loaded.folder)
    assert again == loaded and again.hash() == loaded.hash()


def tokenizer(data: bytes) -> None:
    """The tokenizer loader; what it lets in must encode and decode any text."""
    path = scratch() / "tokenizer.json"
    path.write_bytes(data)
    opened = TextTokenizer.load(path)
    for ids in opened.encode([*LINES, ""]):
        assert all(0 <= token_id < opened.vocab_size for token_id in ids)
        opened.decode([ids])
        opened.ids_to_visible_tokens(ids)
    opened.decode([list(range(min(opened.vocab_size, 300)))])


def _packed(data: bytes, name: str) -> Path:
    """A file whose first byte decides how it claims to be packed."""
    ending = {b"g": ".gz", b"z": ".zst", b"x": ".xz", b"b": ".bz2", b"p": ".zip"}.get(data[:1], "")
    path = scratch() / (name + ending)
    path.write_bytes(data[1:] if ending else data)
    return path


def jsonl(data: bytes) -> None:
    """The reader of JSON lines."""
    path = _packed(data, "x.jsonl")
    assert list(read_jsonl(path, BadRows(), LANGUAGES)) == list(read_jsonl(path, BadRows(), LANGUAGES))


def tsv(data: bytes) -> None:
    """The reader of tab-separated lines."""
    path = _packed(data, "x.tsv")
    list(read_tsv(path, BadRows(1.0), LANGUAGES, quotes=True))
    for pair in read_tsv(path, BadRows(1.0), LANGUAGES):
        assert not {b"\t", b"\n"} & {*pair.source.split(), *pair.target.split()}
        assert b"\n" not in pair.source + pair.target and b"\t" not in pair.source + pair.target


def tmx(data: bytes) -> None:
    """The reader of translation memories."""
    for pair in read_tmx(_packed(data, "x.tmx"), BadRows(1.0), LANGUAGES):
        assert b"\n" not in pair.source + pair.target


@cache
def translator() -> Translator:
    """A model of a few thousand random weights."""
    learnt = train_tokenizer(lambda: LINES * 4, TokenizerConfig(vocab_size=330))
    tokenizers = Tokenizers(learnt, learnt)
    content = {
        "name": "fuzz", "corpus": {"source": "en", "target": "de"},
        "model": MODELS["transformer"].config_class.tiny_configs()[0].model_dump(mode="json"),
        "search": {"beam": 2, "max_length": 6, "max_source_length": 40, "precision": "fp32"},
    }  # fmt: skip
    made = build_recipe(content)
    model = build_model(made, tokenizers.vocabulary).eval()
    return Translator(TorchEngine(model), tokenizers, made.search)


def translate(data: bytes) -> None:
    """Line i in, line i out, whatever the bytes."""
    lines = data.split(b"\n")
    line_count = len(lines) - (lines[-1] == b"")
    translated_lines = list(translate_stream(translator(), io.BytesIO(data)))
    assert [translated.line.number for translated in translated_lines] == list(range(1, line_count + 1))
    assert not any("\n" in translated.translation.text for translated in translated_lines)
    json.dumps([translated.record() for translated in translated_lines])


TARGETS: dict[str, Callable[[bytes], None]] = {
    "recipe": recipe, "tokenizer": tokenizer, "jsonl": jsonl, "tsv": tsv, "tmx": tmx, "translate": translate,
}  # fmt: skip


def attempt(name: str, data: bytes) -> None:
    """One try; whatever is no UserError comes through."""
    try:
        TARGETS[name](data)
    except UserError as error:
        assert str(error).strip(), "a message must say something"
        assert "Traceback" not in str(error)


def seeds(name: str) -> list[bytes]:
    """Good input to begin with."""
    if name == "recipe":
        settings = b"\n--set search.beam=3\n--set corpus.train.0.weight=2"
        shipped = [path.read_bytes() for path in shipped_recipes().values()]
        listed = b"corpus: {source: a, target: b, train: [{name: x, weight: 2.5}, {tsv: y}]}"
        return [*shipped, listed, listed + settings]
    if name == "tokenizer":
        text = [train_tokenizer(lambda: LINES, TokenizerConfig(type="word", vocab_size=12))]
        text.append(train_tokenizer(lambda: LINES, TokenizerConfig(vocab_size=330)))
        return [tokenizer_.backend.to_str().encode() for tokenizer_ in text]
    if name == "jsonl":
        return [b'{"en": "a", "de": "b"}\n', b'{"translation": {"source": "\\ud83d", "target": ""}}']
    if name == "tsv":
        return [b"a\tb\nc\td\te\n", "ä\tö".encode()]
    if name == "tmx":
        unit = '<tu><tuv xml:lang="en"><seg>a<ph/></seg></tuv><tuv lang="de"><seg>&amp;</seg></tuv></tu>'
        return [f"<!DOCTYPE tmx><tmx><body>{unit}</body></tmx>".encode()]
    return ["\n".join(LINES).encode(), b"\xef\xbb\xbfa\r\n\n\0\xff\xe2\x80\xa8 b " + b"c " * 90]
