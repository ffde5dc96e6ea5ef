"""The C allocator: how much freed memory it keeps. Imports no torch."""

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -2, -4, -8  # of malloc.h


def keep_freed_memory(max_bytes: int = 1 << 30, *, one_arena: bool = False) -> None:
    """Let the C allocator keep up to `max_bytes` of freed memory instead of returning it to the system.

    Training frees and allocates the same large blocks at every update; returning them would cost a
    page fault for each page. Memory that was freed before this call is returned. With `one_arena`, which must come
    before the threads that it is for, what one thread has freed serves all of them. Without glibc this does nothing.
    """
    library = return_freed_memory()
    if library is None:
        return
    library.mallopt(_M_MMAP_MAX, 0)
    if one_arena:
        library.mallopt(_M_ARENA_MAX, 1)
    library.mallopt(_M_TRIM_THRESHOLD, max_bytes)
    library.mallopt(_M_TOP_PAD, 64 << 20)


def return_freed_memory() -> ctypes.CDLL | None:
    """Return to the system what the C allocator has kept so far: the next work needs blocks of other sizes.

    The C library, None where it is not glibc and this does nothing.
    """
    if not sys.platform.startswith("linux"):
        return None
    try:
        library = ctypes.CDLL("libc.so.6")
        library.malloc_trim(0)
    except (OSError, AttributeError):
        return None
    return library
