"""Command line of the training program."""

import argparse
import math
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from deeplabstream.core.errors import ModelError
from deeplabstream.files.overwriting import add_overwrite
from deeplabstream.pose.image_fitting import Fitting
from deeplabstream.pose.network_estimator import RIGHT_PX
from deeplabstream.settings.option_fields import limits, option_fields
from deeplabstream.startup.arguments import ProgramParser
from deeplabstream.training.data.input_size import parse_size
from deeplabstream.training.train_config import TrainConfig


def train_parser(description: str) -> ProgramParser:
    """Return the parser of `utils/TrainNetwork.py`."""
    parser = ProgramParser(prog="TrainNetwork", description=description)
    add = parser.add_argument
    add(
        "config", type=Path, nargs="?", help="a Lightning Pose configuration, or labels"
    )
    add("--data", type=Path, help="labels: folder, .csv, .slp, DeepLabCut project")
    add("--output", "--output_dir", type=Path, required=True, help="folder to write")
    add(
        "--overrides",
        nargs="*",
        default=[],
        metavar="KEY=VALUE",
        help="change values of the configuration",
    )
    add(
        "--cropzoom", action="store_true",
        help="also train a network for the enlarged window around the animal",
    )  # fmt: skip
    add(
        "--seeds", type=seeds, default=(), metavar="0,1,2",
        help="train an ensemble: one network per seed, each in its own folder",
    )  # fmt: skip
    add(
        "--start-from", metavar="MODEL",
        help="network to start from instead of ImageNet: a model folder, or a name in "
        "models/",
    )  # fmt: skip
    add(
        "--within", type=_limited("within"), default=RIGHT_PX,
        help="distance in px up to which a point is correct, for the confidence calibration",
    )  # fmt: skip
    add("--resume", action="store_true", help="continue a training that was stopped")
    add_overwrite(parser)
    add("--device", default="cpu", help="cpu, cuda, or cuda:1 for the second GPU")
    add(
        "--devices", type=count, default=0,
        help="how many, from --device on, each with its own process; left out: "
        "training.num_gpus of the configuration, else 1",
    )  # fmt: skip
    add(
        "--precision", choices=("auto", "full", "mixed"), default="auto",
        help="mixed: 16 bits where possible; auto: where that is faster",
    )  # fmt: skip
    add(
        "--workers", type=count, default=0,
        help="threads that prepare batches; left out: num_workers of the configuration, "
        "else 1",
    )  # fmt: skip
    add("--threads", type=int, default=0, help="CPU threads; 0: one per core")
    add("--licence", default="", help="licence of the network, for model.json")
    add("--quiet", action="store_true", help="no progress bar")
    add("--tell", action="store_true", help="report progress as lines of JSON")
    own = parser.add_argument_group("with --data")
    add = own.add_argument
    add(
        "--size", type=size, default="usual", metavar="small|usual|fine|320x240",
        help="size of the network's input; small, usual, fine: in the shape of the images",
    )  # fmt: skip
    add("--steps", type=count, default=1500, help="batches to train on")
    add("--batch", type=count_or_0, default=8, help="images per step; 0: automatic")
    add("--seed", type=int, default=0)
    add(
        "--held-out", type=_limited("held_out"), default=0.15,
        help="share of held-out images",
    )  # fmt: skip
    add(
        "--backbone",
        help="efficientnet_lite0 (default), resnet18, unet, …; with --start-from: its own",
    )
    add("--kind", choices=("heatmap", "regression", "context"), default="heatmap")
    add(
        "--stages",
        type=int,
        choices=(4, 5),
        help="stages of the backbone; 4: smaller, faster; default: 5",
    )
    add("--channels", type=count, help="channels of the head; default: 32")
    add(
        "--sigma", type=_limited("sigma"),
        help="width of a peak, in cells of 4 pixels; default: 1.25",
    )  # fmt: skip
    add(
        "--rotation", type=_limited("rotation"), metavar="DEGREES",
        help="largest rotation of training images; default: from the labelled poses",
    )  # fmt: skip
    add(
        "--mirror", action=argparse.BooleanOptionalAction, default=None,
        help="mirror half of the images; default: if mirrored poses resemble the labelled ones",
    )  # fmt: skip
    add(
        "--light", type=_limited("light"), default=1.0,
        help="strength of brightness changes, 0 to 1",
    )  # fmt: skip
    add(
        "--moved", type=_limited("moved"), default=0.0,
        help="share of images whose animal is moved to another position (still camera only)",
    )  # fmt: skip
    add(
        "--edges",
        "--bones",
        nargs="*",
        default=[],
        metavar="A:B",
        help="edges of the skeleton",
    )
    add(
        "--animals", type=count_or_0, default=0,
        help="largest number of animals per image; default: from the labels",
    )  # fmt: skip
    add("--no-imagenet", action="store_true", help="start from random weights")
    return parser


def config_of(arguments: argparse.Namespace, command: str) -> TrainConfig:
    """Return the settings of the command line; ModelError says what is not possible."""
    given = vars(arguments)
    quiet, as_json = given.pop("quiet"), given.pop("tell")
    given["imagenet"] = not given.pop("no_imagenet")
    progress: Literal["bar", "json", "none"] = "none" if quiet else "bar"
    progress = "json" if as_json else progress
    return TrainConfig(command=command, progress=progress, **given)


def size(text: str) -> Fitting | str:
    """Return the network's input size of `WIDTHxHEIGHT`, or the name of a size."""
    try:
        return parse_size(text)
    except ModelError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def seeds(text: str) -> tuple[int, ...]:
    """Return the numbers of `0,1,2`: two at least, each once."""
    numbers = text.split(",")
    if not all(number.isdigit() for number in numbers) or len(set(numbers)) < len(
        numbers
    ):
        raise argparse.ArgumentTypeError(f"{text!r}: expected numbers, as in 0,1,2")
    if len(numbers) < 2:
        raise argparse.ArgumentTypeError(f"{text!r}: an ensemble needs two or more")
    return tuple(int(number) for number in numbers)


def number(low: float, high: float) -> Callable[[str], float]:
    """Return a parser of a number from `low` to `high`."""

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(
                f"{text!r}: expected a number from {low:g} to {high:g}"
            )
        return value

    return parse


def _limited(name: str) -> Callable[[str], float]:
    """Return a parser of a number within the limits of a field of `TrainConfig`."""
    low, high = limits(option_fields(TrainConfig)[name])
    return number(-math.inf if low is None else low, math.inf if high is None else high)


def count(text: str) -> int:
    """Return a whole number greater than 0."""
    if not text.isdigit() or not 0 < int(text) < 10**8:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number above 0")
    return int(text)


def count_or_0(text: str) -> int:
    """Return a whole number, 0 or greater."""
    return 0 if text == "0" else count(text)
