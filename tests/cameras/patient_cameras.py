"""Cameras that wait long for a frame, so that a machine that stalls fails no test."""

import pytest

import cameras.basler.stream
import cameras.genicam.camera
import cameras.network
import cameras.realsense.live
import cameras.realsense.playback
import cameras.webcam
import cameras.zeromq

PATIENCE_S = 60.0


def use_patient_cameras(patch: pytest.MonkeyPatch) -> None:
    """Let no camera be given up because its frame comes late."""
    for module in (
        cameras.genicam.camera,
        cameras.network,
        cameras.webcam,
        cameras.zeromq,
    ):
        patch.setattr(module, "_SILENCE_S", PATIENCE_S)
    patch.setattr(cameras.webcam, "_PATIENCE_S", PATIENCE_S)
    patch.setattr(cameras.basler.stream, "_WAIT_S", PATIENCE_S)
    patch.setattr(cameras.realsense.live, "_SILENT_MS", round(PATIENCE_S * 1e3))
    patch.setattr(cameras.realsense.live, "_FIRST_MS", round(PATIENCE_S * 1e3))
    steps = round(PATIENCE_S / cameras.realsense.playback._STEP_S)
    patch.setattr(cameras.realsense.playback, "_SILENT_STEPS", steps)
