"""The registry of models: the class for each `model.type` of a recipe."""

from typing import Any

from nmt_cli.models.contract import TranslationModel
from nmt_cli.models.ctc import CTC
from nmt_cli.models.decoder_only import DecoderOnly
from nmt_cli.models.rnn import RNN
from nmt_cli.models.transformer import Transformer

MODELS: dict[str, type[TranslationModel[Any]]] = {
    "transformer": Transformer,
    "rnn": RNN,
    "decoder_only": DecoderOnly,
    "ctc": CTC,
}
