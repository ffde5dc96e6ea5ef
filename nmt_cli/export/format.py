"""The interface of the formats of `nmt export`, and the check for their packages."""

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from nmt_cli.data.sources.base import Languages
from nmt_cli.data.tokenization.tokenizer_pair import Tokenizers
from nmt_cli.decoding.config import SearchConfig
from nmt_cli.decoding.engine import Engine
from nmt_cli.errors import UserError, pip_install
from nmt_cli.models.configs import ModelConfig

if TYPE_CHECKING:
    from nmt_cli.models.contract import TranslationModel


class ExportFormat(Protocol):
    """What a module of this package offers for a format; `FORMATS` in `exporting.py` lists them by the name for `--to`.

    The runtime is imported only when `export_model` or `load_engine` is called.
    """

    PACKAGES: tuple[str, ...]
    """Packages that must be importable, by their names on the package index."""
    QUANTIZATIONS: tuple[str, ...]
    """Types that weights can be stored as; the first is the default."""

    def incompatibilities(self, config: ModelConfig, search: SearchConfig) -> list[str]:
        """Why a run of this configuration cannot be exported, each as `section.key: reason`.

        Needs neither weights nor the runtime, so that `nmt check` can report it before training.
        """

    def export_model(
        self,
        model: "TranslationModel[Any]",
        tokenizers: Tokenizers,
        search: SearchConfig,
        folder: Path,
        quantization: str,
        languages: Languages | None = None,
    ) -> None:
        """Write `model`, which is in float32 on the CPU, to `folder`; a format that can says its languages.

        The folder contains the run's tokenizer files already, which may be replaced.
        """

    def load_engine(self, folder: Path, device: str, quantization: str) -> Engine:
        """Open what `export_model` wrote with the format's own runtime; `device` is auto, cpu or cuda[:N].

        DeviceError if the device does not support this quantization.
        """


def position_limit(model_limit: int | None, search: SearchConfig, minimum: int) -> int:
    """The most tokens of a source or a target of an export, end of sentence included.

    What the model can read or write, if that is limited; else what the search allows, or `minimum`.
    """
    if model_limit is not None:
        return model_limit
    source_length = search.max_source_length
    return max(minimum, source_length + 1, search.max_target_length(source_length) + 1)


def require_packages(packages: tuple[str, ...], purpose: str) -> None:
    """Raise UserError if one of the packages is not installed; `purpose` begins the message."""
    missing = []
    for package in packages:
        try:
            importlib.import_module(package)
        except ImportError:
            missing.append(package)
    if missing:
        raise UserError(f"{purpose} needs {' and '.join(missing)}: install the extra with {pip_install('export')}")
