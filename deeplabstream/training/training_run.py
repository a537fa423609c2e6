"""One training run, from labels to its folder.

```text
FOLDER/
  model.json network.onnx       the network, for the rig and all programs
  context/                      of a context network: the one whose input is five frames,
                                with the same tables; those here are of the one for one frame
  weights.pt                    the same for torch
  config.yaml CollectedData.csv as given; of a DeepLabCut project CollectedData_NAME.csv,
                                the tables of all videos as one
  predictions.csv               all labelled images, with the set that each was in
  predictions_pixel_error.csv   and …_pca_singleview_error.csv, …_pca_multiview_error.csv
  reliability.csv               how often a confidence was right, validation images;
                                reliability_raw.csv: before it was calibrated
  train_status.json             progress, for Lightning Pose's app
  tb_logs/ checkpoints/         curves; state from which a killed run continues
```
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from deeplabstream.core.pose import Skeleton
from deeplabstream.pose.model.model_opening import CONTEXT
from deeplabstream.pose.network_estimator import RIGHT_PX
from deeplabstream.training.callbacks import StepHook, ValidationHook, ignore_validation
from deeplabstream.training.data.animal_targets import training_decoder
from deeplabstream.training.data.camera_views import CameraLosses
from deeplabstream.training.data.dataset import Dataset, Parts
from deeplabstream.training.data.labels import APART, TABLE, Labels
from deeplabstream.training.data.learned_relations import with_relations
from deeplabstream.training.evaluation.animal_matching import Matched, match
from deeplabstream.training.evaluation.confidence_fit import ENOUGH, calibrated
from deeplabstream.training.evaluation.evaluate import (
    PartError,
    Reliability,
    choose_threshold,
    choose_variant,
    held_out_error,
    reliability,
    rounded,
    summary,
)
from deeplabstream.training.fit import Unlabelled, fit, open_device
from deeplabstream.training.fit_settings import FitSettings
from deeplabstream.training.lightning_pose.project import TestVideos
from deeplabstream.training.lightning_pose.result_tables import (
    write_metric,
    write_predictions,
)
from deeplabstream.training.lightning_pose.train_status import TrainStatusFile
from deeplabstream.training.losses.unsupervised import PcaLoss
from deeplabstream.training.model_export import (
    ModelMetadata,
    export,
    export_context,
    export_untrained,
    export_views,
)
from deeplabstream.training.networks.context import ContextNetwork
from deeplabstream.training.networks.multiview import MultiviewNetwork
from deeplabstream.training.networks.pose_network import PoseNetwork
from deeplabstream.training.start_network import WEIGHTS, check_resumed


@dataclass(frozen=True, slots=True)
class Run:
    """Everything that one training run needs: labels, images, split and settings."""

    labels: Labels
    data: Dataset
    parts: Parts
    settings: FitSettings
    unlabelled: Unlabelled | None = None
    cameras: CameraLosses | None = None
    views: tuple[str, ...] = ()
    """The cameras' names, where there are several."""
    config: Mapping[str, Any] = field(default_factory=dict)
    """Content of the given configuration, for `config.yaml`."""
    pca: Mapping[str, PcaLoss] = field(default_factory=dict)
    """Components whose errors are written, by name."""
    about: Mapping[str, object] = field(default_factory=dict)
    """For `model.json`."""
    test_videos: TestVideos | None = None
    learns_relations: bool = True
    """Whether the decoder learns how body parts lie to each other; not of cropzoom."""
    right_px: float = RIGHT_PX
    """Pixels of the original images within which a point is right, for confidences."""
    near_px: float | None = None
    """Pixels of the original images within which an animal is found; None: a quarter of an
    animal's length."""

    def label_files(self) -> dict[str, Path]:
        """Return the label file of each table `predictions<mark>.csv`, by mark."""
        if self.views:
            files = self.config["data"]["csv_file"]
            pairs = zip(self.views, files, strict=True)
            return {f"_{view}": Path(file) for view, file in pairs}
        file = self.labels.file
        apart = {mark: file.with_name(f"{file.stem}{mark}.csv") for mark in APART}
        return {"": file, **apart}

    def known(self) -> NDArray[np.bool_]:
        """Return (image, bodypart): whether the label of a point is known, visible or not."""
        if self.settings.missing == "absent":
            return self.data.known
        return self.data.known & np.isfinite(self.data.points).all(axis=2)

    def decisive(self) -> list[int]:
        """Return the images on which decoder, calibration and threshold are chosen.

        Those are the validation images, and the test images too if the points of the others
        are too few.
        """
        chosen = list(self.parts.validation)
        if self.known()[chosen].sum() < ENOUGH:
            chosen += self.parts.test
        return chosen


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """Result of a training run: errors, threshold, calibration."""

    errors: tuple[PartError, ...]
    """In the held-out images: test images where there are some, else validation."""
    threshold: float
    calibration_error: tuple[float, float]
    """Of the confidence, raw and as the network gives it: of `Run.decisive` images, each
    calibrated by what the others say. Equal: calibration did not lower it."""
    animals: Mapping[str, object] = field(default_factory=dict)
    """Number, recall and precision of several animals."""


