"""One session: its cameras' poses, motion energy, features and checks, as ALF files."""

import logging
from collections.abc import Iterator, Sequence
from configparser import ConfigParser, Error
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias
from uuid import UUID

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.files.rig_folder import settings_file
from deeplabstream.offline.ibl.alf import CameraFiles, save_json, session_videos
from deeplabstream.offline.ibl.camera_prediction import Networks
from deeplabstream.offline.ibl.derived_features import derive, lick_times
from deeplabstream.offline.ibl.ibl import dlc, lightning_pose, motion_energy
from deeplabstream.offline.ibl.pipeline import Pipeline, load_pipeline
from deeplabstream.offline.ibl.pipeline_networks import networks_of
from deeplabstream.offline.ibl.quality import image_checks, overall, video_checks
from deeplabstream.video.video_reader import open_video, sample_rows

Status: TypeAlias = Literal[0, -1, -3]
"""Status as in IBL's tasks: 0 complete, −1 all failed, −3 some camera failed."""

CAMERAS = ("left", "body", "right")
_SAMPLES = 100
_log = logging.getLogger("offline")


@dataclass
class SessionReport:
    """Result of processing one session."""

    session: Path
    written: list[Path] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    """Reasons of failures, by camera."""
    cameras: list[str] = field(default_factory=list)
    """Cameras that have a video."""

    @property
    def status(self) -> Status:
        """See `Status`."""
        if not self.failures:
            return 0
        return -3 if len(self.failures) < len(self.cameras) else -1


def run_session(
    session_id: str | Path | UUID,
    machine: str | None = None,
    cams: Sequence[str] = CAMERAS,
    one: Any = None,
    remove_videos: bool = False,
    overwrite: bool = True,
    location: str = "local",
    *,
    pipeline: str | Path = "ibl",
    ckpts_path: str | Path | None = None,
    networks: Networks | None = None,
) -> Status:
    """Process the videos of one session; return 0, −1 or −3.

    `session_id` is a session's folder, or an eid; for that ONE-api is needed, in local
    mode: `one`, or that of the folder that `run_queue` takes. One camera's failure does not stop
    the others. What is there is made again if `overwrite`. The log is in logs/ of the
    session. `machine` is named there. Nothing is fetched or sent (`location` is local),
    and raw videos are never removed: `remove_videos` is refused.
    """
    if remove_videos or location != "local":
        raise DeepLabStreamError(
            "sessions are processed in their folders: remove_videos, and a "
            "location other than local, are not supported"
        )
    plan = load_pipeline(pipeline)
    path = session_path(session_id, plan, one)
    report = process(path, plan, cams, ckpts_path, networks, overwrite, machine or "")
    return report.status


def session_path(
    session_id: str | Path | UUID, plan: Pipeline, one: Any = None
) -> Path:
    """Return the folder of a session; DeepLabStreamError when there is none."""
    path = Path(str(session_id))  # ONE itself gives eids as UUIDs
    if path.is_dir():
        return path
    if one is None:
        try:
            from one.api import ONE
        except ImportError as error:
            raise DeepLabStreamError(
                f"session folder not found: {session_id}; to find sessions by "
                "eid: pip install ONE-api"
            ) from error
        one = ONE(cache_dir=sessions_root(plan), mode="local")
    try:
        found = one.eid2path(str(session_id))
    except ValueError:
        raise DeepLabStreamError(
            f"{session_id} is neither a session folder nor an eid"
        ) from None
    if found is None or not Path(found).is_dir():
        raise DeepLabStreamError(
            f"ONE can't find session {session_id} on this disk. Eids change when "
            "its tables are built again (one.alf.cache.make_parquet_db)"
        )
    return Path(found)


