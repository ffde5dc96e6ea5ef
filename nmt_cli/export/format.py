"""What a format of `nmt export` offers, and how it says that its packages are missing."""

import importlib
from pathlib import Path
from typing import Any, Protocol

from nmt_cli.data.prepared.store import Tokenizers
from nmt_cli.decoding.config import SearchConfig
from nmt_cli.decoding.engine import Engine
from nmt_cli.errors import UserError
from nmt_cli.models.contract import ModelConfig, TranslationModel


class ExportFormat(Protocol):
    """One module of this package: its name is what `--to` takes.

    Nothing of the runtime is imported before `write` or `engine` is called.
    """

    PACKAGES: tuple[str, ...]
    """What must be importable, by its name on the package index."""
    QUANTIZATIONS: tuple[str, ...]
    """Types that weights can be stored in; the first is the default."""

    def incompatibilities(self, config: ModelConfig, search: SearchConfig, joint: bool) -> list[str]:
        """Why a run of this configuration cannot be exported, each as `section.key: reason`.

        Needs neither weights nor the runtime, so that it can be said before training.
        """

    def export_model(
        self,
        model: TranslationModel[Any],
        tokenizers: Tokenizers,
        search: SearchConfig,
        folder: Path,
        quantization: str,
    ) -> None:
        """Write the model, in float32 on the CPU, into `folder`.

        There it finds the run's tokenizers, as the run has them, and may replace them.
        """

    def load_engine(self, folder: Path, device: str, quantization: str) -> Engine:
        """What was written, opened by the runtime itself; `device` is auto, cpu or cuda[:N].

        DeviceError where the device does not run this quantization.
        """


def require_packages(packages: tuple[str, ...], purpose: str) -> None:
    """UserError where one of the packages is not installed."""
    missing = []
    for package in packages:
        try:
            importlib.import_module(package)
        except ImportError:
            missing.append(package)
    if missing:
        raise UserError(
            f"{purpose} needs {' and '.join(missing)}: install the extra with pip install 'nmt-cli[export]'"
        )
