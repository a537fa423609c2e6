"""Work done ahead in threads of its own, never more than a few pieces of it."""

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from queue import Empty, Full, Queue
from typing import TypeVar

T = TypeVar("T")
Made = TypeVar("Made")

_LOOK_S = 0.1


class _Over:
    """Comes after the last piece, with what ended the work."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


@contextmanager
def ahead(pieces: Iterable[T], most: int) -> Iterator[Iterator[T]]:
    """Give the pieces in order while a thread makes the next ones, at most `most` ahead.

    What the making raises is raised where the piece would have come. Leaving the block
    ends the thread.
    """
    queue: Queue[T | _Over] = Queue(max(1, most))
    enough = threading.Event()

    def put(piece: T | _Over) -> None:
        while not enough.is_set():
            try:
                queue.put(piece, timeout=_LOOK_S)
                return
            except Full:
                pass

    def work() -> None:
        iterator = iter(pieces)
        try:
            for piece in iterator:
                put(piece)
                if enough.is_set():
                    break
            put(_Over())
        except BaseException as error:  # it belongs to who asked for the pieces
            put(_Over(error))
        finally:
            if isinstance(iterator, Generator):
                with closing(iterator):
                    pass

    def given() -> Iterator[T]:
        while True:
            try:
                piece = queue.get(timeout=_LOOK_S)
            except Empty:
                continue
            if isinstance(piece, _Over):
                if piece.error is not None:
                    raise piece.error
                return
            yield piece

    thread = threading.Thread(target=work, name="ahead", daemon=True)
    thread.start()
    try:
        yield given()
    finally:
        enough.set()
        thread.join()


@contextmanager
def in_order(
    make: Callable[[T], Made], pieces: Iterable[T], threads: int
) -> Iterator[Iterator[Made]]:
    """Give what is made of the pieces, in their order, by several threads ahead.

    As many pieces again as there are threads are begun ahead.
    What the making raises is raised where the piece would have come. Leaving the block
    waits for what is being made.
    """
    making = ThreadPoolExecutor(threads, "in_order")

    def given() -> Iterator[Made]:
        iterator = iter(pieces)
        begun: deque[Future[Made]] = deque()
        for piece in iterator:
            begun.append(making.submit(make, piece))
            if len(begun) >= 2 * threads:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()

    try:
        yield given()
    finally:
        making.shutdown(cancel_futures=True)
