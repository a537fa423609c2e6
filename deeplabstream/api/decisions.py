"""Re-run of the decisions of a recorded run, as a table for notebooks."""

from pathlib import Path
from typing import TYPE_CHECKING

from deeplabstream.api.recorded_run import RecordedRun
from deeplabstream.engine.replay.rerun import DIFFERENCE_COLUMNS, rerun

if TYPE_CHECKING:
    from pandas import DataFrame


def replay(
    run: RecordedRun | str | Path,
    *,
    settings: str | Path | None = None,
    experiment: str | None = None,
    corrected: bool = False,
) -> "DataFrame":
    """Re-run the decisions of a recorded run and compare them with the recorded ones.

    They are made from its poses: no video, network or output is used.

    Parameters
    ----------
    run : RecordedRun, str or pathlib.Path
        What `open_run` returned, or a run folder.
    settings : str or pathlib.Path, optional
        A settings file; left out: the run's own.
    experiment : str, optional
        A file with another experiment, or the name of one in experiments/configs. It begins
        with the first frame.
    corrected : bool
        Whether the poses have the corrections of the run; otherwise they are those that were
        recorded.

    Returns
    -------
    pandas.DataFrame
        One row per frame on which other commands would be given now: `time_s`
        (seconds since Start Stream), `camera`, `frame`, `recorded`, `now` (the commands in
        words). No rows: every decision is the same. `attrs["frames"]`: how many frames were
        re-run; `attrs["commands"]`: how many commands the run has;
        `attrs["summary"]`: all that was compared, as sentences.

    Raises
    ------
    DeviceError
        The run can't be read, no poses in it, or its cameras are not those of
        the settings.
    SettingsError
        The settings can't be used on this computer.

    Examples
    --------
    >>> differences = dls.replay("output/2026-11-21_10-58-55")
    >>> assert differences.empty, differences
    """
    import pandas as pd

    path = run.path if isinstance(run, RecordedRun) else Path(run)
    own = Path(settings) if settings is not None else None
    found = rerun(path, own, experiment, corrected=corrected)
    table = pd.DataFrame(found.rows(), columns=list(DIFFERENCE_COLUMNS))
    table.attrs = {
        "frames": found.frames,
        "commands": found.commands,
        "summary": list(found.lines()),
    }
    return table
