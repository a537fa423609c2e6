"""Flashes of the latency test: each matched to its frame, command, output edge and answer."""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from sys import maxsize
from typing import TypeVar, cast

from deeplabstream.core.command import Set
from deeplabstream.core.journal_entries import Acknowledged, Sensed, Step
from deeplabstream.engine.latency_statistics import spread
from deeplabstream.latency_test.led_rig import (
    ANSWER,
    PATCH,
    Wiring,
)

T = TypeVar("T")

EARLY_NS = 50_000_000
"""Largest time by which a frame or an answer may precede its flash, because of errors
of the clock mapping."""

CLOCKS_NS = 5_000_000
"""Largest time by which the photodiode may precede the painting of the patch."""


@dataclass(frozen=True)
class Flash:
    """One flash with a measured answer. Times of the run's clock in ns, the board's in us.

    The light is an LED's or a screen patch's; see `Wiring`.
    """

    frame: int
    """Index of the first frame in which the flash was detected."""
    led_us: int
    """When it was lit, by the board's clock; of a patch without a photodiode `led_ns`, in us."""
    led_ns: int
    """When it was lit, by the board's clock on the run's; of a patch without a photodiode when
    the patch was painted."""
    exposed_ns: int
    arrived_ns: int
    posed_ns: int
    decided_ns: int
    written_ns: int
    acted_ns: int
    """Switching time that the device reported; 0: it sends no reports."""
    answer_ns: int
    answer_us: int
    """When the board read the output's edge, by the clock of `led_us`; both 0: no output was
    switched, the flash ends with the decision."""

    @property
    def half(self) -> bool:
        """Whether the measurement ends with the decision."""
        return not self.answer_ns

    @property
    def parts_ms(self) -> dict[str, float]:
        """From the light to the answer, ms; the sum of the parts is `led_to_output_ms`.

        Without an output to the decision: the sum is `led_to_decision_ms`.
        """
        chain = [self.led_ns, self.exposed_ns, self.arrived_ns, self.posed_ns]
        chain += [self.decided_ns]
        if not self.half:
            chain += [self.acted_ns or self.written_ns, self.answer_ns]
        lasted = [(after - before) / 1e6 for before, after in pairwise(chain)]
        return dict(zip(PARTS, lasted, strict=False))

    @property
    def led_to_decision_ms(self) -> float:
        """From the light to the decision."""
        return (self.decided_ns - self.led_ns) / 1e6

    @property
    def exposure_to_decision_ms(self) -> float:
        """From the exposure to the decision."""
        return (self.decided_ns - self.exposed_ns) / 1e6

    @property
    def led_to_output_ms(self) -> float:
        """From the LED to the answer; only by the board's clock if that has recorded both."""
        return (self.answer_us - self.led_us) / 1e3

    @property
    def exposure_to_output_ms(self) -> float:
        """From the exposure to the answer; the exposure is by the frame's own time."""
        return self.led_to_output_ms - (self.exposed_ns - self.led_ns) / 1e6


PARTS: Mapping[str, str] = {
    "led_to_exposure": "light to exposure of the first frame analysed with it",
    "transport": "exposure to arrival in the computer",
    "network": "arrival to pose, waiting for the network included",
    "decision": "pose to decision",
    "serial": "decision to output, as its device reports (else to the end of the write)",
    "pin": "output to its edge at the board",
}
"""Parts of the delay and their meaning, in order; without an output the first four."""


@dataclass
class Events:
    """Entries of the journal that the test uses, in order."""

    wiring: Wiring
    steps: list[Step] = field(default_factory=list)
    """Frames on which the output was commanded on."""
    acted: list[Acknowledged] = field(default_factory=list)
    led: list[Sensed] = field(default_factory=list)
    """Onsets of the LED or patch, or of the photodiode."""
    painted: list[Sensed] = field(default_factory=list)
    """Times at which the patch was painted lit, where a photodiode also detected it."""
    answers: list[Sensed] = field(default_factory=list)
    """Activations of the output's line."""
    round_trip_ns: int | None = None
    """Shortest time from a command to its device's answer; None: there was no answer."""

    @property
    def flashes(self) -> list[Sensed]:
        """The flashes; with a patch, the first light after each painting, without its flicker."""
        if not self.wiring.photodiode_pin:
            return self.led
        return [seen for _, seen in self.seen_patches()]

    def seen_patches(self) -> Iterator[tuple[Sensed, Sensed]]:
        """Yield each painting of the patch with the photodiode's first edge after it."""
        lit = [edge.began_ns for edge in self.led]
        ends = [edge.began_ns - CLOCKS_NS for edge in self.painted[1:]]
        for painted, end in zip(self.painted, [*ends, maxsize], strict=False):
            seen = _within(self.led, lit, painted.began_ns - CLOCKS_NS, end)
            if seen is not None:
                yield painted, seen

    def take(self, entry: object) -> None:
        """Store an entry if the test uses it."""
        output = self.wiring.switched
        match entry:
            case Step():
                if any(
                    isinstance(c, Set) and c.output == output and c.level > 0
                    for c in entry.commands
                ):
                    self.steps.append(entry)
            case Acknowledged(level=level) if (
                entry.output == output and not entry.cause
            ):
                length_ns = entry.received_ns - entry.sent_ns
                self.round_trip_ns = min(self.round_trip_ns or length_ns, length_ns)
                if level > 0:
                    self.acted.append(entry)
            case Sensed(active=True):
                kept = {ANSWER: self.answers, PATCH: self.painted}
                kept[self.wiring.flash_input] = self.led
                if entry.input in kept and (
                    entry.device_us >= 0 or entry.input == PATCH
                ):
                    kept[entry.input].append(entry)


