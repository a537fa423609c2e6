"""Real-time priority and locked memory for the threads between camera and output.

Bounded: only threads that sleep keep the priority. A thread that uses most of a core, or
computes for `LONGEST_S` without sleeping, goes back to ordinary priority; processes and
threads that it starts begin at ordinary priority.
"""

import ctypes
import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from math import inf
from pathlib import Path

from deeplabstream.engine.processes import windows_priority

if sys.platform == "linux":
    import resource

ENGINE, CAMERA, GUARD = 10, 12, 14
"""Priorities of SCHED_FIFO. A camera comes before the engine: its frame time must not be
late. A guard comes first: an engine that hangs may compute without pause. Its threads take
turns (SCHED_RR): a driver that does not return must not keep other outputs on."""
LONGEST_S = 0.5
"""How long a thread may compute at real-time priority without sleeping."""
KILLED_S = 5.0
"""Time after which the kernel ends a process that computes without sleeping, as in a library
function that does not return. Guards have no such limit: they have outputs to switch off."""
MOST_OF_CORE = 0.7
"""Share of a core above which a thread loses the priority."""
CHECK_S = 1.0
ENOUGH_CORES = 4
"""Number of cores from which recorder, encoder and window leave one to cameras and engine."""
ALLOW = (
    """printf '%s - rtprio 20\\n%s - memlock unlimited\\n%s - nice -10\\n' """
    """"$USER" "$USER" "$USER" | sudo tee -a /etc/security/limits.d/deeplabstream.conf"""
)
"""Command that grants the permissions to an account on Linux, from the next login on."""

_NICE_STEPS = 5
_CURRENT, _FUTURE, _ON_FAULT = 1, 2, 4
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
_SET_TIMER_SLACK = 29
_CAP_IPC_LOCK = 14


class RealTime:
    """Real-time priority of this process's threads; used only by its main thread.

    `requested` False: raised ordinary priority (`nice`) only. On Windows the computer does not
    sleep by itself meanwhile.
    """

    def __init__(self, priority: int, requested: bool = True) -> None:
        self._priority, self._requested = priority, requested
        self._used_ns: dict[int, int] = {}
        """CPU time of each thread at real-time priority, at the last check."""
        self._lowered: set[int] = set()
        self._unreported: list[str] = []
        self._checked_ns = 0
        self.granted = not requested
        """Whether everything requested was applied; unknown on Windows."""
        raise_priority()
        if sys.platform == "win32":
            windows_priority.keep_awake()
        self.remark = (
            self._begin() if requested else "real-time priority: REAL_TIME is off"
        )
        """Applied and refused settings, with the command that allows them; for the record."""

    def _begin(self) -> str:
        keep_freed_memory()
        if sys.platform == "win32":
            self.raise_threads()
            self.granted = True
            task = "Pro Audio" if self._is_guard else "Capture"
            return windows_priority.raise_process(task)
        if sys.platform != "linux":
            return "real-time priority: not on this system"

        # By default the kernel may end a sleep 50 µs late, to save power.
        _call("prctl", _SET_TIMER_SLACK, 1, 0, 0, 0)
        # the limits first: from the first moment at real-time priority a thread is bounded
        _set_limits(self._leave, not self._is_guard)
        self.raise_threads()

        real_time, locked = bool(self._used_ns), lock_memory()
        policy = "SCHED_RR" if self._is_guard else "SCHED_FIFO"
        priority = f"{policy} {self._priority}" if real_time else "no"
        memory = "locked" if locked else "not locked"
        text = f"real-time priority: {priority}; memory: {memory}"
        self.granted = real_time and locked
        if not self.granted:
            text += f". To allow it, run {ALLOW} and log in again"
        return text

    @property
    def _is_guard(self) -> bool:
        return self._priority >= GUARD

    def raise_threads(self) -> None:
        """Give the priority to all Python threads of this process that lack it.

        Threads of libraries (the network's, the camera driver's) compute much: they get
        a higher ordinary priority.
        """
        if not self._requested:
            return
        if sys.platform == "win32":
            windows_priority.raise_other_threads()
        if sys.platform != "linux":
            return
        policy = os.SCHED_RR if self._is_guard else os.SCHED_FIFO
        # encoders and other programs that this process starts begin at ordinary priority
        policy |= os.SCHED_RESET_ON_FORK
        python = [thread.native_id for thread in threading.enumerate()]
        for number in _threads():
            with suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, number, -_NICE_STEPS)
            if (
                number not in python
                or number in self._used_ns
                or number in self._lowered
            ):
                continue
            # a thread may have ended since it was listed
            with suppress(OSError):
                os.sched_setscheduler(number, policy, os.sched_param(self._priority))
                self._used_ns[number] = _used_ns(number)

    def check(self, now_ns: int) -> list[str]:
        """Lower threads that use most of a core; return sentences about them.

        Call it often, when there is time; it checks once in `CHECK_S`.
        """
        span_ns = now_ns - self._checked_ns
        if span_ns < CHECK_S * 1e9:
            return []

        # on the first call no span is known to which the CPU time could be related
        first, self._checked_ns = not self._checked_ns, now_ns
        sentences, self._unreported = self._unreported, []
        for number, before_ns in list(self._used_ns.items()):
            self._used_ns[number] = used_ns = _used_ns(number)
            if not first and used_ns - before_ns > MOST_OF_CORE * span_ns:
                self._lower(number)
                sentences.append(
                    f"a thread used more than {MOST_OF_CORE:.0%} of a core: it has "
                    "ordinary priority from now on"
                )
        return sentences

    def end(self) -> None:
        """Return all threads of this process to ordinary priority, before it ends.

        An ending process computes for up to 0.1 s: Python removes its objects, the kernel its
        memory. At real-time priority this would delay the frames of other rigs.
        """
        for number in list(self._used_ns):
            self._lower(number)
        if sys.platform == "win32":
            windows_priority.lower_process()
        else:
            for number in _threads():
                with suppress(OSError):
                    os.setpriority(os.PRIO_PROCESS, number, 0)

    def _leave(self) -> None:
        for number in list(self._used_ns):
            self._lower(number)
        self._unreported.append(
            f"a thread computed for {LONGEST_S:g} s without a pause: all threads of this "
            "process have ordinary priority from now on"
        )

    def _lower(self, number: int) -> None:
        self._used_ns.pop(number, None)
        self._lowered.add(number)
        if sys.platform == "linux":
            with suppress(OSError):
                os.sched_setscheduler(number, os.SCHED_OTHER, os.sched_param(0))


