"""What a format needs, and that a missing extra is one clear line."""

import builtins
from typing import Any

import pytest

from nmt_cli.errors import UserError
from nmt_cli.export.exporting import FORMATS
from nmt_cli.export.format import require_packages


def without(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if a package were not installed."""
    import importlib

    original = importlib.import_module

    def absent(name: str, *rest: Any) -> Any:
        if name == package:
            raise ModuleNotFoundError(f"No module named {name!r}")
        return original(name, *rest)

    monkeypatch.setattr(importlib, "import_module", absent)


def test_a_missing_package_is_one_line_that_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    require_packages(("json", "ctranslate2"), "nmt export --to ctranslate2")
    without("ctranslate2", monkeypatch)
    with pytest.raises(UserError) as caught:
        require_packages(("json", "ctranslate2"), "nmt export --to ctranslate2")
    assert str(caught.value) == (
        'nmt export --to ctranslate2 needs ctranslate2: install the extra with pip install "nmt-cli[export]"'
    )


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_can_be_asked_without_its_packages(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`nmt check` and `--help` work where the extra is not installed."""
    from nmt_cli.decoding.config import SearchConfig
    from nmt_cli.models import MODELS

    original = builtins.__import__
    packages = {package.replace("-", "_") for package in FORMATS[name].PACKAGES}

    def guarded(module: str, *rest: Any) -> Any:
        assert module.split(".")[0] not in packages
        return original(module, *rest)

    monkeypatch.setattr(builtins, "__import__", guarded)
    for model in MODELS.values():
        for config in model.config_class.tiny_configs():
            reasons = FORMATS[name].incompatibilities(config, SearchConfig())
            assert all(": " in reason for reason in reasons)
    assert FORMATS[name].QUANTIZATIONS
