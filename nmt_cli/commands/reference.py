"""Every key of a recipe with its default and meaning, made from the code."""

from pydantic.fields import FieldInfo

from nmt_cli.config import Section
from nmt_cli.data.corpus_settings import CorpusConfig, Download, Part
from nmt_cli.data.tokenizer import TokenizerConfig
from nmt_cli.decoding.hypothesis import SearchConfig
from nmt_cli.models import MODELS
from nmt_cli.training.settings import TrainingConfig


def recipe_reference() -> str:
    """A Markdown page: a table for each section and each model."""
    sections: list[tuple[str, type[Section]]] = [
        ("corpus", CorpusConfig),
        ("corpus.train, corpus.dev, corpus.test: an entry of the list", Part),
        ("corpus.download", Download),
        ("tokenizer", TokenizerConfig),
        *((f"model, type: {name}", model.config_class) for name, model in MODELS.items()),
        ("training", TrainingConfig),
        ("search", SearchConfig),
    ]
    head = (
        "# Every key of a recipe\n\nPrinted by `nmt recipes keys`, from the code. A key without a "
        "default must be given.\n"
    )
    return head + "".join(f"\n## {title}\n\n{_table(kind)}" for title, kind in sections)


def _table(kind: type[Section]) -> str:
    rows = [f"| {key} | {_default(field)} | {_meaning(field)} |\n" for key, field in _fields(kind)]
    return "| key | default | meaning |\n|---|---|---|\n" + "".join(rows)


def _fields(kind: type[Section]) -> list[tuple[str, FieldInfo]]:
    return [(key, field) for key, field in kind.model_fields.items() if key != "type" or _own(kind)]


def _own(kind: type[Section]) -> bool:
    """Whether `type` is a choice of the section itself and not the name of a model."""
    return kind is TokenizerConfig


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return ""
    words = {None: "null", True: "true", False: "false"}
    value = field.default
    return f"`{words[value] if value is None or value is True or value is False else value}`"


def _meaning(field: FieldInfo) -> str:
    return " ".join((field.description or "").split()).replace("|", "\\|")
