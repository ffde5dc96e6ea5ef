"""Neural machine translation: a command line, `nmt`, and a small Python API.

`load_run`, `prepare`, `train`, `translate` and `score` are the API. They are loaded on first use, so that importing
`nmt_cli` imports neither torch nor anything else that takes time.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nmt_cli.api import load_run, prepare, score, train, translate

__version__ = "0.1.0"
__all__ = ["__version__", "load_run", "prepare", "score", "train", "translate"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from nmt_cli import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
