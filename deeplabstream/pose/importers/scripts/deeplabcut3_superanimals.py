"""SuperAnimals of DeepLabCut 3: a pose network and a detector, named or as files.

Used by from_deeplabcut3.py. The files are `DATASET_NETWORK.pt`; how each network is built is
in DeepLabCut itself.
"""

import sys

from package import loaded

_HUB = "https://huggingface.co"
PAGES = {
    "superanimal_bird": f"{_HUB}/DeepLabCut/DeepLabCutModelZoo-SuperAnimal-Bird",
    "superanimal_humanbody": f"{_HUB}/DeepLabCut/HumanBody",
    "superanimal_quadruped": f"{_HUB}/mwmathis/DeepLabCutModelZoo-SuperAnimal-Quadruped",
    "superanimal_topviewmouse": f"{_HUB}/mwmathis/DeepLabCutModelZoo-SuperAnimal-TopViewMouse",
}
"""Web page of each SuperAnimal, with its licence."""
POSE, DETECTOR = "hrnet_w32", "fasterrcnn_resnet50_fpn_v2"
"""Default networks where there are several."""
_DETECTORS = ("fasterrcnn", "ssdlite")
"""Prefixes of detector names."""
WITHOUT_DETECTOR = "superanimal_humanbody"
"""The SuperAnimal whose detector is torchvision's, for any objects."""


def dataset_of(source):
    """Return the SuperAnimal that is named, or whose file or folder is given, or None."""
    if source.exists():
        held = [name for name in PAGES if files_of(source, name)]
        if len(held) > 1:
            sys.exit(f"{source} has files of {', '.join(held)}: name one of the files")
        return held[0] if held else None
    if not str(source).startswith("superanimal_"):
        return None
    if str(source) not in PAGES:
        sys.exit(f"there is no {source}; there are {', '.join(PAGES)}")
    return str(source)


def files_of(source, dataset):
    """Return the files of a SuperAnimal in a folder, or beside a file, by network."""
    if source.is_file() and not source.name.startswith(f"{dataset}_"):
        return {}
    folder = source if source.is_dir() else source.parent
    found = sorted(folder.glob(f"{dataset}_*.pt"))
    return {file.stem.removeprefix(f"{dataset}_"): file for file in found}


def opened(dataset, options):
    """Return configuration, weights and name of the network, and those of its detector.

    The detector is None where there is none.
    """
    from deeplabcut.pose_estimation_pytorch.config import PoseConfig

    files = files_of(options.source, dataset) if options.source.exists() else None
    offered = _offered(dataset) if files is None else [*files]
    requested = options.pose
    if options.source.is_file() and not requested:
        requested = options.source.stem.removeprefix(f"{dataset}_")
    pose = chosen(requested, offered, POSE, "pose network")
    if pose is None:
        sys.exit(f"{options.source} has no pose network of {dataset}, only a detector")
    detector = chosen(options.detector, offered, DETECTOR, "detector")
    built = None if dataset == WITHOUT_DETECTOR else detector or DETECTOR
    config = PoseConfig.build_for_superanimal_inference(
        dataset,
        model_name=pose,
        detector_name=built,
        max_individuals=options.animals or 1,
    )
    found = []
    for which in filter(None, (pose, detector)):
        file = _fetched(dataset, which) if files is None else files[which]
        content = loaded(file, options.trust)
        found.append((content.get("model", content), file.name))
    return (config, *found[0]), found[1] if detector else None


def chosen(requested, offered, usual, what):
    """Return the requested network, or the default, or the first; None: there is none."""
    finds = what == "detector"
    own = [name for name in offered if name.startswith(_DETECTORS) == finds]
    if requested and requested not in own:
        sys.exit(
            f"--{'detector' if finds else 'pose'} {requested}: there is no such {what}; "
            f"there are {', '.join(own) or 'none'}"
        )
    return requested or (usual if usual in own else next(iter(own), None))


def _offered(dataset):
    """Return the networks of a SuperAnimal that DeepLabCut can fetch."""
    from dlclibrary import get_available_detectors, get_available_models

    return [*get_available_models(dataset), *get_available_detectors(dataset)]


def _fetched(dataset, which):
    from deeplabcut.pose_estimation_pytorch.modelzoo.utils import (
        get_super_animal_snapshot_path,
    )

    return get_super_animal_snapshot_path(dataset, which)