def run_training(
    run: Run,
    folder: Path,
    on_step: StepHook,
    resume: bool = False,
    on_validation: ValidationHook = ignore_validation,
) -> TrainingResult:
    """Train, evaluate, calibrate and export a network; write the folder."""
    # Checked before the training, which takes hours, and before anything is written:
    # the device, and the export, which fails for some timm backbones.
    open_device(run.settings.device, run.settings.devices)
    network = run.settings.network
    if network.backbone.startswith("timm:"):
        with TemporaryDirectory(ignore_cleanup_errors=True) as trial:
            export_untrained(
                run.data.skeleton,
                replace(network, edges=()),
                run.data.fitting,
                Path(trial),
            )
    if resume:
        check_resumed(folder, run.settings.start_from)

    status = TrainStatusFile(folder, run.settings.steps, on_step)
    with status.watched():
        _write_config(run, folder)
        outcome = _train_and_export(run, folder, status, resume, on_validation)
        status.write("COMPLETED", run.settings.steps)
    return outcome


def _train_and_export(
    run: Run,
    folder: Path,
    status: TrainStatusFile,
    resume: bool,
    on_validation: ValidationHook,
) -> TrainingResult:
    data, parts = run.data, run.parts
    network = fit(
        data.pick(parts.train), run.settings, status, data.pick(parts.validation),
        run.unlabelled, folder, resume, run.cameras, on_validation,
    )  # fmt: skip

    # Through memory: torch reports a full disk as a RuntimeError without a file name.
    weights = BytesIO()
    torch.save(network.state_dict(), weights)
    (folder / WEIGHTS).write_bytes(weights.getvalue())

    status.write("EVALUATING", run.settings.steps)
    out = list(parts.validation) + list(parts.test)

    # A context network is exported twice: for five frames, and for one (see the module).
    evaluated = run
    if isinstance(network, ContextNetwork) and data.context is not None:
        five = _evaluate(run, network)
        export_context(network, five.metadata, data.context[out or slice(None)], folder)
        five.write(run, folder / CONTEXT)
        evaluated = replace(run, data=replace(data, context=None))

    found = _evaluate(evaluated, network)
    some = data.images[out] if out else data.images
    if isinstance(network, MultiviewNetwork) and data.context is not None:
        count = len(data.skeleton.bodyparts) // len(run.views)
        end = f"_{run.views[0]}"
        names = data.skeleton.bodyparts[:count]
        own = Skeleton(tuple(name.removesuffix(end) for name in names))
        export_views(
            network, replace(found.metadata, skeleton=own),
            data.context[out or slice(None)], run.views, folder,
        )  # fmt: skip
    else:
        export(network, found.metadata, some[:64], folder)
    found.write(run, folder)

    # With its own copy of the labels a folder can be evaluated after they have moved.
    if (file := run.labels.file).is_file():
        joined = run.labels.tables > 1
        copy = folder / (file.name if joined else f"{TABLE}{file.suffix}")
        if copy != file:
            copy.write_bytes(file.read_bytes())
    return found.result


