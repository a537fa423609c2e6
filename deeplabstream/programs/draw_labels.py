"""Draw images of the simulated arena with their labels, in DeepLabCut's format.

It writes `CollectedData.csv`, and `labeled-data/arena/img0000.png` and so on.
"""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from deeplabstream.files.overwriting import check_new
from deeplabstream.programs.program import Program
from deeplabstream.settings.option_fields import option, program_options
from deeplabstream.simulation.arena import MOST_ANIMALS
from deeplabstream.training.data import simulated_labels


@program_options
class DrawLabels:
    """The images to draw, and the animals in them."""

    folder: Path = option(positional=True)
    """Output folder; created if missing."""
    frames: int = option(default=600, ge=1)
    """Number of images."""
    width: int = option(default=640, ge=64)
    """Width of the images."""
    height: int = option(default=480, ge=64)
    """Height of the images."""
    seed: int = option(default=100)
    """Seed of the first walk."""
    walks: int = option(default=40, ge=1)
    """Number of different walks."""
    grey: bool = option(default=False)
    """Grey images."""
    animals: tuple[Annotated[int, Field(ge=1, le=MOST_ANIMALS)], ...] = option(
        default=(1,), metavar="N"
    )
    """Mice per image; with several numbers, the walks use them in turn."""
    coats: bool = option(default=False)
    """Every second walk: each mouse has a different coat."""
    space: bool = option(default=False)
    """The arena in space, grey, from many directions, with one body."""


def draw_labels(options: DrawLabels) -> int:
    """Write the images and their labels."""
    check_new(options.folder)
    if options.space:
        simulated_labels.draw_space_labels(
            options.folder,
            (options.height, options.width),
            options.frames,
            options.walks,
            options.seed,
        )
        print(f"{options.frames} images and their labels are in {options.folder}")
        return 0
    colours = () if options.grey else (3,)
    simulated_labels.draw_labels(
        options.folder,
        (options.height, options.width, *colours),
        options.frames,
        options.walks,
        options.seed,
        options.animals,
        options.coats,
    )
    print(f"{options.frames} images and their labels are in {options.folder}")
    return 0


PROGRAM = Program(DrawLabels, draw_labels, __doc__, "DrawLabels")
