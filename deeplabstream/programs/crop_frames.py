"""Crop videos or labelled images around an animal, with the file formats of Lightning Pose.

    python utils/CropFrames.py boxes mouse.csv --ratio 2 --smooth 5
    python utils/CropFrames.py crop mouse.mp4 --boxes mouse_bbox.csv --output cropped
    python utils/CropFrames.py crop CollectedData.csv --boxes bbox.csv --output cropped
    python utils/CropFrames.py remap cropped_mouse.csv mouse_bbox.csv

Use it for existing files of this kind. Training with --cropzoom does not need it: it crops
automatically and returns points of the whole frame.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.files.atomic_replace import atomic_file
from deeplabstream.files.overwriting import check_free
from deeplabstream.offline.bounding_boxes import (
    crop_video,
    read_boxes,
    smoothed,
    write_boxes,
)
from deeplabstream.offline.crop_tables import (
    boxes_of_points,
    crop_images,
    points_of_frames,
)
from deeplabstream.offline.video_files import ENDINGS
from deeplabstream.programs.program import Program, ProgramGroup
from deeplabstream.programs.shared_options import overwrite
from deeplabstream.settings.option_fields import option, program_options


@program_options
class ComputeBoxes:
    """A table of points, and the boxes around them."""

    input: Path = option(positional=True)
    """Predictions of a video or of images."""
    ratio: float = option(default=2.0, ge=1, aliases=["--crop_ratio"])
    """Side of the box, as a multiple of the extent of the points."""
    side: int | None = option(default=None, ge=2, aliases=["--crop_size"])
    """Side of the box in px, instead of `ratio`."""
    anchors: tuple[str, ...] = option(default=(), metavar="PART")
    """Body parts inside the box; default: all."""
    smooth: int = option(default=1, ge=1)
    """Width of the median filter, in frames."""
    output: Path | None = option(default=None, metavar="FOLDER")
    """Output folder; default: beside the table."""
    overwrite: bool = overwrite()


@program_options
class CropFrames:
    """A video or labels, and the boxes that are cut out."""

    input: Path = option(positional=True)
    """Video, or label file."""
    boxes: Path = option(aliases=["--bbox"])
    """Table of boxes."""
    output: Path = option(metavar="FOLDER")
    """Output folder."""
    overwrite: bool = overwrite()


@program_options
class RemapPoints:
    """Points in cropped images, and the boxes of the images."""

    input: Path = option(positional=True)
    """Predictions of the cropped images."""
    boxes: Path = option(positional=True)
    """Table of boxes."""
    overwrite: bool = overwrite()


def compute_boxes(options: ComputeBoxes) -> int:
    """Write the boxes around the points of a table."""
    table = options.input
    with _reading(table):
        ratio = None if options.side else options.ratio
        boxes = boxes_of_points(table, options.anchors, ratio, options.side)
        if options.smooth > 1:
            boxes = smoothed(boxes, options.smooth)
        name = f"{table.stem}_bbox.csv" if boxes.of_video else "bbox.csv"
        file = (options.output or table.parent) / name
        check_free([file], options.overwrite)
        with atomic_file(file) as making:
            write_boxes(boxes, making)
    print(file)
    return 0


def crop_frames(options: CropFrames) -> int:
    """Crop a video, or labelled images and their labels."""
    source, folder = options.input, options.output
    if folder.resolve() == source.resolve().parent:
        raise DeepLabStreamError(
            f"--output {folder}: {source} is in this folder, and the new files have the "
            "same names. Name another folder"
        )
    with _reading(source):
        boxes = read_boxes(options.boxes)
        if source.suffix.lower() in ENDINGS:
            file = folder / f"{source.stem}.mp4"
            check_free([file], options.overwrite)
            with atomic_file(file) as making:
                crop_video(source, boxes, making, lambda row: None)
        else:
            file = crop_images(source, boxes, folder, options.overwrite)
    print(file)
    return 0


def remap_points(options: RemapPoints) -> int:
    """Write points in cropped images as points in whole frames."""
    with _reading(options.input):
        table = points_of_frames(options.input, read_boxes(options.boxes))
        file = options.input.with_name(f"remapped_{options.input.name}")
        check_free([file], options.overwrite)
        with atomic_file(file) as making:
            table.to_csv(making, lineterminator="\n")
    print(file)
    return 0


@contextmanager
def _reading(file: Path) -> Iterator[None]:
    """Report a file whose content can't be used."""
    try:
        yield
    except (ValueError, KeyError) as error:
        raise DeepLabStreamError(f"Can't use {file}: {error}") from error


PROGRAM = ProgramGroup(
    {
        "boxes": Program(
            ComputeBoxes,
            compute_boxes,
            "compute boxes around predicted points",
            "CropFrames",
        ),
        "crop": Program(
            CropFrames, crop_frames, "crop a video or labelled images", "CropFrames"
        ),
        "remap": Program(
            RemapPoints, remap_points, "convert points to whole frames", "CropFrames"
        ),
    },
    __doc__,
    "CropFrames",
)
