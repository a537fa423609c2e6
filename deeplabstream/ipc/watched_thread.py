"""Threads whose unforeseen end is reported."""

import threading
import traceback
from collections.abc import Callable


def watched_thread(
    body: Callable[[], object], name: str, failed: Callable[[str], object]
) -> threading.Thread:
    """Start a daemon thread; `failed` gets a sentence if an exception ends it."""

    def run() -> None:
        try:
            body()
        except Exception as error:
            traceback.print_exc()
            failed(thread_failure(name, error))

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    return thread


def thread_failure(name: str, error: BaseException | None) -> str:
    """Return the sentence about a thread that an exception has ended."""
    cause = f"{type(error).__name__}: {error}" if error else "unknown"
    return (
        f"the thread '{name}' ended because of an error in the program ({cause:.300})"
    )
