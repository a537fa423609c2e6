"""Learning of an appearance: cross-validation, the final network, and its folder."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from pydantic import JsonValue

from deeplabstream.core.errors import DeepLabStreamError, ModelError
from deeplabstream.pose.model.model_folder import network_hash
from deeplabstream.pose.tracking.aligned_crops import SIZE
from deeplabstream.pose.tracking.appearance_folder import (
    NETWORK,
    AppearanceFolder,
    AppearanceScores,
    load_appearance_folder,
    open_embedder,
    save_appearance,
)
from deeplabstream.training.appearance.certain_tracks import CropSet
from deeplabstream.training.appearance.cross_validation import (
    FOLDS,
    HeldOut,
    evidence_scale,
    held_out,
    score,
    training_mask,
)
from deeplabstream.training.appearance.embedding_network import (
    FEATURES,
    EmbeddingFitSettings,
    EmbeddingNetwork,
    embeddings,
    fit_network,
)

LARGEST_ERROR = 1e-4
"""Largest difference of an exported embedding to torch's."""

Report = Callable[[int], object]
"""Called with the number of steps done, of all networks together."""


def all_steps(settings: EmbeddingFitSettings) -> int:
    """Return the steps of all networks: one for each fold, and the final one."""
    return settings.steps * (FOLDS + 1)


def learn(
    sources: Sequence[CropSet],
    axis: tuple[str, str],
    path: Path,
    settings: EmbeddingFitSettings,
    about: Mapping[str, JsonValue],
    report: Report = lambda steps: None,
) -> AppearanceFolder:
    """Cross-validate, train on all crops, and write the folder.

    It is written where the appearance must not be used, too: the folder then says why.
    DeepLabStreamError: no source has two animals whose identity is certain at one time.
    """
    usable = [source for source in sources if source.different.any()]
    if not usable:
        raise DeepLabStreamError(
            "no two animals with certain identities are visible, apart from each other, "
            "in the same recording"
        )
    threads = torch.get_num_threads()
    # Convolutions this small are slower with several threads
    torch.set_num_threads(1)
    try:
        folds = [_fold(usable, fold, settings, report) for fold in range(FOLDS)]
        everything = [np.ones(len(source), bool) for source in usable]
        done = settings.steps * FOLDS
        network = fit_network(
            usable, everything, settings, lambda step, _: report(done + step)
        )
    finally:
        torch.set_num_threads(threads)

    found = [one for several in folds for one in several]
    return _write(
        network,
        path,
        axis,
        evidence_scale(found),
        score(folds, usable),
        about,
        usable[0],
    )


def _fold(
    sources: Sequence[CropSet],
    fold: int,
    settings: EmbeddingFitSettings,
    report: Report,
) -> list[HeldOut]:
    """Return the left-out views of one fold of each source."""
    masks = [training_mask(source, fold) for source in sources]
    of_fold = replace(settings, seed=settings.seed + 1 + fold)
    done = settings.steps * fold
    network = fit_network(sources, masks, of_fold, lambda step, _: report(done + step))
    return [
        held_out(source, embeddings(network, source.crops), fold) for source in sources
    ]


def _write(
    network: EmbeddingNetwork,
    path: Path,
    axis: tuple[str, str],
    scale: float,
    scores: AppearanceScores,
    about: Mapping[str, JsonValue],
    trial: CropSet,
) -> AppearanceFolder:
    """Write the folder; ModelError: the exported network differs from the trained one."""
    path.mkdir(parents=True, exist_ok=True)
    file = path / NETWORK
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (torch.zeros((1, *SIZE, 3), dtype=torch.uint8),),
            str(file),
            input_names=["crops"],
            output_names=["embeddings"],
            dynamic_axes={"crops": {0: "n"}, "embeddings": {0: "n"}},
            opset_version=17,
            dynamo=False,
        )
    folder = AppearanceFolder(
        path, axis, FEATURES, scale, scores, network_hash(file), about
    )
    save_appearance(folder)

    crops = trial.crops[:: max(1, len(trial) // 64)]
    exported = open_embedder(load_appearance_folder(path)).embed(crops)
    away = float(np.abs(exported - embeddings(network, crops)).max(initial=0.0))
    if away > LARGEST_ERROR:
        file.unlink()
        raise ModelError(
            f"the exported network differs from the trained one by {away:.2g}; it was "
            "not kept"
        )
    return load_appearance_folder(path)
