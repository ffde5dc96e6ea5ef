"""The registry of models: for each `model.type` of a recipe its class, which is imported (with torch) on first use."""

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from nmt_cli.errors import UserError, is_out_of_memory
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
        """KeyError without such a model; UserError for one whose code cannot be imported or lacks something."""
        module, _, class_name = _CLASSES[name].rpartition(".")
        try:
            model_class = getattr(import_module(module), class_name)
        except Exception as error:  # whatever unfinished code raises
            if is_out_of_memory(error):
                raise
            reason = (str(error).strip() or "no message").splitlines()[0]
            raise UserError(
                f"model {name}: {_CLASSES[name]} cannot be imported: {type(error).__name__}: {reason}"
            ) from error
        lacking = [attribute for attribute in ("config_class", "summary") if not hasattr(model_class, attribute)]
        lacking += sorted(getattr(model_class, "__abstractmethods__", ()))
        if lacking:
            raise UserError(f"model {name}: {_CLASSES[name]} lacks {', '.join(lacking)}; see docs/add-a-model.md")
        return model_class

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
