from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.pose import Skeleton
from deeplabstream.offline.ibl.session_trials import read_trials
from deeplabstream.offline.pose_drawing import Drawing, Look, Shown
from deeplabstream.offline.pose_file_reading import read_poses
from deeplabstream.offline.rendering import CODECS, Span, render
from deeplabstream.offline.video_inference import predict
from deeplabstream.recording.exporters.pose_files import WRITERS
from deeplabstream.recording.pose_table import pose_table
from deeplabstream.video.video_reader import open_video
from tests.offline.films import DotFinder, dot_at, spoil, write_film
from utils.RenderVideo import main


def poses_of(film: Path, rows: int) -> Shown:
    points = np.array([dot_at(row) for row in range(rows)])[:, None, None]
    sure = np.ones((rows, 1, 1))
    return Shown(pose_table(film, Skeleton(("dot",)), points, sure))


@pytest.mark.parametrize("codec", list(CODECS))
def test_there_is_one_picture_for_each(tmp_path: Path, codec: str) -> None:
    times_ms = [0, 20, 60, 61, 100, 300, 320, 340]
    film = write_film(tmp_path / "film.mkv", frames=8, times_ms=times_ms)
    made = tmp_path / f"made.{'mkv' if codec in ('ffv1', 'vp9') else 'mp4'}"
    look = Look(text=False)
    assert render(film, made, [poses_of(film, 8)], look, codec=codec) == 8
    rows = open_video(made)
    assert len(rows) == 8
    assert sum(each.image is not None for each in rows.images()) == 8
    if codec != "mpeg4":  # which only knows a constant rate
        np.testing.assert_allclose(rows.times_ns / 1e6, times_ms, atol=1.1)


