"""Classical conditioning (the first experiment of the DeepLabStream paper)."""

from random import Random
from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass as settings

from deeplabstream.plugin import (
    SEED_DESCRIPTION,
    Experiment,
    ExperimentError,
    ExperimentRecord,
    Mark,
    OutputName,
    Plan,
    Pulse,
    Reached,
    Seed,
    TriggerName,
    off,
    on,
    until,
    until_known,
    wait,
)

from .trial_order import INTERVAL_SYNTAX, IntervalSetting, Uniform, in_blocks

Count = Annotated[int, Field(gt=0)]


@settings(kw_only=True, config={"arbitrary_types_allowed": True})
class ClassicalConditioning(Experiment):
    """Pair one of two cues with an outcome, while the animal faces the cues."""

    trigger: TriggerName = Field(description="true while the animal faces the cues")
    paired: OutputName = Field(description="cue that is followed by OUTCOME")
    neutral: OutputName = Field(description="cue that is followed by nothing")
    outcome: OutputName = Field(description="reward, puff, tone or shock")
    cue_s: float = Field(10.0, gt=0, description="duration of a cue, in seconds")
    outcome_s: float = Field(1.0, gt=0, description="duration of OUTCOME, in seconds")
    block: tuple[Count, Count] = Field(
        (2, 2), description="trials with PAIRED and with NEUTRAL in each block"
    )
    blocks: int = Field(10, gt=0, description="number of blocks")
    longest_run: int = Field(
        3, ge=0, description="maximum of equal trials in a row; 0: no limit"
    )
    interval: IntervalSetting = Field(
        Uniform((10.0, 41.0)), description=f"time between trials, {INTERVAL_SYNTAX}"
    )
    seed: Seed = Field(
        0, description=f"seed of order and intervals; {SEED_DESCRIPTION}"
    )

    def __post_init__(self) -> None:
        try:
            self._order(Random(self.seed))
        except ExperimentError as error:
            raise ValueError(f"BLOCK, LONGEST_RUN: {error}") from error

    def _order(self, random: Random) -> list[bool]:
        return in_blocks(
            (True, False), self.block, self.blocks, random, self.longest_run
        )

    def reached(self, record: ExperimentRecord) -> Reached:
        """Return the number of trials, one that was broken off included."""
        trials = record.switched_on(self.paired, self.neutral)
        return {"trials": self.at_start("trials") + trials}

    def plan(self) -> Plan[None]:
        """Run the trials: cue, then outcome, while the animal faces the cues."""
        random, done = Random(self.seed), int(self.at_start("trials"))
        for trial, with_outcome in enumerate(self._order(random), 1):
            if trial > done:
                yield from self._trial(trial, with_outcome)
            pause_s = self.interval.draw(random)
            if trial >= done:
                yield from wait(pause_s)

    def _trial(self, trial: int, with_outcome: bool) -> Plan[None]:
        """Show a cue once the animal faces it, and then the outcome."""
        cue = self.paired if with_outcome else self.neutral
        yield from until(self.trigger)
        yield Mark(f"trial {trial}: {cue}")
        yield on(cue)
        yield from wait(self.cue_s)
        yield off(cue)
        if with_outcome:
            yield from until_known(self.trigger)
            yield Pulse(self.outcome, seconds=self.outcome_s)
