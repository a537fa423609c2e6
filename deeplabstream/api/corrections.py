"""Corrections of a run's poses: added and undone by notebooks, window and program."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from deeplabstream.api.recorded_run import RecordedRun
from deeplabstream.core.errors import DeepLabStreamError, DeviceError
from deeplabstream.recording.pose_corrections import (
    Correction,
    Kind,
    append_correction,
    checks_of,
    corrections_of,
    effective_entries,
    read_corrections,
    signed,
)
from deeplabstream.recording.recorded_frames import (
    RecordedFrames,
    analysed_cameras,
    read_frames,
)
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.run_opening import open_run_folder
from deeplabstream.recording.uncertain_places import UncertainPlace, last_frame_before
from deeplabstream.recording.uncertain_places import uncertain_places as places_of

Until = Literal["end", "next"]
"""Ends of a span: the end of the run, or the next uncertain place."""


def correct(
    run: RecordedRun | str | Path,
    kind: Kind,
    frames: tuple[int, int],
    *,
    animals: Sequence[str] = (),
    bodyparts: Sequence[str] = (),
    position: tuple[float, float] | None = None,
    keep: str = "",
    camera: str = "",
    why: str = "",
    who: str = "",
) -> int:
    """Correct the poses of a recorded run; the recorded data stay as they are.

    Results, exports and `open_run` use the corrected poses from then on.

    Parameters
    ----------
    run : RecordedRun, str or pathlib.Path
        What `open_run` returned, or a run folder.
    kind : {"swap", "switch", "merge", "split", "confirm", "remove", "set", "interpolate", "check"}
        swap: two animals have each other's names. switch: the same, and ambiguous frames
        stay ambiguous. merge: both animals are the first one; the second is missing.
        split: the first animal is the second one; the first is missing. confirm: the names
        are right, though identity was ambiguous. remove: the points are wrong, and none is
        known. set: a point is at `position`. interpolate: the points lie on the line between
        the nearest known ones before and after. check: an uncertain place was checked, and
        stays as it is.
    frames : tuple of int
        First and last frame, both included: `frame` of `CAMERA.csv`. `frames_between` finds
        them by their times.
    animals : sequence of str
        Names of the animals; empty: all.
    bodyparts : sequence of str
        Names of the body parts; empty: all.
    position : tuple of float, optional
        Of `set`: x and y in pixels of the image, of one body part of one animal.
    keep : str
        Of `merge`: the animal whose points stay on frames with points of both; empty: the
        first. Of `split`: the second animal, if its old points become those of the first;
        empty: they are removed.
    camera : str
        A camera with poses; empty: the only one.
    why : str
        Reason.
    who : str
        Who corrects; empty: the login name.

    Returns
    -------
    int
        Number of the correction, from 1 on.

    Raises
    ------
    DeepLabStreamError
        The correction does not fit the run; nothing is written.
    DeviceError
        The run can't be read, or `corrections.json` can't be written.

    Examples
    --------
    >>> number = dls.correct(run, "swap", (900, 960), animals=("a", "b"))
    >>> dls.undo_correction(run, number, why="wrong span")
    """
    folder = _folder(run)
    recorded = _recorded(folder, camera)
    correction = Correction(
        kind=kind,
        camera=recorded.camera,
        frames=(int(frames[0]), int(frames[1])),
        animals=tuple(animals),
        bodyparts=tuple(bodyparts),
        position=position and (float(position[0]), float(position[-1])),
        keep=keep,
        who=who,
        why=why,
    )
    before = effective_entries(folder.path, recorded.camera)
    number = len(read_corrections(folder.path)) + 1
    recorded.with_corrections({**before, number: correction})
    return append_correction(folder.path, signed(correction))


def frames_between(
    run: RecordedRun | str | Path, start_s: float, end_s: float, camera: str = ""
) -> tuple[int, int]:
    """Return the first and last frame between two times, for `correct`.

    Parameters
    ----------
    run : RecordedRun, str or pathlib.Path
        What `open_run` returned, or a run folder.
    start_s : float
        Seconds since Start Stream.
    end_s : float
        The same; a frame at this time is included.
    camera : str
        A camera with poses; empty: the only one.

    Returns
    -------
    tuple of int
        `frame` of `CAMERA.csv`.

    Raises
    ------
    DeepLabStreamError
        There is no frame between these times.
    DeviceError
        The run can't be read.
    """
    recorded = _recorded(_folder(run), camera)
    times_s = recorded.times_s
    inside = (times_s >= start_s - 1e-6) & (times_s <= end_s + 1e-6)
    numbers = recorded.poses.frames[inside]
    if not len(numbers):
        raise DeepLabStreamError(f"no frame from {start_s:g} s to {end_s:g} s")
    return int(numbers[0]), int(numbers[-1])


def frames_until(
    run: RecordedRun | str | Path,
    first: int,
    until: Until,
    animals: Sequence[str] = (),
    camera: str = "",
) -> tuple[int, int]:
    """Return a span from a frame on, for `correct`.

    Parameters
    ----------
    run : RecordedRun, str or pathlib.Path
        What `open_run` returned, or a run folder.
    first : int
        First frame of the span: `frame` of `CAMERA.csv`.
    until : {"end", "next"}
        end: to the last analysed frame. next: to the frame before the next uncertain place
        of one of the animals that is not checked, or to the last analysed frame if there is none.
    animals : sequence of str
        Names of the animals; empty: all.
    camera : str
        A camera with poses; empty: the only one.

    Returns
    -------
    tuple of int
        First and last frame.

    Raises
    ------
    DeepLabStreamError
        There is no analysed frame from `first` on.
    DeviceError
        The run can't be read.
    """
    recorded = _recorded(_folder(run), camera)
    numbers = recorded.poses.frames[recorded.analysed]
    places = uncertain_places(run, recorded.camera) if until == "next" else ()
    last = last_frame_before(places, numbers, first, animals)
    if last is None:
        raise DeepLabStreamError(f"no analysed frame from {first} on")
    return first, last


def uncertain_places(
    run: RecordedRun | str | Path, camera: str = ""
) -> tuple[UncertainPlace, ...]:
    """Return the spans in which animals may have the wrong name, or are missing.

    Names that were swapped or confirmed by a correction are not listed. A correction
    `check` marks a place as checked.

    Parameters
    ----------
    run : RecordedRun, str or pathlib.Path
        What `open_run` returned, or a run folder.
    camera : str
        A camera with poses; empty: the only one.

    Returns
    -------
    tuple of UncertainPlace
        Those of most animals × duration first; checked ones last.

    Raises
    ------
    DeepLabStreamError
        A correction of the run does not fit its poses.
    DeviceError
        The run can't be read.

    Examples
    --------
    >>> for place in dls.uncertain_places(run):
    ...     print(place)
    """
    folder = _folder(run)
    recorded = _recorded(folder, camera)
    corrections = corrections_of(folder.path, recorded.camera)
    checks = checks_of(folder.path, recorded.camera)
    return places_of(recorded.with_corrections(corrections), checks.values())


def undo_correction(
    run: RecordedRun | str | Path, number: int, why: str = "", who: str = ""
) -> int:
    """Undo a correction, or an undo. The list keeps both.

    Parameters
    ----------
    run : RecordedRun, str or pathlib.Path
        What `open_run` returned, or a run folder.
    number : int
        Number of the correction, from 1 on.
    why : str
        Reason.
    who : str
        Who undoes it; empty: the login name.

    Returns
    -------
    int
        Number of the undo in the list.

    Raises
    ------
    DeepLabStreamError
        There is no such correction.
    DeviceError
        `corrections.json` can't be read or written.
    """
    undo = Correction(kind="undo", undoes=number, who=who, why=why)
    return append_correction(_folder(run).path, signed(undo))


def _folder(run: RecordedRun | str | Path) -> RunFolder:
    if isinstance(run, RecordedRun):
        return RunFolder(run.path)
    return open_run_folder(Path(run), lambda text: None, check_tables=False)


def _recorded(folder: RunFolder, camera: str) -> RecordedFrames:
    try:
        cameras = analysed_cameras(folder)
        if not camera and len(cameras) == 1:
            camera = cameras[0]
        if camera not in cameras:
            names = ", ".join(cameras) or "none"
            what = f"no poses of camera {camera!r}" if camera else "name a camera"
            raise DeviceError(f"{folder.path}: {what}; cameras with poses: {names}")
        return read_frames(folder, camera)
    except (OSError, ValueError, KeyError) as error:
        raise DeviceError(f"{folder.path} can't be read: {error}") from error
