"""Debouncing of triggers: the settings that all triggers share, and the state of one trigger."""

from collections import deque
from dataclasses import field
from math import inf
from random import Random

from pydantic import Field
from pydantic.dataclasses import dataclass as settings

from deeplabstream.plugins.random_seed import SEED_DESCRIPTION, Seed

MINUTE_S = 60.0


class Debouncer:
    """Debouncer of one trigger: hold, dwell, exit delay, refractory time, rate limit, sham."""

    def __init__(self, rules: "DebounceSettings") -> None:
        self._rules = rules
        waits = (rules.hold_ms, rules.min_dwell_s, rules.exit_delay_s)
        limits = (rules.refractory_s, rules.max_rate_per_min, rules.max_total_s)
        self._idle = rules.probability == 1 and not any((*waits, *limits))
        self.sham = False
        self.holding = False
        self._random = Random(rules.seed)
        self._known: tuple[float, bool] | None = None
        self._course: tuple[float, bool] | None = None
        self._steady = False
        self._open = False
        self._before_s = 0.0
        self._ended_s = -inf
        self._onsets: deque[float] = deque()
        self._total_s = 0.0

    def answer(self, raw: bool | None, time_s: float) -> bool | None:
        """Return the debounced answer; times never decrease."""
        if self._idle:
            return raw
        if self._open and not self.sham:
            self._total_s += time_s - self._before_s
        self._before_s = time_s
        held = self._held(raw, time_s)
        self.holding = raw is None and held is not None
        if held is None:
            self._course, self._steady = None, False
        else:
            self._settle(held, time_s)
        spent = 0 < self._rules.max_total_s <= self._total_s
        if self._open and (spent or not self._steady):
            self._open, self.sham, self._ended_s = False, False, time_s
        elif (
            raw
            and self._steady
            and not self._open
            and not spent
            and (self._may_begin(time_s))
        ):
            self._open = True
            self._onsets.append(time_s)
            self.sham = self._random.random() >= self._rules.probability
        return None if held is None else self._open and not self.sham

    def _held(self, raw: bool | None, time_s: float) -> bool | None:
        if raw is not None:
            self._known = time_s, raw
        elif self._known and time_s - self._known[0] > self._rules.hold_ms / 1e3:
            self._known = None
        return self._known[1] if self._known else None

    def _settle(self, held: bool, time_s: float) -> None:
        """Follow `held` once it has lasted for the dwell, or the delay."""
        if self._course is None or self._course[1] is not held:
            self._course = time_s, held
        needed_s = self._rules.min_dwell_s if held else self._rules.exit_delay_s
        if time_s - self._course[0] >= needed_s:
            self._steady = held

    def _may_begin(self, time_s: float) -> bool:
        while self._onsets and time_s - self._onsets[0] >= MINUTE_S:
            self._onsets.popleft()
        most = self._rules.max_rate_per_min
        rested = time_s - self._ended_s >= self._rules.refractory_s
        return rested and not 0 < most <= len(self._onsets)


@settings(kw_only=True, config={"arbitrary_types_allowed": True})
class DebounceSettings:
    """Debounce settings of every trigger, applied to its raw state.

    After HOLD_MS without a known state the trigger is unknown, and dwell and delay start
    again. An onset needs a frame on which the raw state is true; one that is too early or
    too frequent is false until it may begin. Sham is decided once per onset; a sham onset
    counts for refractory period and rate.
    """

    hold_ms: float = Field(
        0.0,
        ge=0,
        description="milliseconds for which the last state persists while the animal is "
        "lost; unknown after that",
    )
    min_dwell_s: float = Field(
        0.0, ge=0, description="minimum dwell: seconds true before the trigger is true"
    )
    exit_delay_s: float = Field(
        0.0, ge=0, description="exit delay: seconds false before the trigger is false"
    )
    refractory_s: float = Field(
        0.0,
        ge=0,
        description="refractory period after the trigger was true, in seconds",
    )
    max_rate_per_min: int = Field(
        0, ge=0, description="maximum number of onsets in 60 seconds; 0: no limit"
    )
    max_total_s: float = Field(
        0.0,
        ge=0,
        description="total seconds true, after which the trigger is false; 0: no limit",
    )
    probability: float = Field(
        1.0,
        ge=0,
        le=1,
        description="stimulation probability: share of onsets that are real; the others are "
        "sham: false, with a note in events",
    )
    seed: Seed = Field(0, description=f"seed of the sham onsets; {SEED_DESCRIPTION}")
    _debouncer: Debouncer | None = field(
        default=None, init=False, repr=False, compare=False
    )

    def debounced(self, raw: bool | None, time_s: float) -> bool | None:
        """Return the debounced answer for a raw one."""
        if self._debouncer is None:
            self._debouncer = Debouncer(self)
        return self._debouncer.answer(raw, time_s)

    def reset(self) -> None:
        """Reset the memory of earlier poses; called when the animal is lost."""

    @property
    def holding(self) -> bool:
        """Whether the state is the last known one: HOLD_MS."""
        return self._debouncer is not None and self._debouncer.holding

    @property
    def sham(self) -> bool:
        """Whether it would be true now, had its onset not been drawn as sham."""
        return self._debouncer is not None and self._debouncer.sham
