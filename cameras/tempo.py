"""At which moments a made camera exposes, when its rate is changed while it films."""

from dataclasses import dataclass, field

from core.clock import Pacer


@dataclass
class Tempo:
    """Counts exposures at a rate, from picture `first` at the film's second `since_s` on."""

    rate: float
    first: int = 0
    since_s: float = 0.0
    _pacer: Pacer = field(init=False)

    def __post_init__(self) -> None:
        self._pacer = Pacer(self.rate)

    def exposed(self, now_ns: int) -> int:
        """Return how many pictures were exposed since the film began."""
        return self.first + self._pacer.past(now_ns)

    def wait(self, index: int, early_ns: int = 0) -> int:
        """Sleep until `early_ns` before picture `index`; return when it is due, in ns."""
        return self._pacer.wait(index - self.first, early_ns)

    def time_s(self, index: int) -> float:
        """Return the second of the film that picture `index` shows."""
        return self.since_s + (index - self.first) / self.rate

    def changed(self, rate: float, first: int) -> "Tempo":
        """Return how it goes on from picture `first`, due at once."""
        return Tempo(rate, first, self.time_s(first))
