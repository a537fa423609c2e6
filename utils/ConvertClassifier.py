"""Convert a pickled scikit-learn classifier to a classifier folder."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deeplabstream.startup.program import ending, prepare

prepare()

import argparse
from collections.abc import Sequence
from typing import Any

from deeplabstream.startup.arguments import ProgramParser
from deeplabstream.core.errors import DeepLabStreamError, ModelError
from deeplabstream.files.overwriting import check_new
from deeplabstream.pose.behaviour.classifier_folder import read_features
from deeplabstream.training.behaviour_classifier import write_classifier

EPILOG = (
    "The model must be trained on features of this program "
    "(utils/TrainClassifier.py\n--features-only). Features of other programs "
    "(SiMBA, B-SOiD) are not supported; train again\nwith their labels.\n"
)


@ending()
def main(argv: Sequence[str] | None = None) -> int:
    """Return 0, or 2 when something that the user can mend is wrong."""
    asked = _parser().parse_args(argv)
    _convert(asked)
    return 0


def _parser() -> ProgramParser:
    options = ProgramParser(
        prog="ConvertClassifier.py", description=__doc__, epilog=EPILOG
    )
    options.add_argument("model", type=Path, help=".pkl, .sav or .joblib file")
    options.add_argument("into", type=Path, help="folder to create")
    options.add_argument(
        "--features",
        type=Path,
        required=True,
        help="features.json (or classifier.json) of its training",
    )
    options.add_argument(
        "--classes",
        nargs="+",
        metavar="NAME",
        help="other names of its classes, in their order; '' leaves a class out",
    )
    options.add_argument(
        "--element",
        type=int,
        help="index of the classifier if the file contains a list, from 0",
    )
    options.add_argument(
        "--trust",
        action="store_true",
        help="run code in the file: a pickle can run any program",
    )
    return options


def _convert(asked: argparse.Namespace) -> None:
    if not asked.trust:
        raise DeepLabStreamError(
            f"{asked.model} was not opened, because a pickle can run any "
            "program. If you trust its author, use --trust"
        )
    check_new(asked.into)
    features = read_features(asked.features)
    model = _unpickled(asked.model)
    if asked.element is not None:
        model = _element(model, asked)
    for needed in ("predict_proba", "classes_"):
        if not hasattr(model, needed):
            raise ModelError(
                f"{asked.model} contains a {type(model).__name__}, not a trained "
                "scikit-learn classifier with probabilities"
            )
    wanted, given = getattr(model, "n_features_in_", None), len(features.features)
    if wanted not in (None, given):
        raise ModelError(
            f"{asked.model} was trained on {wanted} features, but "
            f"{asked.features} has {given}"
        )
    classes = asked.classes or [str(name) for name in model.classes_]
    if len(classes) != len(model.classes_):
        known = ", ".join(map(str, model.classes_))
        raise ModelError(f"{asked.model} has {len(model.classes_)} classes: {known}")
    about: dict[str, object] = {
        "converted from": asked.model.name,
        "kind": type(model).__name__,
    }
    write_classifier(model, classes, features, asked.into, about)
    print(f"written: {asked.into}, classes {', '.join(filter(None, classes))}")


def _unpickled(file: Path) -> Any:
    import joblib

    if not file.is_file():
        raise ModelError(f"{file}: file not found")
    try:
        return joblib.load(file)
    except Exception as error:  # whatever is in it
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ModelError(f"Can't read {file}: {reason}") from error


def _element(model: Any, asked: argparse.Namespace) -> Any:
    try:
        return model[asked.element]
    except (TypeError, LookupError):
        raise ModelError(
            f"{asked.model} contains a {type(model).__name__} without an element "
            f"{asked.element}"
        ) from None


if __name__ == "__main__":
    sys.exit(main())
