"""The buffer that a made camera has as real ones have: who reads late loses nothing at once."""

from collections import deque

DEPTH = 10
"""Pictures that wait for a late reader; as many as Basler's driver keeps unless asked."""


class DriverBuffer:
    """Counts exposures, keeps the oldest unread ones, loses new ones while it is full.

    Only their numbers are kept: a made picture is made when it is read.

    >>> buffer = DriverBuffer(depth=2)
    >>> buffer.expose(4)  # 0 and 1 wait, 2 and 3 found no room
    >>> [buffer.take(), buffer.take(), buffer.take()]
    [0, 1, 4]
    """

    def __init__(self, depth: int = DEPTH) -> None:
        self._depth = depth
        self._waiting: deque[int] = deque()
        self._exposed = 0

    def expose(self, count: int) -> None:
        """Take in that `count` pictures were exposed since the first one."""
        room = self._depth - len(self._waiting)
        new = range(self._exposed, max(count, self._exposed))
        self._waiting.extend(new[:room])
        self._exposed = new.stop

    def take(self) -> int:
        """Return the oldest that waits; else the one that is exposed next."""
        if self._waiting:
            return self._waiting.popleft()
        self._exposed += 1
        return self._exposed - 1
