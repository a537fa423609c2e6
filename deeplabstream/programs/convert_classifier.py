"""Convert a pickled scikit-learn classifier to a classifier folder.

The model must be trained on features of this program (utils/TrainClassifier.py
--features-only). Features of other programs (SiMBA, B-SOiD) are not supported; train again
with their labels.
"""

from pathlib import Path
from typing import Any

from deeplabstream.core.errors import DeepLabStreamError, ModelError
from deeplabstream.files.overwriting import check_new
from deeplabstream.pose.behaviour.classifier_folder import read_features
from deeplabstream.programs.program import Program
from deeplabstream.settings.option_fields import option, program_options
from deeplabstream.training.behaviour_classifier import write_classifier


@program_options
class ConvertClassifier:
    """A pickled classifier, and the features that it was trained on."""

    model: Path = option(positional=True)
    """.pkl, .sav or .joblib file."""
    into: Path = option(positional=True)
    """Folder to create."""
    features: Path = option()
    """Features.json (or classifier.json) of its training."""
    classes: tuple[str, ...] = option(default=(), metavar="NAME")
    """Other names of its classes, in their order; '' leaves a class out."""
    element: int | None = option(default=None)
    """Index of the classifier if the file contains a list, from 0."""
    trust: bool = option(default=False)
    """Run code in the file: a pickle can run any program."""


def convert_classifier(options: ConvertClassifier) -> int:
    """Convert the classifier and write its folder."""
    if not options.trust:
        raise DeepLabStreamError(
            f"{options.model} was not opened, because a pickle can run any program. If you "
            "trust its author, use --trust"
        )
    check_new(options.into)
    features = read_features(options.features)
    model = _trained(options)
    expected, given = getattr(model, "n_features_in_", None), len(features.features)
    if expected not in (None, given):
        raise ModelError(
            f"{options.model} was trained on {expected} features, but {options.features} "
            f"has {given}"
        )
    known = [str(name) for name in model.classes_]
    classes = options.classes or tuple(known)
    if len(classes) != len(known):
        raise ModelError(
            f"{options.model} has {len(known)} classes: {', '.join(known)}"
        )

    about: dict[str, object] = {
        "converted from": options.model.name,
        "kind": type(model).__name__,
    }
    write_classifier(model, classes, features, options.into, about)
    print(f"written: {options.into}, classes {', '.join(filter(None, classes))}")
    return 0


def _trained(options: ConvertClassifier) -> Any:
    """Return the classifier in the file."""
    model = _unpickled(options.model)
    if options.element is not None:
        try:
            model = model[options.element]
        except (TypeError, LookupError):
            raise ModelError(
                f"{options.model} contains a {type(model).__name__} without an element "
                f"{options.element}"
            ) from None
    if not (hasattr(model, "predict_proba") and hasattr(model, "classes_")):
        raise ModelError(
            f"{options.model} contains a {type(model).__name__}, not a trained "
            "scikit-learn classifier with probabilities"
        )
    return model


def _unpickled(file: Path) -> Any:
    import joblib

    if not file.is_file():
        raise ModelError(f"{file}: file not found")
    try:
        return joblib.load(file)
    except Exception as error:  # a pickle can raise any error
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ModelError(f"Can't read {file}: {reason}") from error


PROGRAM = Program(ConvertClassifier, convert_classifier, __doc__, "ConvertClassifier")
