"""A network camera, played by a server on this computer, that stalls and goes away."""

from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import av
import cv2
import numpy as np
import pytest
from pydantic import ValidationError

from cameras import network
from cameras.network import NetworkStream
from deeplabstream.core.clock import ManualClock, SystemClock
from deeplabstream.core.errors import DeviceError
from tests.cameras import servers
from tests.cameras.rtsp import rtsp_camera
from tests.cameras.servers import http_camera

SECOND, MS, STEP = 1_000_000_000, 1_000_000, 20_000_000


def test_a_frame_that_is_too_large_is_not_decoded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = cv2.imencode(".jpg", np.zeros((9000, 9000), np.uint8))[1].tobytes()
    monkeypatch.setattr(servers, "jpeg", lambda index: data)
    with (
        servers.http_camera() as server,
        pytest.raises(DeviceError, match="more than 67 million pixels"),
        NetworkStream(url=server.url, patience_s=60).opened(),
    ):
        pass


def test_frames_come_one_after_the_other() -> None:
    with (
        http_camera() as server,
        NetworkStream(url=server.url, patience_s=60).opened() as stream,
    ):
        image = np.zeros(stream.format.shape, stream.format.dtype)
        levels, times = [], []
        for index in range(6):
            shot = stream.read(image)
            assert shot is not None
            assert shot.index == index
            assert image.min() == image.max()
            levels.append(int(image[0, 0, 0]))
            times.append(shot.exposed_ns)
        assert np.diff(levels).tolist() == [9] * 5
        assert times == sorted(times)
        assert stream.clock == "host"
        assert stream.device == server.url
        assert stream.format.shape == (48, 64, 3)


def test_a_jpeg_that_was_cut_off_is_dropped_and_counted() -> None:
    with (
        http_camera(servers.every_other_cut_off) as server,
        NetworkStream(url=server.url, patience_s=60).opened() as stream,
    ):
        image = np.zeros(stream.format.shape, stream.format.dtype)
        frames = [stream.read(image) for _ in range(5)]
        assert [frame.damaged for frame in frames if frame] == [1] * 5
        assert [frame.index for frame in frames if frame] == [1, 3, 5, 7, 9]


def test_an_incomplete_jpeg_image_is_left_out_and_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its missing half would be grey, and an animal in it would be lost."""
    whole, chance = servers.jpeg, np.random.default_rng(0)
    noise = cv2.GaussianBlur(chance.integers(0, 255, (48, 64, 3), np.uint8), (0, 0), 2)
    data = cv2.imencode(".jpg", noise)[1].tobytes()
    parts = {4: data[: len(data) // 2], 5: data[: len(data) // 2] + data[-200:]}
    monkeypatch.setattr(servers, "jpeg", lambda n: parts.get(n) or whole(n))
    with (
        http_camera() as server,
        NetworkStream(url=server.url, patience_s=60).opened() as stream,
    ):
        image = np.zeros(stream.format.shape, stream.format.dtype)
        indices = []
        for _ in range(8):
            shot = stream.read(image)
            assert shot is not None
            assert image.min() == image.max()
            indices.append(shot.index)
        gaps = np.diff(indices).tolist()
        assert sorted(gaps) == [1, 1, 1, 1, 1, 1, 3]


def test_rtsp_tells_the_times_of_its_frames() -> None:
    with (
        rtsp_camera() as server,
        NetworkStream(url=server.url, patience_s=60).opened() as stream,
    ):
        assert stream.format.shape == (48, 64, 3)
        assert stream.format.rate == 50
        assert stream.clock == "device"
        image = np.zeros(stream.format.shape, stream.format.dtype)
        levels, shots = [], []
        clock = SystemClock()
        for _ in range(10):
            shots.append(stream.read(image))
            levels.append(image.mean())
        now_ns = clock.now_ns()
        steps = np.diff(levels)
        assert np.allclose(steps[steps > 0], 9, atol=2)
        assert [shot.index for shot in shots if shot] == list(range(10))
        times = [shot.exposed_ns or 0 for shot in shots if shot]
        assert (np.diff(times) > 0).all()
        assert times[-1] < now_ns


@pytest.mark.usefixtures("usual_limits")
def test_silence_of_rtsp_is_seen_within_a_second() -> None:
    with (
        rtsp_camera() as server,
        NetworkStream(url=server.url, patience_s=60).opened() as stream,
    ):
        image = np.zeros(stream.format.shape, stream.format.dtype)
        server.silent.set()
        with pytest.raises(DeviceError, match=r"gave no frame for 0\.85 s"):
            while True:
                stream.read(image)


def test_frames_that_waited_since_the_opening_have_their_age(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """FFmpeg has read ten frames ahead; more wait for a second until they are read."""
    ahead = [SECOND + index * MS for index in range(10)]
    live = ahead[-1] + STEP
    waiting = [live + SECOND + index * MS for index in range(60)]
    monkeypatch.setattr(
        NetworkStream, "_connected", lambda stream: nullcontext(container_of("rtsp"))
    )
    monkeypatch.setattr(
        NetworkStream, "_frames", lambda *_: stamped([*ahead, live, *waiting])
    )
    with NetworkStream(url="rtsp://127.0.0.1/stream").opened() as stream:
        image = np.zeros(stream.format.shape, stream.format.dtype)
        frames = [stream.read(image) for _ in range(3)]
    assert [frame.exposed_ns for frame in frames if frame] == [
        live + number * STEP for number in (1, 2, 3)
    ]
    assert [frame.index for frame in frames if frame] == [0, 1, 2]


def stamped(arrivals: Iterable[int]) -> Iterator[tuple[int, av.VideoFrame, int]]:
    """Yield frames that were exposed 20 ms apart, as `NetworkStream._frames` does."""
    for index, arrived_ns in enumerate(arrivals):
        frame = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), "bgr24")
        frame.pts, frame.time_base = index, Fraction(1, 50)
        yield arrived_ns, frame, 0


@pytest.mark.usefixtures("usual_limits")
def test_a_frame_that_waited_while_this_process_was_held_up_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It was there all the time; sound alone for so long is the loss of the camera."""
    clock, video = ManualClock(), SimpleNamespace(codec_context=None)
    monkeypatch.setattr(network, "SystemClock", lambda: clock)
    monkeypatch.setattr(network, "_decoded", lambda codec, packet: [packet.frame])

    def demux() -> Iterator[SimpleNamespace]:
        for stream in (video, video, "sound"):
            clock.set(clock.now_ns() + 20 * SECOND)
            yield SimpleNamespace(stream=stream, frame="frame")

    streams = SimpleNamespace(video=[video])
    container: Any = SimpleNamespace(streams=streams, demux=demux)
    frames = NetworkStream(url="rtsp://127.0.0.1/stream")._frames(container)
    assert [next(frames)[0], next(frames)[0]] == [20 * SECOND, 40 * SECOND]
    with pytest.raises(DeviceError, match=r"gave no frame for 0\.85 s"):
        next(frames)


