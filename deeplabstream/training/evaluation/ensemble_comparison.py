"""Comparison of the networks of an ensemble: errors, and their relation to the spread."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from deeplabstream.training.evaluation.animal_matching import matched
from deeplabstream.training.evaluation.network_errors import Evaluation


def ensemble_sentences(evaluation: Evaluation) -> Iterator[str]:
    """Yield sentences on the networks' errors and spread in the images not trained on."""
    evidence, count = evaluation.evidence, len(evaluation.found)
    errors = evidence.measures["error_px"][evidence.held_out]
    spread = evidence.measures["spread_px"][evidence.held_out]
    held_out = evidence.held_out[:: evidence.animals]  # rows are animals, not images

    if evidence.counted is None:
        distances = [found.distance(evaluation.labels) for found in evaluation.found]
    else:
        matches = [
            matched(found, evaluation.labels, evaluation.threshold)
            for found in evaluation.found
        ]
        distances = [match.distance for match in matches]
        shares = [match.counted.of(held_out) for match in matches]
        median = evidence.counted.of(held_out)
        yield (
            "held-out animals, recall and precision of each: "
            + ", ".join(f"{own.recall:.1%} {own.precision:.1%}" for own in shares)
            + f", of their median {median.recall:.1%} {median.precision:.1%}"
        )

    known = np.isfinite(errors) & np.isfinite(spread)
    if not known.any():
        yield f"{count} networks: no animal in common with the labels"
        return
    yield (
        f"{count} networks: median error of each "
        + ", ".join(f"{_median(distance[held_out]):.2f}" for distance in distances)
        + f" px, of their median {np.median(errors[known]):.2f} px"
    )
    half = np.median(spread[known])
    differing, agreeing = known & (spread > half), known & (spread <= half)
    yield (
        f"where they differ by more than {half:.2f} px (half of the points), the "
        f"median error is {_median(errors[differing]):.2f} px, elsewhere "
        f"{_median(errors[agreeing]):.2f} px"
    )


def _median(distances: NDArray[np.floating]) -> float:
    known = distances[np.isfinite(distances)]
    return float(np.median(known)) if known.size else float("nan")
