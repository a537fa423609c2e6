"""One output of a bank, open, with what the bank remembers of it."""

from contextlib import AbstractContextManager
from dataclasses import dataclass

from core.errors import DeviceError, blaming
from outputs.output import Output, Watched, Write

NEVER = 2**63 - 1


@dataclass(slots=True)
class Line:
    """An open output."""

    name: str
    output: Output
    device: AbstractContextManager[Write]
    write: Write
    level: float = 0.0
    """The worst that it may be, where a write failed."""
    end_ns: int = NEVER
    """When its pulse ends."""
    limit_ns: int = NEVER
    """When it will have been on for too long, or is to be tried again."""
    then_ns: int = NEVER
    """When the output that it names is to be pulsed."""
    failed: bool = False

    @property
    def due_ns(self) -> int:
        """When something is to be done."""
        return min(self.end_ns, self.limit_ns, self.then_ns)

    @property
    def longest_ns(self) -> int:
        """How long it may be on."""
        return round(self.output.max_on_s * 1e9)

    def went_off(self, at_ns: int) -> None:
        """Have the output that it names pulsed, later: it was on and went off as planned."""
        if self.output.then:
            self.then_ns = at_ns + round(self.output.then_after_s * 1e9)

    @property
    def watched(self) -> bool:
        """Whether it is to be looked after."""
        return not self.failed and isinstance(self.write, Watched)

    def look(self) -> None:
        """Raise a DeviceError if it went wrong by itself."""
        if not self.failed and isinstance(self.write, Watched):
            with blaming(f"Output {self.name}"):
                self.write.check()

    def close(self, problems: list[str]) -> None:
        """Close the device; add what goes wrong, if it is new."""
        try:
            with blaming(f"Output {self.name}"):
                self.device.__exit__(None, None, None)
        except DeviceError as error:
            if not self.failed:
                problems.append(str(error))
