"""Lightning Pose's configuration file: supported keys and their limits."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pydantic
from pydantic import Field

from deeplabstream.training.data.labels import LabelsError


class _ConfigSection(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow", protected_namespaces=())


class _Size(_ConfigSection):
    height: int | None = Field(default=None, ge=32, le=2048)
    width: int | None = Field(default=None, ge=32, le=2048)


class _Data(_ConfigSection):
    image_resize_dims: _Size = _Size()
    data_dir: str
    video_dir: str | None = None
    csv_file: str | list[str]
    view_names: list[str] | None = None
    num_keypoints: int | None = Field(default=None, gt=0)
    keypoint_names: list[str] | None = None
    mirrored_column_matches: list[list[int]] | list[int] | None = None
    columns_for_singleview_pca: list[int] | None = None
    camera_params_file: str | None = None
    num_workers: int | None = Field(default=None, ge=0, le=256)


class _MultiStep(_ConfigSection):
    milestones: list[int] = [150, 200, 250]
    milestone_steps: list[int] | None = None
    gamma: float = Field(default=0.5, gt=0, le=1)


class _SchedulerParams(_ConfigSection):
    multisteplr: _MultiStep = _MultiStep()


class _OptimizerParams(_ConfigSection):
    learning_rate: float = Field(default=1e-3, gt=0, le=1)


class _Mask(_ConfigSection):
    init_epoch: int = Field(default=40, ge=0)
    final_epoch: int = Field(default=300, ge=0)
    init_ratio: float = Field(default=0.0, ge=0, lt=1)
    final_ratio: float = Field(default=0.5, ge=0, lt=1)


class _Training(_ConfigSection):
    imgaug: str | dict[str, Any] = "dlc"
    imgaug_hflip: bool = False
    train_batch_size: int = Field(default=16, gt=0)
    train_prob: float = Field(default=0.95, gt=0, le=1)
    val_prob: float | None = Field(default=0.05, ge=0, lt=1)
    train_frames: float | None = Field(default=1, gt=0)
    num_gpus: int = Field(default=1, ge=0)
    num_workers: int | None = Field(default=None, ge=0, le=256)
    unfreezing_epoch: int = Field(default=20, ge=0)
    unfreezing_step: int | None = Field(default=None, ge=0)
    max_epochs: int | None = Field(default=300, gt=0)
    min_epochs: int | None = None
    max_steps: int | None = Field(default=None, gt=0)
    min_steps: int | None = None
    check_val_every_n_epoch: int = Field(default=5, gt=0)
    log_every_n_steps: int = Field(default=10, gt=0)
    early_stopping: bool = False
    early_stop_patience: int = Field(default=3, gt=0)
    rng_seed_data_pt: int = 0
    rng_seed_model_pt: int = 0
    optimizer: Literal["Adam", "AdamW"] = "Adam"
    optimizer_params: _OptimizerParams = _OptimizerParams()
    lr_scheduler: Literal["multisteplr"] = "multisteplr"
    lr_scheduler_params: _SchedulerParams = _SchedulerParams()
    uniform_heatmaps_for_nan_keypoints: bool = False
    patch_mask: _Mask = _Mask()


class _Model(_ConfigSection):
    losses_to_use: list[str] | str | None = None
    backbone: str = "resnet50_animal_ap10k"
    backbone_pretrained: bool = True
    backbone_checkpoint: str | None = None
    checkpoint: str | None = None
    model_type: Literal[
        "heatmap", "heatmap_mhcrnn", "regression", "heatmap_multiview_transformer"
    ] = "heatmap"
    heatmap_loss_type: Literal["mse", "kl", "js", "cross_entropy"] = "mse"
    head: Literal["light", "heatmap_cnn"] = "light"


class LossConfig(_ConfigSection):
    """One of the losses on unlabelled video."""

    log_weight: float = 11.0
    epsilon: float | list[float] | None = None
    components_to_keep: float | None = Field(default=None, gt=0)
    prob_threshold: float = Field(default=0.05, ge=0, le=1)
    empirical_epsilon_percentile: float = Field(default=99.0, gt=0, le=100)
    empirical_epsilon_multiplier: float = Field(default=1.0, gt=0)
    centering_method: Literal["mean", "median"] | None = None


LOSSES_ON_VIDEO = ("temporal", "pca_singleview", "pca_multiview")
LOSSES_OF_CAMERAS = (
    "supervised_pairwise_projections",
    "supervised_reprojection_heatmap_mse",
)
LOSSES = (*LOSSES_ON_VIDEO, *LOSSES_OF_CAMERAS)
"""Names below `losses` that are known."""


class _AnnealConfig(_ConfigSection):
    init_val: float = 0.0
    increase_factor: float = 0.01
    final_val: float = 1.0
    freeze_until_epoch: int = 60


class _Callbacks(_ConfigSection):
    anneal_weight: _AnnealConfig = _AnnealConfig()


class _Eval(_ConfigSection):
    predict_vids_after_training: bool = False
    save_vids_after_training: bool = False
    test_videos_directory: str | None = None
    confidence_thresh_for_vid: float = Field(default=0.9, ge=0, le=1)


class _Length(_ConfigSection):
    sequence_length: int = Field(default=32, gt=2)


class _TrainLength(_ConfigSection):
    train: _Length = _Length()


class _Dali(_ConfigSection):
    base: _TrainLength = _TrainLength()


class PoseConfig(_ConfigSection):
    """The whole file."""

    data: _Data
    training: _Training = _Training()
    model: _Model = _Model()
    losses: dict[str, LossConfig] = {}
    callbacks: _Callbacks = _Callbacks()
    dali: _Dali = _Dali()
    eval: _Eval = _Eval()

    def unused(self) -> list[str]:
        """Return the keys that have no effect here, in the order of the file's groups."""
        return [*_unused(self, "")]


