import csv
import json
import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from types import ModuleType
from uuid import UUID

import numpy as np
import pandas as pd
import pytest

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.files.paths import ROOT
from deeplabstream.offline import run_queue, run_session
from deeplabstream.offline.ibl import session_processing
from deeplabstream.offline.ibl.alf import CameraFiles, session_videos
from deeplabstream.offline.ibl.pipeline import PIPELINES
from deeplabstream.offline.queue import session_queue
from deeplabstream.offline.queue.session_queue import (
    Queue,
    create_claim,
    holder_is_alive,
    latest_claim,
    open_queue,
)
from deeplabstream.settings.loading import load as load_settings
from tests.offline.sessions import Finders, write_camera


def made(root: Path, subject: str = "mouse", number: int = 1) -> Path:
    session = root / subject / "2026-11-21" / f"{number:03}"
    (session / "raw_video_data").mkdir(parents=True)
    return session


def whole(root: Path) -> Path:
    session = made(root)
    for camera, rate in (("left", 60), ("right", 150), ("body", 30)):
        write_camera(session, camera, 8)
        (session / "alf").mkdir(exist_ok=True)
        times = 10 + np.arange(8) / rate
        np.save(CameraFiles(session, camera).times, times)
    return session


def test_a_session_becomes_alf_files(tmp_path: Path) -> None:
    session = whole(tmp_path)
    assert run_session(session, "here", networks=Finders()) == 0
    names = {path.name for path in (session / "alf").iterdir()}
    assert names == {
        *(f"_ibl_{camera}Camera.{what}" for camera in ("left", "right", "body")
          for what in ("times.npy", "lightningPose.pqt", "quality.json")),
        *(f"{camera}Camera.ROIMotionEnergy.npy" for camera in ("left", "right", "body")),
        *(f"{camera}ROIMotionEnergy.position.npy" for camera in ("left", "right", "body")),
        *(f"_ibl_{camera}Camera.features.pqt" for camera in ("left", "right")),
        "licks.times.npy",
    }  # fmt: skip
    features = pd.read_parquet(session / "alf/_ibl_rightCamera.features.pqt")
    assert features["pupilDiameter_raw"].between(17, 19).all()
    assert (features["paw_r_speed"] > 50).any()
    licks = np.load(session / "alf/licks.times.npy")
    assert len(licks)
    assert (np.diff(licks) >= 0).all()
    checks = json.loads((session / "alf/_ibl_leftCamera.quality.json").read_text())
    assert checks["resolution"] == checks["timestamps"] == "PASS"
    assert checks["brightness"] == "FAIL"
    assert checks["outcome"] == "FAIL"
    log = (session / "logs/video.log").read_text("utf-8")
    assert "here INFO left: _ibl_leftCamera.lightningPose.pqt" in log


def test_the_log_of_a_session_names_the_camera_of_a_region_that_was_not_found(
    tmp_path: Path,
) -> None:
    session = made(tmp_path)
    write_camera(session, "left", 5, without=["nose_tip"])
    assert run_session(session, "here", networks=Finders()) == 0
    log = (session / "logs/video.log").read_text("utf-8")
    assert "here WARNING left: region nose_tip not found (nose_tip never exceeds" in log


def test_one_cameras_failure_does_not_stop_the_others(tmp_path: Path) -> None:
    session = whole(tmp_path)
    broken = session_videos(session)["left"]
    broken.write_bytes(b"no film")
    assert run_session(session, networks=Finders()) == -3
    assert (session / "alf/bodyCamera.ROIMotionEnergy.npy").exists()
    assert not (session / "alf/leftCamera.ROIMotionEnergy.npy").exists()
    assert "is not a readable video" in (session / "logs/video.log").read_text()
    assert run_session(made(tmp_path, "empty"), networks=Finders()) == -1


def test_what_can_not_be_asked_is_said(tmp_path: Path) -> None:
    session = made(tmp_path)
    with pytest.raises(DeepLabStreamError, match="remove_videos"):
        run_session(session, remove_videos=True)
    with pytest.raises(DeepLabStreamError, match="folder of sessions"):
        run_queue(tmp_path / "nowhere", networks=Finders())


EID = UUID("92f5d6e6-b1c0-3028-b0dd-d67ca4396d22")


