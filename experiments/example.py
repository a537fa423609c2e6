"""The default experiment: regions of interest, each with its stimulus."""

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
)


@settings(kw_only=True)
class ExampleExperiment(Experiment):
    """Show a stimulus while the animal is in a region of interest, and count its entries.

    Ends when every region had MAX_ENTRIES entries, or after TIME_LIMIT_S.
    """

    regions: tuple[TriggerName, ...] = Field(
        min_length=1,
        description="triggers of the regions of interest, separated by commas",
    )
    stimuli: tuple[OutputName, ...] = Field(
        min_length=1, description="outputs, one for each of REGIONS, in the same order"
    )
    max_entries: int = Field(
        20, gt=0, description="maximum number of stimulations per region"
    )
    max_on_s: float = Field(
        10.0, gt=0, description="maximum duration of a stimulus, in seconds"
    )
    time_limit_s: float = Field(
        600.0, gt=0, description="duration of the experiment, in seconds"
    )

    def __post_init__(self) -> None:
        if len(self.regions) != len(self.stimuli):
            raise ValueError(
                f"STIMULI: {len(self.stimuli)} for {len(self.regions)} REGIONS, "
                "expected one for each"
            )

    def reached(self, record: ExperimentRecord) -> Reached:
        """Return the number of entries into each region, and the duration."""
        into = [found[1] for _, found in record.marks(r"entry \d+ into (.*)")]
        entries = {
            f"entries {region}": self.at_start(f"entries {region}") + into.count(region)
            for region in self.regions
        }
        return {**entries, "lasted_s": self.at_start("lasted_s") + record.lasted_s}

    def plan(self) -> Plan[None]:
        """Wait for an entry, show the stimulus, wait for the exit, repeat."""
        left_s = self.time_limit_s - self.at_start("lasted_s")
        end_s = (yield ObservationRequest.NOW).time_s + left_s
        entries = {it: int(self.at_start(f"entries {it}")) for it in self.regions}
        while min(entries.values()) < self.max_entries:
            seen = yield ObservationRequest.NEXT
            if seen.time_s >= end_s:
                return
            for region, stimulus in zip(self.regions, self.stimuli, strict=True):
                if seen.holds(region) and entries[region] < self.max_entries:
                    entries[region] += 1
                    yield Mark(f"entry {entries[region]} into {region}")
                    yield on(stimulus)
                    shown_s = min(self.max_on_s, end_s - seen.time_s)
                    stayed = yield from during(region, at_most_s=shown_s)
                    yield off(stimulus)
                    if stayed:
                        now_s = (yield ObservationRequest.NOW).time_s
                        yield from during(region, at_most_s=end_s - now_s)
                    yield Mark(f"exit {entries[region]} from {region}")
                    break
