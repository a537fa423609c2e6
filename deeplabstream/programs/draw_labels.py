"""Draw images of the simulated arena with their labels, in DeepLabCut's format.

It writes `CollectedData.csv`, and `labeled-data/arena/img0000.png` and so on.
"""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from deeplabstream.files.overwriting import check_new
from deeplabstream.programs.program import Program
from deeplabstream.settings.option_fields import extra, program_options
from deeplabstream.simulation.arena import MOST_ANIMALS
from deeplabstream.training.data import simulated_labels


@program_options
class DrawLabels:
    """The images to draw, and the animals in them."""

    folder: Path = Field(
        description="output folder; created if missing",
        json_schema_extra=extra(positional=True),
    )
    frames: int = Field(default=600, ge=1, description="number of images")
    width: int = Field(default=640, ge=64, description="width of the images")
    height: int = Field(default=480, ge=64, description="height of the images")
    seed: int = Field(default=100, description="seed of the first walk")
    walks: int = Field(default=40, ge=1, description="number of different walks")
    grey: bool = Field(default=False, description="grey images")
    animals: tuple[Annotated[int, Field(ge=1, le=MOST_ANIMALS)], ...] = Field(
        default=(1,),
        description="mice per image; with several numbers, the walks use them in turn",
        json_schema_extra=extra(metavar="N"),
    )
    coats: bool = Field(
        default=False, description="every second walk: each mouse has a different coat"
    )


def draw_labels(options: DrawLabels) -> int:
    """Write the images and their labels."""
    check_new(options.folder)
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
