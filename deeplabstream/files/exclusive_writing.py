"""Exclusive writing: only one program at a time reads, changes and writes a file."""

import ctypes
import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from deeplabstream.core.clock import SystemClock, rest
from deeplabstream.core.errors import DeviceError

PATIENCE_S = 10.0
"""Time after which another program's lock is an error."""
WINDOW_PATIENCE_S = 1.0
"""The same for a window, which must stay responsive."""
_ATTEMPTS = 100
"""Number of times that a hidden file may be deleted while it is checked."""
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)
"""Errors of file systems without locks, such as some mounts of NFS and CIFS."""
_GENERIC_WRITE, _DELETE = 0x40000000, 0x10000
_OPEN_ALWAYS = 4
_DELETE_ON_CLOSE = 0x04000000
_DENIED, _IN_USE = 5, 32
"""Windows' numbers for "access denied", also while it is deleted, and "in use"."""


class BeingWrittenError(DeviceError):
    """Another program is writing the file."""


@contextmanager
def exclusive(file: Path, patience_s: float | None = None) -> Iterator[None]:
    """Lock a file for the block against other programs that use this function.

    A hidden file beside it is locked by the system, which ends the lock when a program is
    killed. Where the file system can't lock files, the block runs without a lock.
    BeingWrittenError: another program has it for `patience_s` (default: `PATIENCE_S`).
    DeviceError: the hidden file can't be made.
    """
    patience_s = PATIENCE_S if patience_s is None else patience_s
    lock = _lock_of(file)
    clock = SystemClock()
    give_up_ns = clock.now_ns() + round(patience_s * 1e9)
    try:
        while (handle := _locked(lock)) is None:
            if clock.now_ns() > give_up_ns:
                text = f"{file} is being written by another program"
                if sys.platform == "win32":  # both branches raise the same exceptions
                    text += ", or its folder can't be written to: check its permissions"
                raise BeingWrittenError(text)
            rest(0.01)
    except OSError as error:
        reason = error.strerror or error
        raise DeviceError(f"{file} can't be locked: {reason}") from error
    try:
        yield
    finally:
        _release(lock, handle)


def is_locked(file: Path) -> bool:
    """Return without waiting whether a program has locked the file.

    False also where that can't be known: the file system can't lock files. Several
    programs may ask at the same time. The hidden file of a killed program stays.
    """
    lock = _lock_of(file)
    try:
        for _ in range(_ATTEMPTS):
            if (held := _is_held(lock)) is not None:
                return held
    except OSError:  # usually there is no lock file
        return False
    return True  # other programs hold it in turn


def discard_lock(file: Path) -> None:
    """Remove the lock file of a killed program; no program may write `file` any more."""
    with suppress(OSError):
        _lock_of(file).unlink()


def _is_held(lock: Path) -> bool | None:
    """Return whether a program holds the lock file; None: it was deleted in the meantime.

    Others who ask at the same time do not count: they share the lock that is tried.
    """
    if sys.platform == "win32":
        try:
            with lock.open("rb"):
                return False
        except PermissionError:
            return True
    import fcntl

    with lock.open("rb") as opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False if os.fstat(opened.fileno()).st_nlink else None


def _lock_of(file: Path) -> Path:
    return file.with_name(f".{file.name}.lock")


def _release(lock: Path, handle: int) -> None:
    if sys.platform != "win32":  # Windows deletes it when it is closed
        with suppress(OSError):
            lock.unlink()
    os.close(handle)


def _locked(lock: Path) -> int | None:
    """Return an open file that is locked; None: another program has it."""
    if sys.platform == "win32":
        return _opened_alone(lock)
    import fcntl

    handle = os.open(lock, os.O_CREAT | os.O_RDWR, 0o666)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(handle).st_nlink:
            return handle
    except BlockingIOError:
        pass
    except BaseException as error:
        if isinstance(error, OSError) and error.errno in _NO_LOCKS:
            return handle
        os.close(handle)
        raise
    os.close(handle)  # its former owner has deleted the file in the meantime
    return None


def _opened_alone(lock: Path) -> int | None:
    """Open a file on Windows that no other program can open until it is closed and deleted.

    One that a power failure left behind is used again.
    """
    if sys.platform == "win32":
        import msvcrt
        from ctypes import c_uint32, c_void_p, c_wchar_p

        create = ctypes.WinDLL("kernel32", use_last_error=True).CreateFileW
        signature = (
            c_wchar_p,
            c_uint32,
            c_uint32,
            c_void_p,
            c_uint32,
            c_uint32,
            c_void_p,
        )
        create.argtypes, create.restype = signature, c_void_p
        access, shared = _GENERIC_WRITE | _DELETE, 0
        handle = create(
            str(lock), access, shared, None, _OPEN_ALWAYS, _DELETE_ON_CLOSE, None
        )
        if handle != c_void_p(-1).value:
            return msvcrt.open_osfhandle(handle, os.O_RDWR)
        number = ctypes.get_last_error()
        if number not in (_DENIED, _IN_USE) or (number == _DENIED and _is_free(lock)):
            raise ctypes.WinError(number)
    return None


def _is_free(lock: Path) -> bool:
    """Return whether no program on Windows has a file open exclusively: it can be read."""
    try:
        with lock.open("rb"):
            return True
    except OSError:
        return False