def _unused(section: _ConfigSection, place: str) -> Iterator[str]:
    """Yield the keys below `place` that match no field."""
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, _ConfigSection):
            yield from _unused(value, f"{place}{name}.")
        elif name == "losses":
            for loss, own in value.items():
                if loss in LOSSES:
                    yield from _unused(own, f"{place}{name}.{loss}.")
                else:
                    yield f"{place}{name}.{loss}"
    yield from (f"{place}{key}" for key in section.model_extra or {})


def parse_config(file: Path, content: dict[str, Any]) -> PoseConfig:
    """Return the configuration; LabelsError lists all that is wrong with it."""
    try:
        config = PoseConfig.model_validate(content)
    except pydantic.ValidationError as error:
        raise LabelsError(
            [
                f"{file}: {_place(fault['loc'])}: {fault['msg']}"
                for fault in error.errors()
            ]
        ) from error
    problems = _disagreements(config, content)
    if problems:
        raise LabelsError([f"{file}: {problem}" for problem in problems])
    return config


def _disagreements(config: PoseConfig, content: dict[str, Any]) -> list[str]:
    data, training = config.data, config.training
    problems = [
        f"data.{key} = {value}: nothing is known for ${{…}}; write the path"
        for key, value in data
        if isinstance(value, str) and "${" in value
    ]
    names = data.keypoint_names
    # runs of earlier versions name the body parts of all views
    of_views = (data.num_keypoints or 0) * len(data.view_names or ())
    counts = (data.num_keypoints, of_views)
    if names and data.num_keypoints and len(names) not in counts:
        problems.append(
            f"data.num_keypoints is {data.num_keypoints}, but keypoint_names has "
            f"{len(names)}"
        )
    if training.train_prob + (training.val_prob or 0) > 1 + 1e-9:
        problems.append("training.train_prob and val_prob are more than 1 together")
    given = content.get("training") or {}
    epochs = [
        k for k in ("max_epochs", "min_epochs", "unfreezing_epoch") if given.get(k)
    ]
    if training.max_steps and epochs:
        problems.append(f"training.max_steps can't be mixed with {', '.join(epochs)}")
    files = data.csv_file if isinstance(data.csv_file, list) else [data.csv_file]
    if len(files) > 1 and len(data.view_names or ()) != len(files):
        problems.append("data.view_names needs one name for each of csv_file")
    return problems


def _place(loc: tuple[int | str, ...]) -> str:
    return ".".join(str(step) for step in loc)
