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

from pydantic import Field

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
from deeplabstream.settings.option_fields import extra, program_options


@program_options
class ComputeBoxes:
    """A table of points, and the boxes around them."""

    input: Path = Field(
        description="predictions of a video or of images",
        json_schema_extra=extra(positional=True),
    )
    ratio: float = Field(
        default=2.0,
        ge=1,
        description="side of the box, as a multiple of the extent of the points",
        json_schema_extra=extra(aliases=["--crop_ratio"]),
    )
    side: int | None = Field(
        default=None,
        ge=2,
        description="side of the box in px, instead of `ratio`",
        json_schema_extra=extra(aliases=["--crop_size"]),
    )
    anchors: tuple[str, ...] = Field(
        default=(),
        description="body parts inside the box; default: all",
        json_schema_extra=extra(metavar="PART"),
    )
    smooth: int = Field(
        default=1, ge=1, description="width of the median filter, in frames"
    )
    output: Path | None = Field(
        default=None,
        description="output folder; default: beside the table",
        json_schema_extra=extra(metavar="FOLDER"),
    )
    overwrite: bool = overwrite()


@program_options
class CropFrames:
    """A video or labels, and the boxes that are cut out."""

    input: Path = Field(
        description="video, or label file", json_schema_extra=extra(positional=True)
    )
    boxes: Path = Field(
        description="table of boxes", json_schema_extra=extra(aliases=["--bbox"])
    )
    output: Path = Field(
        description="output folder", json_schema_extra=extra(metavar="FOLDER")
    )
    overwrite: bool = overwrite()


@program_options
class RemapPoints:
    """Points in cropped images, and the boxes of the images."""

    input: Path = Field(
        description="predictions of the cropped images",
        json_schema_extra=extra(positional=True),
    )
    boxes: Path = Field(
        description="table of boxes", json_schema_extra=extra(positional=True)
    )
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
