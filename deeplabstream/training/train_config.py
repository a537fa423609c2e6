"""Options of training: `TrainConfig`, what to train on, how, and where the network goes."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, ConfigDict, Field
from pydantic.dataclasses import dataclass as settings
from pydantic.fields import FieldInfo

from deeplabstream.core.errors import ModelError
from deeplabstream.files.paths import ROOT
from deeplabstream.pose.image_fitting import Fitting
from deeplabstream.pose.network_estimator import RIGHT_PX
from deeplabstream.settings.option_fields import extra, extra_of, raises
from deeplabstream.training.data.input_size import parse_size

FROM_LABELS = "without a Lightning Pose configuration"
"""Group of the options that a Lightning Pose configuration decides otherwise."""
_GROUP = extra(group=FROM_LABELS)
_ADVANCED = extra(advanced=True)
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


@raises(ModelError)
@settings(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class TrainConfig:
    """What to train on, how, and where the network goes.

    Give either `data` or `config`.
    """

    output: Path = Field(
        description="folder to write",
        title="Name",
        json_schema_extra=extra(aliases=["--output_dir"]),
    )
    data: Path | None = Field(
        default=None,
        description=(
            "labels: a folder with CollectedData.csv, that file, a DeepLabCut project "
            "or a part of it, or SLEAP's labels (.slp)"
        ),
    )
    config: Path | None = Field(
        default=None,
        json_schema_extra=extra(positional=True),
        description=(
            "a Lightning Pose configuration (.yaml); it decides what the options from "
            "`size` on decide otherwise"
        ),
    )
    overrides: tuple[str, ...] = Field(
        default=(),
        description="change values of the configuration",
        json_schema_extra=extra(metavar="KEY=VALUE"),
    )
    cropzoom: bool = Field(
        default=False,
        description="also train a network for the enlarged window around the animal",
        title="Cropzoom",
        json_schema_extra=_ADVANCED,
    )
    seeds: Annotated[tuple[int, ...], BeforeValidator(_seeds)] = Field(
        default=(),
        description=(
            "train an ensemble: one network per seed, two at least, each in its own "
            "folder; more precise, slower"
        ),
        title="Networks",
        json_schema_extra=extra(
            metavar="0,1,2",
            separator=",",
            presets={"1": "", **_ENSEMBLES},
            advanced=True,
        ),
    )
    within: float = Field(
        default=RIGHT_PX,
        ge=0.5,
        le=1000,
        description=(
            "distance in px of the labelled images up to which a point is correct, for "
            "the confidence calibration"
        ),
    )
    start_from: str | Path | None = Field(
        default=None,
        description=(
            "network to start from instead of ImageNet: a model folder, or a name in "
            "models/; its backbone and the maps of body parts of the same names are used"
        ),
        title="Start from",
        json_schema_extra=extra(
            metavar="MODEL", editor="model", empty="ImageNet weights"
        ),
    )
    resume: bool = Field(
        default=False, description="continue a training that was stopped"
    )
    overwrite: bool = Field(default=False, description="replace a network in `output`")
    device: str = Field(
        default="cpu",
        description="torch device: cpu, cuda, or cuda:1 for the second GPU",
        title="Device",
        json_schema_extra=extra(editor="device", advanced=True),
    )
    devices: int = Field(
        default=0,
        ge=0,
        description=(
            "number of devices, from `device` on, each with its own process; 0: "
            "training.num_gpus of the configuration, else 1"
        ),
    )
    precision: Literal["auto", "full", "mixed"] = Field(
        default="auto",
        description="16 bits where possible (mixed), where that is faster (auto), or never (full)",
    )
    workers: int = Field(
        default=0,
        ge=0,
        description=(
            "threads that prepare batches; 0: num_workers of the configuration, else 1"
        ),
    )
    threads: int = Field(default=0, ge=0, description="CPU threads; 0: one per core")
    licence: str = Field(
        default="", description="licence of the network, for model.json"
    )
    command: str = Field(
        default="", description="the command that was used, for model.json"
    )
    progress: Literal["bar", "json", "none"] = Field(
        default="bar", description="how progress is shown: a bar, lines of JSON, or not"
    )
    size: Annotated[Fitting | str, BeforeValidator(_size)] = Field(
        default="usual",
        description=(
            "size of the network's input: small, usual, fine (in the shape of the "
            "images), or WIDTHxHEIGHT in pixels, both multiples of 16"
        ),
        title="Input size",
        json_schema_extra=_GROUP | extra(metavar="small|usual|fine|320x240"),
    )
    steps: int = Field(
        default=1500,
        ge=1,
        lt=10**8,
        description="batches to train on",
        title="Steps",
        json_schema_extra=_GROUP,
    )
    batch: int = Field(
        default=8,
        ge=0,
        lt=10**8,
        description="images per step; 0: as many as the memory holds",
        title="Batch",
        json_schema_extra=_GROUP | extra(advanced=True, unit="images"),
    )
    seed: int = Field(
        default=0, description="seed of all random numbers", json_schema_extra=_GROUP
    )
    held_out: float = Field(
        default=0.15,
        ge=0,
        le=0.9,
        description="share of the images that is kept back to measure the error",
        title="Held out",
        json_schema_extra=_GROUP | extra(advanced=True, scale=100, unit="%"),
    )
    backbone: str | None = Field(
        default=None,
        description=(
            "backbone that finds features: efficientnet_lite0, resnet18, unet and "
            "others, see docs/training_reference.md; default: that of `start_from`, else "
            "efficientnet_lite0"
        ),
        title="Backbone",
        json_schema_extra=_GROUP
        | extra(
            presets={"automatic": "", **{name: name for name in BACKBONES}},
            advanced=True,
        ),
    )
    kind: Literal["heatmap", "regression", "context"] = Field(
        default="heatmap", description="kind of network", json_schema_extra=_GROUP
    )
    stages: int | None = Field(
        default=None,
        ge=4,
        le=5,
        description=(
            "stages of the backbone; 4: smaller and faster; default: as in `start_from`, "
            "else 5"
        ),
        json_schema_extra=_GROUP,
    )
    channels: int | None = Field(
        default=None,
        ge=1,
        lt=10**8,
        description="channels of the head; default: as in `start_from`, else 32",
        json_schema_extra=_GROUP,
    )
    sigma: float | None = Field(
        default=None,
        ge=0.5,
        le=10,
        description=(
            "width of a point's heat map, in cells of 4 pixels; default: as in "
            "`start_from`, else 1.25"
        ),
        json_schema_extra=_GROUP,
    )
    rotation: float | None = Field(
        default=None,
        ge=0,
        le=180,
        description=(
            "largest rotation of training images, in degrees; default: from the labelled "
            "poses"
        ),
        json_schema_extra=_GROUP | extra(metavar="DEGREES"),
    )
    mirror: bool | None = Field(
        default=None,
        description=(
            "mirror half of the images; default: if mirrored poses resemble the labelled "
            "ones"
        ),
        json_schema_extra=_GROUP,
    )
    light: float = Field(
        default=1.0,
        ge=0,
        le=1,
        description="strength of brightness changes",
        json_schema_extra=_GROUP,
    )
    moved: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description=(
            "share of images whose animal is moved to another position (still camera "
            "only)"
        ),
        json_schema_extra=_GROUP,
    )
    edges: tuple[str, ...] = Field(
        default=(),
        description="edges of the skeleton, as A:B",
        json_schema_extra=_GROUP | extra(metavar="A:B", aliases=["--bones"]),
    )
    animals: int = Field(
        default=0,
        ge=0,
        lt=10**8,
        description="largest number of animals per image; 0: from the labels",
        json_schema_extra=_GROUP,
    )
    imagenet: bool = Field(
        default=True,
        description="start from ImageNet's weights, otherwise from random ones",
        json_schema_extra=_GROUP,
    )

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
