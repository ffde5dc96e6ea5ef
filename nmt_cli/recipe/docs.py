"""Every key of a recipe with its default and meaning, made from the code."""

import ast
import inspect
import json
import re
from itertools import pairwise
from textwrap import dedent
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from nmt_cli.config import Section
from nmt_cli.data.config import CorpusConfig
from nmt_cli.data.sources.config import Download, ParallelTextConfig
from nmt_cli.data.tokenization.tokenizer import TokenizerConfig
from nmt_cli.decoding.config import SearchConfig
from nmt_cli.errors import UserError, suggest
from nmt_cli.models import MODELS, config_class
from nmt_cli.training.config import TrainingConfig

HEADER = """# Every key of a recipe

This page is printed by `nmt recipes keys`, from the code. A key without a default must be given. Sections stand
in the order in which data flows; all but `corpus` may be left out:

```yaml
name: mine                                           # the run will be runs/mine
corpus: {root: data, source: en, target: de, train: train, dev: dev, test: test}
tokenizer: {type: bpe, vocab_size: 8000, joint: true}
model: {type: transformer, d_model: 256, heads: 4}   # keys: `nmt models show transformer`
training: {updates: 10000, tokens_per_batch: 4096}
search: {beam: 5}
```

On the command line, keys are set like this: `--set training.updates=5000`, `--set corpus.train.0.weight=2`.
"""


def recipe_reference() -> str:
    """A Markdown page: a table for each section and each model."""
    sections: list[tuple[str, type[Section]]] = [
        ("corpus", CorpusConfig),
        ("corpus.train, corpus.dev, corpus.test: each entry that is not a base name", ParallelTextConfig),
        ("corpus.download", Download),
        ("tokenizer", TokenizerConfig),
        *((f"model, type: {name}", config_class(name)) for name in MODELS),
        ("training", TrainingConfig),
        ("search", SearchConfig),
    ]
    return HEADER + "".join(f"\n## {title}\n\n{_options_table(section_class)}" for title, section_class in sections)


def model_options(name: str) -> list[tuple[str, str, str]]:
    """Key, default and meaning of each option of a model; UserError if there is no such model."""
    if name not in MODELS:
        raise UserError(f"no model {name!r}; {suggest(name, MODELS)}")
    return _section_options(config_class(name))


def _section_options(section_class: type[Section]) -> list[tuple[str, str, str]]:
    """Key, default and meaning of each option of a section; no default where one must be given.

    The name of a model is no option of the model.
    """
    texts = _attribute_docstrings(section_class)
    return [
        (key, "" if field.is_required() else _format_default(field.default), _description(field, texts.get(key, "")))
        for key, field in section_class.model_fields.items()
        if key != "type" or section_class is TokenizerConfig
    ]


def _options_table(section_class: type[Section]) -> str:
    rows = ["| key | default | meaning |", "|---|---|---|"]
    for key, default, meaning in _section_options(section_class):
        escaped = meaning.replace("|", "\\|")
        rows.append(f"| {key} | {default and f'`{default}`'} | {escaped} |")
    return "\n".join(rows) + "\n"


def _format_default(value: Any) -> str:
    if value is None or value == "" or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, Section):
        keys = ", ".join(f"{key}: {_format_default(getattr(value, key))}" for key in type(value).model_fields)
        return f"{{{keys}}}"
    return str(value)


def _attribute_docstrings(section_class: type[Section]) -> dict[str, str]:
    """The text under each field of a section.

    Read here, from the source: pydantic would read it whenever a section is imported.
    """
    texts = {}
    for base in reversed(section_class.__mro__):
        if not issubclass(base, Section):
            continue
        (class_definition,) = ast.parse(dedent(inspect.getsource(base))).body
        assert isinstance(class_definition, ast.ClassDef)
        for statement, following in pairwise(class_definition.body):
            match statement, following:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                    texts[name] = text
    return texts


def _description(field: FieldInfo, docstring: str) -> str:
    text = " ".join(docstring.split())
    choices = _choices(field.annotation)
    if len(choices) < 2 or set(choices) <= set(re.findall(r"\w+", text)):
        return text
    return f"{text} One of: {', '.join(choices)}."


def _choices(annotation: Any) -> list[str]:
    """The words that a type allows."""
    if get_origin(annotation) is Literal:
        return [str(argument) for argument in get_args(annotation)]
    return [name for argument in get_args(annotation) for name in _choices(argument)]
