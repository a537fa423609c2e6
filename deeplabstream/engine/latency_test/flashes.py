"""Flashes of the latency test: LED, frame, command, output and answer, brought together."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeVar, cast

from deeplabstream.core.command import Set
from deeplabstream.core.journal_entries import Acknowledged, Sensed, Step
from deeplabstream.engine.latency_statistics import Spread, spread
from deeplabstream.engine.latency_test.settings_of_test import ANSWER, LED

T = TypeVar("T")

EARLY_NS = 50_000_000
"""A frame that shows a flash, and its answer, seem to come at most so long before it: the
board's clock is known on the run's with an error."""


@dataclass(frozen=True)
class Flash:
    """One flash that the rig answered. Times of the run's clock in ns, the board's in us."""

    frame: int
    """Index of the first frame on which the detector saw it."""
    led_us: int
    led_ns: int
    """When the LED was lit, by the board's clock on the run's."""
    exposed_ns: int
    arrived_ns: int
    posed_ns: int
    decided_ns: int
    written_ns: int
    acted_ns: int
    """When the device reports to have acted; 0: it reports nothing."""
    answer_ns: int
    answer_us: int
    """When the board read the output's edge."""

    @property
    def parts_ms(self) -> dict[str, float]:
        """From the LED to the answer, ms: the sum of the parts is `led_to_output`."""
        chain = [self.led_ns, self.exposed_ns, self.arrived_ns, self.posed_ns]
        acted_ns = self.acted_ns or self.written_ns
        chain += [self.decided_ns, acted_ns, self.answer_ns]
        lasted = ((after - before) / 1e6 for before, after in pairwise(chain))
        return dict(zip(PARTS, lasted, strict=True))

    @property
    def led_to_output_ms(self) -> float:
        """From the LED to the answer, by the board's clock alone."""
        return (self.answer_us - self.led_us) / 1e3

    @property
    def exposure_to_output_ms(self) -> float:
        """From the exposure to the answer; the exposure is by the frame's own time."""
        return self.led_to_output_ms - (self.exposed_ns - self.led_ns) / 1e6


PARTS: Mapping[str, str] = {
    "led_to_exposure": "LED to exposure of the first frame analysed with it",
    "transport": "exposure to arrival in the computer",
    "network": "arrival to pose, waiting for the network included",
    "decision": "pose to decision",
    "serial": "decision to output, as its device reports (else to the end of the write)",
    "pin": "output to its edge at the board",
}
"""Parts of the delay and their meaning, in their order."""


@dataclass
class Events:
    """Entries of the journal that matter to the test, in their order."""

    output: str
    steps: list[Step] = field(default_factory=list)
    """Frames on which the output was commanded on."""
    acted: list[Acknowledged] = field(default_factory=list)
    led: list[Sensed] = field(default_factory=list)
    """The LED, each time it was lit."""
    answers: list[Sensed] = field(default_factory=list)
    """The output's line, each time it became active."""
    round_trip_ns: int | None = None
    """The shortest from a command to its device's answer; None: there was no answer."""

    def take(self, entry: object) -> None:
        """Keep an entry if it matters."""
        match entry:
            case Step():
                if any(
                    isinstance(c, Set) and c.output == self.output and c.level > 0
                    for c in entry.commands
                ):
                    self.steps.append(entry)
            case Acknowledged(output=self.output, level=level) if not entry.cause:
                length_ns = entry.heard_ns - entry.sent_ns
                self.round_trip_ns = min(self.round_trip_ns or length_ns, length_ns)
                if level > 0:
                    self.acted.append(entry)
            case Sensed(active=True) if entry.device_us >= 0:
                if entry.input == LED:
                    self.led.append(entry)
                elif entry.input == ANSWER:
                    self.answers.append(entry)


@dataclass(frozen=True)
class Paired:
    """All flashes of a test but the last, which may not be over."""

    flashes: tuple[Flash, ...]
    unseen: int
    """Flashes that no frame showed."""
    unanswered: int
    """Flashes that switched the output, without an edge at the answer's pin."""


def pair(events: Events) -> Paired:
    """Bring flashes, frames and answers together.

    A flash belongs to the first frame after it that switched the output on, and to the
    first answer after it by the board's clock; both before the next flash.
    """
    found, unseen, unanswered = [], 0, 0
    steps = [step for step in events.steps if step.written_ns]
    exposed = [step.exposed_ns for step in steps]
    sent = [each.sent_ns for each in events.acted]
    answered = [each.device_us for each in events.answers]
    for flash, following in pairwise(events.led):
        span = flash.began_ns - EARLY_NS, following.began_ns - EARLY_NS
        step = _within(steps, exposed, *span)
        if step is None:
            unseen += 1
            continue
        answer = _within(events.answers, answered, flash.device_us, following.device_us)
        if answer is None or answer.began_ns < step.decided_ns - EARLY_NS:
            unanswered += 1
            continue
        acted = _within(events.acted, sent, step.decided_ns, following.began_ns)
        found.append(_flash(flash, step, acted, answer))
    return Paired(tuple(found), unseen, unanswered)


def _flash(
    flash: Sensed, step: Step, acted: Acknowledged | None, answer: Sensed
) -> Flash:
    return Flash(
        frame=step.index,
        led_us=flash.device_us,
        led_ns=flash.began_ns,
        exposed_ns=step.exposed_ns,
        arrived_ns=step.arrived_ns,
        posed_ns=step.posed_ns,
        decided_ns=step.decided_ns,
        written_ns=step.written_ns,
        acted_ns=acted.acted_ns if acted else 0,
        answer_ns=answer.began_ns,
        answer_us=answer.device_us,
    )


def _within(
    entries: Sequence[T], times: Sequence[int], begin: int, end: int
) -> T | None:
    """Return the first entry within a span of time; None: there is none."""
    place = bisect_left(times, begin)
    return entries[place] if place < len(times) and times[place] < end else None


def statistics(flashes: Sequence[Flash]) -> dict[str, dict[str, float]]:
    """Return the statistics of the delay and of its parts, in ms."""
    columns: dict[str, list[float]] = {
        "exposure_to_output": [each.exposure_to_output_ms for each in flashes],
        "led_to_output": [each.led_to_output_ms for each in flashes],
    }
    parts = [each.parts_ms for each in flashes]
    columns |= {name: [each[name] for each in parts] for name in PARTS}
    return {name: _rounded(spread(values)) for name, values in columns.items()}


def _rounded(figures: Spread | None) -> dict[str, float]:
    known = cast("Mapping[str, float]", figures or {})
    return {name: round(value, 4) for name, value in known.items()}
