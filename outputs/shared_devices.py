"""Devices that several outputs share, such as a port; opened once."""

import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from deeplabstream.plugin import DeviceError

T = TypeVar("T")


@dataclass
class _Link:
    """A device that may be open, and the number of its users."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    users: int = 0
    manner: Hashable = None
    manager: AbstractContextManager[Any] | None = None
    value: Any = None


_links: dict[Hashable, _Link] = {}
_all = threading.Lock()


@contextmanager
def shared(
    what: str, manner: Hashable, opening: Callable[[], AbstractContextManager[T]]
) -> Iterator[T]:
    """Return the open device, or open it; the last user closes it.

    `what` is its name, such as that of a port. DeviceError: it is open in another `manner`,
    such as at another speed or by another kind of output.
    """
    with _all:
        link = _links.setdefault(what, _Link())
    with link.lock:
        if link.users == 0:
            manager = opening()
            link.value = manager.__enter__()
            link.manager, link.manner = manager, manner
        elif link.manner != manner:
            raise DeviceError(
                f"{what} is used by another [Output NAME] with other settings; the settings "
                "of the port must be the same"
            )
        link.users += 1
    try:
        yield link.value
    finally:
        with link.lock:
            link.users -= 1
            if link.users == 0 and link.manager is not None:
                manager, link.manager, link.value = link.manager, None, None
                manager.__exit__(None, None, None)
