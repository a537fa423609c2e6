"""Compute the motion energy of regions of a video in one pass.

    python utils/MotionEnergy.py mouse.mp4 --region whisker:300,200,120,80

Writes one NumPy file per region with one value per frame: the mean over the region of
|grey(t + 1) − grey(t)|. The last value is repeated.
"""

import re
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import BeforeValidator

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.files.atomic_replace import atomic_file
from deeplabstream.files.overwriting import check_free
from deeplabstream.offline.ibl.motion_energy import Box, motion_energies
from deeplabstream.offline.video_files import VIDEO_FILTER
from deeplabstream.programs.program import Program
from deeplabstream.programs.shared_options import decoder, output_folder, overwrite
from deeplabstream.settings.option_fields import option, program_options
from deeplabstream.startup.progress import progress_bar
from deeplabstream.video.decoding import Decoder
from deeplabstream.video.video_reader import open_video


def _region(value: object) -> object:
    """Return name and box of `NAME:X,Y,WIDTH,HEIGHT`."""
    if not isinstance(value, str):
        return value
    name, _, numbers = value.partition(":")
    try:
        x, y, width, height = map(int, numbers.split(","))
    except ValueError:
        raise ValueError(
            "expected NAME:X,Y,WIDTH,HEIGHT, for example whisker:300,200,120,80"
        ) from None
    if not re.fullmatch(r"[\w-]+", name) or min(width, height) < 1:
        raise ValueError(
            "the name may contain letters and digits, and both sizes must be 1 or more"
        )
    return name, Box(x, y, width, height)


@program_options
class MotionEnergy:
    """A video, and its regions."""

    video: Path = option(positional=True, filter=VIDEO_FILTER)
    """Video file."""
    region: tuple[Annotated[tuple[str, Box], BeforeValidator(_region)], ...] = option(
        default=(), metavar="NAME:X,Y,W,H", repeated=True
    )
    """Px from the upper left corner; may be given several times; default: the whole frame.

    """
    output: Path | None = output_folder("output folder; default: beside the video")
    decoder: Decoder = decoder()
    overwrite: bool = overwrite()

    def __post_init__(self) -> None:
        """Check the names of the regions."""
        if len(dict(self.region)) < len(self.region):
            raise DeepLabStreamError("--region: each region needs a different name")


def motion_energy(options: MotionEnergy) -> int:
    """Write the motion energy and the place of each region."""
    video = options.video
    boxes = dict(options.region)
    names = list(boxes) or ["whole"]
    folder = options.output or video.parent
    files = {
        name: [
            folder / f"{video.stem}.{name}.ROIMotionEnergy{end}.npy"
            for end in ("", ".position")
        ]
        for name in names
    }
    check_free([file for both in files.values() for file in both], options.overwrite)

    rows = open_video(video)
    if not boxes:
        boxes = {"whole": Box(0, 0, rows.form.width, rows.form.height)}
    with progress_bar(video.name, len(rows)) as bar:
        energies = motion_energies(rows, boxes, decoder=options.decoder, watch=bar.show)
    for name, values in energies.items():
        (path, place), box = files[name], boxes[name]
        with atomic_file(place) as making:
            np.save(making, np.array([box.width, box.height, box.x, box.y]))
        with atomic_file(path) as making:
            np.save(making, values)
        print(path)
        if lost := int(np.isnan(values).sum()):
            print(f"{lost} values are NaN because frames could not be decoded")
    return 0


PROGRAM = Program(MotionEnergy, motion_energy, __doc__, "MotionEnergy")
