"""Rehearse an experiment with a simulated animal: an hour in seconds, without devices.

The run folder can be opened and its decisions re-run, as for any other run.
"""

from pathlib import Path

from pydantic import Field

from deeplabstream.engine.replay.rehearsal import rehearse
from deeplabstream.engine.replay.rehearsal_summary import summary
from deeplabstream.programs.program import Program
from deeplabstream.programs.shared_options import SettingsFile, settings_file
from deeplabstream.settings.option_fields import extra, program_options
from deeplabstream.settings.ready_made import load_with


@program_options
class RehearseExperiment:
    """An experiment, and the simulated animals that it is rehearsed with."""

    settings: SettingsFile = settings_file()
    experiment: str = Field(
        default="",
        description="experiment of this file, or of this name in experiments/configs, on "
        "the rig of the settings",
        json_schema_extra=extra(metavar="FILE"),
    )
    minutes: float = Field(
        default=10.0, gt=0, le=24 * 60, description="simulated duration, up to 1440"
    )
    flees: tuple[str, ...] = Field(
        default=(),
        description="the animal avoids the region while this output is on; may be given "
        "several times",
        json_schema_extra=extra(repeated=True, metavar="OUTPUT"),
    )
    seed: int | None = Field(default=None, description="seed of the simulated walk")
    animals: int = Field(default=1, ge=1, le=4, description="number of animals")
    output: Path | None = Field(
        default=None,
        description="new run folder",
        json_schema_extra=extra(metavar="FOLDER"),
    )


def rehearse_experiment(options: RehearseExperiment) -> int:
    """Rehearse the experiment, and print what happened."""
    folder, steps = rehearse(
        load_with(options.settings, options.experiment),
        options.output,
        seconds=60 * options.minutes,
        flees=options.flees,
        seed=options.seed,
        animals=options.animals,
    )
    for sentence in summary(folder, steps):
        print(sentence)
    print(f"run folder: {folder.path}")
    return 0


PROGRAM = Program(
    RehearseExperiment, rehearse_experiment, __doc__, "RehearseExperiment"
)
