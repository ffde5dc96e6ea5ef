"""The registry of models: for each `model.type` of a recipe its class, which is imported (with torch) on first use."""

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from nmt_cli.models.configs import CONFIGS, ModelConfig

if TYPE_CHECKING:
    from nmt_cli.models.contract import TranslationModel

_CLASSES = {
    "transformer": "nmt_cli.models.transformer.Transformer",
    "rnn": "nmt_cli.models.rnn.RNN",
    "decoder_only": "nmt_cli.models.decoder_only.DecoderOnly",
    "ctc": "nmt_cli.models.ctc.CTC",
}


class _Registry(Mapping[str, "type[TranslationModel[Any]]"]):
    def __getitem__(self, name: str) -> "type[TranslationModel[Any]]":
        module, _, class_name = _CLASSES[name].rpartition(".")
        return getattr(import_module(module), class_name)

    def __contains__(self, name: object) -> bool:
        return name in _CLASSES

    def __iter__(self) -> Iterator[str]:
        return iter(_CLASSES)

    def __len__(self) -> int:
        return len(_CLASSES)


MODELS = _Registry()


def config_class(name: str) -> type[ModelConfig]:
    """The options of a model; without torch for those in `configs.py`."""
    return CONFIGS.get(name) or MODELS[name].config_class
