"""Command line of the training program: the fields of `TrainConfig` as options."""

import argparse
from pathlib import Path

from deeplabstream.settings.option_fields import add_options
from deeplabstream.startup.arguments import ProgramParser
from deeplabstream.training.train_config import TrainConfig


def train_parser(description: str) -> ProgramParser:
    """Return the parser of `utils/TrainNetwork.py`."""
    parser = ProgramParser(prog="TrainNetwork", description=description)
    parser.add_argument(
        "config", type=Path, nargs="?", help="a Lightning Pose configuration, or labels"
    )
    add_options(parser, TrainConfig, without=("config", "command", "progress"))
    add_progress(parser)
    return parser


def add_progress(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose how progress is shown: the field `progress`."""
    parser.add_argument(
        "--quiet", action="store_const", const="none", dest="progress", default="bar",
        help="no progress bar",
    )  # fmt: skip
    parser.add_argument(
        "--tell", action="store_const", const="json", dest="progress",
        help="report progress as lines of JSON",
    )  # fmt: skip


def config_of(arguments: argparse.Namespace, command: str) -> TrainConfig:
    """Return the settings of the command line; ModelError names a bad option."""
    return TrainConfig(command=command, **vars(arguments))
