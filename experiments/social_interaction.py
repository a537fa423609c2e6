"""Contacts of two animals, each followed by a stimulus."""

from pydantic import Field
from pydantic.dataclasses import dataclass as settings

from deeplabstream.plugin import (
    Experiment,
    ExperimentRecord,
    Mark,
    ObservationRequest,
    OutputName,
    Plan,
    Reached,
    TriggerName,
    during,
    off,
    on,
    until,
    wait,
)


@settings(kw_only=True)
class SocialInteraction(Experiment):
    """Count the contacts of two animals, and show a stimulus after each.

    A trial begins with a contact and lasts TRIAL_S, even if the animals separate; the next
    one needs a new contact.
    """

    contact: TriggerName = Field(description="true while the animals are in contact")
    stimulus: OutputName = Field(description="output that is on during a trial")
    trial_s: float = Field(10.0, gt=0, description="duration of a trial, in seconds")
    time_limit_s: float = Field(
        600.0, gt=0, description="duration of the experiment, in seconds"
    )

    def reached(self, record: ExperimentRecord) -> Reached:
        """Return the number of trials, and the duration."""
        trials = self.at_start("trials") + record.switched_on(self.stimulus)
        lasted_s = self.at_start("lasted_s") + record.lasted_s
        return {"trials": trials, "lasted_s": lasted_s}

    def plan(self) -> Plan[None]:
        """Count each contact, and show the stimulus after it."""
        left_s, trial = self.time_limit_s, int(self.at_start("trials"))
        left_s -= self.at_start("lasted_s")
        if left_s <= 0:
            return
        end_s = (yield ObservationRequest.NOW).time_s + left_s
        while (yield from until(self.contact, at_most_s=left_s)):
            trial += 1
            yield Mark(f"contact {trial}")
            yield on(self.stimulus)
            left_s = end_s - (yield ObservationRequest.NOW).time_s
            yield from wait(min(self.trial_s, left_s))
            yield off(self.stimulus)
            yield Mark(f"trial {trial} over")
            now = yield ObservationRequest.NOW
            if not now.fails(self.contact):
                yield from during(self.contact, at_most_s=end_s - now.time_s)
            left_s = end_s - (yield ObservationRequest.NOW).time_s
