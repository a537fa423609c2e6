"""Scheduling on Windows: MMCSS, priorities, power throttling, sleep of the computer.

No call needs administrator rights. Windows may refuse each; the caller records the result.
"""

import ctypes
import threading
from ctypes import byref, c_int, c_uint32, c_void_p, c_wchar_p, sizeof
from typing import Any

from deeplabstream.engine.processes.windows_events import library

ABOVE_NORMAL = 1
_HIGH_PRIORITY_CLASS, _NORMAL_PRIORITY_CLASS = 0x80, 0x20
_THREAD_SET_INFORMATION = 0x20
_ALREADY_IN_TASK = 1552
_POWER_THROTTLING, _THROTTLING_VERSION = 4, 1
_EXECUTION_SPEED, _IGNORE_TIMER_RESOLUTION = 1, 4
_SYSTEM_REQUIRED, _CONTINUOUS = 0x1, 0x80000000


def _kernel() -> Any:
    kernel = library("kernel32")
    kernel.GetCurrentProcess.restype = c_void_p
    kernel.GetCurrentThread.restype = c_void_p
    kernel.OpenThread.argtypes = c_uint32, c_int, c_uint32
    kernel.OpenThread.restype = c_void_p
    kernel.CloseHandle.argtypes = (c_void_p,)
    kernel.SetThreadPriority.argtypes = c_void_p, c_int
    kernel.SetPriorityClass.argtypes = c_void_p, c_uint32
    kernel.SetProcessInformation.argtypes = c_void_p, c_int, c_void_p, c_uint32
    kernel.SetThreadExecutionState.argtypes = (c_uint32,)
    return kernel


def raise_process(task: str) -> str:
    """Register the calling thread with MMCSS and raise the process; return what was applied.

    Threads of the task Pro Audio (category high) come before those of Capture (medium).
    """
    priority = f"MMCSS task {task}" if _register(task) else "no (MMCSS refused)"
    kernel = _kernel()
    raised = kernel.SetPriorityClass(kernel.GetCurrentProcess(), _HIGH_PRIORITY_CLASS)
    return (
        f"real-time priority: {priority}; "
        f"process priority: {'high' if raised else 'unchanged'}; "
        f"power throttling: {'off' if _end_throttling(kernel) else 'unchanged'}; "
        "memory: not locked"
    )


def lower_process() -> None:
    """Return this process to normal priority. MMCSS keeps its threads until they end."""
    kernel = _kernel()
    kernel.SetPriorityClass(kernel.GetCurrentProcess(), _NORMAL_PRIORITY_CLASS)


def _register(task: str) -> bool:
    """Register the calling thread with MMCSS; return whether it is registered."""
    try:
        register = library("avrt").AvSetMmThreadCharacteristicsW
    except OSError:  # a Windows Server without it
        return False
    register.argtypes, register.restype = (c_wchar_p, c_void_p), c_void_p
    if register(task, byref(c_uint32(0))):
        return True
    return bool(vars(ctypes)["get_last_error"]() == _ALREADY_IN_TASK)


def _end_throttling(kernel: Any) -> bool:
    """Disable power throttling of this process, which also makes timers coarser.

    Windows 11 throttles a program whose window is hidden. Older versions reject the flag for
    timers, so the call is repeated without it.
    """
    for requested in (_EXECUTION_SPEED | _IGNORE_TIMER_RESOLUTION, _EXECUTION_SPEED):
        state = (c_uint32 * 3)(_THROTTLING_VERSION, requested, 0)
        if kernel.SetProcessInformation(
            kernel.GetCurrentProcess(), _POWER_THROTTLING, byref(state), sizeof(state)
        ):
            return True
    return False


def raise_thread() -> None:
    """Raise the priority of the calling thread within its process."""
    kernel = _kernel()
    kernel.SetThreadPriority(kernel.GetCurrentThread(), ABOVE_NORMAL)


def raise_other_threads() -> None:
    """Raise the other Python threads of this process above those of libraries.

    By one step only: nothing here lowers a thread that computes without pause.
    """
    kernel = _kernel()
    for thread in threading.enumerate():
        number = thread.native_id
        if number is None or number == threading.get_native_id():
            continue
        if handle := kernel.OpenThread(_THREAD_SET_INFORMATION, False, number):
            kernel.SetThreadPriority(handle, ABOVE_NORMAL)
            kernel.CloseHandle(handle)


def keep_awake() -> None:
    """Prevent sleep of the computer as long as the calling thread lives."""
    _kernel().SetThreadExecutionState(_CONTINUOUS | _SYSTEM_REQUIRED)
