"""The program that learns the appearance of simulated mice from a video and its poses."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from deeplabstream.core.errors import ModelError
from deeplabstream.offline.video_identity import identity_file, write_identity
from deeplabstream.pose.tracking.appearance_folder import (
    DESCRIPTION,
    NETWORK,
    load_appearance_folder,
    open_embedder,
)
from deeplabstream.recording.exporters.pose_files import write_dlc_csv
from deeplabstream.recording.pose_table import pose_table
from deeplabstream.simulation.arena import ARENA_SKELETON, Arena
from utils.ImportRun import main as import_run
from utils.LearnAppearance import main

pytest.importorskip("torch", reason="networks are trained with torch")
RATE, SECONDS, SHAPE = 10, 60, (240, 320, 3)
SHORT = ["--steps", "60"]


def film(folder: Path, alike: bool) -> Path:
    """Return a video of two simulated mice, with a table of their poses beside it."""
    arena = Arena(SHAPE, seed=3, animals=2, alike=alike, shelter=False)
    times_s = np.arange(RATE * SECONDS) / RATE
    points = np.stack([arena.truth(time_s) for time_s in times_s]).astype(float)
    skeleton = replace(ARENA_SKELETON, animals=("anna", "bob"))
    sure = np.ones(points.shape[:3])
    table = pose_table(folder / "mice.csv", skeleton, points, sure)

    video = folder / "mice.avi"
    writer = cv2.VideoWriter(
        str(video), cv2.VideoWriter.fourcc(*"MJPG"), RATE, (SHAPE[1], SHAPE[0])
    )
    image = np.empty(SHAPE, np.uint8)
    for index, time_s in enumerate(times_s):
        arena.draw(image, float(time_s), index)
        writer.write(image)
    writer.release()
    write_dlc_csv(table, folder / "mice.csv")
    return video


def test_mice_with_different_coats_are_recognised(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video, into = film(tmp_path, alike=False), tmp_path / "learned"
    assert main([str(into), str(video), *SHORT]) == 0
    assert "The appearance can be used." in capsys.readouterr().out
    folder = load_appearance_folder(into)
    assert folder.scores.rank1 > 0.95
    assert folder.axis == ("snout", "tailbase")
    crops = np.zeros((3, 32, 64, 3), np.uint8)
    lengths = np.linalg.norm(open_embedder(folder).embed(crops), axis=1)
    assert lengths == pytest.approx(1, abs=1e-5)
    assert main([str(into), str(video), *SHORT]) == 2
    assert "is not empty; name a new folder" in capsys.readouterr().err


def test_mice_that_look_alike_are_not_and_program_and_folder_say_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video, into = film(tmp_path, alike=True), tmp_path / "learned"
    assert main([str(into), str(video), *SHORT]) == 0
    out = capsys.readouterr().out
    assert "The appearance must not be used: rank-1 accuracy is" in out
    assert "anna or bob" in out
    written = json.loads((into / DESCRIPTION).read_text("utf-8"))
    assert written["used"] is False
    assert written["shortfalls"] == load_appearance_folder(into).scores.shortfalls()


def test_an_imported_run_is_a_source_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video = film(tmp_path, alike=False)
    run = tmp_path / "run"
    poses = str(tmp_path / "mice.csv")
    assert import_run([str(video), poses, "--to", str(run)]) == 0
    assert main([str(tmp_path / "learned"), str(run), "--steps", "2"]) == 0
    assert "crops of 2 certain tracks" in capsys.readouterr().out


def test_identities_that_were_ambiguous_all_the_time_are_not_learned_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video = film(tmp_path, alike=False)
    count = RATE * SECONDS
    skeleton = replace(ARENA_SKELETON, animals=("anna", "bob"))
    table = pose_table(
        tmp_path / "mice.csv",
        skeleton,
        np.zeros((count, 2, 4, 2)),
        np.ones((count, 2, 4)),
    )
    table = replace(table, identity=[("doubt1", "doubt1")] * count)
    write_identity(table, identity_file(tmp_path / "mice.csv"))
    assert main([str(tmp_path / "learned"), str(video), *SHORT]) == 2
    assert "no two animals with certain identities" in capsys.readouterr().err
    assert not (tmp_path / "learned").exists()


def test_sources_that_can_not_be_used_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    into = str(tmp_path / "learned")
    assert main([into, str(tmp_path / "none.mp4")]) == 2
    assert "video not found" in capsys.readouterr().err
    assert main([into, str(tmp_path)]) == 2
    assert "it has no run.json" in capsys.readouterr().err
    video = film(tmp_path, alike=True)
    (tmp_path / "mice.csv").unlink()
    assert main([into, str(video)]) == 2
    assert "has no poses beside it (mice.csv)" in capsys.readouterr().err


def test_a_damaged_folder_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is not a learned appearance"):
        load_appearance_folder(tmp_path)
    (tmp_path / DESCRIPTION).write_text('{"format": 1}', "utf-8")
    (tmp_path / NETWORK).write_bytes(b"")
    with pytest.raises(ModelError, match="is damaged: axis"):
        load_appearance_folder(tmp_path)