def container_of(protocol: str) -> SimpleNamespace:
    streams = SimpleNamespace(video=[SimpleNamespace(average_rate=50)])
    return SimpleNamespace(format=SimpleNamespace(name=protocol), streams=streams)


def test_times_of_a_sender_without_a_clock_are_not_used() -> None:
    with (
        rtsp_camera() as server,
        NetworkStream(url=server.url, stamps=False, patience_s=60).opened() as stream,
    ):
        assert (stream.clock, stream.format.rate) == ("host", 50)
        clock = SystemClock()
        image = np.zeros(stream.format.shape, stream.format.dtype)
        for _ in range(5):
            before_ns = clock.now_ns()
            frame = stream.read(image)
            assert frame is not None
            assert before_ns < (frame.exposed_ns or 0) <= clock.now_ns()


@pytest.mark.usefixtures("usual_limits")
def test_silence_is_seen_within_a_second() -> None:
    with (
        http_camera() as server,
        NetworkStream(url=server.url, patience_s=60).opened() as stream,
    ):
        image = np.zeros(stream.format.shape, stream.format.dtype)
        server.silent.set()
        with pytest.raises(DeviceError, match=r"gave no frame for 0\.85 s"):
            while True:
                stream.read(image)


def test_a_server_that_stops_is_seen_and_opened_again_when_it_is_back() -> None:
    with http_camera() as server:
        camera = NetworkStream(url=server.url, patience_s=60)
        with camera.opened() as stream:
            image = np.zeros(stream.format.shape, stream.format.dtype)
            stream.read(image)
            server.over.set()
            with pytest.raises(DeviceError, match=r"Input/output error|no more"):
                while True:
                    stream.read(image)
        server.over.clear()
        with camera.opened() as stream:
            assert stream.read(image)


def test_nobody_there_is_a_sentence_without_the_password() -> None:
    with http_camera() as server:
        port = server.server_port
    camera = NetworkStream(url=f"http://me:secret@127.0.0.1:{port}/video")
    with pytest.raises(
        DeviceError, match=f"^http://127.0.0.1:{port}/video: "
    ) as caught:
        camera.opened().__enter__()
    assert "secret" not in str(caught.value)
    assert camera.address == f"http://127.0.0.1:{port}/video"


def test_a_file_is_no_address() -> None:
    with pytest.raises(ValidationError):
        NetworkStream(url="film.avi")
