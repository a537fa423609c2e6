"""Network loading: opens the networks of the settings, and checks them against the rig."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from deeplabstream.core.errors import ModelError, SettingsError
from deeplabstream.core.frame import Image
from deeplabstream.core.pose import Pose, Skeleton
from deeplabstream.engine.behaviour_classifiers import shown_behaviours
from deeplabstream.engine.session.messages import NetworkReady
from deeplabstream.pose.background.background_detector import (
    BACKGROUND,
    BackgroundDetector,
)
from deeplabstream.pose.estimator import PoseEstimator
from deeplabstream.pose.filters.animal_crops import AnimalCrops
from deeplabstream.pose.filters.arena_crops import ArenaCrops
from deeplabstream.pose.led_detector import LedDetector, split_model
from deeplabstream.pose.model.model_opening import (
    open_estimator,
    open_live_crop,
    outdated,
)
from deeplabstream.pose.per_camera import PerCamera, own_of
from deeplabstream.pose.per_light import PerLight, per_light_of
from deeplabstream.pose.runtimes.gpu_use import gpu_remarks
from deeplabstream.pose.tracking.named_estimator import NamedEstimator, animals_of
from deeplabstream.recording.run_folder import ModelFacts, NetworkFacts
from deeplabstream.settings.loading import Settings, check_against


def open_network(settings: Settings, threads: int | None = None) -> PoseEstimator:
    """Return the estimator; ModelError or SettingsError: a network does not fit the settings.

    A network is loaded once, however many cameras use it. `threads` replaces THREADS of the
    settings.
    """
    named = {
        name: settings.model_named(camera.model)
        for name, camera in settings.cameras.items()
        if camera.analyse and camera.model
    }
    usual = settings.model
    threads = settings.pose.threads if threads is None else threads
    loaded = {usual: _open(settings, usual, threads)}
    infrared = settings.model_named(settings.pose.infrared_model)
    for model in filter(None, (*named.values(), infrared)):
        if model not in loaded:
            loaded[model] = _open(settings, model, threads)

    # names must fit the network with the fewest animals: all networks share them
    found = {model: animals_of(estimator) for model, estimator in loaded.items()}
    least = min(found, key=lambda model: found[model])
    problems = list(settings.animals.problems(found[least], Path(least).name))
    if len(set(found.values())) > 1:
        counts = ", ".join(f"{model}: {count}" for model, count in found.items())
        problems.append(f"all networks need the same number of animals: {counts}")

    others = {name: loaded[model] for name, model in named.items() if model != usual}
    estimator: PoseEstimator = loaded[usual]
    if infrared:
        estimator = _by_light(settings, estimator, loaded[infrared])
    if others:
        estimator = PerCamera(estimator, others)
    names = settings.animals.of(estimator.skeleton, found[usual])
    if names:
        estimator = NamedEstimator(estimator, names)
    problems += check_against(settings, estimator.skeleton)
    if problems:
        raise SettingsError(problems)
    return estimator


class MissingNetwork:
    """Estimator of a rig without a network: it finds no body part, so nothing is known.

    The engine refuses the analysis of such a rig, so it is not called.
    """

    skeleton = Skeleton(())
    threshold = 1.0
    provider = ""
    sha256 = ""

    def estimate(
        self, images: Sequence[Image], cameras: Sequence[str] = ()
    ) -> list[Pose]:
        """Return a pose without body parts for each image."""
        points, confidence = np.empty((1, 0, 2)), np.empty((1, 0))
        pose = Pose(
            self.skeleton, points.astype(np.float32), confidence.astype(np.float32)
        )
        return [pose for _ in images]


def network_ready_message(estimator: PoseEstimator, settings: Settings) -> NetworkReady:
    """Return the message about the loaded networks, with their names in `settings`."""
    usual = settings.pose.model
    own = {
        camera: NetworkFacts(*_facts(settings.cameras[camera].model, other))
        for camera, other in own_of(estimator).items()
    }
    infrared: NetworkFacts | None = None
    if networks := per_light_of(estimator):
        name = settings.pose.infrared_model
        infrared = NetworkFacts(*_facts(name, networks.infrared))
    facts = ModelFacts(*_facts(usual, estimator), own, infrared)
    return NetworkReady(
        estimator.skeleton,
        facts,
        gpu_remarks(),
        behaviours=shown_behaviours(settings, estimator.skeleton),
    )


def outdated_networks(settings: Settings) -> list[str]:
    """Return a sentence for each network in use that must be imported again."""
    pose = settings.pose
    named = [
        settings.model,
        *(settings.model_named(it.model) for it in settings.cameras.values()),
    ]
    if pose.infrared_model:
        named.append(settings.model_named(pose.infrared_model))
    if pose.live_crop and pose.detector:
        named.append(settings.model_named(pose.detector))
    # one network may serve several cameras: report each sentence once
    sentences = [it for name in dict.fromkeys(named) if name for it in outdated(name)]
    return list(dict.fromkeys(sentences))


def _by_light(
    settings: Settings, white: PoseEstimator, infrared: PoseEstimator
) -> PerLight:
    """Return the networks for white and infrared light; ModelError: they do not fit."""
    try:
        return PerLight(white, infrared)
    except ModelError as error:
        model = settings.model_named(settings.pose.infrared_model)
        raise ModelError(f"{error} ({model})") from error


def _facts(name: str, estimator: PoseEstimator) -> tuple[str, str, float, str]:
    return name, estimator.sha256, estimator.threshold, estimator.provider


def _open(settings: Settings, model: str, threads: int) -> PoseEstimator:
    pose = settings.pose
    led, network = split_model(model)
    if led is not None:
        network = settings.model_named(network or "stand-in:0")
        return LedDetector(led, _open(settings, network, threads))
    how = pose.runtime, threads, pose.tolerance_px
    named = len(settings.animals.names)
    estimator: PoseEstimator
    if model == BACKGROUND:
        estimator = BackgroundDetector(
            settings.background,
            settings.arenas,
            animals=max(1, named),
            occupied=settings.subjects,
        )
    else:
        estimator = open_estimator(model, *how)

    if settings.arenas and model != BACKGROUND:
        if (several := animals_of(estimator)) > 1:
            raise ModelError(
                f"[Arenas]: each arena has one animal, but the network {Path(model).name} "
                f"finds {several}; set MODEL to a network of one animal"
            )
        crops = ArenaCrops(estimator, settings.arenas)
        crops.warm_up()
        estimator = crops

    if pose.live_crop:
        detector = None
        if pose.detector:
            detector = open_estimator(settings.model_named(pose.detector), *how)
        margin, every = pose.crop_margin, pose.crop_full_every
        estimator = open_live_crop(estimator, detector, margin, every)

    # each crop takes network time: no more crops than the settings have animals
    if isinstance(estimator, AnimalCrops) and named:
        estimator.animals = min(estimator.animals, named)
    return estimator
