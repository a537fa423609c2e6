"""Frames over ZeroMQ: as the predecessor's, newest first, and from nobody else."""

import pickle
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from pydantic import ValidationError

from cameras.zeromq import ZmqCamera
from deeplabstream.core.errors import DeviceError
from tests.cameras.servers import (
    every_other_cut_off,
    jpeg,
    zmq_sender,
)
from tests.cameras.videos import numbered_image
from tests.files.image_headers import declaring
from tests.free_ports import free_port


@pytest.mark.parametrize("base64", [False, True])
def test_frames_come_as_files_and_as_smoothstream_sends_them(base64: bool) -> None:
    port = free_port()
    with (
        zmq_sender(port, base64=base64),
        ZmqCamera(port=port, patience_s=60).opened() as stream,
    ):
        image = np.zeros(stream.format.shape, stream.format.dtype)
        times = []
        for index in range(3):
            shot = stream.read(image)
            assert shot is not None
            assert shot.index == index
            times.append(shot.exposed_ns or 0)
            assert any(
                np.array_equal(image, numbered_image(which)) for which in range(25)
            )
        assert times == sorted(times)


def test_grey_stays_grey() -> None:
    port = free_port()
    data = cv2.imencode(".jpg", numbered_image(5, grey=True))[1].tobytes()
    with (
        zmq_sender(port, data=data),
        ZmqCamera(port=port, patience_s=60).opened() as stream,
    ):
        assert stream.format.shape == (48, 64)


@pytest.mark.parametrize("side", [30000, 65500])
def test_a_first_frame_that_declares_too_much_is_not_decoded(side: int) -> None:
    port = free_port()
    with (
        zmq_sender(port, data=declaring(side, side)),
        pytest.raises(DeviceError, match=f"declares {side}×{side} pixels"),
        ZmqCamera(port=port, patience_s=60).opened(),
    ):
        pass


def test_another_size_than_the_first_is_not_decoded() -> None:
    decode, port = cv2.imdecode, free_port()
    shown: list[object] = []
    with (
        pytest.MonkeyPatch.context() as patch,
        zmq_sender(port) as over,
        ZmqCamera(port=port, patience_s=60).opened() as stream,
    ):
        image = np.zeros(stream.format.shape, stream.format.dtype)
        over.set()
        patch.setattr(
            cv2, "imdecode", lambda *given: (shown.append(1), decode(*given))[1]
        )
        with (
            zmq_sender(port, data=declaring(8000, 8000)),
            pytest.raises(DeviceError, match="from 64×48 to 8000×8000"),
        ):
            while True:
                shown.clear()
                stream.read(image)
    assert not shown


def test_grey_after_colour_is_told_as_such() -> None:
    port = free_port()
    grey = cv2.imencode(".jpg", numbered_image(5, grey=True))[1].tobytes()
    with (
        zmq_sender(port) as over,
        ZmqCamera(port=port, patience_s=60).opened() as stream,
    ):
        image = np.zeros(stream.format.shape, stream.format.dtype)
        over.set()
        with (
            zmq_sender(port, data=grey),
            pytest.raises(DeviceError, match="from 64×48 colour 8 bit to 64×48 grey"),
        ):
            while True:
                stream.read(image)


def test_a_jpeg_that_was_cut_off_is_dropped_and_counted() -> None:
    port = free_port()
    sender = zmq_sender(port, make=every_other_cut_off)
    with sender, ZmqCamera(port=port, patience_s=60).opened() as stream:
        image = np.zeros(stream.format.shape, stream.format.dtype)
        frames = []
        while sum(frame.damaged for frame in frames) < 5:
            frame = stream.read(image)
            assert frame is not None
            assert image.min() == image.max(), "the rest is not filled with grey"
            frames.append(frame)
        assert frames[-1].index == len(frames) - 1 + 5


@pytest.mark.usefixtures("usual_limits")
def test_nothing_but_cut_off_files_is_a_lost_camera() -> None:
    port = free_port()
    with (
        zmq_sender(port) as over,
        ZmqCamera(port=port, patience_s=60).opened() as stream,
    ):
        image = np.zeros(stream.format.shape, stream.format.dtype)
        over.set()
        with (
            zmq_sender(port, data=jpeg(0)[:-40]),
            pytest.raises(DeviceError, match=r"for 1 s .*\(\d+ were damaged JPEG"),
        ):
            while True:
                stream.read(image)


@pytest.mark.usefixtures("usual_limits")
def test_silence_is_seen_within_a_second() -> None:
    port = free_port()
    with (
        zmq_sender(port) as over,
        ZmqCamera(port=port, patience_s=60).opened() as stream,
    ):
        image = np.zeros(stream.format.shape, stream.format.dtype)
        over.set()
        with pytest.raises(DeviceError, match="gave no frame for 1 s"):
            while True:
                stream.read(image)


@pytest.mark.parametrize("data", [pickle.dumps(print), b"\xff\xd8\xff nothing", b"="])
def test_what_is_no_frame_is_not_looked_into(data: bytes) -> None:
    port = free_port()
    with (
        zmq_sender(port, data=data),
        pytest.raises(DeviceError, match="not a JPEG image"),
        ZmqCamera(port=port, patience_s=60).opened(),
    ):
        pass


def test_only_who_knows_the_password_sends(tmp_path: Path) -> None:
    port = free_port()
    path = tmp_path / "password.txt"
    path.write_text("mouse\n", "utf-8")
    camera = ZmqCamera(port=port, address="*", password_file=path, patience_s=0.4)
    for wrong in (b"", b"rat"):
        with (
            zmq_sender(port, password=wrong),
            pytest.raises(DeviceError, match="gave no frame"),
            camera.opened(),
        ):
            pass
    patient = replace(camera, patience_s=60.0)
    with zmq_sender(port, password=b"mouse"), patient.opened() as stream:
        assert stream.read(np.zeros(stream.format.shape, stream.format.dtype))


def test_others_may_send_only_with_a_password() -> None:
    with pytest.raises(ValidationError, match="lets others send"):
        ZmqCamera(address="0.0.0.0")


def test_a_port_that_is_taken_is_a_sentence() -> None:
    port = free_port()
    camera = ZmqCamera(port=port, patience_s=60)
    with (
        zmq_sender(port),
        camera.opened(),
        pytest.raises(
            DeviceError,
            match=f"can't listen at tcp://127.0.0.1:{port}: .*; end the program or camera "
            "that uses it, or give PORT and the sender another one",
        ),
        camera.opened(),
    ):
        pass


def test_an_address_of_another_computer_is_a_sentence(tmp_path: Path) -> None:
    password = tmp_path / "password.txt"
    password.write_text("secret", "utf-8")
    camera = ZmqCamera(
        port=free_port(), address="192.0.2.1", password_file=password
    )  # no computer has this address (RFC 5737)
    with (
        pytest.raises(DeviceError, match="ADDRESS is none of this computer"),
        camera.opened(),
    ):
        pass


def test_no_password_in_the_file_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "password.txt"
    with (
        pytest.raises(DeviceError, match=r"password\.txt can't be read"),
        ZmqCamera(password_file=path).opened(),
    ):
        pass
    path.write_text("\n", "utf-8")
    with (
        pytest.raises(DeviceError, match=r"password\.txt is not a password"),
        ZmqCamera(password_file=path).opened(),
    ):
        pass
