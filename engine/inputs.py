"""The inputs of a rig while they are open: their levels, how often they became active."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from math import nan

from core.clock import Clock
from core.errors import blaming
from core.record import Note, Sensed
from outputs.input import Broken, Input, Level


class Inputs:
    """What is known of them at present; devices tell by threads of their own."""

    def __init__(
        self,
        names: Mapping[str, Input],
        clock: Clock,
        write: Callable[[Sensed | Note], object],
    ) -> None:
        self._clock = clock
        self._write = write
        self._lock = threading.Lock()
        self._known = {
            key: nan for name in names for key in (name, f"{name}.count")
        }  # as `Observation.inputs` has them

    def now(self) -> dict[str, float]:
        """Return levels and counts as they are now."""
        with self._lock:
            return dict(self._known)

    def hear(self, name: str, news: Level | Broken) -> None:
        """Take note of what a device tells of an input."""
        if isinstance(news, Broken):
            with self._lock:
                self._known |= {name: nan, f"{name}.count": nan}
            text = f"[Input {name}] {news.text}: it is unknown from now on"
            self._write(Note("error", text, self._clock.now_ns()))
            return
        with self._lock:
            count = self._known[f"{name}.count"]
            count = 0 if count != count else int(count)
            count += news.active and not news.first
            self._known |= {name: float(news.active), f"{name}.count": float(count)}
        self._write(Sensed(name, news.active, count, news.began_ns, news.heard_ns))


@contextmanager
def open_inputs(
    inputs: Mapping[str, Input], clock: Clock, write: Callable[[Sensed | Note], object]
) -> Iterator[Inputs]:
    """Open all inputs; what they tell is written, and known to `now`."""
    known = Inputs(inputs, clock, write)
    with ExitStack() as stack:
        for name, device in inputs.items():
            with blaming(f"Input {name}"):

                def hear(news: Level | Broken, name: str = name) -> None:
                    known.hear(name, news)

                stack.enter_context(device.opened(hear))
        yield known