@dataclass(frozen=True, slots=True, eq=False)
class _Evaluation:
    """Evaluation of a trained network: errors, calibration, predictions."""

    metadata: ModelMetadata
    result: TrainingResult
    reliability: tuple[Reliability, Reliability]
    """Before and after calibration."""
    points: NDArray[np.float32]
    """(image, bodypart, 2), px of all labelled images, as `HeldOutPoints`."""
    distance: NDArray[np.float32]
    confidence: NDArray[np.float32]
    """(image, bodypart), calibrated."""

    def write(self, run: Run, folder: Path) -> None:
        """Write the tables."""
        before, after = self.reliability
        before.write(folder / "reliability_raw.csv")
        after.write(folder / "reliability.csv")
        _write_tables(run, folder, self.points, self.distance, self.confidence)


def _evaluate(run: Run, network: PoseNetwork) -> _Evaluation:
    """Return errors, calibration and threshold of a network on the images of a run.

    Of a context network it is the head for five frames if the data has them.
    """
    data, parts = run.data, run.parts

    # Decoder, calibration and threshold are chosen on images that were not used for
    # training.
    decisive = run.decisive()
    decoder = training_decoder(data, run.settings.network)
    labelled = data.pick(run.parts.train)
    if run.learns_relations:
        decoder = with_relations(decoder, labelled, run.settings.augmentation)
    decoder = choose_variant(network, data.pick(decisive), decoder)
    held_out = held_out_error(network, data, decoder, run.known(), run.near_px)
    distance, confidence, points = (
        held_out.distance,
        held_out.confidence,
        held_out.points,
    )
    claimed, sure, decidable = held_out.claimed
    claimed, sure, decidable = claimed[decisive], sure[decisive], decidable[decisive]
    before = reliability(claimed, sure, decidable, run.right_px)
    clips = [data.clips[place] for place in decisive]
    scale, fitted = calibrated(claimed, sure, decidable, run.right_px, clips)
    after = reliability(claimed, fitted, decidable, run.right_px)
    if scale is not None:
        found = np.isfinite(points).all(axis=2)
        confidence = np.where(found, scale(confidence), np.float32(0))

    # The threshold is one of calibrated confidences, as live.
    known = run.known()[decisive]
    threshold = choose_threshold(distance[decisive], confidence[decisive], known)
    measured = list(parts.test or parts.validation)
    errors, animals = _measured(run, measured, distance, confidence, points, threshold)
    about = {
        **run.about,
        "pictures": {
            "trained_on": len(parts.train),
            "held_out": len(parts.validation) + len(parts.test),
        },
        "calibration_error": {
            "raw": round(before.error(), 4),
            "calibrated": round(after.error(), 4),
        },
        "settings": _plain(asdict(run.settings)),
        "held_out_error": [error.to_json() for error in errors],
        **({"held_out_animals": animals} if animals else {}),
    }
    return _Evaluation(
        ModelMetadata(data.skeleton, data.fitting, decoder, threshold, about, scale),
        TrainingResult(errors, threshold, (before.error(), after.error()), animals),
        (before, after),
        points,
        distance,
        confidence,
    )


def _measured(
    run: Run,
    places: Sequence[int],
    distance: NDArray[np.float32],
    confidence: NDArray[np.float32],
    points: NDArray[np.float32],
    threshold: float,
) -> tuple[tuple[PartError, ...], dict[str, object]]:
    """Return errors of each body part and, of several animals, how many were found."""
    data, at = run.data, list(places)
    if data.animals == 1:
        return summary(data.skeleton, distance[at], confidence[at], threshold), {}
    count = len(data.skeleton.bodyparts)
    labels = data.in_camera_px(data.points).reshape(-1, data.animals, count, 2)[at]
    ordered = match(
        points[at].reshape(labels.shape),
        confidence[at].reshape(labels.shape[:3]),
        labels,
        threshold,
        run.near_px,
    )
    return errors_of(ordered, data.skeleton, threshold, distance[at], confidence[at])


