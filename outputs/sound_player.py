"""Sound player: process that plays a `Sound`, block by block."""

import signal
import time
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deeplabstream.plugin import Connection

from .sound import Sound

Samples = NDArray[np.float32]
"""(sample,), from -1 to 1."""
NOISE_S = 10.0
"""Period of the noise."""


def play(settings: Sound, pipe: Connection) -> None:
    """Play until the other end of `pipe` is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        import sounddevice
    except OSError as error:
        pipe.send(f"{error}: on Linux, sudo apt-get install libportaudio2")
        return
    except Exception as error:  # its import searches for devices
        pipe.send(f"no usable sound device ({error})")
        return
    try:
        source, rate = opened_source(settings)
    except (wave.Error, OSError, EOFError) as error:
        pipe.send(
            f"{settings.file} can't be played: {error or 'the file is incomplete'}"
        )
        return
    voice = Voice(settings, source, rate)
    try:
        stream = sounddevice.OutputStream(
            samplerate=rate,
            channels=1 if settings.side == "both" else 2,
            dtype="float32",
            latency="low",
            device=settings.device or None,
            callback=lambda out, *_: voice.fill(out),
        )
        with stream:
            pipe.send((0.0, time.perf_counter_ns()))
            _follow_levels(voice, pipe)
    except (ValueError, OSError, sounddevice.PortAudioError) as error:
        found = sounddevice.query_devices()
        names = [d["name"] for d in found if d["max_output_channels"]]
        available = (
            f"available: {', '.join(names)}" if names else "no sound device found"
        )
        device = (
            f"DEVICE = {settings.device}" if settings.device else "the default device"
        )
        pipe.send(f"{device} can't be opened ({error}); {available}")


def _follow_levels(voice: "Voice", pipe: Connection) -> None:
    try:
        while True:
            voice.level = level = pipe.recv()
            pipe.send((level, time.perf_counter_ns()))
    except (EOFError, OSError):
        voice.level = 0.0


class Voice:
    """Samples of a sound, and its present loudness."""

    def __init__(
        self, settings: Sound, source: Callable[[int, int], Samples], rate: int
    ) -> None:
        self.level = 0.0
        """Requested level; may be set by another thread."""
        self._settings = settings
        self._source = source
        self._gain = 0.0
        self._place = 0
        self._step = settings.volume / max(1.0, settings.ramp_ms * rate / 1e3)

    def fill(self, out: NDArray[np.float32]) -> None:
        """Fill (sample, channel) with the next samples; each onset starts from the beginning."""
        target = self.level * self._settings.volume
        if self._gain == 0:
            self._place = 0
            if target == 0:
                out[:] = 0
                return
        way = np.arange(1, len(out) + 1, dtype=np.float32) * self._step
        if target >= self._gain:
            gains = np.minimum(self._gain + way, target)
        else:
            gains = np.maximum(self._gain - way, target)
        self._gain = float(gains[-1])
        samples = self._source(self._place, len(out)) * gains
        self._place += len(out)
        out[:] = 0
        match self._settings.side:
            case "both":
                out[:] = samples[:, None]
            case "left":
                out[:, 0] = samples
            case "right":
                out[:, 1] = samples


def opened_source(settings: Sound) -> tuple[Callable[[int, int], Samples], int]:
    """Return a function that returns samples by index and number, and the sample rate."""
    rate = settings.sample_rate
    if settings.sound == "tone":
        turn = 2 * np.pi * settings.frequency_hz / rate

        def tone(place: int, count: int) -> Samples:
            turns = (np.arange(place, place + count) * turn) % (2 * np.pi)
            samples: Samples = np.sin(turns).astype(np.float32)
            return samples

        return tone, rate
    if settings.sound == "noise":
        values = np.random.default_rng(0).uniform(-1, 1, int(rate * NOISE_S))
        return _looped(values.astype(np.float32)), rate
    if settings.file is None:
        raise ValueError("SOUND = file needs FILE")
    samples, rate = read_wave(settings.file)
    return _looped(samples), rate


def _looped(samples: Samples) -> Callable[[int, int], Samples]:
    def looped(place: int, count: int) -> Samples:
        places = np.arange(place, place + count) % len(samples)
        chosen: Samples = samples.take(places)
        return chosen

    return looped


def read_wave(path: Path) -> tuple[Samples, int]:
    """Return the samples of a .wav file, channels averaged, and the sample rate."""
    with wave.open(str(path), "rb") as file:
        width, channels = file.getsampwidth(), file.getnchannels()
        data, rate = file.readframes(file.getnframes()), file.getframerate()
    if width not in (2, 3, 4) or not data:
        raise wave.Error(
            f"{8 * width} bits per sample, or empty; 16, 24 or 32 can be played"
        )
    whole = np.zeros((len(data) // width, 4), np.uint8)
    whole[:, 4 - width :] = np.frombuffer(data, np.uint8).reshape(-1, width)
    values = whole.view("<i4")[:, 0].reshape(-1, channels) / 2**31
    return values.mean(axis=1).astype(np.float32), rate