def leave_core_to_engine() -> set[int]:
    """Keep this thread, and those that it starts, off the last core, so that it is free.

    Only where this process may use `ENOUGH_CORES`. Return the cores that it used before,
    for `use_cores`; empty: nothing was changed.
    """
    if sys.platform == "linux":
        cores = os.sched_getaffinity(0)
        if len(cores) >= ENOUGH_CORES and use_cores(cores - {max(cores)}):
            return cores
    return set()


def use_cores(cores: set[int]) -> bool:
    """Restrict this thread to these cores, if any; return whether that was allowed."""
    if sys.platform == "linux" and cores:
        with suppress(OSError):
            os.sched_setaffinity(0, cores)
            return True
    return False


class IdleCollection:
    """Garbage collection of a process that runs for long: only at idle moments.

    Python itself collects old objects only when their number has grown by a quarter, so that
    memory grows meanwhile, and may do so in the middle of a frame.
    """

    EVERY_S = 10.0

    def __init__(self) -> None:
        gc.collect()
        # modules and network live to the end: a collection that skips them is much shorter
        gc.freeze()
        gc.disable()
        self._next_ns = time.perf_counter_ns() + round(self.EVERY_S * 1e9)

    def idle(self, now_ns: int) -> None:
        """Collect if it is due; called when there is no frame."""
        if now_ns >= self._next_ns:
            self._next_ns = now_ns + round(self.EVERY_S * 1e9)
            gc.collect()

    def close(self) -> None:
        """Return to Python's own collection."""
        gc.unfreeze()
        gc.enable()


def raise_priority(steps: int = 5) -> None:
    """Raise the scheduling priority of this process, where that is allowed.

    Cameras and engine get the highest priority, the recorder less. On Windows only the
    calling thread gets a higher priority.
    """
    if sys.platform == "win32":
        windows_priority.raise_thread()
    else:
        with suppress(OSError):
            os.nice(-steps)


