"""Compute the motion energy of regions of a video in one pass.

    python utils/MotionEnergy.py mouse.mp4 --region whisker:300,200,120,80

Writes one NumPy file per region with one value per frame: the mean over the region of
|grey(t + 1) − grey(t)|. The last value is repeated.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deeplabstream.startup.program import ending, prepare

prepare()

import argparse
import re
from collections.abc import Sequence

import numpy as np

from deeplabstream.startup.arguments import ProgramParser
from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.files.overwriting import add_overwrite, check_free
from deeplabstream.startup.progress import progress_bar
from deeplabstream.video.video_reader import open_video
from deeplabstream.files.atomic_replace import atomic_file
from deeplabstream.offline.ibl.motion_energy import Box, motion_energies


@ending()
def main(argv: Sequence[str] | None = None) -> int:
    """Write the motion energies."""
    asked = _parser().parse_args(argv)
    regions: dict[str, Box | None] = dict(asked.region or [("whole", None)])
    if len(regions) < len(asked.region or regions):
        raise DeepLabStreamError("--region: each region needs a different name")
    folder: Path = asked.output or asked.video.parent
    files = {
        name: tuple(
            folder / f"{asked.video.stem}.{name}.ROIMotionEnergy{end}.npy"
            for end in ("", ".position")
        )
        for name in regions
    }
    check_free([file for both in files.values() for file in both], asked.overwrite)
    rows = open_video(asked.video)
    whole = Box(0, 0, rows.form.width, rows.form.height)
    boxes = {name: box or whole for name, box in regions.items()}
    with progress_bar(asked.video.name, len(rows)) as bar:
        energies = motion_energies(
            rows,
            boxes,
            decoder=asked.decoder,
            watch=bar.show,
        )
    for name, values in energies.items():
        path, place = files[name]
        box = boxes[name]
        with atomic_file(place) as making:
            np.save(making, np.array([box.width, box.height, box.x, box.y]))
        with atomic_file(path) as making:
            np.save(making, values)
        print(path)
        if lost := int(np.isnan(values).sum()):
            print(f"{lost} values are NaN because frames could not be decoded")
    return 0


def _parser() -> ProgramParser:
    parser = ProgramParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("video", type=Path)
    add(
        "--region",
        type=_region,
        action="append",
        metavar="NAME:X,Y,W,H",
        help=(
            "px from the upper left corner; may be given several times; default: "
            "the whole frame"
        ),
    )
    add("--output", type=Path, metavar="FOLDER", help="default: beside the video")
    add("--decoder", choices=["auto", "cpu", "cuda"], default="auto")
    add_overwrite(parser)
    return parser


def _region(word: str) -> tuple[str, Box]:
    name, _, numbers = word.partition(":")
    try:
        x, y, width, height = (int(each) for each in numbers.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{word!r}: expected NAME:X,Y,WIDTH,HEIGHT, for example "
            "whisker:300,200,120,80"
        ) from None
    if not re.fullmatch(r"[\w-]+", name) or min(width, height) < 1:
        raise argparse.ArgumentTypeError(
            f"{word!r}: the name may contain letters and digits, and both sizes "
            "must be 1 or more"
        )
    return name, Box(x, y, width, height)


if __name__ == "__main__":
    sys.exit(main())
