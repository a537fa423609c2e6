"""Rehearse an experiment with a simulated animal: an hour in seconds, without devices.

The run folder can be opened and its decisions re-run, as for any other run.
"""

from pathlib import Path

from deeplabstream.engine.replay.rehearsal import rehearse
from deeplabstream.engine.replay.rehearsal_summary import summary
from deeplabstream.programs.program import Program
from deeplabstream.programs.shared_options import SettingsFile, settings_file
from deeplabstream.settings.option_fields import option, program_options
from deeplabstream.settings.ready_made import load_with


@program_options
class RehearseExperiment:
    """An experiment, and the simulated animals that it is rehearsed with."""

    settings: SettingsFile = settings_file()
    experiment: str = option(default="", metavar="FILE")
    """Experiment of this file, or of this name in experiments/configs, on the rig of the
    settings."""
    minutes: float = option(default=10.0, gt=0, le=24 * 60)
    """Simulated duration, up to 1440."""
    flees: tuple[str, ...] = option(default=(), repeated=True, metavar="OUTPUT")
    """The animal avoids the region while this output is on; may be given several times. With
    arenas, the first part of the name stands for the outputs of all arenas; each animal flees
    from its own."""
    seed: int | None = option(default=None)
    """Seed of the simulated walk."""
    animals: int = option(default=1, ge=1, le=4)
    """Number of animals; with arenas, there is one in each."""
    output: Path | None = option(default=None, metavar="FOLDER")
    """New run folder."""


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