class LocalOne:
    """Answers as ONE 3.6.1 does in local mode."""

    def __init__(self, cache_dir: Path, mode: str = "local") -> None:
        assert mode == "local"
        self.known = {str(EID): cache_dir / "mouse/2026-11-21/001"}

    def eid2path(self, eid: str) -> Path | None:
        try:
            UUID(eid)
        except ValueError:
            raise ValueError(f"{eid} is not a valid eID/UUID string") from None
        return self.known.get(eid)


def test_sessions_are_found_by_eid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = made(tmp_path, number=1)
    write_camera(session, "body", 3)
    one = LocalOne(tmp_path)
    assert run_session(EID, one=one, networks=Finders()) == 0
    assert run_session(str(EID), one=one, networks=Finders()) == 0
    other = str(EID).replace("9", "8")
    with pytest.raises(DeepLabStreamError, match=f"ONE can't find session {other}"):
        run_session(other, one=one, networks=Finders())
    with pytest.raises(DeepLabStreamError, match="0a1b is neither a session folder"):
        run_session("0a1b", one=one, networks=Finders())
    shipped = (PIPELINES / "ibl.ini").read_text("utf-8")
    mine = tmp_path / "mine.ini"
    mine.write_text(shipped.replace("SESSIONS =", "SESSIONS = ."), "utf-8")
    package, api = ModuleType("one"), ModuleType("one.api")
    api.ONE = LocalOne  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "one", package)
    monkeypatch.setitem(sys.modules, "one.api", api)
    assert run_session(EID, pipeline=mine, networks=Finders()) == 0
    monkeypatch.setitem(sys.modules, "one.api", None)
    with pytest.raises(DeepLabStreamError, match="pip install ONE-api"):
        run_session(EID, pipeline=mine, networks=Finders())


def test_the_tree_is_named_by_call_pipeline_or_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("called", "planned", "set"):
        made(tmp_path / name)
    settings, plan = tmp_path / "settings.ini", tmp_path / "mine.ini"
    shipped = (PIPELINES / "ibl.ini").read_text("utf-8")
    monkeypatch.setattr(session_processing, "settings_file", lambda: settings)
    done: list[str] = []

    def work(session: Path) -> None:
        done.append(session.relative_to(tmp_path).parts[0])

    with pytest.raises(DeepLabStreamError, match=r"settings.ini, which contains"):
        run_queue(work=work)
    settings.write_text("[Video]\nVIDEO_SOURCE =\n")
    with pytest.raises(DeepLabStreamError, match=r"set \[Video\] SESSIONS"):
        run_queue(work=work)
    lab = settings.with_name("rig.ini")
    ours = (ROOT / "settings.ini").read_text("utf-8")
    lab.write_text(ours.replace("\nSESSIONS =", "\nSESSIONS = set"), "utf-8")
    assert load_settings(lab).video.sessions == tmp_path / "set"
    monkeypatch.setattr(session_processing, "settings_file", lambda: lab)
    assert run_queue(work=work) == 1
    plan.write_text(shipped.replace("SESSIONS =", "SESSIONS = planned"), "utf-8")
    assert run_queue(work=work, pipeline=plan) == 1
    assert run_queue(tmp_path / "called", work=work, pipeline=plan) == 1
    assert done == ["set", "planned", "called"]


def test_times_longer_than_the_video_are_its_end(tmp_path: Path) -> None:
    files = CameraFiles(made(tmp_path), "left")
    assert files.times_for(3) is None
    files.alf.mkdir()
    np.save(files.times, np.arange(5.0))
    times = files.times_for(3)
    assert times is not None
    assert times.tolist() == [2, 3, 4]
    with pytest.raises(
        DeepLabStreamError, match="has 5 times, but the video has 6 frames"
    ):
        files.times_for(6)