def may_run_real_time() -> bool | None:
    """Return whether this account may use real-time priority; None: not on this system.

    It is tried in a thread that ends at once: root in a container may lack the right.
    """
    if sys.platform == "linux":
        _raise_limit(resource.RLIMIT_RTPRIO)
        allowed: list[bool] = []

        def attempt() -> None:
            with suppress(OSError):
                os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(GUARD))
                allowed.append(True)

        thread = threading.Thread(target=attempt)
        thread.start()
        thread.join()
        return bool(allowed)
    return None


def may_lock_memory() -> bool | None:
    """Return whether this account may lock its memory; None: not on this system."""
    if sys.platform == "linux":
        return _may_lock_all() or _allowed(resource.RLIMIT_MEMLOCK) == inf
    return None


def _may_lock_all() -> bool:
    """Return whether this process has the capability CAP_IPC_LOCK."""
    lines = Path("/proc/self/status").read_text("ascii", "replace").splitlines()
    found = [line.split()[1] for line in lines if line.startswith("CapEff:")]
    return bool(found and int(found[0], 16) >> _CAP_IPC_LOCK & 1)


def lock_memory() -> bool:
    """Keep all memory that this process uses, now and later, in RAM.

    Not where the account has a limit: a later allocation beyond it would fail.
    """
    if sys.platform == "linux" and may_lock_memory():
        _raise_limit(resource.RLIMIT_MEMLOCK)
        return _call("mlockall", _CURRENT | _FUTURE | _ON_FAULT) == 0
    return False


def _allowed(limit: int) -> float:
    """Return the hard limit of a resource, to which this process may raise its own."""
    if sys.platform == "linux":
        hard = resource.getrlimit(limit)[1]
        return inf if hard == resource.RLIM_INFINITY else hard
    return 0


def keep_freed_memory() -> None:
    """Let malloc keep freed memory, so that a frame's arrays cause no page faults.

    By default it returns large blocks to the system, which clears their pages at each use.
    """
    # glibc accepts no higher threshold: larger blocks are always returned to the system
    largest = 32 << 20
    _call("mallopt", _MMAP_THRESHOLD, largest)
    _call("mallopt", _TRIM_THRESHOLD, 2**31 - 1)
    _call("mallopt", _TOP_PAD, 1 << 20)


def _call(function: str, *arguments: int) -> int:
    """Call a function of the C library; -1: it does not exist or failed."""
    if sys.platform != "linux":
        return -1
    try:
        return int(getattr(ctypes.CDLL(None), function)(*arguments))
    except (OSError, AttributeError):
        return -1


def _set_limits(leave: Callable[[], None], killed: bool = True) -> None:
    """Set the limits of real-time computing; call `leave` when a thread exceeds `LONGEST_S`.

    `killed`: after `KILLED_S` the kernel ends the process. A lower limit of the account stays.
    """
    if sys.platform == "linux":
        _raise_limit(resource.RLIMIT_RTPRIO)
        limit_us = min(
            KILLED_S * 1e6 if killed else inf, _allowed(resource.RLIMIT_RTTIME)
        )
        killed_us = resource.RLIM_INFINITY if limit_us == inf else round(limit_us)
        # the kernel sends SIGXCPU at the soft limit, and SIGKILL at the hard one
        leave_us = round(min(LONGEST_S * 1e6, limit_us // 2))
        signal.signal(signal.SIGXCPU, lambda _number, _frame: leave())
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_RTTIME, (leave_us, killed_us))


def _raise_limit(limit: int) -> None:
    """Raise a resource limit to its hard limit, where the system allows it."""
    if sys.platform == "linux":
        hard = resource.getrlimit(limit)[1]
        with suppress(OSError, ValueError):  # ValueError for EPERM and EINVAL
            resource.setrlimit(limit, (hard, hard))


def _threads() -> list[int]:
    """Return the numbers of all threads of this process, those of libraries too."""
    try:
        return [int(task.name) for task in Path("/proc/self/task").iterdir()]
    except OSError:
        return [0]  # not Linux: the process itself


def _used_ns(thread: int) -> int:
    """Return the CPU time of a thread; 0: it has ended."""
    try:
        text = Path(f"/proc/self/task/{thread}/schedstat").read_text("ascii")
        return int(text.split()[0])
    except (OSError, ValueError, IndexError):
        return 0
