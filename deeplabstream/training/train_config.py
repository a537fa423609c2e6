"""Options of training: `TrainConfig`, what to train on, how, and where the network goes."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator
from pydantic.fields import FieldInfo

from deeplabstream.core.errors import ModelError
from deeplabstream.files.paths import ROOT
from deeplabstream.pose.image_fitting import Fitting
from deeplabstream.pose.model.model_folder import PURPOSE
from deeplabstream.pose.network_estimator import RIGHT_PX
from deeplabstream.settings.option_fields import (
    extra_of,
    option,
    program_options,
)
from deeplabstream.training.data.input_size import parse_size

FROM_LABELS = "without a Lightning Pose configuration"
"""Group of the options that a Lightning Pose configuration decides otherwise."""
BACKBONES = (
    "efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2", "resnet18", "resnet50",
    "vit_tiny", "unet",
)  # fmt: skip
"""Backbones that the form offers; docs/training_reference.md compares them."""
_ENSEMBLES = {
    f"{count} (ensemble)": ",".join(map(str, range(count))) for count in (2, 3, 4, 5)
}


def _seeds(value: object) -> object:
    """Return the numbers of a text `0,1,2`; ModelError: it has other content."""
    if not isinstance(value, str):
        return value
    numbers = value.split(",")
    if not all(number.isdigit() for number in numbers):
        raise ModelError(f"seeds = {value!r}: expected numbers, as in 0,1,2")
    return tuple(int(number) for number in numbers)


def _size(value: object) -> object:
    """Return the input size that a text means; ModelError: it is none."""
    return parse_size(value) if isinstance(value, str) else value


def is_from_labels(field: FieldInfo) -> bool:
    """Return whether an option has an effect only without a Lightning Pose configuration."""
    return extra_of(field).get("group") == FROM_LABELS


@program_options(fault=ModelError)
class TrainConfig:
    """What to train on, how, and where the network goes.

    Give either `data` or `config`.
    """

    output: Path = option(title="Name", aliases=["--output_dir"])
    """Folder to write."""
    data: Path | None = option(default=None)
    """Labels: a folder with CollectedData.csv, that file, a DeepLabCut project or a part
    of it, or SLEAP's labels (.slp)."""
    config: Path | None = option(default=None, positional=True)
    """A Lightning Pose configuration (.yaml); it decides what the options from `size` on
    decide otherwise."""
    overrides: tuple[str, ...] = option(default=(), metavar="KEY=VALUE")
    """Change values of the configuration."""
    cropzoom: bool = option(default=False, title="Cropzoom", advanced=True)
    """Also train a network for the enlarged window around the animal."""
    seeds: Annotated[tuple[int, ...], BeforeValidator(_seeds)] = option(
        default=(),
        title="Networks",
        metavar="0,1,2",
        separator=",",
        presets={"1": "", **_ENSEMBLES},
        advanced=True,
    )
    """Train an ensemble: one network per seed, two at least, each in its own folder; more
    precise, slower."""
    within: float = option(default=RIGHT_PX, ge=0.5, le=1000)
    """Distance in px of the labelled images up to which a point is correct, for the
    confidence calibration."""
    start_from: str | Path | None = option(
        default=None,
        title="Start from",
        metavar="MODEL",
        editor="model",
        empty="ImageNet weights",
    )
    """Network to start from instead of ImageNet: a model folder, or a name in models/; its
    backbone and the maps of body parts of the same names are used."""
    resume: bool = option(default=False)
    """Continue a training that was stopped."""
    overwrite: bool = option(default=False)
    """Replace a network in `output`."""
    device: str = option(default="cpu", title="Device", editor="device", advanced=True)
    """Torch device: cpu, cuda, or cuda:1 for the second GPU."""
    devices: int = option(default=0, ge=0)
    """Number of devices, from `device` on, each with its own process; 0: training.num_gpus
    of the configuration, else 1."""
    precision: Literal["auto", "full", "mixed"] = option(default="auto")
    """16 bits where possible (mixed), where that is faster (auto), or never (full)."""
    workers: int = option(default=0, ge=0)
    """Threads that prepare batches; 0: num_workers of the configuration, else 1."""
    threads: int = option(default=0, ge=0)
    """CPU threads; 0: one per core."""
    licence: str = option(default="")
    """Licence of the network, for model.json."""
    purpose: str = option(
        default="", title="Purpose", advanced=True, description=PURPOSE
    )
    command: str = option(default="")
    """The command that was used, for model.json."""
    progress: Literal["bar", "json", "none"] = option(default="bar")
    """How progress is shown: a bar, lines of JSON, or not."""
    size: Annotated[Fitting | str, BeforeValidator(_size)] = option(
        default="usual",
        title="Input size",
        group=FROM_LABELS,
        metavar="small|usual|fine|320x240",
    )
    """Size of the network's input: small, usual, fine (in the shape of the images), or
    WIDTHxHEIGHT in pixels, both multiples of 16."""
    steps: int = option(default=1500, ge=1, lt=10**8, title="Steps", group=FROM_LABELS)
    """Batches to train on."""
    batch: int = option(
        default=8,
        ge=0,
        lt=10**8,
        title="Batch",
        group=FROM_LABELS,
        advanced=True,
        unit="images",
    )
    """Images per step; 0: as many as the memory holds."""
    seed: int = option(default=0, group=FROM_LABELS)
    """Seed of all random numbers."""
    held_out: float = option(
        default=0.15,
        ge=0,
        le=0.9,
        title="Held out",
        group=FROM_LABELS,
        advanced=True,
        scale=100,
        unit="%",
    )
    """Share of the images that is kept back to measure the error."""
    backbone: str | None = option(
        default=None,
        title="Backbone",
        group=FROM_LABELS,
        presets={"automatic": "", **{name: name for name in BACKBONES}},
        advanced=True,
    )
    """Backbone that finds features: efficientnet_lite0, resnet18, unet and others, see
    docs/training_reference.md; default: that of `start_from`, else efficientnet_lite0.
    """
    kind: Literal["heatmap", "regression", "context"] = option(
        default="heatmap", group=FROM_LABELS
    )
    """Kind of network."""
    stages: int | None = option(default=None, ge=4, le=5, group=FROM_LABELS)
    """Stages of the backbone; 4: smaller and faster; default: as in `start_from`, else 5.

    """
    channels: int | None = option(default=None, ge=1, lt=10**8, group=FROM_LABELS)
    """Channels of the head; default: as in `start_from`, else 32."""
    sigma: float | None = option(default=None, ge=0.5, le=10, group=FROM_LABELS)
    """Width of a point's heat map, in cells of 4 pixels; default: as in `start_from`, else
    1.25."""
    rotation: float | None = option(
        default=None, ge=0, le=180, group=FROM_LABELS, metavar="DEGREES"
    )
    """Largest rotation of training images, in degrees; default: from the labelled poses."""
    mirror: bool | None = option(default=None, group=FROM_LABELS)
    """Mirror half of the images; default: if mirrored poses resemble the labelled ones."""
    light: float = option(default=1.0, ge=0, le=1, group=FROM_LABELS)
    """Strength of brightness changes."""
    moved: float = option(default=0.0, ge=0, le=1, group=FROM_LABELS)
    """Share of images whose animal is moved to another position (still camera only)."""
    edges: tuple[str, ...] = option(
        default=(), group=FROM_LABELS, metavar="A:B", aliases=["--bones"]
    )
    """Edges of the skeleton, as A:B."""
    animals: int = option(default=0, ge=0, lt=10**8, group=FROM_LABELS)
    """Largest number of animals per image; 0: from the labels."""
    imagenet: bool = option(default=True, group=FROM_LABELS)
    """Start from ImageNet's weights, otherwise from random ones."""

    def __post_init__(self) -> None:
        if (self.config is None) == (self.data is None):
            raise ModelError("give either --data or a Lightning Pose configuration")

        # A network in the package of output plug-ins would be taken for a plug-in.
        plugins = ROOT / "outputs"
        if plugins in (self.output.resolve(), *self.output.resolve().parents):
            raise ModelError(
                f"--output: {plugins} contains programs; name another folder"
            )

        if self.seeds and len(set(self.seeds)) != max(2, len(self.seeds)):
            raise ModelError(f"seeds = {self.seeds}: an ensemble needs two or more")
