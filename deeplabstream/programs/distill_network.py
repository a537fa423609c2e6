"""Distil a slow network into a fast one, with videos of the rig that have no labels.

    python utils/DistillNetwork.py --teacher models/slow --videos videos --output models/fast \
        --within 2 --at-most-ms 8

The teacher labels frames of the videos on which it agrees with itself. Students of increasing
size learn from these labels. The first that is near enough to the teacher and fast enough on
this computer becomes the model folder. The exit code is 1 when none is.
"""

import json
from dataclasses import replace

from deeplabstream.offline.distillation.distill_config import DistillConfig
from deeplabstream.offline.video_files import video_files
from deeplabstream.programs.program import Program
from deeplabstream.settings.option_fields import option, program_options


@program_options
class DistillNetwork(DistillConfig):
    """What to distil, from which network and videos, and the limits."""

    teacher: tuple[str, ...] = option(
        title="Teacher", metavar="MODEL", editor="ensemble"
    )
    """Model folder, ensemble's folder, or several; CAMERA=MODEL for the videos of one
    camera."""


def distill_network(options: DistillNetwork) -> int:
    """Return 0, or 1 when no student meets the limits."""
    from deeplabstream.offline.distillation.distillation import (  # loads torch
        conclusion,
        distil,
        table,
    )
    from deeplabstream.offline.distillation.teacher import open_teachers

    config = replace(options, videos=tuple(video_files(options.videos)))

    def report(facts: dict[str, object]) -> None:
        if config.progress == "json":
            print(json.dumps(facts), flush=True)

    result = distil(config, open_teachers(list(options.teacher)), print, report)
    print("\n".join([*table(result), *conclusion(config, result)]))
    return 0 if result.chosen else 1


PROGRAM = Program(
    DistillNetwork,
    distill_network,
    __doc__,
    "DistillNetwork",
    stopped="stopped; continue with --resume",
)
