"""The size that a picture file declares, before anything is decoded."""

import cv2
import numpy as np
import pytest

from deeplabstream.files.image_header import declared_size, is_cut_off, too_large
from tests.files.image_headers import declaring, encoded, with_orientation


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".tiff", ".webp", ".gif"])
def test_every_format_tells_its_size(suffix: str) -> None:
    data = encoded(suffix)
    assert declared_size(data) == (31, 47)
    for length in range(0, len(data), 7):
        assert declared_size(data[:length]) in (None, (31, 47))


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_size_of_a_turned_jpeg_is_that_of_the_decoded_image(
    orientation: int, order: str
) -> None:
    data = with_orientation(encoded(".jpg"), orientation, order)
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert declared_size(data) == decoded.shape[:2]
    assert decoded.shape[:2] == ((47, 31) if orientation > 4 else (31, 47))
    for length in range(0, len(data), 7):
        assert declared_size(data[:length]) in (None, decoded.shape[:2])


@pytest.mark.parametrize("damaged", [b"II*\0\xff\xff\0\0", b"XX*\0\x08\0\0\0"])
def test_damaged_exif_data_turn_nothing(damaged: bytes) -> None:
    data = with_orientation(encoded(".jpg"), 6, "<")
    at = data.index(b"II*\0")
    assert declared_size(data[:at] + damaged + data[at + 8 :]) == (31, 47)


def test_a_large_webp_with_and_without_loss_tells_its_size() -> None:
    picture = np.zeros((300, 5000, 3), np.uint8)
    for quality in (50, 101):
        data = cv2.imencode(".webp", picture, [cv2.IMWRITE_WEBP_QUALITY, quality])[1]
        assert declared_size(data.tobytes()) == (300, 5000)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no picture",
        b"\xff\xd8\xffno picture at all",
        b"\xff\xd8\xff\xd0" + declaring(4, 4)[2:],  # a marker that decoders skip
        b"\xff\xd8\xff\xe0\x00\x00" + declaring(4, 4)[2:],
    ],
)
def test_what_no_header_says_is_not_known(data: bytes) -> None:
    assert declared_size(data) is None
    assert too_large(data) == ""


def test_more_than_is_allowed_is_told() -> None:
    assert declared_size(declaring(30000, 20000)) == (20000, 30000)
    assert "declares 30000×20000 pixels" in too_large(declaring(30000, 20000))
    assert too_large(declaring(640, 480)) == ""


def test_a_jpeg_without_its_end_is_cut_off() -> None:
    data = encoded(".jpg")
    assert not is_cut_off(data)
    assert not is_cut_off(data + bytes(200)), "a driver fills its buffer"
    for length in range(2, len(data) - 1, 11):
        assert is_cut_off(data[:length])
