"""A network camera, played by a server on this computer, that stalls and goes away."""

import cv2
import numpy as np
import pytest
from pydantic import ValidationError

from cameras.network import NetworkStream
from deeplabstream.core.clock import SystemClock
from deeplabstream.core.errors import DeviceError
from tests.cameras import servers
from tests.cameras.rtsp import rtsp_camera
from tests.cameras.servers import http_camera


def test_a_picture_that_is_too_large_is_not_decoded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = cv2.imencode(".jpg", np.zeros((9000, 9000), np.uint8))[1].tobytes()
    monkeypatch.setattr(servers, "jpeg", lambda index: data)
    with (
        servers.http_camera() as server,
        pytest.raises(DeviceError, match="more than 67 million pixels"),
        NetworkStream(url=server.url).opened(),
    ):
        pass


def test_pictures_come_one_after_the_other() -> None:
    with http_camera() as server, NetworkStream(url=server.url).opened() as film:
        image = np.zeros(film.format.shape, film.format.dtype)
        levels, times = [], []
        for index in range(6):
            shot = film.read(image)
            assert shot is not None
            assert shot.index == index
            assert image.min() == image.max()
            levels.append(int(image[0, 0, 0]))
            times.append(shot.exposed_ns)
        assert np.diff(levels).tolist() == [9] * 5
        assert times == sorted(times)
        assert film.clock == "host"
        assert film.device == server.url
        assert film.format.shape == (48, 64, 3)


def test_a_jpeg_that_was_cut_off_is_dropped_and_counted() -> None:
    with (
        http_camera(servers.every_other_cut_off) as server,
        NetworkStream(url=server.url).opened() as stream,
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
    with http_camera() as server, NetworkStream(url=server.url).opened() as film:
        image = np.zeros(film.format.shape, film.format.dtype)
        indices = []
        for _ in range(8):
            shot = film.read(image)
            assert shot is not None
            assert image.min() == image.max()
            indices.append(shot.index)
        gaps = np.diff(indices).tolist()
        assert sorted(gaps) == [1, 1, 1, 1, 1, 1, 3]


def test_rtsp_tells_the_times_of_its_pictures_and_falls_silent() -> None:
    with rtsp_camera() as server, NetworkStream(url=server.url).opened() as film:
        assert film.format.shape == (48, 64, 3)
        assert film.format.rate == 50
        assert film.clock == "device"
        image = np.zeros(film.format.shape, film.format.dtype)
        levels, shots = [], []
        clock = SystemClock()
        for _ in range(10):
            shots.append(film.read(image))
            levels.append(image.mean())
        now_ns = clock.now_ns()
        steps = np.diff(levels)
        assert np.allclose(steps[steps > 0], 9, atol=2)
        assert [shot.index for shot in shots if shot] == list(range(10))
        times = [shot.exposed_ns or 0 for shot in shots if shot]
        assert (np.diff(times) > 0).all()
        assert times[-1] < now_ns
        server.silent.set()
        with pytest.raises(DeviceError, match=r"gave no frame for 0\.85 s"):
            while True:
                film.read(image)


def test_silence_is_seen_within_a_second() -> None:
    with http_camera() as server, NetworkStream(url=server.url).opened() as film:
        image = np.zeros(film.format.shape, film.format.dtype)
        film.read(image)
        server.silent.set()
        with pytest.raises(DeviceError, match=r"gave no frame for 0\.85 s"):
            while True:
                film.read(image)


def test_a_server_that_stops_is_seen_and_opened_again_when_it_is_back() -> None:
    with http_camera() as server:
        camera = NetworkStream(url=server.url)
        with camera.opened() as film:
            image = np.zeros(film.format.shape, film.format.dtype)
            film.read(image)
            server.over.set()
            with pytest.raises(DeviceError, match=r"Input/output error|no more"):
                while True:
                    film.read(image)
        server.over.clear()
        with camera.opened() as film:
            assert film.read(image)


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