def errors_of(
    ordered: Matched,
    skeleton: Skeleton,
    threshold: float,
    distance: NDArray[np.float32],
    confidence: NDArray[np.float32],
) -> tuple[tuple[PartError, ...], dict[str, object]]:
    """Return errors of each body part of several animals, and how many were found.

    Parameters
    ----------
    ordered
        Animals found in some images, in the order of those labelled.
    skeleton
        Body parts.
    threshold
        Confidence below which a point counts as not visible.
    distance, confidence
        (image, animal · bodypart) of the same images, px; NaN: not found.

    Returns
    -------
    errors
        Of each body part.
    found
        Number of labelled animals, recall, precision, and the radius within which an animal
        counts as found.
    """
    count = len(skeleton.bodyparts)

    # A point that no label has counts neither as an error nor as missed.
    by_part = distance.reshape(-1, count), confidence.reshape(-1, count)
    labelled = np.isfinite(ordered.labels).all(axis=3).reshape(-1, count)
    errors = summary(skeleton, *by_part, threshold, labelled)

    counted = ordered.counted
    found: dict[str, object] = {
        "animals": int(counted.labelled.sum()),
        "recall": counted.recall,
        "precision": counted.precision,
        "near_px": ordered.near_px,
    }
    return errors, rounded(found)


def _write_tables(
    run: Run,
    folder: Path,
    points: NDArray[np.float32],
    distance: NDArray[np.float32],
    confidence: NDArray[np.float32],
) -> None:
    parts, labels = run.data.skeleton.bodyparts, run.labels
    names = labels.names
    sets = run.parts.sets(len(names))
    scorer = f"{run.settings.network.kind}_tracker"
    animals = run.data.animals
    count = animals * len(parts) // max(1, len(run.views))
    by_animal = [f"animal{n}_{part}" for n in range(1, animals + 1) for part in parts]
    for place, view in enumerate(run.views or ("",)):
        end = f"_{view}" if view else ""
        own = slice(place * count, (place + 1) * count)
        bare = [part.removesuffix(end) for part in parts[own]]
        columns = bare if animals == 1 else by_animal
        write_predictions(
            folder / f"predictions{end}.csv", scorer, bare, names, points[:, own],
            confidence[:, own], sets, animals,
        )  # fmt: skip
        write_metric(
            folder / f"predictions{end}_pixel_error.csv", columns, names,
            distance[:, own], sets,
        )  # fmt: skip
    used = run.unlabelled.losses if run.unlabelled else {}
    for name, loss in {**run.pca, **used}.items():
        if isinstance(loss, PcaLoss):
            write_metric(
                folder / f"predictions_{name}_error.csv", parts, names,
                loss.errors(points), sets,
            )  # fmt: skip


def _write_config(run: Run, folder: Path) -> None:
    import yaml

    data = {**_data_config(run), **run.config.get("data", {})}
    config = {**run.config, "data": data}
    absent = run.settings.missing == "absent"
    config["training"] = {
        "uniform_heatmaps_for_nan_keypoints": absent,
        **config.get("training", {}),
    }
    config["data"]["data_dir"] = str(run.labels.root.resolve())
    if start := run.settings.start_from:
        config["model"] = {**config.get("model", {}), "checkpoint": str(start)}
    text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
    (folder / "config.yaml").write_text(text, encoding="utf-8")


def _data_config(run: Run) -> dict[str, Any]:
    """Return the section `data` of a configuration."""
    labels, fitting = run.labels, run.data.fitting
    names = labels.skeleton.bodyparts
    if run.views:  # Lightning Pose names the body parts of one view
        ending = f"_{run.views[0]}"
        own = names[: len(names) // len(run.views)]
        names = tuple(name.removesuffix(ending) for name in own)
    return {
        "image_resize_dims": {"height": fitting.height, "width": fitting.width},
        "csv_file": str(labels.file.resolve()),
        "num_keypoints": len(names),
        "keypoint_names": list(names),
    }


def _plain(value: Any) -> Any:
    """Return what JSON can hold: lists for tuples, text for paths."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return (
        value if value is None or isinstance(value, str | int | float) else str(value)
    )
