"""SmoothEnsemble over tables that are there: what the package makes of the same ones."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.pose import Skeleton
from deeplabstream.offline.smoothing.camera_smoothing import (
    smooth_cameras,
    smooth_mirrored,
)
from deeplabstream.offline.smoothing.ensemble_kalman import ensemble_of, smooth_paws
from deeplabstream.offline.smoothing.ensemble_members import read_members
from deeplabstream.recording.exporters.pose_files import write_dlc_csv
from deeplabstream.recording.pose_table import pose_table
from tests.offline.ensembles import (
    PAW_TIMES_S,
    PUPIL,
    contradicting_members,
    paw_members,
    pupil_members,
    two_paws,
    view_members,
)
from utils.SmoothEnsemble import main

HERE = Path(__file__).parent
REAL = HERE.parents[2] / "shared/data/ibl-pupil"
PAWS = ("paw_l", "paw_r")
Numbers = NDArray[np.float64]


def tables(
    folder: Path, name: str, members: Numbers, parts: Sequence[str] = PAWS
) -> list[str]:
    """Write (network, row, body part, 3) as a table for each network."""
    files = []
    for seed, one in enumerate(members):
        file = folder / f"{name}{seed}.csv"
        skeleton = Skeleton(tuple(parts))
        values = one[:, None]
        poses = pose_table(file, skeleton, values[..., :2], values[..., 2])
        write_dlc_csv(replace(poses, scorer=f"seed{seed}"), file)
        files.append(str(file))
    return files


def read(file: Path) -> pd.DataFrame:
    """Return what was written, with columns body part, coordinate."""
    table = pd.read_csv(file, header=[0, 1, 2], index_col=0)
    return table.droplevel("scorer", axis="columns")


def refusal(words: Sequence[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Return the one sentence that the program says."""
    capsys.readouterr()
    assert main(words) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    return said


