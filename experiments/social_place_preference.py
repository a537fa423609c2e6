"""Social place preference: a stimulus, a partner or both in one of two places."""

from dataclasses import dataclass
from typing import Literal

from pydantic import Field
from pydantic.dataclasses import dataclass as settings

from deeplabstream.plugin import (
    Experiment,
    ExperimentError,
    Mark,
    ObservationRequest,
    OutputName,
    Plan,
    TriggerName,
    off,
    on,
    wait,
)

MAX_INTERVAL_S = 1.0
"""A longer time between two frames counts as unknown: the camera paused."""


@dataclass(slots=True)
class PlaceTimes:
    """Times in two places during a phase, in seconds.

    The time from a frame to the next one counts for where the animal was on the first.
    """

    first_s: float = 0.0
    second_s: float = 0.0
    elsewhere_s: float = 0.0
    """In neither place, known."""
    unknown_s: float = 0.0

    def add(self, first: bool | None, second: bool | None, duration_s: float) -> None:
        """Add a frame: whether the animal is in each place; None: unknown.

        Inside both counts as unknown: the places overlap.
        """
        if duration_s > MAX_INTERVAL_S or (first and second):
            self.unknown_s += duration_s
        elif first:
            self.first_s += duration_s
        elif second:
            self.second_s += duration_s
        elif first is None or second is None:
            self.unknown_s += duration_s
        else:
            self.elsewhere_s += duration_s

    @property
    def preference(self) -> float | None:
        """(first - second) / (first + second), -1 to 1; None: in neither place."""
        in_both_s = self.first_s + self.second_s
        return (self.first_s - self.second_s) / in_both_s if in_both_s else None

    @property
    def unknown_share(self) -> float:
        """Share of the phase in which the place is unknown; 1 without any frames."""
        known_s = self.first_s + self.second_s + self.elsewhere_s
        total_s = known_s + self.unknown_s
        return self.unknown_s / total_s if total_s else 1.0


@settings(kw_only=True)
class SocialPlacePreference(Experiment):
    """Pair a place with a stimulus, and measure the preference before, during and after.

    Baseline without stimulus, conditioning, test without stimulus. In conditioning, STIMULUS is
    on while the animal is in the paired place and, with PARTNER, near its partner; when one of
    them is unknown, it is off. A mark after each phase has the times and the preference.
    """

    place: TriggerName = Field(description="true while the subject is in the place")
    other_place: TriggerName = Field(
        description="true while the subject is in the place to compare with"
    )
    partner: TriggerName | None = Field(
        None,
        description="true while the subject is near its partner, such as Distance; "
        "empty: STIMULUS needs no partner",
    )
    stimulus: OutputName = Field(
        description="on in conditioning, in the paired place (and near the partner)"
    )
    paired: Literal["place", "less visited"] = Field(
        "place",
        description="which place is paired: PLACE, or the one less visited in the baseline",
    )
    max_preference: float = Field(
        1.0,
        gt=0,
        le=1,
        description="preference for either place in the baseline, above which the "
        "experiment ends with an alarm; 1: never",
    )
    max_on_s: float = Field(
        30.0, gt=0, description="maximum on-time of STIMULUS in a stay, in seconds"
    )
    baseline_s: float = Field(
        600.0, gt=0, description="duration of the baseline, in seconds"
    )
    conditioning_s: float = Field(
        1200.0, gt=0, description="duration of conditioning, in seconds"
    )
    test_s: float = Field(600.0, gt=0, description="duration of the test, in seconds")
    pause_s: float = Field(
        0.0,
        ge=0,
        description="pause before conditioning and before the test, in seconds, such as "
        "to add or remove the partner: no stimulus, no times",
    )

    def plan(self) -> Plan[None]:
        """Run baseline, conditioning and test."""
        pair = (self.place, self.other_place)
        yield Mark("baseline")
        baseline = yield from self._phase(pair, self.baseline_s)
        score = baseline.preference
        choose = self.paired == "less visited"

        # Raised, not returned: a plan that returns is recorded as finished, without an alarm.
        # The commands of this frame are lost, so the reason has the times.
        if score is not None and abs(score) > self.max_preference:
            raise ExperimentError(
                f"preference in the baseline above MAX_PREFERENCE; {_told(pair, baseline)}"
            )
        if choose and score is None:
            raise ExperimentError(
                "PAIRED = less visited needs a baseline with known time in a place; "
                f"{_told(pair, baseline)}"
            )

        if choose and score is not None and score > 0:
            pair = (self.other_place, self.place)
            baseline = PlaceTimes(
                baseline.second_s,
                baseline.first_s,
                baseline.elsewhere_s,
                baseline.unknown_s,
            )
        yield Mark(f"baseline over: {_told(pair, baseline)}")

        yield from self._pause()
        yield Mark(f"conditioning: stimulus in {pair[0]}")
        times = yield from self._phase(pair, self.conditioning_s, stimulate=True)
        yield Mark(f"conditioning over: {_told(pair, times)}")

        yield from self._pause()
        yield Mark("test")
        test = yield from self._phase(pair, self.test_s)
        yield Mark(f"test over: {_told(pair, test)}")
        if baseline.preference is not None and test.preference is not None:
            change = test.preference - baseline.preference
            yield Mark(f"preference, test minus baseline: {change:+.2f}")

    def _pause(self) -> Plan[None]:
        if self.pause_s:
            yield Mark("pause")
            yield from wait(self.pause_s)

    def _phase(
        self,
        pair: tuple[TriggerName, TriggerName],
        seconds: float,
        *,
        stimulate: bool = False,
    ) -> Plan[PlaceTimes]:
        """Measure the times in the places for a phase, with STIMULUS in the first one."""
        times, lit, stay_on_s = PlaceTimes(), False, 0.0
        seen = yield ObservationRequest.NOW
        end_s = seen.time_s + seconds
        while seen.time_s < end_s:
            needed = [seen.triggers[pair[0]]]
            if self.partner:
                needed.append(seen.triggers[self.partner])
            if False in needed:
                stay_on_s = 0.0  # the stay is known to be over

            wanted = stimulate and all(needed) and stay_on_s < self.max_on_s
            if wanted != lit:
                lit = wanted
                yield on(self.stimulus) if lit else off(self.stimulus)

            earlier, seen = seen, (yield ObservationRequest.NEXT)
            duration_s = seen.time_s - earlier.time_s
            first, second = (earlier.triggers[name] for name in pair)
            times.add(first, second, duration_s)
            stay_on_s += duration_s if lit else 0.0

        if lit:
            yield off(self.stimulus)
        return times


def _told(pair: tuple[TriggerName, TriggerName], times: PlaceTimes) -> str:
    """Return times and preference of a phase, such as for a mark."""
    score = times.preference
    return (
        f"{pair[0]} {times.first_s:.1f} s, {pair[1]} {times.second_s:.1f} s, "
        f"elsewhere {times.elsewhere_s:.1f} s, "
        f"unknown {times.unknown_s:.1f} s ({times.unknown_share:.0%}); "
        f"preference for {pair[0]}: {'unknown' if score is None else f'{score:.2f}'}"
    )
