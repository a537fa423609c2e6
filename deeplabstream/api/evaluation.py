"""Errors of a network as a table for notebooks."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from deeplabstream.training.evaluation.network_errors import evaluate_network

if TYPE_CHECKING:
    from pandas import DataFrame


def evaluate(
    model: str | Path,
    labels: str | Path | Sequence[str | Path] = (),
    *,
    within: float = 5.0,
    runtime: str = "auto",
    threads: int = 0,
) -> "DataFrame":
    """Compare a network's points with labels.

    Parameters
    ----------
    model : str or pathlib.Path
        A model folder, an ensemble of them, or the name of one in `models/`.
    labels : str, pathlib.Path or a sequence of them
        Labelled frames, as `TrainConfig.data` takes them; several are sets of their own.
        Left out: those that the network was trained with.
    within : float
        Pixels of the labelled images that count as right.
    runtime : str
        See `load_model`.
    threads : int
        CPU threads; 0: the runtime chooses.

    Returns
    -------
    pandas.DataFrame
        One row per set, body part and measure; the body part `together` is all of them.
        `set`: train, validation, test, unused, `all` (not known), or the label file's
        name. `measure`: `error_px`, the distance to the label; `spread_px`, of an ensemble;
        `pca_singleview_px`, `pca_multiview_px`: the distance to the nearest plausible
        pose. `labels`:
        how many points; `median_px`, `mean_px`, `p95_px`: in pixels of the images;
        `within`: the share from 0 to 1 that is within `within` pixels. NaN: no such point.
        `attrs["within_px"]` and `attrs["calibration_error"]`: of the confidence, 0 to 1.

    Raises
    ------
    ModelError
        There is no such network, or it can't be run.
    LabelsError
        The labels can't be used, or do not fit the network.

    Examples
    --------
    >>> errors = dls.evaluate("models/mine", "labels/CollectedData.csv")
    >>> print(errors[errors.measure == "error_px"])
    """
    import pandas as pd

    from deeplabstream.training.evaluation.point_errors import FIGURES, figure_rows

    given = [labels] if isinstance(labels, str | Path) else labels
    data = [Path(source) for source in given]
    with TemporaryDirectory(ignore_cleanup_errors=True) as unpacked:
        done = evaluate_network(
            model, data, runtime=runtime, threads=threads, unpacked=Path(unpacked)
        )
    columns = ["set", "bodypart", "measure", *FIGURES]
    table = pd.DataFrame(figure_rows(done.evidence, within), columns=columns)
    calibration = done.evidence.reliability(within).error()
    table.attrs = {"within_px": within, "calibration_error": calibration}
    return table
