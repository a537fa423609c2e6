"""The SDK itself, on a made device of its own and on recordings that it wrote."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
import pytest

from cameras.realsense.camera import RealSense
from deeplabstream.core.clock import SystemClock
from deeplabstream.core.errors import DeviceError
from deeplabstream.core.frame import Image
from deeplabstream.plugins.camera import NO_FRAME_YET, CameraStream, CapturedFrame
from deeplabstream.recording.video_writer import VideoWriter
from deeplabstream.video.video_reader import open_video

rs = pytest.importorskip("pyrealsense2")

from cameras.realsense.devices import describe, present  # noqa: E402
from cameras.realsense.stream import stream  # noqa: E402
from tests.cameras.recordings import (  # noqa: E402
    SERIAL,
    STEP_MS,
    LoggedDevice,
    MadeDevice,
    images,
    write_recording,
)

SEEN = (0, 1, 2, 5, 6, 7)
"""The device lost two frames."""


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_recording(tmp_path_factory.mktemp("film") / "film.db3", SEEN)


@pytest.mark.parametrize("kind", ["color", "infrared", "depth"])
def test_a_recording_gives_every_frame_once(recording: Path, kind: Any) -> None:
    camera = RealSense(
        recording=recording, stream=kind, analyse=kind != "depth", paced=False
    )
    with camera.opened() as camera_stream:
        assert camera_stream.knows_losses
        assert camera_stream.clock == "device"
        assert SERIAL in camera_stream.device
        taken = shots(camera_stream)
    assert [shot.index for shot, _ in taken] == list(SEEN)
    for shot, image in taken:
        np.testing.assert_array_equal(image, images(shot.index)[kind])
        assert shot.exposed_ns == shot.index * STEP_MS * 1_000_000


def test_a_recording_plays_as_live(recording: Path) -> None:
    start_ns = SystemClock().now_ns()
    with RealSense(recording=recording).opened() as camera_stream:
        taken = shots(camera_stream)
    indices = np.array([shot.index for shot, _ in taken])
    times = np.array([shot.exposed_ns or 0 for shot, _ in taken])
    assert set(indices) <= set(SEEN)
    assert start_ns < times[0] < times[-1] < SystemClock().now_ns()
    np.testing.assert_allclose(
        np.diff(times) / 1e6, STEP_MS * np.diff(indices), atol=1e-3
    )


def test_who_reads_late_loses_frames_as_live(recording: Path) -> None:
    with RealSense(recording=recording).opened() as camera_stream:
        first, *_ = shots(camera_stream, 1)
        Event().wait(2.5 * STEP_MS / 1000)
        then, *_ = shots(camera_stream, 1)
    assert first[0].index == 0
    assert then[0].index >= 2


def test_a_recording_that_repeats_counts_on(recording: Path) -> None:
    camera = RealSense(recording=recording, repeat=True, paced=False)
    with camera.opened() as camera_stream:
        taken = shots(camera_stream, 2 * len(SEEN) + 1)
    shown = [int(image[0, 0, 2]) for _, image in taken]
    assert shown == [*SEEN, *SEEN, SEEN[0]]
    indices = [shot.index for shot, _ in taken]
    assert indices == [*SEEN, *(8 + index for index in SEEN), 16]
    times = [shot.exposed_ns or 0 for shot, _ in taken]
    assert (np.diff(times) > 0).all()


def test_colour_and_depth_of_one_device_at_once(recording: Path) -> None:
    color = RealSense(recording=recording, paced=False)
    depth = RealSense(recording=recording, stream="depth", analyse=False, paced=False)
    with color.opened() as first, depth.opened() as second:
        assert [s.index for s, _ in shots(first)] == list(SEEN)
        assert [s.index for s, _ in shots(second)] == list(SEEN)


def test_depth_is_laid_onto_colour(tmp_path: Path) -> None:
    path = write_recording(tmp_path / "film.db3", range(3), shift=8.0)
    camera = RealSense(recording=path, stream="depth", analyse=False, align=(64, 48))
    with camera.opened() as camera_stream:
        assert camera_stream.format.dtype == "uint16"
        assert "steps of 1 mm" in camera_stream.device
        taken = shots(camera_stream)
    for shot, image in taken:
        seen = images(shot.index)["depth"].astype(int)
        # A pixel of depth covers a little more than one of colour; the nearest wins.
        assert np.abs(image[1:-1, 9:-1] - seen[1:-1, 1:-9]).max() <= 5
        assert not image[:, :7].any()


def test_depth_is_recorded_without_loss(recording: Path, tmp_path: Path) -> None:
    camera = RealSense(recording=recording, stream="depth", analyse=False)
    path = tmp_path / "depth.mkv"
    with (
        camera.opened() as camera_stream,
        VideoWriter(path, camera_stream.format) as video,
    ):
        taken = shots(camera_stream)
        for shot, image in taken:
            time_ns = shot.exposed_ns or 0
            video.write(image, shot.index, time_ns, time_ns)
    for (_, image), kept in zip(taken, open_video(path).images(), strict=True):
        np.testing.assert_array_equal(kept.image, image)


def test_a_live_device() -> None:
    made = MadeDevice(projector=True)
    with running(made), stream(made.device, RealSense(emitter=True)) as camera_stream:
        assert camera_stream.remarks == ()
        taken = shots(camera_stream, 5)
    assert taken[0][0].index == 0
    assert taken[-1][0].index >= 4
    for _, image in taken:
        shown = int(image[0, 0, 2])
        np.testing.assert_array_equal(image, images(shown)["color"])
    assert made.device.query_sensors()[0].get_option(rs.option.emitter_enabled) == 1


def test_a_live_device_aligns_depth_while_its_colour_is_off() -> None:
    made = MadeDevice(shift=8.0)
    camera = RealSense(stream="depth", analyse=False, align=(64, 48))
    with running(made), stream(made.device, camera) as camera_stream:
        (_, image), *_ = shots(camera_stream, 1)
    assert not image[:, :7].any()
    assert image[24, 40] >= 1000


def test_red_and_blue_are_told_apart(tmp_path: Path) -> None:
    path = write_recording(tmp_path / "film.db3", range(2), layout=rs.format.rgb8)
    with RealSense(recording=path, paced=False).opened() as camera_stream:
        for shot, image in shots(camera_stream):
            seen = images(shot.index)["color"]
            np.testing.assert_array_equal(image, seen[..., ::-1])


@pytest.mark.usefixtures("usual_limits")
def test_a_device_that_falls_silent_is_noticed_within_a_second() -> None:
    made = MadeDevice()
    with (
        running(made) as stop,
        stream(made.device, RealSense()) as camera_stream,
        pytest.raises(DeviceError, match="no frame for 1 s"),
    ):
        shots(camera_stream, 2)
        stop.set()
        shots(camera_stream, 200)


def test_a_clock_that_starts_again_after_72_minutes_goes_on() -> None:
    turn_ms = 2**32 / 1000
    made = MadeDevice()
    beginning_ms = turn_ms - 15 * STEP_MS
    with (
        running(made, beginning_ms, turn_ms),
        stream(made.device, RealSense()) as camera_stream,
    ):
        taken = shots(camera_stream, 30)
    indices = np.array([shot.index for shot, _ in taken])
    times_ms = np.array([shot.exposed_ns or 0 for shot, _ in taken]) / 1e6
    late_ms = times_ms - times_ms[0] - STEP_MS * (indices - indices[0])
    assert np.abs(late_ms).max() < 60_000  # not 72 minutes, however busy the computer


def test_a_device_without_clock_and_counter_says_so() -> None:
    made = MadeDevice(domain=rs.timestamp_domain.system_time, counts=False)
    with running(made), stream(made.device, RealSense()) as camera_stream:
        assert camera_stream.clock == "host"
        assert not camera_stream.knows_losses
        assert shots(camera_stream, 2)[1][0].exposed_ns


def test_the_projector_of_a_recording_stays_as_it_is(tmp_path: Path) -> None:
    with_one = write_recording(tmp_path / "film.db3", range(2), projector=True)
    with RealSense(recording=with_one, emitter=True).opened() as camera_stream:
        assert camera_stream.remarks == (
            "EMITTER: a recording can't be lit; requested: on",
        )
    made = MadeDevice()
    with running(made), stream(made.device, RealSense(emitter=False)) as camera_stream:
        assert "no projector" in camera_stream.remarks[0]


def test_what_it_can_not_do_lists_what_it_can(recording: Path) -> None:
    camera = RealSense(recording=recording, resolution=(640, 480), rate=30)
    with (
        pytest.raises(DeviceError, match=r"640×480 at 30/s; .*color 64×48 at 100/s"),
        camera.opened(),
    ):
        pass


def test_no_device_is_told() -> None:
    if present():
        pytest.skip("a RealSense camera is plugged in")
    for serial in ("", "1"):
        with (
            pytest.raises(DeviceError, match="no RealSense camera"),
            RealSense(serial=serial).opened(),
        ):
            pass
    assert RealSense.connected_devices() == ()


def test_devices_are_listed_by_serial_number() -> None:
    device = describe(MadeDevice().device, "RealSense")
    assert device.choose == f"SERIAL = {SERIAL}"
    assert device.label == "Made RealSense"
    assert device.formats[0] == "color 64×48 at 100/s"


@pytest.mark.parametrize("name", ["broken.db3", "broken.bag"])
def test_a_broken_recording_is_a_sentence(tmp_path: Path, name: str) -> None:
    broken = tmp_path / name
    broken.write_bytes(b"not a recording" * 100)
    with (
        pytest.raises(DeviceError, match=rf"{name} is not a RealSense recording"),
        RealSense(recording=broken).opened(),
    ):
        pass


def test_settings_that_fit_no_stream_are_refused() -> None:
    with pytest.raises(ValueError, match="ANALYSE = no"):
        RealSense(stream="depth")
    with pytest.raises(ValueError, match="ALIGN"):
        RealSense(align=(64, 48))


# exposure and gain

EXPOSING = {
    "depth": {
        rs.option.exposure: (1.0, 200_000.0, 1.0),
        rs.option.gain: (16.0, 248.0, 1.0),
        rs.option.enable_auto_exposure: (0.0, 1.0, 1.0),
    },
    "color": {
        rs.option.exposure: (1.0, 10_000.0, 1.0),
        rs.option.gain: (0.0, 128.0, 1.0),
        rs.option.enable_auto_exposure: (0.0, 1.0, 1.0),
    },
}


@pytest.mark.parametrize(("kind", "unit_us"), [("color", 100), ("infrared", 1)])
def test_exposure_is_set_in_microseconds_whatever_the_sensor_counts(
    kind: Any, unit_us: int
) -> None:
    made = MadeDevice(options=EXPOSING)
    device = LoggedDevice(made.device)
    camera = RealSense(stream=kind, exposure_us=4000, gain=32)
    with running(made), stream(device, camera) as frames:
        assert frames.remarks == ()
        assert device.log[:4] == [
            ("enable_auto_exposure", 0.0),
            ("exposure", 4000 / unit_us),
            ("enable_auto_exposure", 0.0),
            ("gain", 32.0),
        ]
        controls = {control.key: control for control in frames.controls()}
        assert controls["exposure_us"].now == 4000
        assert controls["exposure_us"].low == unit_us
        assert controls["gain"].now == 32


def test_exposure_and_gain_change_while_it_streams_and_stay_within_limits() -> None:
    made = MadeDevice(options=EXPOSING)
    with running(made), stream(made.device, RealSense()) as frames:
        shots(frames, 2)
        assert frames.set_control("exposure_us", 2550.0)
        assert frames.set_control("gain", 1e6)
        assert not frames.set_control("rate", 30.0)
        now = {control.key: control.now for control in frames.controls()}
        assert now["gain"] == 128
        assert now["exposure_us"] in (2500, 2600), "in steps of 100 µs"
        shots(frames, 2)


def test_an_exposure_that_is_not_taken_is_a_remark(recording: Path) -> None:
    made = MadeDevice(options=EXPOSING)
    device = LoggedDevice(made.device)
    device.stuck = True
    with running(made), stream(device, RealSense(exposure_us=4000)) as frames:
        assert frames.remarks == (
            "EXPOSURE_US = 4000 was requested; the camera set 100",
        )
    with RealSense(recording=recording, gain=3).opened() as frames:
        assert "GAIN = 3 was requested; it cannot be set" in frames.remarks[0]
        assert frames.controls() == ()


# synchronisation


def synchronised(highest: float) -> MadeDevice:
    sync = {rs.option.inter_cam_sync_mode: (0.0, highest, 1.0)}
    return MadeDevice(options={"depth": sync})


def modes(device: LoggedDevice) -> list[Any]:
    return [
        each for each in device.log if "inter_cam_sync_mode" in each or each == "start"
    ]


DEPTH: dict[str, Any] = {"stream": "depth", "analyse": False}


@pytest.mark.parametrize(
    ("camera", "mode"),
    [
        (RealSense(leads=True), 1),
        (RealSense(**DEPTH, leads=True), 1),
        (RealSense(**DEPTH, trigger="line", leader="top"), 2),
        (RealSense(stream="infrared", trigger="line", leader="top"), 2),
        (RealSense(trigger="line", leader="top"), 3),
    ],
)
def test_leader_and_followers_are_set_before_the_sensor_starts(
    camera: RealSense, mode: int
) -> None:
    made = synchronised(260)
    device = LoggedDevice(made.device)
    with running(made), stream(device, camera) as frames:
        assert modes(device) == [("inter_cam_sync_mode", float(mode)), "start"]
        assert frames.remarks == ()
        assert shots(frames, 2)


@pytest.mark.usefixtures("usual_limits")
def test_one_frame_per_external_pulse() -> None:
    made = synchronised(260)
    device = LoggedDevice(made.device)
    camera = RealSense(**DEPTH, trigger="line")
    with running(made) as stop, stream(device, camera) as frames:
        assert modes(device) == ["start", ("inter_cam_sync_mode", 4.0), "start"]
        stop.set()  # the pulses end
        image = np.empty(frames.format.shape, frames.format.dtype)
        while frames.read(image) is not NO_FRAME_YET:
            continue
        made.send(500)
        shot = frames.read(image)
        assert shot is not None
        assert shot.device_id == 500
        device.unplugged = True
        with pytest.raises(DeviceError, match="failed: failed to set power state"):
            frames.read(image)


def test_a_mode_that_an_earlier_program_left_on_is_reset() -> None:
    made = synchronised(260)
    made.device.query_sensors()[0].set_option(rs.option.inter_cam_sync_mode, 4)
    device = LoggedDevice(made.device)
    with running(made), stream(device, RealSense(**DEPTH)):
        assert modes(device) == [("inter_cam_sync_mode", 0.0), "start"]


def test_colour_that_follows_nothing_leaves_the_mode_of_depth() -> None:
    made = synchronised(260)
    made.device.query_sensors()[0].set_option(rs.option.inter_cam_sync_mode, 4)
    device = LoggedDevice(made.device)
    with running(made), stream(device, RealSense()):
        assert modes(device) == ["start"]


def test_firmware_without_the_mode_is_a_sentence() -> None:
    external = RealSense(**DEPTH, trigger="line")
    for made, words in (
        (MadeDevice(), "has no inter-camera synchronisation"),
        (synchronised(2), "cannot follow external pulses. Update the firmware"),
    ):
        with (
            running(made),
            pytest.raises(DeviceError, match=words),
            stream(made.device, external),
        ):
            pass
    made = synchronised(2)
    camera = RealSense(trigger="line", leader="top")
    with running(made), stream(made.device, camera) as frames:
        assert frames.remarks == (
            "STREAM = color follows its own clock: only depth is synchronised",
        )
    device = LoggedDevice(synchronised(260).device)
    device.stuck = True
    with (
        pytest.raises(DeviceError, match="stayed in mode 0; requested: 1"),
        stream(device, RealSense(leads=True)),
    ):
        pass


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"leader": "top"}, "LEADER = top needs TRIGGER = line"),
        ({"trigger": "line"}, "STREAM = color needs LEADER"),
        ({"trigger": "line", "leader": "top", "leads": True}, "one SYNC pin"),
        ({"leads": True, "recording": Path("a.db3")}, "do not apply to a RECORDING"),
        ({"trigger": "software"}, "'free' or 'line'"),
    ],
)
def test_roles_that_fit_no_device_are_refused(settings: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        RealSense(**settings)


def test_reading_settings_loads_no_sdk() -> None:
    import subprocess

    code = "import cameras.realsense.camera, sys; print('pyrealsense2' in sys.modules)"
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True
    )
    assert done.stdout.strip() == "False", done.stderr


def shots(
    camera_stream: CameraStream, at_most: int = 100
) -> list[tuple[CapturedFrame, Image]]:
    taken = []
    while len(taken) < at_most:
        image = np.empty(camera_stream.format.shape, camera_stream.format.dtype)
        shot = camera_stream.read(image)
        if shot is None:
            break
        taken.append((shot, image))
    return taken


@contextmanager
def running(
    made: MadeDevice, first_ms: float = 5000.0, wrap_ms: float = 1e12
) -> Iterator[Event]:
    """Have a device capture until the event is set."""
    stop = Event()

    def capture() -> None:
        index = 0
        while not stop.wait(STEP_MS / 1000):
            made.send(index, (first_ms + index * STEP_MS) % wrap_ms)
            index += 1

    thread = Thread(target=capture)
    thread.start()
    try:
        yield stop
    finally:
        stop.set()
        thread.join()
