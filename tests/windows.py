"""A Linux that lacks what Windows lacks: `python -m tests.windows ARGUMENTS` runs a command line there.

Signals and modules are missing, so are /proc and control groups; text has the encoding and line ends of Windows unless
the code says otherwise; select knows no files; a folder cannot be synced, nor a file that is open for reading alone;
and what is open can be neither deleted nor renamed.
"""

import builtins
import errno
import fcntl
import io
import multiprocessing.connection
import os
import select
import shutil
import signal
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

MISSING: dict[ModuleType, tuple[str, ...]] = {
    signal: ("SIGHUP", "pthread_kill"),
    os: ("nice", "sched_getaffinity", "getloadavg"),
}
MISSING_MODULES = ("fcntl", "resource", "termios")
_import, _open, _os_open, _listdir, _fsync = builtins.__import__, io.open, os.open, os.listdir, os.fsync
_wait, _uname = multiprocessing.connection.wait, os.uname


def take_away() -> None:
    """Make this process one on Windows, as far as nmt can see."""
    for module, names in MISSING.items():
        for name in names:
            delattr(module, name)
    os.uname = _uname_for_libraries
    builtins.__import__ = _import_what_is_there
    builtins.open = io.open = _open_text_as_windows  # type: ignore[assignment]
    os.open, os.listdir, os.fsync = _open_no_folder, _list_no_process, _sync_what_is_writable  # type: ignore[assignment]
    select.select = _refuse_select
    multiprocessing.connection.wait = _wait_for_no_number  # type: ignore[assignment]
    for name in ("unlink", "remove", "rename", "replace"):
        setattr(os, name, _for_closed_files(getattr(os, name), may_replace=name != "rename"))
    shutil._use_fd_functions = False  # type: ignore[attr-defined]
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="cp1252", newline="\r\n")  # type: ignore[union-attr]


def _import_what_is_there(name: str, globals: Any = None, *others: Any, **options: Any) -> Any:
    importer = str((globals or {}).get("__name__"))
    if name in MISSING_MODULES and importer.startswith("nmt_cli"):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    return _import(name, globals, *others, **options)


def _uname_for_libraries() -> os.uname_result:
    if sys._getframe(1).f_globals["__name__"].startswith("nmt_cli"):
        raise AttributeError("module 'os' has no attribute 'uname'")
    return _uname()


def _is_of_linux(path: object) -> bool:
    return str(path).startswith(("/proc/", "/sys/"))


def _open_text_as_windows(
    file: Any, mode: str = "r", buffering: int = -1, encoding: Any = None, errors: Any = None, newline: Any = None,
    *others: Any, **options: Any,
) -> Any:  # fmt: skip
    if _is_of_linux(file):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(file))
    if "b" not in mode:
        encoding = "cp1252" if encoding in (None, "locale") else encoding
        newline = "\r\n" if newline is None and not mode.startswith("r") else newline
    return _open(file, mode, buffering, encoding, errors, newline, *others, **options)


def _open_no_folder(path: Any, *others: Any, **options: Any) -> int:
    if os.path.isdir(path):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    return _os_open(path, *others, **options)


def _list_no_process(path: Any = ".") -> Any:
    if _is_of_linux(path):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    return _listdir(path)


def _sync_what_is_writable(descriptor: int) -> None:
    if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    _fsync(descriptor)


def _refuse_select(*_: object) -> Any:
    raise OSError(10038, "An operation was attempted on something that is not a socket")


def _wait_for_no_number(objects: Any, timeout: float | None = None) -> Any:
    if any(isinstance(waited_for, int) for waited_for in objects):
        raise OSError(errno.EINVAL, "The handle is invalid")
    return _wait(objects, timeout)


def _open_paths() -> set[str]:
    """Every path that this process has open or mapped."""
    with _open("/proc/self/maps") as maps:
        mapped = {line.split(maxsplit=5)[-1].strip() for line in maps}
    descriptors = _listdir("/proc/self/fd")
    return mapped | {os.path.realpath(f"/proc/self/fd/{descriptor}") for descriptor in descriptors}


def _for_closed_files(function: Callable[..., None], *, may_replace: bool) -> Callable[..., None]:
    """`os.rename` or the like, of what is not open, and with a target that is neither open nor, for rename, there."""

    def act(*paths: Any, **options: Any) -> None:
        if not may_replace and os.path.exists(paths[1]):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(paths[0]))
        open_paths = _open_paths()
        for path in paths:
            whole = os.path.realpath(path)
            if any(name == whole or name.startswith(f"{whole}/") for name in open_paths):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        function(*paths, **options)

    return act


if __name__ == "__main__":
    take_away()
    from nmt_cli.cli.entry import main

    main()
