"""Resident–intruder test: a stimulus in each bout of attack, and an end for safety."""

from dataclasses import dataclass

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


@dataclass(slots=True)
class AttackBouts:
    """Number and duration of the bouts of attack so far.

    A bout begins on a frame with attack and ends on the first one that is known to be without.
    Unknown begins no bout and ends none: after attack, it counts as attack.
    """

    count: int = 0
    """Number of bouts, the present one included."""
    bout_s: float = 0.0
    """Duration of the last bout; of the present one up to the last frame."""
    _since_s: float | None = None
    """Start of the present bout; None: none lasts."""
    _before_s: float = 0.0
    """Total duration of the bouts before the last one."""

    @property
    def present(self) -> bool:
        """Whether a bout lasts."""
        return self._since_s is not None

    @property
    def total_s(self) -> float:
        """Duration of all bouts, the present one included."""
        return self._before_s + self.bout_s

    def add(self, attack: bool | None, time_s: float) -> None:
        """Add the next frame: whether it is one of attack; None: unknown."""
        if self._since_s is None:
            if attack:
                self.count += 1
                self._before_s += self.bout_s
                self.bout_s, self._since_s = 0.0, time_s
            return

        self.bout_s = time_s - self._since_s
        if attack is False:
            self._since_s = None


@settings(kw_only=True)
class ResidentIntruder(Experiment):
    """Show a stimulus in each bout of attack; end at once when the attack is too severe.

    Baseline, introduction of the intruder, then the session. From the introduction on,
    MAX_ATTACK_S, MAX_TOTAL_S and MAX_BOUTS end the experiment with an alarm. For them, a bout
    lasts until ATTACK is false: unknown after attack counts as attack.
    """

    attack: TriggerName = Field(
        description="true while the resident attacks, such as Chasing with ACTOR = resident, "
        "TARGET = intruder"
    )
    stimulus: OutputName = Field(
        description="on from the start of a bout until ATTACK is false or unknown, once a bout"
    )
    max_on_s: float = Field(
        5.0, gt=0, description="maximum duration of STIMULUS in a bout, in seconds"
    )
    baseline_s: float = Field(
        300.0, ge=0, description="time before the introduction, in seconds"
    )
    introduction_s: float = Field(
        10.0,
        ge=0,
        description="time for the introduction of the intruder, in seconds: no stimulus, "
        "attacks count for the limits",
    )
    duration_s: float = Field(
        600.0, gt=0, description="duration of the session, in seconds"
    )
    max_attack_s: float = Field(
        10.0,
        gt=0,
        description="duration of a bout at which the experiment ends, in seconds",
    )
    max_total_s: float = Field(
        60.0,
        gt=0,
        description="duration of all bouts at which the experiment ends, in seconds",
    )
    max_bouts: int = Field(
        30, gt=0, description="number of bouts; one more ends the experiment"
    )

    def reached(self, record: ExperimentRecord) -> Reached:
        """Return the duration, and number and duration of the attacks."""
        starts = [time_s for time_s, _ in record.marks(r"attack \d+")]
        ends = [time_s for time_s, _ in record.marks(r"attack \d+ over")]
        # the last one may have lasted until the end
        ends += [record.lasted_s] * (len(starts) - len(ends))
        return {
            "lasted_s": self.at_start("lasted_s") + record.lasted_s,
            "attacks": self.at_start("attacks") + len(starts),
            "attacks_s": self.at_start("attacks_s") + sum(ends) - sum(starts),
        }

    def plan(self) -> Plan[None]:
        """Run baseline, introduction and session."""
        left_s = self.baseline_s - self.at_start("lasted_s")
        if left_s > 0 or not self.continues:
            yield Mark("baseline")
            yield from wait(left_s)
            yield Mark("introduce the intruder")

        attacks, attacks_s = int(self.at_start("attacks")), self.at_start("attacks_s")
        bouts, in_session = AttackBouts(attacks, _before_s=attacks_s), False
        on_since_s: float | None = None
        start_s = (yield ObservationRequest.NOW).time_s + self.introduction_s
        start_s += min(left_s, 0.0)
        while True:
            seen = yield ObservationRequest.NEXT
            attack = seen.triggers[self.attack]
            earlier, lasted = bouts.count, bouts.present
            bouts.add(attack, seen.time_s)

            # Raised, not returned: a plan that returns is recorded as finished, without an
            # alarm. The commands of this frame are lost, so the reason has the counts.
            if limit := self._limit_reached(bouts):
                unknown = ", now unknown, which counts as attack"
                raise ExperimentError(
                    f"safety end: {limit}{unknown if attack is None else ''}; "
                    f"{_counted(bouts)}. Separate the animals"
                )
            if seen.time_s >= start_s + self.duration_s:
                yield Mark(f"session over: {_counted(bouts)}")
                return

            if not in_session and seen.time_s >= start_s:
                in_session = True
                yield Mark("session")
            if bouts.count > earlier:
                yield Mark(f"attack {bouts.count}")
            elif lasted and not bouts.present:
                yield Mark(f"attack {bouts.count} over")

            if on_since_s is not None:
                lasts_s = seen.time_s - on_since_s
                if not seen.holds(self.attack) or lasts_s >= self.max_on_s:
                    on_since_s = None
                    yield off(self.stimulus)
            elif in_session and bouts.count > earlier:
                on_since_s = seen.time_s
                yield on(self.stimulus)

    def _limit_reached(self, bouts: AttackBouts) -> str:
        """Return the limit that the attacks have reached; empty: none."""
        if bouts.bout_s >= self.max_attack_s:
            return f"attack {bouts.count} lasts {bouts.bout_s:.1f} s (MAX_ATTACK_S)"
        if bouts.total_s >= self.max_total_s:
            return f"the attacks last {bouts.total_s:.1f} s in total (MAX_TOTAL_S)"
        if bouts.count > self.max_bouts:
            return f"more than {self.max_bouts} attacks (MAX_BOUTS)"
        return ""


def _counted(bouts: AttackBouts) -> str:
    return f"attacks: {bouts.count}, {bouts.total_s:.1f} s in total"
