"""COCO's keypoint labels (`.json`), as the table of labels that the other readers read.

Each annotation with `keypoints` is an animal of its image; all have one category, which names
body parts and edges. A point that is not labelled (v = 0) is unknown; one that is labelled
and hidden (v = 1) counts as labelled. Annotations of crowds are left out.
"""

import csv
from collections import defaultdict
from pathlib import Path
from typing import Any

from deeplabstream.core.pose import Skeleton
from deeplabstream.files.foreign_files import parse_json
from deeplabstream.training.data.labels import VISIBLE, LabelsError

_SCORER = "coco"
_MOST_ANIMALS = 1000


def convert_coco(file: Path, table: Path) -> tuple[Skeleton, Path]:
    """Write the labels into `table`; return skeleton and the folder of the images.

    LabelsError: the file can't be read, or has no keypoints, or several categories.
    """
    try:
        content = parse_json(file.read_bytes())
        return _convert(file, content, table)
    except OSError as error:
        raise LabelsError(
            [f"{file} can't be read: {error.strerror or error}"]
        ) from error
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise LabelsError(
            [f"{file} is not a file of COCO's keypoint labels ({reason})"]
        ) from error


def _convert(file: Path, content: Any, table: Path) -> tuple[Skeleton, Path]:
    names = {entry["id"]: str(entry["file_name"]) for entry in content["images"]}
    animals: dict[Any, list[list[float]]] = defaultdict(list)
    used = set()
    for annotation in content["annotations"]:
        points = annotation.get("keypoints")
        if not points or annotation.get("iscrowd") or not any(points[2::3]):
            continue
        used.add(annotation["category_id"])
        animals[annotation["image_id"]].append(points)
    if not animals:
        raise LabelsError([f"{file} has no labelled keypoints"])

    kinds = [kind for kind in content["categories"] if kind["id"] in used]
    if len(kinds) != 1:
        found = ", ".join(str(kind.get("name")) for kind in kinds) or "none"
        raise LabelsError(
            [f"{file} has keypoints of {len(used)} categories ({found}); keep one"]
        )
    parts = tuple(map(str, kinds[0]["keypoints"]))
    edges = tuple(
        (parts[one - 1], parts[other - 1])
        for one, other in kinds[0].get("skeleton") or ()
    )
    most = max(map(len, animals.values()))
    if most > _MOST_ANIMALS:
        raise ValueError(f"{most} animals in an image")

    rows = []
    for image, found_points in animals.items():
        cells: list[object] = [names[image]]
        for points in found_points:
            if len(points) != 3 * len(parts):
                raise ValueError(f"{len(points)} numbers for {len(parts)} keypoints")
            for x, y, state in zip(*[iter(points)] * 3, strict=True):
                cells += [x, y, 2] if state else ["", "", 0]
        cells += ["", "", 0] * len(parts) * (most - len(found_points))
        rows.append(cells)
    _write(table, parts, most, rows)
    return Skeleton(parts, edges), _root(file, rows[0][0])


def _root(file: Path, first: object) -> Path:
    """Return the folder of the images: that of the file, one above, or `images` in these."""
    places = [file.parent, file.resolve().parent.parent]
    places += [place / "images" for place in places]
    return next(
        (place for place in places if (place / str(first)).is_file()), file.parent
    )


def _write(
    table: Path, parts: tuple[str, ...], animals: int, rows: list[list[object]]
) -> None:
    columns = len(parts) * animals
    with table.open("w", newline="", encoding="utf-8") as lines:
        writer = csv.writer(lines, lineterminator="\n")
        writer.writerow(["scorer", *[_SCORER] * 3 * columns])
        if animals > 1:
            names = [f"animal{n}" for n in range(1, animals + 1)]
            own = [name for name in names for _ in range(3 * len(parts))]
            writer.writerow(["individuals", *own])
        writer.writerow(
            ["bodyparts", *[part for part in parts for _ in range(3)] * animals]
        )
        writer.writerow(["coords", *["x", "y", VISIBLE] * columns])
        writer.writerows(rows)
