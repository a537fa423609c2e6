"""A Lightning Pose project and its YAML file, as settings of a training run."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from deeplabstream.pose.image_fitting import Fitting
from deeplabstream.training.data.augmentation import Augmentation
from deeplabstream.training.data.camera_views import stack_views
from deeplabstream.training.data.imgaug_sections import read_sections
from deeplabstream.training.data.labels import Labels, LabelsError, read_labels
from deeplabstream.training.data.projects import find_videos, read_yaml
from deeplabstream.training.fit_settings import FitSettings, LearningRateSchedule
from deeplabstream.training.lightning_pose.config import PoseConfig, parse_config
from deeplabstream.training.lightning_pose.overrides import overridden, resolved
from deeplabstream.training.losses.unsupervised import Anneal
from deeplabstream.training.networks.backbone import open_backbone
from deeplabstream.training.networks.pose_network import Architecture, Kind

SIDE = 256
"""Size of the network's input, by default."""
MULTIVIEW = "heatmap_multiview_transformer"
"""Kind of a network that sees the images of all cameras at once."""
KINDS: dict[str, Kind] = {
    "heatmap": "heatmap",
    "heatmap_mhcrnn": "context",
    "regression": "regression",
    MULTIVIEW: "multiview",
}
NO_CHANGE = Augmentation(
    rotation_deg=0, scale=(1, 1), shift=0, mirror=False, light=0, empty=0
)
DLC = Augmentation(
    rotation_deg=25, scale=(0.85, 1.15), shift=0.05, mirror=False, light=0.7, empty=0
)
KNOWN = re.compile(
    r"resnet(18|34|50|101|152)|resnet50_(animal|human|contrastive)\w*|unet|timm:.+"
    r"|efficientnet_(b|lite)[012]|vit_tiny|vit[a-z]*_(dino|sam|imagenet)\w*"
)
"""Names of backbones, in this program and in Lightning Pose."""
TIMM = {
    **{name: name for name in ("resnet18", "resnet34", "resnet50", "resnet101")},
    **{name: name for name in ("resnet152", *(f"efficientnet_b{n}" for n in range(3)))},
    "vits_dinov3": "vit_small_patch16_dinov3.lvd1689m",
    "vitb_dinov3": "vit_base_patch16_dinov3.lvd1689m",
}
"""timm's names of the exportable backbones, by Lightning Pose's names."""
STILL = replace(NO_CHANGE, light=0.7)
"""Augmentation of several views, which keeps the geometry between them."""
ROUND = Augmentation(rotation_deg=180, scale=(0.85, 1.15), mirror=False, light=0.7)
PIPELINES = {
    "none": NO_CHANGE,
    "dlc": DLC,
    "default": NO_CHANGE,
    "dlc-mv": DLC,
    "dlc-lr": ROUND,
    "dlc-top-down": ROUND,
}


@dataclass(frozen=True, slots=True)
class TestVideos:
    """Videos that are predicted after training."""

    files: tuple[Path, ...]
    shown_from: float | None
    """Confidence from which points are drawn into a copy; None: no copy is made."""


