"""Line splitter: lines from the bytes of a pipe, as they arrive."""


class LineSplitter:
    """Splits bytes into lines; keeps at most one byte more than the longest line.

    A longer line is cut to that length, by which its reader can tell it.
    """

    def __init__(self, longest: int) -> None:
        self._most = longest + 1
        self._waiting = b""

    def split(self, data: bytes) -> list[bytes]:
        r"""Return the lines that are complete with these bytes, without their ends.

        >>> splitter = LineSplitter(longest=6)
        >>> splitter.split(b"stop\nsta")
        [b'stop']
        >>> splitter.split(b"rt left\n")
        [b'start l']
        """
        *lines, waiting = (self._waiting + data).split(b"\n")
        self._waiting = waiting[: self._most]
        return [line[: self._most] for line in lines]
