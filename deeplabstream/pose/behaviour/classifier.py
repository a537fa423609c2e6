"""Classification of behaviour from the pose over the last moments, with ONNX Runtime."""

from collections.abc import Mapping
from math import nan
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import ModelError
from deeplabstream.core.pose import Pose
from deeplabstream.pose.behaviour.classifier_folder import ClassifierFolder
from deeplabstream.pose.behaviour.pose_features import FeatureWindow
from deeplabstream.pose.runtimes.onnx_runtime import single_thread_session, unusable

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


class Classifier:
    """A classifier for one camera; `open_classifier` makes one."""

    def __init__(
        self,
        folder: ClassifierFolder,
        session: "InferenceSession",
        animal: str = "1",
        names: Mapping[str, str] | None = None,
    ) -> None:
        """Store the model, the name or number of its `animal`, and new `names` of behaviours."""
        self.folder = folder
        known = {name: (names or {}).get(name, name) for name in folder.behaviours}
        self.behaviours = tuple(known.values())
        """Names of the behaviours."""
        self._animal = animal
        self._session = session
        self._input = session.get_inputs()[0].name
        self._output = _probabilities(folder, session)
        self._window = FeatureWindow(folder.features)
        classes = enumerate(folder.classes)
        self._named = [(n, known[name]) for n, name in classes if name]
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
        (shares,) = self.predict(numbers[None])
        return {name: float(shares[n]) for n, name in self._named}

    def predict(self, numbers: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the probabilities (n, class) of features (n, feature)."""
        found: Any = self._session.run([self._output], {self._input: numbers})
        return np.asarray(found[0], np.float32)


def open_classifier(
    folder: ClassifierFolder,
    animal: str = "1",
    names: Mapping[str, str] | None = None,
) -> Classifier:
    """Load the model and run it once; ModelError when it does not match its folder."""
    session = single_thread_session(folder.model, "behaviour classification")
    try:
        classifier = Classifier(folder, session, animal, names)
        count = len(folder.features.features)
        shares = classifier.predict(np.zeros((1, count), np.float32))
    except ModelError:
        raise
    except Exception as error:  # ONNX Runtime's exceptions have no common base class
        raise unusable(folder.model, error) from error
    if shares.shape != (1, len(folder.classes)):
        raise ModelError(
            f"{folder.model} gives {shares.shape[-1]} probabilities, and "
            f"{len(folder.classes)} classes have a name"
        )
    return classifier


def _probabilities(folder: ClassifierFolder, session: "InferenceSession") -> str:
    for output in session.get_outputs():
        if output.type == "tensor(float)" and len(output.shape) == 2:
            return str(output.name)
    raise ModelError(
        f"{folder.model} gives no table of probabilities, float32 (n, class); a scikit-learn "
        "model is to be converted without ZipMap"
    )