@dataclass(frozen=True, slots=True)
class PoseProject:
    """A project's configuration file, read and validated."""

    file: Path
    config: PoseConfig
    content: dict[str, Any]
    """Content of the file with overrides: the run's `config.yaml`."""
    remarks: tuple[str, ...]
    """Differences from Lightning Pose, for the user."""
    start_from: Path | None = None
    """Network to start from."""

    @property
    def root(self) -> Path:
        """The project's folder."""
        folder = Path(self.config.data.data_dir)
        return folder if folder.is_absolute() else self.file.parent / folder

    @property
    def views(self) -> tuple[str, ...]:
        """The cameras of a multi-view network; empty: the network sees one image."""
        multi = self.config.model.model_type == MULTIVIEW
        return tuple(self.config.data.view_names or ()) if multi else ()

    def tables(self) -> tuple[Path, ...]:
        """Return the label files, one for each view.

        One that is named with its whole path may have been moved together with this file.
        """
        files = self.config.data.csv_file
        named = [Path(file) for file in ([files] if isinstance(files, str) else files)]
        beside = [self.file.parent / file.name for file in named]
        return tuple(
            moved
            if file.is_absolute() and not file.is_file() and moved.is_file()
            else self.root / file
            for file, moved in zip(named, beside, strict=True)
        )

    def labels(self, several: bool = False) -> Labels:
        """Return the labels for a network that sees one image; of several cameras, all.

        The images of the second camera follow those of the first, in the same order.
        """
        tables = self.tables()
        if len(tables) > 1:
            labels = stack_views(self.labels_of_views())
        else:
            labels = read_labels(tables[0], root=self.root, several=several)
        names = self.config.data.keypoint_names
        expected = self.config.data.num_keypoints
        own = labels.skeleton.bodyparts
        if names and set(names) != set(own):
            raise LabelsError(
                [
                    f"{labels.file} and keypoint_names differ: {sorted(set(names) ^ set(own))}"
                ]
            )
        if expected and expected != len(own):
            raise LabelsError(
                [
                    f"{labels.file} labels {len(own)} body parts, num_keypoints is {expected}"
                ]
            )
        return labels

    def labels_of_views(self) -> tuple[Labels, ...]:
        """Return the labels of each camera; LabelsError lists the faults of all."""
        parts: list[Labels] = []
        problems: list[str] = []
        for file in self.tables():
            try:
                parts.append(read_labels(file, root=self.root))
            except LabelsError as error:
                problems += error.problems
        if problems:
            raise LabelsError(problems)
        return tuple(parts)

    def videos(self) -> tuple[Path, ...]:
        """Return the unlabelled videos, if a loss uses them."""
        folder = self.config.data.video_dir
        if not self.video_losses() or folder is None:
            return ()
        place = Path(folder) if Path(folder).is_absolute() else self.root / folder
        return find_videos(place)

    def test_videos(self) -> TestVideos | None:
        """Return the videos to predict after training; LabelsError: there are none."""
        evaluation = self.config.eval
        if not evaluation.predict_vids_after_training or self.views:
            return None
        name = evaluation.test_videos_directory
        if not name:
            raise LabelsError(
                [f"{self.file}: eval.predict_vids_after_training needs "
                 "eval.test_videos_directory"]
            )  # fmt: skip
        in_project = self.root / name
        folder = in_project if in_project.is_dir() else _beside(self.file, name)
        if not (videos := find_videos(folder)):
            raise LabelsError(
                [
                    f"{self.file}: eval.test_videos_directory: there is no video in {folder}"
                ]
            )
        rendered = evaluation.save_vids_after_training
        return TestVideos(
            videos, evaluation.confidence_thresh_for_vid if rendered else None
        )

    def video_losses(self) -> tuple[str, ...]:
        """Return the names of the losses on unlabelled video."""
        losses = self.config.model.losses_to_use or ()
        return (losses,) if isinstance(losses, str) else tuple(losses)

    @property
    def _pretrained(self) -> bool:
        pretrained = self.config.model.backbone_pretrained and not self.views
        return pretrained and self.start_from is None

    def backbone_file(self) -> Path | None:
        """Return the file with the backbone's weights; LabelsError: there is none."""
        name = self.config.model.backbone_checkpoint
        if name is None or not self._pretrained:
            return None
        file = _beside(self.file, name)
        if not file.is_file():
            raise LabelsError(
                [f"{self.file}: model.backbone_checkpoint: there is no file {name}"]
            )
        return file

    def named_backbone(self) -> tuple[str, str | None]:
        """Return our name of the backbone, and a remark; LabelsError: no weights."""
        name, own = self.config.model.backbone, self._pretrained
        if self.views and name != "vit_tiny":
            return "vit_tiny", f"{name} is not available; a small ViT is used"
        try:
            return backbone(name, own, from_file=self.backbone_file() is not None)
        except LabelsError as error:
            raise LabelsError([f"{self.file}: {error.problems[0]}"]) from error

    def fitting(self) -> Fitting:
        """Return the size of the network's input."""
        size = self.config.data.image_resize_dims
        return Fitting(size.height or SIDE, size.width or SIDE)

    def settings(self, images: int, device: str = "cpu") -> FitSettings:
        """Return the settings for training on that many images."""
        training, model = self.config.training, self.config.model
        anneal = self.config.callbacks.anneal_weight
        clips = bool(self.video_losses())
        batch = training.train_batch_size

        # Lightning Pose counts an epoch of at least ten batches where there are clips.
        least = 10 if clips else 1
        epoch = max(least, -(-images // batch))
        steps = training.max_steps or (training.max_epochs or 300) * epoch
        multi = training.lr_scheduler_params.multisteplr
        unfreeze = training.unfreezing_step

        # Augmentation of each view alone would break the geometry between the views.
        augmentation = (
            STILL
            if self.views
            else (
                PIPELINES[training.imgaug]
                if isinstance(training.imgaug, str)
                else replace(NO_CHANGE, sections=read_sections(training.imgaug))
            )
        )
        ours = model.heatmap_loss_type == "cross_entropy"
        if training.imgaug_hflip and not self.views:
            augmentation = replace(augmentation, mirror=True)

        return FitSettings(
            steps=steps,
            batch=batch,
            learning_rate=training.optimizer_params.learning_rate,
            optimiser="adam" if training.optimizer == "Adam" else "adamw",
            network=Architecture(
                backbone=self.named_backbone()[0],
                kind=KINDS[model.model_type],
                head="deconvolution" if model.head == "heatmap_cnn" else "light",
                scale="peak" if ours else "mass",
                views=max(1, len(self.views)),
            ),
            imagenet=self._pretrained,
            backbone_file=self.backbone_file(),
            masked=(
                training.patch_mask.init_epoch,
                training.patch_mask.final_epoch,
                training.patch_mask.init_ratio,
                training.patch_mask.final_ratio,
            ),
            loss=model.heatmap_loss_type,
            missing="absent"
            if training.uniform_heatmaps_for_nan_keypoints
            else "unknown",
            schedule=LearningRateSchedule(
                "multistep",
                tuple(multi.milestone_steps or [m * epoch for m in multi.milestones]),
                multi.gamma,
                training.unfreezing_epoch * epoch if unfreeze is None else unfreeze,
                0.1,
                1.5,
            ),
            augmentation=augmentation,
            least_epoch=least,
            log_every=training.log_every_n_steps,
            check_epochs=training.check_val_every_n_epoch,
            patience=training.early_stop_patience if training.early_stopping else 0,
            least_steps=training.min_steps or (training.min_epochs or 0) * epoch,
            keep="best",
            clip_length=self.config.dali.base.train.sequence_length if clips else 0,
            anneal=Anneal(
                anneal.init_val,
                anneal.increase_factor,
                anneal.final_val,
                anneal.freeze_until_epoch,
            ),
            seed=training.rng_seed_model_pt,
            device=device,
            devices=max(1, training.num_gpus) if device != "cpu" else 1,
            workers=max(1, training.num_workers or self.config.data.num_workers or 1),
        )


def read_pose_project(
    file: Path,
    overrides: Sequence[str] = (),
    start_from: str | Path | None = None,
    trained: bool = False,
) -> PoseProject:
    """Return the project of a YAML file; LabelsError lists all problems.

    `start_from` stands for the file's `model.checkpoint`; only one of them may be given.
    `trained`: the file is that of a trained network, which needs no weights to start from.
    """
    content = resolved(overridden(read_yaml(file), overrides), file)
    config = parse_config(file, content)
    multi = config.model.model_type == MULTIVIEW
    _check_views(file, config)
    remarks = []
    if unused := config.unused():
        remarks.append(f"{file.name}: keys without effect here: {', '.join(unused)}")
    if not KNOWN.fullmatch(config.model.backbone):
        raise LabelsError(
            [f"{file}: model.backbone: there is no {config.model.backbone!r}; known are "
             "efficientnet_lite0 to 2, resnet18, resnet50, vit_tiny, unet, timm:NAME, "
             "and Lightning Pose's"]
        )  # fmt: skip

    start = _start(file, config.model.checkpoint, start_from)
    if trained:  # what follows is for training only
        return PoseProject(file, config, content, tuple(remarks), start)

    imgaug = config.training.imgaug
    try:
        if not isinstance(imgaug, str):
            read_sections(imgaug)
        elif imgaug not in PIPELINES:
            raise ValueError(
                f"there is no {imgaug!r}; known are {', '.join(PIPELINES)}"
            )
    except ValueError as error:
        raise LabelsError([f"{file}: training.imgaug: {error}"]) from error
    if multi and not isinstance(imgaug, str):
        remarks.append("training.imgaug: a section changes nothing for several views")
    if multi and config.training.imgaug_hflip:
        remarks.append("training.imgaug_hflip changes nothing for several views")

    # Checked before the training, which takes hours: a damaged weights file is reported
    # here.
    project = PoseProject(file, config, content, (), start)
    if (file_of := project.backbone_file()) is not None:
        open_backbone(project.named_backbone()[0]).load_file(file_of)
    _, remark = project.named_backbone()
    remarks = ([remark] if remark else []) + remarks
    if project.views and config.eval.predict_vids_after_training:
        remarks.append(
            "eval.predict_vids_after_training changes nothing for several views"
        )
    return replace(project, remarks=tuple(remarks))


def _check_views(file: Path, config: PoseConfig) -> None:
    """Raise LabelsError where the model can't learn from as many label files."""
    several, kind = isinstance(config.data.csv_file, list), config.model.model_type
    if kind == MULTIVIEW and not several:
        raise LabelsError(
            [f"{file}: model.model_type {kind} needs several files in data.csv_file"]
        )
    if several and kind not in (MULTIVIEW, "heatmap"):
        raise LabelsError(
            [f"{file}: several files in data.csv_file need model.model_type {MULTIVIEW} or "
             "heatmap"]
        )  # fmt: skip
    if several and config.model.losses_to_use:
        raise LabelsError(
            [f"{file}: model.losses_to_use must be empty for several views"]
        )


def _start(file: Path, checkpoint: str | None, given: str | Path | None) -> Path | None:
    """Return the folder to start from; a relative path may begin at the file."""
    if checkpoint and given:
        raise LabelsError(
            [f"{file}: model.checkpoint is {checkpoint}, and --start-from {given}: leave "
             "one of them out"]
        )  # fmt: skip
    if not (name := given or checkpoint):
        return None
    return _beside(file, name)


def _beside(file: Path, name: str | Path) -> Path:
    """Return a path; a relative one may begin at the folder of `file`."""
    beside = file.parent / name
    return beside if not Path(name).exists() and beside.exists() else Path(name)


def backbone(
    name: str, pretrained: bool, from_file: bool = False
) -> tuple[str, str | None]:
    """Return our backbone for Lightning Pose's name, and a remark for the user.

    Weights come from an installed package or a file. LabelsError when there are none: a
    backbone is never replaced by another that is pretrained.

    >>> backbone("resnet18", pretrained=False)
    ('resnet18', None)
    """
    own = name.split("_animal")[0].split("_human")[0]
    if own.startswith(("efficientnet_lite", "timm:")):
        return own, None
    if own in ("resnet18", "resnet50") and (from_file or not pretrained):
        return own, None
    if own in ("vit_tiny", "unet") and not pretrained:
        return own, None
    timm = find_spec("timm") is not None
    known = TIMM.get(name if pretrained else own)
    if known and timm and not from_file:
        remark = f"{name}: timm:{known}" + (
            "; timm downloads its weights, or has them" if pretrained else ""
        )
        return f"timm:{known}", remark
    if own.startswith("vit") and not pretrained:
        return "vit_tiny", f"{name} is not available; a small ViT is used"
    advice = []
    if known and not from_file:
        advice.append("install the package timm, which downloads them")
    if own in ("resnet18", "resnet50"):
        advice.append("name a file that has them: +model.backbone_checkpoint=FILE")
    advice += [
        "take model.backbone=efficientnet_lite0, which has ImageNet's",
        "start from random ones: +model.backbone_pretrained=false",
    ]
    what = "can't be read from a file" if from_file else "are in no package used here"
    raise LabelsError(
        [f"model.backbone: the weights of {name} {what}; {', or '.join(advice)}"]
    )
