"""Crop videos or labelled images around an animal, with the file formats of Lightning Pose.

    python utils/CropFrames.py boxes mouse.csv --ratio 2 --smooth 5
    python utils/CropFrames.py crop mouse.mp4 --boxes mouse_bbox.csv --output cropped
    python utils/CropFrames.py crop CollectedData.csv --boxes bbox.csv --output cropped
    python utils/CropFrames.py remap cropped_mouse.csv mouse_bbox.csv

Use it for existing files of this kind. Training with --cropzoom does not need it: it crops
automatically and returns points of the whole frame.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deeplabstream.startup.program import ending, prepare

prepare()

import argparse
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from deeplabstream.files.path_containment import inside, inside_for_writing
from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.startup.arguments import ProgramParser, at_least
from deeplabstream.files.overwriting import add_overwrite, check_free
from deeplabstream.offline.bounding_boxes import (
    MOST_PX,
    Boxes,
    back,
    boxes_around,
    crop_video,
    cut,
    read_boxes,
    smoothed,
    write_boxes,
)
from deeplabstream.files.atomic_replace import atomic_file
from deeplabstream.offline.pose_file_reading import read_dlc_csv
from deeplabstream.offline.video_files import ENDINGS
from deeplabstream.pose.image_files import read_image
from deeplabstream.training.data.dataset import neighbour

if TYPE_CHECKING:
    from pandas import DataFrame

BESIDE = (-2, -1, 0, 1, 2)
"""Frames around a labelled one that context networks look at."""


@ending()
def main(argv: Sequence[str] | None = None) -> int:
    """Do it."""
    asked = _parser().parse_args(argv)
    try:
        asked.run(asked)
    except (ValueError, KeyError) as error:
        raise DeepLabStreamError(f"Can't use {asked.input}: {error}") from error
    return 0


def _table_of_points(file: Path) -> "DataFrame":
    """Return a table with three header rows, in which a column y follows each column x."""
    table = read_dlc_csv(file)
    axes = [key[2] for key in table.columns] if table.columns.nlevels == 3 else []
    across = [place for place, axis in enumerate(axes) if axis == "x"]
    paired = all(axes[at + 1 : at + 2] == ["y"] for at in across)
    if not across or not paired or axes.count("y") != len(across):
        raise DeepLabStreamError(
            f"{file} is not a table of points: it needs the rows scorer, bodyparts and "
            "coords, and a column y after each column x"
        )
    for place in across:
        for own in (place, place + 1):
            where = f"{file}: the column {axes[own]} of {table.columns[own][1]}"
            if table.dtypes.iloc[own].kind not in "fiu":
                raise DeepLabStreamError(f"{where} does not hold numbers alone")
            if (table.iloc[:, own].abs() > MOST_PX).any():
                raise DeepLabStreamError(f"{where} has a value too large for an image")
    return table


def _boxes(asked: argparse.Namespace) -> None:
    table = _table_of_points(asked.input)
    parts = list(dict.fromkeys(str(key[1]) for key in table.columns))
    chosen = asked.anchors or [part for part in parts if part]
    unknown = [part for part in chosen if part not in parts]
    if unknown:
        raise DeepLabStreamError(
            f"{asked.input} has no body part {unknown[0]}; available: "
            f"{', '.join(parts)}"
        )
    wanted = {
        (str(key[1]), str(key[2])): table.iloc[:, place].to_numpy(np.float64)
        for place, key in enumerate(table.columns)
        if str(key[2]) in "xy"
    }
    points = np.stack(
        [np.stack([wanted[part, axis] for axis in "xy"], axis=1) for part in chosen],
        axis=1,
    )
    names = [str(name) for name in table.index]
    ratio = None if asked.side else asked.ratio
    boxes = boxes_around(names, points, ratio, asked.side)
    if asked.smooth > 1:
        boxes = smoothed(boxes, asked.smooth)
    name = f"{asked.input.stem}_bbox.csv" if boxes.of_video else "bbox.csv"
    file = (asked.output or asked.input.parent) / name
    check_free([file], asked.overwrite)
    with atomic_file(file) as making:
        write_boxes(boxes, making)
    print(file)


def _crop(asked: argparse.Namespace) -> None:
    if asked.output.resolve() == asked.input.resolve().parent:
        raise DeepLabStreamError(
            f"--output {asked.output}: {asked.input} is in this folder, and the "
            "new files have the same names. Name another folder"
        )
    boxes = read_boxes(asked.boxes)
    if asked.input.suffix.lower() in ENDINGS:
        file = asked.output / f"{asked.input.stem}.mp4"
        check_free([file], asked.overwrite)
        with atomic_file(file) as making:
            crop_video(asked.input, boxes, making, lambda row: None)
        print(file)
        return
    _crop_images(asked.input, boxes, asked.output, asked.overwrite)


def _crop_images(table: Path, boxes: Boxes, folder: Path, overwrite: bool) -> None:
    """Cut out labelled images and their neighbours; write the labels that fit them.

    All paths are checked before the first file is written.
    """
    import cv2

    labels = _table_of_points(table)
    places = {name: place for place, name in enumerate(boxes.names)}
    missing = [str(name) for name in labels.index if str(name) not in places]
    if missing:
        raise DeepLabStreamError(f"no box for the image {missing[0]}")
    file = folder / f"cropped_{table.name}"
    planned = list(_planned(table.parent, labels.index, boxes, folder))
    check_free([file, *(target for _, target, _ in planned)], overwrite)
    for source, target, name in planned:
        image = read_image(source)
        if image is None and source == inside(table.parent, name):
            raise DeepLabStreamError(f"Can't read the image {source}")
        if image is None:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        done, encoded = cv2.imencode(".png", cut(image, boxes.values[places[name]]))
        if done:
            target.write_bytes(encoded.tobytes())
    order = [places[str(name)] for name in labels.index]
    for place, key in enumerate(labels.columns):
        axis = {"x": 0, "y": 1}.get(str(key[2]))
        if axis is not None:
            labels.isetitem(place, labels.iloc[:, place] - boxes.values[order, axis])
    with atomic_file(file) as making:
        labels.to_csv(making, lineterminator="\n")
    print(file)


def _planned(
    root: Path, names: Iterable[object], boxes: Boxes, folder: Path
) -> Iterator[tuple[Path, Path, str]]:
    """Yield each image to cut, where it is written, and the row whose box it gets.

    A neighbour that is labelled itself is cut as its own box says.
    """
    labelled = {inside(root, name) for name in boxes.names}
    for name in map(str, names):
        image = inside(root, name)
        if not image.is_file():
            raise DeepLabStreamError(f"image not found: {image}")
        for away in BESIDE:
            file = neighbour(image, away) if away else image
            if away and (file in labelled or not file.is_file()):
                continue
            own = file.relative_to(root).as_posix()
            yield file, inside_for_writing(folder, own), name


def _remap(asked: argparse.Namespace) -> None:
    boxes = read_boxes(asked.boxes)
    table = _table_of_points(asked.input)
    if not boxes.of_video:
        places = {name: place for place, name in enumerate(boxes.names)}
        order = [places[str(name)] for name in table.index]
        boxes = Boxes(tuple(boxes.names[i] for i in order), boxes.values[order])
    columns = [str(key[2]) for key in table.columns]
    across = [place for place, axis in enumerate(columns) if axis == "x"]
    for place in across:
        pair = table.iloc[:, place : place + 2].to_numpy(np.float64)
        mapped = back(pair[:, None], boxes)[:, 0]
        table.isetitem(place, mapped[:, 0])
        table.isetitem(place + 1, mapped[:, 1])
    file = asked.input.with_name(f"remapped_{asked.input.name}")
    check_free([file], asked.overwrite)
    with atomic_file(file) as making:
        table.to_csv(making, lineterminator="\n")
    print(file)


def _parser() -> ProgramParser:
    parser = ProgramParser(
        prog="CropFrames",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    kinds = parser.add_subparsers(required=True, metavar="boxes|crop|remap")
    own = kinds.add_parser("boxes", help="compute boxes around predicted points")
    own.set_defaults(run=_boxes)
    own.add_argument("input", type=Path, help="predictions of a video or of images")
    own.add_argument("--ratio", "--crop_ratio", type=at_least(1, float), default=2.0)
    own.add_argument(
        "--side",
        "--crop_size",
        type=at_least(2),
        help="side of the box in px, instead of --ratio",
    )
    own.add_argument(
        "--anchors",
        nargs="+",
        metavar="PART",
        help="body parts inside the box (default: all)",
    )
    own.add_argument(
        "--smooth",
        type=at_least(1),
        default=1,
        help="width of the median filter, in frames",
    )
    own.add_argument("--output", type=Path, metavar="FOLDER")
    own = kinds.add_parser("crop", help="crop a video or labelled images")
    own.set_defaults(run=_crop)
    own.add_argument("input", type=Path, help="video, or label file")
    own.add_argument("--boxes", "--bbox", type=Path, required=True)
    own.add_argument("--output", type=Path, required=True, metavar="FOLDER")
    own = kinds.add_parser("remap", help="convert points to whole frames")
    own.set_defaults(run=_remap)
    own.add_argument("input", type=Path, help="predictions of the cropped images")
    own.add_argument("boxes", type=Path)
    for each in kinds.choices.values():
        add_overwrite(each)
    return parser


if __name__ == "__main__":
    sys.exit(main())