def process(
    session: Path,
    plan: Pipeline,
    cams: Sequence[str],
    folder: str | Path | None = None,
    networks: Networks | None = None,
    overwrite: bool = False,
    machine: str = "",
) -> SessionReport:
    """Process one session; failures are in the report and in the session's log."""
    videos = {
        name: path
        for name, path in session_videos(session).items()
        if name in cams and name in plan.cameras
    }
    report = SessionReport(session, cameras=list(videos))
    with _logged(session, machine):
        _log.info("session %s: cameras %s", session, ", ".join(videos) or "none")
        if not videos:
            report.cameras = ["all"]
            report.failures["all"] = f"{session} contains no raw video of a camera"
            _log.error("%s", report.failures["all"])
            return report
        try:
            opened = networks or networks_of(plan, Path(folder) if folder else None)
        except DeepLabStreamError as error:
            report.failures = dict.fromkeys(videos, str(error))
            _log.error("%s", error)
            return report
        for camera, video in videos.items():
            files = CameraFiles(session, camera)
            _attempt(report, camera, _camera(files, video, plan, opened, overwrite))
        if not report.failures:
            report.written += lick_times(session, list(videos), plan)
    return report


def _attempt(report: SessionReport, camera: str, work: Iterator[Path]) -> None:
    try:
        for path in work:
            report.written.append(path)
            _log.info("%s: %s", camera, path.name)
    except DeepLabStreamError as error:
        report.failures[camera] = str(error)
        _log.error("%s: %s", camera, error)
    except Exception as error:  # one camera's failure must not stop the others
        report.failures[camera] = f"{type(error).__name__}: {error}"
        _log.exception("%s failed", camera)


def _camera(
    files: CameraFiles,
    video: Path,
    plan: Pipeline,
    networks: Networks,
    overwrite: bool,
) -> Iterator[Path]:
    """Write all files of one camera."""
    where = plan.file
    if plan.general.attribute == "dlc":
        poses, _ = dlc(video, force=overwrite, pipeline=where, networks=networks)
    else:
        poses = lightning_pose(
            video, force=overwrite, pipeline=where, networks=networks
        )
    yield poses
    camera = plan.cameras[files.camera]
    if camera.motion and (overwrite or not files.motion_energy.is_file()):
        yield from motion_energy(video, poses, pipeline=where)
    if files.quality.is_file() and not overwrite:
        return
    rows = open_video(video)
    times = files.times_for(len(rows))
    checks = video_checks(camera, (rows.form.width, rows.form.height), rows.rate, times)
    looked = rows.images_at(sample_rows(rows, _SAMPLES))
    checks |= image_checks([p.image for p in looked if p.image is not None])
    written, derived = derive(files, poses, times, rows.rate, plan)
    yield from written
    checks |= derived
    save_json(files.quality, {"outcome": overall(checks), **checks})
    yield files.quality


@contextmanager
def _logged(session: Path, machine: str) -> Iterator[None]:
    folder = session / "logs"
    folder.mkdir(exist_ok=True)
    handler = logging.FileHandler(folder / "video.log", encoding="utf-8")
    line = f"%(asctime)s {machine} %(levelname)s %(message)s"
    handler.setFormatter(logging.Formatter(line))
    level = _log.level
    _log.addHandler(handler)
    _log.setLevel(logging.INFO)
    try:
        yield
    finally:
        _log.setLevel(level)
        _log.removeHandler(handler)
        handler.close()


def sessions_root(
    plan: Pipeline, folder: str | Path | None = None, settings: Path | None = None
) -> Path:
    """Return the tree of sessions: `folder`, else the pipeline's, else the settings'.

    The settings are those given, else the rig's; only [Video] SESSIONS is read of them.
    DeepLabStreamError: none is named, or it is not a folder.
    """
    named = Path(folder) if folder is not None else plan.general.sessions
    own = settings or settings_file()
    root = named or (_of_settings(own) if own else None)
    if root is None or not root.is_dir():
        raise DeepLabStreamError(
            f"folder of sessions{(f' {root}' if root else '')} not found: name "
            "one, or set [Video] SESSIONS in settings.ini"
        )
    return root.resolve()


def _of_settings(file: Path) -> Path | None:
    parser = ConfigParser(interpolation=None, default_section="", strict=False)
    try:
        parser.read_string(file.read_bytes().decode("utf-8-sig"))
    except (OSError, UnicodeDecodeError, Error) as error:
        reason = str(error).splitlines()[0]
        raise DeepLabStreamError(
            f"Can't read {file}, which contains [Video] SESSIONS: {reason}"
        ) from error
    named = parser.get("Video", "SESSIONS", fallback="").strip()
    return file.parent / named if named else None
