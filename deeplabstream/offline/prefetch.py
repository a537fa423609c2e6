"""Prefetching: items are produced ahead in threads, up to a limit."""

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
    """End of the queue, with the error that ended the work."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


@contextmanager
def ahead(pieces: Iterable[T], most: int) -> Iterator[Iterator[T]]:
    """Yield the items in order; a thread produces them, at most `most` ahead.

    An error in the thread is raised in place of its piece. Leaving the block ends the
    thread.
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
        except BaseException as error:  # raised again in the consumer's thread
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
    """Yield the results of `make` in the order of the items, computed by threads.

    Twice as many pieces as threads are in work. An error of `make` is raised in place of
    its result. Leaving the block waits for calls that have begun.
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
