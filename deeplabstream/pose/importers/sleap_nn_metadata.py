"""Metadata of a network exported by SLEAP-NN, and its training configuration."""

from pathlib import Path

import pydantic

from deeplabstream.core.errors import ModelError

METADATA = "export_metadata.json"
CONFIG = "training_config.yaml"
CONFIG_OF_CENTROID = "training_config_centroid.yaml"
"""Training configuration of the centroid network, the first of a top-down pair."""


class Metadata(pydantic.BaseModel):
    """The metadata that are used."""

    model_type: str
    node_names: list[str] = pydantic.Field(min_length=1)
    edge_inds: list[tuple[int, int]] = []
    input_scale: float = pydantic.Field(1.0, gt=0)
    input_channels: int = pydantic.Field(1, ge=1)
    output_stride: int = pydantic.Field(ge=1)
    crop_size: tuple[int, int] | None = None
    max_instances: int | None = None
    peak_threshold: float | None = 0.2
    backbone: str = ""
    sleap_nn_version: str = ""

    @property
    def edges(self) -> list[tuple[str, str]]:
        """Pairs of body parts that its skeleton joins."""
        return [
            (self.node_names[one], self.node_names[other])
            for one, other in self.edge_inds
        ]

    def stride(self, cells: float, source: Path) -> int:
        """Return pixels per cell of maps, from those in the network's own image."""
        wide = cells / self.input_scale
        if wide != int(wide):
            raise ModelError(
                f"{source / METADATA}: a cell is {wide:g} pixels wide; only whole ones "
                "can be imported"
            )
        return int(wide)


def read_metadata(source: Path) -> Metadata:
    """Return the metadata of an export; ModelError: they are missing or damaged."""
    file = source / METADATA
    try:
        metadata = Metadata.model_validate_json(file.read_bytes())
    except OSError as error:
        raise ModelError(f"{file} can't be read: {error.strerror}") from error
    except pydantic.ValidationError as error:
        fault = error.errors()[0]
        place = " → ".join(str(step) for step in fault["loc"])
        where = f"{place}: " if place else ""
        raise ModelError(f"{file} is damaged: {where}{fault['msg']}") from error
    if any(
        not 0 <= end < len(metadata.node_names)
        for edge in metadata.edge_inds
        for end in edge
    ):
        raise ModelError(f"{file} is damaged: an edge ends at an unknown body part")
    return metadata


def size_limit(source: Path) -> tuple[int, int] | None:
    """Return rows and columns into which frames are fitted first; None: they are not."""
    import yaml

    file = source / CONFIG_OF_CENTROID
    try:
        text = (file if file.is_file() else source / CONFIG).read_text("utf-8")
        config = yaml.safe_load(text)["data_config"]
        preprocessing = config["preprocessing"]
        return int(preprocessing["max_height"]), int(preprocessing["max_width"])
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError):
        return None


def configured(source: Path, *keys: str) -> float | None:
    """Return a number of the model in the training configuration; None: it has none."""
    import yaml

    try:
        value = yaml.safe_load((source / CONFIG).read_text("utf-8"))["model_config"]
        for key in keys:
            value = value[key]
        return float(value)
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError):
        return None