@dataclass(frozen=True)
class Paired:
    """All flashes of a test except the last, which may not have been answered yet."""

    flashes: tuple[Flash, ...]
    unseen: int
    """Number of flashes that were detected in no frame."""
    unanswered: int
    """Number of flashes that switched the output, without an edge at the answer's pin."""


def pair(events: Events) -> Paired:
    """Match flashes, frames and answers.

    A flash belongs to the first frame after it that switched the output on, and to the
    first answer after it, by the board's clock if that has recorded both; both before the
    next flash.
    """
    found, unseen, unanswered = [], 0, 0
    half = events.wiring.half
    by_board = events.wiring.flash_input != PATCH
    steps = [step for step in events.steps if step.written_ns]
    exposed = [step.exposed_ns for step in steps]
    sent = [edge.sent_ns for edge in events.acted]
    answered = [_time_us(answer, by_board) for answer in events.answers]

    for flash, following in pairwise(events.flashes):
        span = flash.began_ns - EARLY_NS, following.began_ns - EARLY_NS
        step = _within(steps, exposed, *span)
        if step is None:
            unseen += 1
            continue
        if half:
            found.append(_flash(flash, step, None, None, by_board))
            continue

        lit = _time_us(flash, by_board), _time_us(following, by_board)
        answer = _within(events.answers, answered, *lit)
        # an edge before the decision is noise, or the late answer to an earlier one
        if answer is None or answer.began_ns < step.decided_ns - EARLY_NS:
            unanswered += 1
            continue
        acted = _within(events.acted, sent, step.decided_ns, following.began_ns)
        found.append(_flash(flash, step, acted, answer, by_board))
    return Paired(tuple(found), unseen, unanswered)


def _time_us(edge: Sensed, by_board: bool) -> int:
    """Return the time of an edge, by the board's clock or the run's."""
    return edge.device_us if by_board else edge.began_ns // 1000


def _flash(
    flash: Sensed,
    step: Step,
    acted: Acknowledged | None,
    answer: Sensed | None,
    by_board: bool,
) -> Flash:
    return Flash(
        frame=step.index,
        led_us=_time_us(flash, by_board),
        led_ns=flash.began_ns,
        exposed_ns=step.exposed_ns,
        arrived_ns=step.arrived_ns,
        posed_ns=step.posed_ns,
        decided_ns=step.decided_ns,
        written_ns=step.written_ns,
        acted_ns=acted.acted_ns if acted else 0,
        answer_ns=answer.began_ns if answer else 0,
        answer_us=_time_us(answer, by_board) if answer else 0,
    )


def _within(
    entries: Sequence[T], times: Sequence[int], begin: int, end: int
) -> T | None:
    """Return the first entry within a span of time; None: there is none."""
    place = bisect_left(times, begin)
    return entries[place] if place < len(times) and times[place] < end else None


def statistics(flashes: Sequence[Flash]) -> dict[str, dict[str, float]]:
    """Return the statistics of the delay and its parts, in ms."""
    parts = [flash.parts_ms for flash in flashes]
    end = "decision" if flashes[0].half else "output"
    wholes = f"exposure_to_{end}", f"led_to_{end}"
    columns = {
        name: [getattr(flash, f"{name}_ms") for flash in flashes] for name in wholes
    }
    columns |= {name: [part[name] for part in parts] for name in parts[0]}
    return {name: spread_ms(values) for name, values in columns.items()}


def patch_delays_ms(events: Events) -> list[float]:
    """Return the times from painting the patch until the photodiode detected it, ms."""
    return [(seen.began_ns - at.began_ns) / 1e6 for at, seen in events.seen_patches()]


def spread_ms(ms: Sequence[float]) -> dict[str, float]:
    """Return median, 95th and 99th percentile, maximum and standard deviation."""
    known = cast("Mapping[str, float]", spread(ms) or {})
    return {name: round(value, 4) for name, value in known.items()}
