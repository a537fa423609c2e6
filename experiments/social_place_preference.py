"""Social place preference: a stimulus, a partner or both in one of two places."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from pydantic import Field
from pydantic.dataclasses import dataclass as settings

from deeplabstream.plugin import (
    Experiment,
    ExperimentError,
    ExperimentRecord,
    Mark,
    ObservationRequest,
    OutputName,
    Plan,
    Reached,
    TriggerName,
    off,
    on,
    wait,
)

MAX_INTERVAL_S = 1.0
"""A longer time between two frames counts as unknown: the camera paused."""
_Pair: TypeAlias = tuple[TriggerName, TriggerName]
_BASELINE = ("baseline", "other", "first_s", "second_s", "elsewhere_s", "unknown_s")
"""Whether the baseline is over, and OTHER_PLACE paired; times in it, the paired place first."""
_SECONDS = r"(\d+\.\d) s"
_BASELINE_OVER = (
    f"baseline over: (.*) {_SECONDS}, .* {_SECONDS}, elsewhere {_SECONDS}, "
    f"unknown {_SECONDS} .*"
)


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

    def reached(self, record: ExperimentRecord) -> Reached:
        """Return the duration of conditioning, and the baseline if it is over.

        A baseline or a test that was broken off is repeated from its beginning.
        """
        reached = {name: self.at_start(name) for name in _BASELINE}
        for _, over in record.marks(_BASELINE_OVER):
            reached = dict(
                zip(_BASELINE[2:], map(float, over.groups()[1:]), strict=True)
            )
            reached |= {"baseline": 1, "other": over[1] == self.other_place}

        starts = [time_s for time_s, _ in record.marks("conditioning: .*")]
        ends = [time_s for time_s, _ in record.marks("conditioning over: .*")]
        given_s = sum([*ends, record.lasted_s][: len(starts)]) - sum(starts)
        over_s = self.conditioning_s if ends else 0.0
        given_s = max(self.at_start("conditioning_s") + given_s, over_s)
        return {**reached, "conditioning_s": given_s}

    def plan(self) -> Plan[None]:
        """Run baseline, conditioning and test."""
        pair = (self.place, self.other_place)
        if self.at_start("baseline"):
            pair = pair[::-1] if self.at_start("other") else pair
            baseline = PlaceTimes(*map(self.at_start, _BASELINE[2:]))
        else:
            pair, baseline = yield from self._baseline(pair)

        given_s = self.at_start("conditioning_s")
        if not given_s:
            yield from self._pause()
        if given_s < self.conditioning_s:
            yield Mark(f"conditioning: stimulus in {pair[0]}")
            left_s = self.conditioning_s - given_s
            times = yield from self._phase(pair, left_s, stimulate=True)
            yield Mark(f"conditioning over: {_told(pair, times)}")

        yield from self._pause()
        yield Mark("test")
        test = yield from self._phase(pair, self.test_s)
        yield Mark(f"test over: {_told(pair, test)}")
        if baseline.preference is not None and test.preference is not None:
            change = test.preference - baseline.preference
            yield Mark(f"preference, test minus baseline: {change:+.2f}")

    def _baseline(self, pair: _Pair) -> Plan[tuple[_Pair, PlaceTimes]]:
        """Run the baseline; return the places, the paired one first, and the times in them."""
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
        return pair, baseline

    def _pause(self) -> Plan[None]:
        if self.pause_s:
            yield Mark("pause")
            yield from wait(self.pause_s)

    def _phase(
        self,
        pair: _Pair,
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


def _told(pair: _Pair, times: PlaceTimes) -> str:
    """Return times and preference of a phase, such as for a mark."""
    score = times.preference
    return (
        f"{pair[0]} {times.first_s:.1f} s, {pair[1]} {times.second_s:.1f} s, "
        f"elsewhere {times.elsewhere_s:.1f} s, "
        f"unknown {times.unknown_s:.1f} s ({times.unknown_share:.0%}); "
        f"preference for {pair[0]}: {'unknown' if score is None else f'{score:.2f}'}"
    )