def test_a_frame_that_is_lost_stands_still(tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mov", codec="mjpeg")
    spoil(film, [5])
    made = tmp_path / "made.mkv"
    render(film, made, [], Look(text=False), codec="ffv1")
    images = [each.image for each in open_video(made).images()]
    assert len(images) == 20
    np.testing.assert_array_equal(images[4], images[5])


def test_points_bones_and_trails_lie_where_they_should() -> None:
    points = np.full((3, 1, 2, 2), np.nan)
    points[:, 0, 0] = [[20, 30], [40, 30], [60, 30]]
    points[2, 0, 1] = [60, 70]
    sure = np.ones((3, 1, 2))
    rows = pose_table(Path("made"), Skeleton(("a", "b"), (("a", "b"),)), points, sure)
    black = np.zeros((100, 100, 3), np.uint8)
    look = Look(trail=2, text=False, radius=3)
    image = Drawing([Shown(rows)], look).on(black, 2, "")
    assert image[30, 60].max() > 100
    assert image[70, 60].max() > 100
    assert image[50, 60].max() > 100  # the edge
    assert 0 < image[30, 30].max() < image[30, 50].max()  # the trail, older is darker
    assert image[10, 10].max() == 0
    assert black.max() == 0
    first = Drawing([Shown(rows)], look).on(black, 0, "")
    assert first[50:].max() == 0
    large = Drawing([Shown(rows)], Look(scale=2, text=False)).on(black, 2, "")
    assert large.shape == (200, 200, 3)
    assert large[60, 120].max() > 100
    unsure = Drawing([Shown(rows, threshold=1.1)], Look(text=False)).on(black, 2, "")
    assert unsure.max() == 0


def test_marks_tell_networks_apart() -> None:
    points = np.full((1, 1, 1, 2), 50.0)
    rows = pose_table(Path("made"), Skeleton(("a",)), points, np.ones((1, 1, 1)))
    black = np.zeros((100, 100, 3), np.uint8)
    images = {
        mark: Drawing([Shown(rows, mark=mark, name="one")], Look(names=True)).on(
            black, 0, ""
        )
        for mark in ("dot", "cross", "square", "diamond")
    }
    assert len({image.tobytes() for image in images.values()}) == 4
    assert images["dot"][:30, :80].max() > 200  # the legend


def test_the_program_renders_trials(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    film = write_film(tmp_path / "film.mp4", frames=50)
    WRITERS["csv"](predict(film, DotFinder(), "dots").table, tmp_path / "film.csv")
    words = [
        str(film),
        "--poses",
        str(tmp_path / "film.csv"),
        "--output",
        str(tmp_path),
    ]
    assert main([*words, "--trail", "5", "--names"]) == 0
    assert len(open_video(tmp_path / "film.labelled.mp4")) == 50
    trials = tmp_path / "trials.csv"
    trials.write_text("start_s,end_s\n0.1,0.3\n0.4,0.8\n5,6\n")
    assert main([*words, "--trials", str(trials)]) == 0
    assert "no frame during trial 2" in capsys.readouterr().out
    assert len(open_video(tmp_path / "film.trial0.labelled.mp4")) == 10
    chosen = ["--trials", str(trials), "--choose", "1", "--before", "0.11"]
    assert main([*words, *chosen]) == 2, "trial 1 is there"
    assert "--overwrite" in capsys.readouterr().err
    assert len(open_video(tmp_path / "film.trial1.labelled.mp4")) == 20
    assert main([*words, *chosen, "--overwrite"]) == 0
    assert len(open_video(tmp_path / "film.trial1.labelled.mp4")) == 25
    assert main([*words, "--trials", str(trials), "--choose", "7"]) == 2
    assert "has the trials 0 to 2, but not 7" in capsys.readouterr().err
    assert main([*words, "--edges", "dot:tail"]) == 2
    assert "no body part tail" in capsys.readouterr().err
    for wrong in ("--radius=0", "--trail=-3", "--scale=-1", "--scale=nan"):
        with pytest.raises(SystemExit):
            main([*words, wrong])


def test_a_path_with_an_equals_sign_is_no_name(tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mp4")
    table = tmp_path / "lr=0.001" / "film.csv"
    table.parent.mkdir()
    WRITERS["csv"](predict(film, DotFinder(), "dots").table, table)
    words = [str(film), "--output", str(tmp_path), "--overwrite", "--poses"]
    assert main([*words, str(table)]) == 0
    assert main([*words, f"ours={table}", str(table)]) == 0


def test_times_of_trials_may_be_another_clocks(tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mp4", frames=20)
    WRITERS["csv"](predict(film, DotFinder(), "dots").table, tmp_path / "film.csv")
    np.save(tmp_path / "times.npy", 100 + np.arange(22) / 10)
    pd.DataFrame({"intervals_0": [100.25], "intervals_1": [101.05]}).to_parquet(
        tmp_path / "trials.pqt"
    )
    words = [
        str(film),
        "--poses",
        f"ours={tmp_path / 'film.csv'}",
        "--output",
        str(tmp_path),
    ]
    words += [
        "--trials",
        str(tmp_path / "trials.pqt"),
        "--times",
        str(tmp_path / "times.npy"),
    ]
    assert main(words) == 0
    assert len(open_video(tmp_path / "film.trial0.labelled.mp4")) == 8


def test_what_does_not_belong_together_is_said(tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mp4", frames=5)
    with pytest.raises(DeepLabStreamError, match="has 6 rows, but"):
        render(film, tmp_path / "made.mp4", [poses_of(film, 6)], Look())
    assert not (tmp_path / "made.mp4").exists()
    with pytest.raises(DeepLabStreamError, match="as h264"):
        render(film, tmp_path / "made.words", [], Look(), span=Span(0, 2))
    with pytest.raises(DeepLabStreamError, match="file not found"):
        read_poses(tmp_path / "no.csv")
    (tmp_path / "t.csv").write_text("a\n1\n")
    with pytest.raises(DeepLabStreamError, match="columns start_s and end_s"):
        read_trials(tmp_path / "t.csv")
    (tmp_path / "t.csv").write_text("start_s,end_s\n0,5,1,5\n")
    with pytest.raises(DeepLabStreamError, match="has 4 cells and the first row 2"):
        read_trials(tmp_path / "t.csv")