def usage_error(words: Sequence[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Return the sentence of options that are not possible."""
    capsys.readouterr()
    with pytest.raises(SystemExit, match="2"):
        main(words)
    return capsys.readouterr().err.splitlines()[-1]


@pytest.fixture(scope="module")
def reference() -> dict[str, Numbers]:
    with np.load(HERE / "reference/eks_3_0_0.npz") as file:
        return {name: file[name] for name in file.files}


def test_the_newest_version_is_followed_by_default(tmp_path: Path) -> None:
    with np.load(HERE / "reference/eks_4_6_2.npz") as file:
        wanted = {name: file[name] for name in file.files}
    out = tmp_path / "eks.csv"
    words = ["--output", str(out), "--overwrite", "--tables"]
    assert main([*words, *tables(tmp_path, "paws", paw_members())]) == 0
    points = read(out).to_numpy().reshape(-1, 2, 9)[..., :2]
    np.testing.assert_allclose(points, wanted["paws"][..., :2], rtol=0, atol=2e-3)
    assert (
        main([*words, *tables(tmp_path, "eye", pupil_members(), PUPIL), "--pupil"]) == 0
    )
    points = read(out).to_numpy().reshape(-1, 4, 9)[..., :2]
    assert np.abs(points - wanted["pupil"][..., :2]).max() < 0.2
    both = contradicting_members(2)
    names = ["one_top", "other_top", "one_side", "other_side"]
    files = tables(tmp_path, "both", both.reshape(5, -1, 4, 3), names)
    assert main([*words, *files, "--mirrored", "_top", "_side"]) == 0
    points = read(out).to_numpy().reshape(-1, 2, 2, 9)[..., :2]
    theirs = np.moveaxis(wanted["views_2_True"][..., :2], 0, 1)
    np.testing.assert_allclose(points, theirs, rtol=0, atol=5e-3)


def test_other_body_parts_than_the_pupils_are_smoothed_alone(tmp_path: Path) -> None:
    more = np.concatenate([pupil_members(), paw_members()[:, :, :1]], axis=2)
    names = ("paw", *PUPIL)
    files = tables(tmp_path, "eye", np.roll(more, 1, axis=2), names)
    out = tmp_path / "eye_eks.csv"
    assert main(["--tables", *files, "--output", str(out), "--pupil"]) == 0
    found = read(out)
    assert list(dict.fromkeys(found.columns.get_level_values(0))) == list(names)
    alone = smooth_mirrored(read_members([Path(file) for file in files]))
    np.testing.assert_allclose(found["paw", "x"], alone["paw"]["x"], rtol=1e-5)


def test_views_as_cameras_and_as_mirrors_are_the_same(tmp_path: Path) -> None:
    members, words = view_members(), []
    for view, name in enumerate(("top", "side")):
        files = tables(tmp_path, name, members[:, :, [view]], ["nose"])
        words += ["--tables", *files, "--output", str(tmp_path / f"{name}_eks.csv")]
    assert main([*words, "--views", "--s", "1.5"]) == 0
    both = tables(tmp_path, "both", members, ["nose_top", "nose_side"])
    out = tmp_path / "both_eks.csv"
    words = ["--tables", *both, "--output", str(out), "--mirrored", "_top", "_side"]
    assert main([*words, "--s", "1.5"]) == 0
    for name in ("top", "side"):
        ours = read(tmp_path / f"{name}_eks.csv")["nose"]
        pd.testing.assert_frame_equal(ours, read(out)[f"nose_{name}"])


def test_what_only_one_camera_has_is_smoothed_alone(tmp_path: Path) -> None:
    paws = read_members([Path(file) for file in tables(tmp_path, "a", paw_members())])
    parts = ("paw_r", "nose")
    other = tables(tmp_path, "b", paw_members()[:, :, ::-1] + 3.0, parts)
    found = smooth_cameras([paws, read_members([Path(file) for file in other])], 2.0)
    assert [list(each) for each in found] == [list(PAWS), list(parts)]
    alone = smooth_mirrored(paws, s=2.0)
    np.testing.assert_allclose(found[0]["paw_l"]["x"], alone["paw_l"]["x"])
    assert np.abs(found[0]["paw_r"]["x"] - alone["paw_r"]["x"]).max() > 0.01


def test_paws_are_the_packages(reference: dict[str, Numbers]) -> None:
    left, right = two_paws()
    left_of = {
        paw: ensemble_of(left[:, :, [own], :2], left[:, :, [own], 2])
        for own, paw in enumerate(PAWS)
    }
    right_of = {
        paw: ensemble_of(right[:, :, [1 - own], :2], right[:, :, [1 - own], 2])
        for own, paw in enumerate(PAWS)
    }
    found = smooth_paws(left_of, right_of, PAW_TIMES_S, 2.0, keep=100)
    for paw, name in enumerate(PAWS):
        for side, theirs in enumerate(reference["crossed"]):
            own = theirs[20:, paw if side == 0 else 1 - paw]
            ours = found[name][side]
            np.testing.assert_allclose(ours.points[20:, 0], own[:, :2], atol=1e-6)
            np.testing.assert_allclose(ours.variance[20:, 0], own[:, 3:5], atol=1e-6)


def test_tables_of_paws(tmp_path: Path, reference: dict[str, Numbers]) -> None:
    words = ["--paws", "--times"]
    for side, times in zip(("left", "right"), PAW_TIMES_S, strict=True):
        np.save(tmp_path / f"{side}.npy", times)
        words.append(str(tmp_path / f"{side}.npy"))
    for side, members in zip(("left", "right"), two_paws(), strict=True):
        words += ["--tables", *tables(tmp_path, side, members)]
        words += ["--output", str(tmp_path / f"{side}_eks.csv")]
    assert main(words) == 0
    for side, theirs in zip(("left", "right"), reference["crossed"], strict=True):
        ours = read(tmp_path / f"{side}_eks.csv")
        for paw, name in enumerate(PAWS):  # frames to learn from are chosen otherwise
            own = theirs[20:, paw, :2]
            np.testing.assert_allclose(ours[name][["x", "y"]][20:], own, atol=0.15)


def test_times_that_do_not_fit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    left, right = (tmp_path / name for name in ("left.npy", "right.npy"))
    words = ["--paws", "--times", str(left), str(right)]
    for side, members in zip(("l", "r"), two_paws(), strict=True):
        words += ["--tables", *tables(tmp_path, side, members)]
        words += ["--output", str(tmp_path / f"{side}_eks.csv")]
    assert "left.npy" in refusal(words, capsys)
    np.save(left, PAW_TIMES_S[0][:-1])
    np.save(right, PAW_TIMES_S[1])
    assert "has 119 times, but the video has 120 frames" in refusal(words, capsys)
    np.save(left, PAW_TIMES_S[0][::-1])
    assert "left.npy: times must increase" in refusal(words, capsys)
    np.save(left, PAW_TIMES_S[0] + 1000)
    assert "both show paw_l in 0 frames" in refusal(words, capsys)
    np.save(left, PAW_TIMES_S[0][:, None])
    assert "left.npy does not contain times" in refusal(words, capsys)
    np.savez(tmp_path / "several.npz", a=PAW_TIMES_S[0])
    left.write_bytes((tmp_path / "several.npz").read_bytes())
    assert "left.npy" in refusal(words, capsys)
    left.write_bytes(b"")
    assert "left.npy" in refusal(words, capsys)
    np.save(left, np.array([{"no": "times"}] * 120), allow_pickle=True)
    assert "left.npy" in refusal(words, capsys)
    assert not list(tmp_path.glob("*_eks.csv"))


def test_tables_that_are_no_ensemble(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files, out = tables(tmp_path, "a", paw_members()), str(tmp_path / "a_eks.csv")
    short = tables(tmp_path, "short", paw_members()[:, :50])
    named = tables(tmp_path, "named", paw_members(), ["paw_l", "tail"])
    damaged = tmp_path / "damaged.h5"
    damaged.write_bytes(b"no table")
    pair = tmp_path / "pair.csv"
    pair.write_text(
        "scorer,m,m,m,m\nindividuals,a,a,b,b\nbodyparts,paw_l,paw_l,paw_l,paw_l\n"
        "coords,x,y,x,y\n0,1,2,3,4\n"
    )
    to = ["--output", out]
    for wrong, sentence in (
        ([files[0], str(pair)], "pair.csv contains several animals"),
        (
            [files[0], files[1], str(tmp_path / "x" / ".." / "a0.csv")],
            "needs two or more tables",
        ),
        ([files[0]], "needs two or more tables"),
        ([files[0], files[0]], "needs two or more tables"),
        ([files[0], str(tmp_path / "none.csv")], "file not found"),
        ([files[0], short[1]], "short1.csv has 50 rows"),
        ([files[0], named[1]], "named1.csv and .*only one has paw_r, tail"),
        ([files[0], str(damaged)], "Can't read .*damaged.h5"),
    ):
        said = refusal(["--tables", *wrong, *to], capsys)
        with pytest.raises(DeepLabStreamError, match=sentence):
            raise DeepLabStreamError(said)
    ours = ["--tables", *files]
    second = [*ours, *to, "--tables", *short, "--output", str(tmp_path / "b.csv")]
    assert "need equal numbers" in refusal([*second, "--views"], capsys)
    assert "need two cameras" in refusal([*ours, *to, "--views"], capsys)
    assert "pupil_top" in refusal([*ours, *to, "--pupil"], capsys)
    assert "a0.csv" in refusal([*ours, *to, "--mirrored", "_top", "_bot"], capsys)
    assert "a different ending for each" in refusal(
        [*ours, *to, "--mirrored", "_top"], capsys
    )
    assert "would replace" in refusal([*ours, "--output", files[1]], capsys)
    assert "expected a .csv file" in refusal([*ours, "--output", str(tmp_path)], capsys)
    for words, sentence in (
        (ours, "0 times --output"),
        ([*ours, *to, "--paws"], "--paws needs --tables twice"),
        ([*ours, *to, "--s", "-1"], "--s = '-1': must be above 0"),
        ([*ours, *to, "--s", "1", "--pupil"], "--s can't be used with --pupil"),
        ([*ours, *to, "--views", "--pupil"], "--views and --pupil can't be used"),
        ([*ours, *to, "--times", "a.npy", "b.npy"], "--times needs --paws"),
        ([], "name videos and --model, or"),
        (["mouse.mp4"], "one --model"),
    ):
        assert sentence in usage_error(words, capsys)
    assert not list(tmp_path.glob("*_eks.csv"))


def test_a_calibration_of_the_cameras_is_refused_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """EKS 4 takes one: `eks multicam --calibration`."""
    words = ["--tables", "a.csv", "b.csv", "--output", str(tmp_path / "eks.csv")]
    error = usage_error([*words, "--calibration", "calibration.toml"], capsys)
    assert "--calibration calibration.toml: calibrated cameras are not" in error
    assert not any(tmp_path.iterdir())


def test_a_body_part_that_nobody_sees(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    members = paw_members()
    members[:, :, 1] = np.nan
    files, out = tables(tmp_path, "blank", members), tmp_path / "blank_eks.csv"
    assert main(["--tables", *files, "--output", str(out)]) == 0
    found = read(out)
    assert np.isfinite(found["paw_l", "x"]).all()
    assert found["paw_r"][["x", "y", "x_posterior_var"]].isna().all(axis=None)
    words = ["--tables", *files, "--output", str(out), "--overwrite"]
    words += ["--mirrored", "l", "r"]
    assert "in 0 frames" in refusal(words, capsys)


@pytest.mark.skipif(not REAL.exists(), reason="IBL's predictions are not here")
def test_real_pupils_as_a_user_would(tmp_path: Path) -> None:
    files = [str(file) for file in sorted(REAL.glob("*.csv"))]
    out = tmp_path / "eye_eks.csv"
    assert main(["--tables", *files, "--output", str(out), "--pupil"]) == 0
    found = read(out)
    assert len(found) == 2000
    top, bottom = found["pupil_top_r"], found["pupil_bottom_r"]
    left, right = found["pupil_left_r"], found["pupil_right_r"]
    np.testing.assert_allclose(
        bottom["y"] - top["y"], right["x"] - left["x"], atol=0.01
    )
    assert ((bottom["y"] - top["y"]) > 5).all()
