from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from deeplabstream.numerics.peri_event import Signal, around
from deeplabstream.offline.ibl.trial_activity import signals
from utils.PlotSession import main


def test_the_mean_around_events_is_the_signals() -> None:
    times = np.arange(0, 10, 0.01)
    values = np.zeros(len(times))
    for event in (2.0, 5.0, 8.0):
        values[(times >= event - 1e-9) & (times < event + 0.5)] = 1
    found = around(
        Signal("a", "", times, values), np.array([2, 5, np.nan, 8.0]), 0.5, 1
    )
    assert found.trials.shape == (3, 76)
    inside = (found.offsets_s >= 0) & (found.offsets_s < 0.48)
    np.testing.assert_allclose(found.mean[inside], 1)
    np.testing.assert_allclose(found.mean[found.offsets_s < -0.02], 0)
    np.testing.assert_allclose(found.error, 0, atol=1e-12)


def test_what_is_not_known_does_not_count() -> None:
    times = np.arange(0, 4, 0.1)
    values = np.where((times > 0.9) & (times < 1.15), np.nan, 2.0)
    found = around(Signal("a", "", times, values), np.array([1.0, 3.0, 3.9]), 0.2, 0.2)
    middle = found.offsets_s == 0
    assert np.isnan(found.trials[0, middle])
    assert np.isnan(found.trials[2, -1])  # after the end
    assert found.mean[middle] == 2


def session(tmp_path: Path) -> Path:
    alf = tmp_path / "mouse/2026-11-21/001/alf"
    alf.mkdir(parents=True)
    times = np.arange(0, 30, 1 / 60)
    events = np.arange(2.0, 28, 2)
    after = times - events[np.clip(np.searchsorted(events, times) - 1, 0, None)]
    bump = np.exp(-(((after - 0.6) / 0.2) ** 2))
    np.save(alf / "_ibl_leftCamera.times.npy", times)
    features = {"pupilDiameter_smooth": 20 + 3 * bump, "paw_r_speed": 50 * bump}
    pd.DataFrame(features).to_parquet(alf / "_ibl_leftCamera.features.pqt")
    np.save(alf / "leftCamera.ROIMotionEnergy.npy", 4 + bump)
    np.save(alf / "_ibl_wheel.position.npy", np.cumsum(bump) / 60)
    np.save(alf / "_ibl_wheel.timestamps.npy", times)
    np.save(alf / "licks.times.npy", events + 0.6)
    table = {
        "intervals_0": events - 0.5,
        "intervals_1": events + 1,
        "stimOn_times": events,
    }
    pd.DataFrame(table).to_parquet(alf / "_ibl_trials.table.pqt")
    return alf.parent


def test_a_session_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    path = session(tmp_path)
    names = {signal.name: signal for signal in signals(path)}
    assert set(names) == {
        "left pupilDiameter_smooth",
        "left paw_r_speed",
        "left motion energy",
        "wheel velocity",
        "lick frames",
    }
    wheel = around(names["wheel velocity"], np.arange(2.0, 28, 2), 0.5, 1.4)
    assert wheel.offsets_s[wheel.mean.argmax()] == pytest.approx(0.6, abs=0.05)
    assert wheel.mean.max() == pytest.approx(1, abs=0.05)
    assert main([str(path)]) == 0
    image = cv2.imread(str(path / "alf/activity.stimOn_times.png"))
    assert image is not None
    assert image.shape[0] > 600
    assert image.std() > 5


def test_what_is_missing_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path)]) == 2
    assert "has no _ibl_trials.table.pqt" in capsys.readouterr().err
    path = session(tmp_path)
    assert main([str(path), "--event", "goCue_times"]) == 2
    assert (
        "has no column goCue_times; available: intervals_0" in capsys.readouterr().err
    )
