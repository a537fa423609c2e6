"""Trials that the animal starts, with a stimulus and a correct response."""

from random import Random
from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass as settings

from deeplabstream.plugin import (
    SEED_DESCRIPTION,
    Experiment,
    ExperimentRecord,
    Mark,
    ObservationRequest,
    OutputName,
    Plan,
    Pulse,
    Reached,
    Seed,
    TriggerName,
    off,
    until,
    until_known,
    wait,
)

from .trial_order import INTERVAL_SYNTAX, Choice, IntervalSetting, drawn

Weight = Annotated[float, Field(gt=0)]


@settings(kw_only=True, config={"arbitrary_types_allowed": True})
class TrialBased(Experiment):
    """Show a stimulus when the animal starts a trial, and reward a correct response."""

    start: TriggerName = Field(description="trigger that starts a trial")
    answer: TriggerName = Field(description="trigger of the correct response")
    stimuli: tuple[OutputName, ...] = Field(
        min_length=1, description="outputs; one of them is shown in each trial"
    )
    weights: tuple[Weight, ...] = Field(
        (), description="relative frequency of each of STIMULI; empty: equal"
    )
    longest_run: int = Field(
        0, ge=0, description="maximum of trials in a row with one stimulus; 0: no limit"
    )
    reward: OutputName | None = Field(None, description="output of the reward")
    reward_s: float = Field(0.2, gt=0, description="on-time of REWARD, in seconds")
    trial_s: float = Field(10.0, gt=0, description="duration of a trial, in seconds")
    stimulus_s: float = Field(
        10.0, gt=0, description="duration of a stimulus, in seconds"
    )
    result: Literal["any", "all"] = Field(
        "any",
        description="correct if ANSWER held on any frame of the trial, or on all frames on "
        "which it was known",
    )
    successes: int = Field(
        20, gt=0, description="correct trials after which the experiment ends"
    )
    trials: int = Field(40, gt=0, description="maximum number of trials")
    interval: IntervalSetting = Field(
        Choice((40.0,)), description=f"time between trials, {INTERVAL_SYNTAX}"
    )
    seed: Seed = Field(
        0, description=f"seed of order and intervals; {SEED_DESCRIPTION}"
    )

    def __post_init__(self) -> None:
        if self.weights and len(self.weights) != len(self.stimuli):
            raise ValueError(
                f"WEIGHTS: {len(self.weights)} for {len(self.stimuli)} STIMULI, "
                "expected one for each"
            )

    def reached(self, record: ExperimentRecord) -> Reached:
        """Return the number of trials, one that was broken off included, and of correct ones."""
        trials = self.at_start("trials") + record.switched_on(*self.stimuli)
        right = len([*record.marks(r"trial \d+: right")])
        return {"trials": trials, "right": self.at_start("right") + right}

    def plan(self) -> Plan[None]:
        """Run the trials: start, stimulus, response, reward."""
        random, right = Random(self.seed), int(self.at_start("right"))
        done = int(self.at_start("trials"))
        weights = self.weights or (1.0,) * len(self.stimuli)
        order = drawn(self.stimuli, weights, self.trials, random, self.longest_run)
        for trial, stimulus in enumerate(order, 1):
            if trial > done:
                right += yield from self._trial(trial, stimulus)
                if right == self.successes:
                    return
            pause_s = self.interval.draw(random)
            if trial >= done:
                yield from wait(pause_s)

    def _trial(self, trial: int, stimulus: OutputName) -> Plan[bool]:
        """Run a trial and return whether the response was correct."""
        yield from until(self.start)
        yield Mark(f"trial {trial}: {stimulus}")
        yield Pulse(stimulus, seconds=min(self.stimulus_s, self.trial_s))
        success = yield from self._evaluated()
        yield off(stimulus)
        yield Mark(f"trial {trial}: {'right' if success else 'wrong'}")
        if success and self.reward:
            yield from until_known(self.answer)
            yield Pulse(self.reward, seconds=self.reward_s)
        return success

    def _evaluated(self) -> Plan[bool]:
        """Evaluate ANSWER for a trial and return whether it was correct."""
        start_s = (yield ObservationRequest.NOW).time_s
        answers = set()
        while True:
            seen = yield ObservationRequest.NEXT
            answers.add(seen.triggers[self.answer])
            if seen.time_s - start_s >= self.trial_s:
                return True in answers and not (
                    self.result == "all" and False in answers
                )