def test_a_queue_does_each_session_once_and_tells(tmp_path: Path) -> None:
    done: list[str] = []
    for number in range(5):
        made(tmp_path, number=number)
    assert run_queue(tmp_path, 3, "one", work=lambda s: done.append(s.name)) == 3
    assert run_queue(tmp_path, 10, "two", work=lambda s: done.append(s.name)) == 2
    assert run_queue(tmp_path, 10, "two", work=lambda s: done.append(s.name)) == 0
    assert done == [f"{number:03}" for number in range(5)]
    with (tmp_path / "queue/status.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["machine"] for row in rows] == ["one"] * 3 + ["two"] * 2
    assert {row["state"] for row in rows} == {"done"}
    assert rows[0]["session"] == "mouse/2026-11-21/000"


def test_what_fails_is_tried_again_then_set_aside_with_the_reason(
    tmp_path: Path,
) -> None:
    session = made(tmp_path)
    tried: list[Path] = []

    def work(session: Path) -> None:
        tried.append(session)
        raise ValueError("the disk is full")

    assert run_queue(tmp_path, 10, work=work) == 1
    assert len(tried) == 3
    queue = open_queue(tmp_path)
    assert queue.state(session) == "set aside"
    (row,) = queue.rows()
    assert (row["attempts"], row["reason"]) == ("3", "the disk is full")
    assert run_queue(tmp_path, 10, work=work) == 0


def test_a_claim_is_one_processes_alone(tmp_path: Path) -> None:
    claim = create_claim(tmp_path, "a", 1, "one")
    assert claim is not None
    assert create_claim(tmp_path, "a", 1, "two") is None
    assert latest_claim(tmp_path, "a") == (1, claim)
    assert holder_is_alive(claim)


@pytest.mark.parametrize(
    ("change", "alive"),
    [
        ({}, True),
        ({"host": "another computer", "pid": 2**22 + 1}, True),
        ({"pid": 2**22 + 1}, False),
        ({"started": 1e9}, False),  # the number was given to another process since
    ],
)
def test_a_claim_ends_with_its_process(
    tmp_path: Path, change: dict[str, object], alive: bool
) -> None:
    claim = create_claim(tmp_path, "a", 1, "one")
    assert claim is not None
    claim.write_text(json.dumps({**json.loads(claim.read_text()), **change}))
    assert holder_is_alive(claim) is alive


def test_the_last_table_of_the_queue_is_of_its_last_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another worker ends while this one writes what it knew before."""
    sessions = [made(tmp_path, number=number) for number in range(2)]
    mine, other = open_queue(tmp_path, "mine"), open_queue(tmp_path, "other")
    atomic, busy = session_queue.atomic_file, [True]

    def slowly(path: Path) -> AbstractContextManager[Path]:
        if busy:
            busy.clear()
            assert all(other.attempt(session, live) for session in sessions)
            other.write_last_status()
        return atomic(path)

    monkeypatch.setattr(session_queue, "atomic_file", slowly)
    path = mine.write_last_status()
    assert path.read_text("utf-8").count(",done,other,") == 2


def worker(root: Path, name: str, sessions: int, how: str) -> "subprocess.Popen[bytes]":
    script = Path(__file__).with_name("queue_worker.py")
    words = [str(root), name, str(sessions), how]
    return subprocess.Popen([sys.executable, str(script), *words])


def live(session: Path) -> None:
    with (session / "worked").open("a") as file:
        file.write("whole\n")


def test_a_killed_workers_session_is_taken_over_at_once(tmp_path: Path) -> None:
    sessions = [made(tmp_path, number=number) for number in range(3)]
    assert worker(tmp_path, "mortal", 1, "die").wait() == 9
    queue = open_queue(tmp_path)
    assert queue.state(sessions[0]) == "waiting"
    run_queue(tmp_path, 10, work=live)
    assert (sessions[0] / "worked").read_text() == "half\nwhole\n"
    assert (sessions[1] / "worked").read_text() == "whole\n"
    assert all(queue.state(session) == "done" for session in sessions)


def test_a_session_that_another_worker_claims_meanwhile_is_left_to_it(
    tmp_path: Path,
) -> None:
    class OvertakenQueue(Queue):
        def state(self, session: Path) -> str:
            found = super().state(session)
            create_claim(self.folder, self.name(session), 1, "faster")
            return found

    session = made(tmp_path)
    opened = open_queue(tmp_path)
    queue = OvertakenQueue(opened.root, "slower")
    assert not queue.attempt(session, lambda _: pytest.fail("it is worked on twice"))


def test_workers_at_once_share_the_queue(tmp_path: Path) -> None:
    sessions = [made(tmp_path, number=number) for number in range(12)]
    for each in [worker(tmp_path, f"m{n}", 1000, "live") for n in range(2)]:
        assert each.wait() == 0
    assert [(s / "worked").read_text() for s in sessions] == ["whole\n"] * 12
