"""Calls that may never come back, waited for no longer than one is patient."""

from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Generic, TypeVar

from core.errors import DeviceError

T = TypeVar("T")
U = TypeVar("U")


class Waiting(Generic[T]):
    """Makes one call again and again, in a thread, for drivers without a time-out.

    A call that was given up stays in the thread until the driver lets it go; nothing
    else can be called meanwhile, and what it brings is thrown away. `close` is called in
    the same thread when it is free, so that no device is closed in the middle of a call.
    """

    def __init__(self, call: Callable[[], T], close: Callable[[], None]) -> None:
        self._call, self._close = call, close
        self._orders: SimpleQueue[Callable[[], Any] | None] = SimpleQueue()
        self._results: SimpleQueue[Any] = SimpleQueue()
        self._thread = Thread(target=self._work, name="waiting", daemon=True)
        self._thread.start()

    def result(self, patience_s: float) -> T:
        """Call, and return or raise what the call does; DeviceError: no answer in time.

        Not to be asked again after that.
        """
        return self._made(self._call, patience_s, "gave no picture")

    def other(self, call: Callable[[], U], patience_s: float) -> U:
        """Make another call in the same thread, as `result` does with the usual one."""
        return self._made(call, patience_s, "did not answer")

    def _made(self, call: Callable[[], U], patience_s: float, else_: str) -> U:
        self._orders.put(call)
        try:
            result: U | Exception = self._results.get(timeout=patience_s)
        except Empty:
            raise DeviceError(f"{else_} for {patience_s:g} s") from None
        if isinstance(result, Exception):
            raise result
        return result

    def end(self, patience_s: float) -> None:
        """Close, now or when the driver lets go; wait so long for it."""
        self._orders.put(None)
        self._thread.join(patience_s)

    def _work(self) -> None:
        try:
            while (call := self._orders.get()) is not None:
                try:
                    result = call()
                except Exception as error:  # it is raised where the result is asked for
                    result = error
                self._results.put(result)
        finally:
            self._close()
