"""Classification of behaviour from the pose over the last moments, with ONNX Runtime."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import permutations
from math import nan
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import ModelError
from deeplabstream.core.pose import Pose
from deeplabstream.pose.behaviour.classifier_folder import ClassifierFolder
from deeplabstream.pose.behaviour.pair_features import pose_of_pair
from deeplabstream.pose.behaviour.pose_features import FeatureColumns, FeatureWindow
from deeplabstream.pose.runtimes.onnx_runtime import single_thread_session, unusable

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

Pair = tuple[str, str]
"""Names of an actor and its target."""


class BehaviourModel:
    """The model of a classifier folder: probabilities from features."""

    def __init__(self, folder: ClassifierFolder, session: "InferenceSession") -> None:
        """Store an opened model; `open_model` makes one."""
        self.folder = folder
        self._session = session
        self._input = session.get_inputs()[0].name
        self._output = _probabilities(folder, session)

    def predict(self, numbers: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the probabilities (n, class) of features (n, feature)."""
        found: Any = self._session.run([self._output], {self._input: numbers})
        return np.asarray(found[0], np.float32)


class Classifier:
    """A classifier of one animal on one camera."""

    def __init__(
        self,
        model: BehaviourModel,
        animal: str = "1",
        names: Mapping[str, str] | None = None,
    ) -> None:
        """Store the model, the name or number of its `animal`, and new `names` of behaviours."""
        self.folder = model.folder
        known = {name: (names or {}).get(name, name) for name in self.folder.behaviours}
        self.behaviours = tuple(known.values())
        """Names of the behaviours."""
        self._animal = animal
        self._model = model
        self._window = FeatureWindow(self.folder.features)
        self._named = [(n, known[name]) for n, name in _named_classes(self.folder)]
        self._unknown = dict.fromkeys(self.behaviours, nan)

    @property
    def unit(self) -> Literal["px", "mm"]:
        """Unit of the pose."""
        return self.folder.features.unit

    def reset(self) -> None:
        """Discard all previous poses."""
        self._window.reset()

    def classify(self, pose: Pose, time_s: float) -> dict[str, float]:
        """Return the probability of each behaviour; NaN while it is unknown."""
        if len(pose.points) > 1:
            place = pose.animal(self._animal)
            if place is None or pose.is_ambiguous(place):
                self.reset()
                return dict(self._unknown)
            pose = pose.of(place)
        numbers = self._window.update(pose, time_s)
        if numbers is None:
            return dict(self._unknown)
        (shares,) = self._model.predict(numbers[None])
        return {name: float(shares[n]) for n, name in self._named}


class PairClassifier:
    """A classifier of what one animal does to another, for every directed pair on one camera."""

    def __init__(
        self, model: BehaviourModel, pairs: Mapping[Pair, Mapping[str, str]]
    ) -> None:
        """Store the model, and the names of its behaviours for each actor and target."""
        self.folder = model.folder
        self._model = model
        classes = list(_named_classes(self.folder))
        self._named = {
            pair: [(n, names[name]) for n, name in classes]
            for pair, names in pairs.items()
        }
        self.behaviours = tuple(
            name for named in self._named.values() for _, name in named
        )
        """Names of the behaviours of all pairs."""
        self._columns = FeatureColumns(self.folder.features)
        self._windows = {pair: FeatureWindow(self.folder.features) for pair in pairs}

    @property
    def unit(self) -> Literal["px", "mm"]:
        """Unit of the pose."""
        return self.folder.features.unit

    def reset(self) -> None:
        """Discard all previous poses."""
        for window in self._windows.values():
            window.reset()

    def classify(self, pose: Pose, time_s: float) -> dict[str, float]:
        """Return the probability of each behaviour of each pair; NaN while it is unknown."""
        points: dict[Pair, NDArray[np.float64]] = {}
        for pair, window in self._windows.items():
            actor, target = (pose.animal(name) for name in pair)
            both = None
            if actor is not None and target is not None:
                both = pose_of_pair(pose, actor, target)
            if both is None:
                window.reset()
            elif (sampled := window.sample(both, time_s)) is not None:
                points[pair] = sampled

        found = dict.fromkeys(self.behaviours, nan)
        if points:
            # features and probabilities of all pairs at once
            numbers = self._columns.compute(np.stack([*points.values()]))
            shares = self._model.predict(numbers)
            for pair, row in zip(points, shares, strict=True):
                found |= {name: float(row[n]) for n, name in self._named[pair]}
        return found


def directed_pairs(animals: Sequence[str]) -> Iterator[Pair]:
    """Yield each actor and target.

    >>> [*directed_pairs(["anna", "bob"])]
    [('anna', 'bob'), ('bob', 'anna')]
    """
    yield from permutations(animals, 2)


def open_model(folder: ClassifierFolder) -> BehaviourModel:
    """Load the model and run it once; ModelError when it does not match its folder."""
    session = single_thread_session(folder.model, "behaviour classification")
    try:
        model = BehaviourModel(folder, session)
        count = len(folder.features.features)
        shares = model.predict(np.zeros((1, count), np.float32))
    except ModelError:
        raise
    except Exception as error:  # ONNX Runtime's exceptions have no common base class
        raise unusable(folder.model, error) from error
    if shares.shape != (1, len(folder.classes)):
        raise ModelError(
            f"{folder.model} gives {shares.shape[-1]} probabilities, and "
            f"{len(folder.classes)} classes have a name"
        )
    return model


def _named_classes(folder: ClassifierFolder) -> Iterator[tuple[int, str]]:
    """Yield index and name of each class that is used."""
    yield from ((n, name) for n, name in enumerate(folder.classes) if name)


def _probabilities(folder: ClassifierFolder, session: "InferenceSession") -> str:
    for output in session.get_outputs():
        if output.type == "tensor(float)" and len(output.shape) == 2:
            return str(output.name)
    raise ModelError(
        f"{folder.model} gives no table of probabilities, float32 (n, class); a scikit-learn "
        "model is to be converted without ZipMap"
    )
