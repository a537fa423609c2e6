"""Several label files looked at together, each a set of its own."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from deeplabstream.training.data.labels import Labels, LabelsError
from deeplabstream.training.data.projects import open_project

ALL = "all"
"""The set of pictures of which nobody says what they were for."""


def read_label_sets(
    files: Sequence[Path], unpacked: Path
) -> tuple[Labels, tuple[str, ...]]:
    """Return all labels as one table, and the set of each picture.

    Of several files the set is the file's name, of one it is `ALL`. LabelsError: they do
    not label the same body parts.
    """
    parts = [open_project(file, unpacked, several=True).labels for file in files]
    first = parts[0]
    for part in parts[1:]:
        same = part.skeleton.bodyparts == first.skeleton.bodyparts
        if not same or part.animals != first.animals:
            raise LabelsError(
                [f"{part.file} and {first.file} do not label the same body parts"]
            )
    names = [path.stem if path.is_file() else path.name for path in files]
    if len(set(names)) < len(names):
        names = [f"{path.resolve().parent.name}/{path.stem}" for path in files]
    if len(set(names)) < len(names):
        raise LabelsError(["two of the label files have the same name"])
    if len(parts) == 1:
        return first, (ALL,) * len(first.names)
    labels = replace(
        first,
        images=tuple(image for part in parts for image in part.images),
        points=np.concatenate([part.points for part in parts]),
        known=np.concatenate([part.known for part in parts]),
        names=tuple(name for part in parts for name in part.names),
    )
    counted = zip(names, parts, strict=True)
    return labels, tuple(name for name, part in counted for _ in part.names)
