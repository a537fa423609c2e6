"""Network folder of a pipeline: model folders that are opened when needed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from deeplabstream.core.errors import ModelError
from deeplabstream.offline.ibl.pipeline import Pipeline
from deeplabstream.offline.parallel import open_parallel
from deeplabstream.pose.estimator import PoseEstimator
from deeplabstream.pose.image_copies import open_with_copies
from deeplabstream.pose.model.model_folder import DESCRIPTION, load_model_folder
from deeplabstream.pose.model.model_opening import MODELS, open_for_videos


@dataclass
class NetworkFolder:
    """The networks of one folder, by the names of its model folders."""

    path: Path
    runtime: str = "auto"
    threads: int = 0
    best: bool = False
    """Whether copies of each image are predicted too: see `open_with_copies`."""
    _opened: dict[Path, PoseEstimator] = field(default_factory=dict)

    def matching(self, pattern: str) -> Sequence[PoseEstimator]:
        """Return the networks of that name pattern, in the order of their names.

        ModelError when one finds several animals: a region has one.
        """
        found = sorted(
            folder
            for folder in self.path.glob(pattern)
            if (folder / DESCRIPTION).is_file()
        )
        for folder in found:
            if folder not in self._opened:
                if (count := load_model_folder(folder).animals) > 1:
                    raise ModelError(
                        f"{folder} finds up to {count} animals; a pipeline needs "
                        "a network for one animal"
                    )
                open_network: Callable[[Path, str, int], PoseEstimator]
                open_network = open_with_copies if self.best else open_for_videos
                open_one = partial(open_network, folder, self.runtime)
                self._opened[folder] = open_parallel(open_one, self.threads)
        return [self._opened[folder] for folder in found]


def networks_of(
    pipeline: Pipeline, folder: Path | None, runtime: str = "auto", threads: int = 0
) -> NetworkFolder:
    """Return the networks of a pipeline: in `folder`, or in that of its NETWORKS.

    NETWORKS is searched beside the pipeline's file and in the working directory;
    `models` is the application's own. ModelError names what to supply.
    """
    named = pipeline.general.networks
    places = [folder] if folder else []
    if folder is None and named is not None:
        places = [named, Path(named.name)]
        if named.name == MODELS.name:
            places.append(MODELS)
    for place in places:
        if place is not None and place.is_dir():
            return NetworkFolder(place, runtime, threads, pipeline.general.best)
    patterns = [camera.detect for camera in pipeline.cameras.values()]
    patterns += [region.networks for region in pipeline.regions.values()]
    names = ", ".join(dict.fromkeys(name for name in patterns if name))
    where = folder or (named.name if named else "NETWORKS")
    raise ModelError(
        f"no folder {where} with the pipeline's networks: name one that contains "
        f"model folders called {names} (as ckpts_path=, or NETWORKS in "
        f"{pipeline.file}). Train them with utils/TrainNetwork.py, or import "
        "checkpoints"
    )
