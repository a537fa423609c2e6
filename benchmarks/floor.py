"""The floor: the barest loop that does the same job, and nothing of DeepLabStream in it.

A camera process ticks at the rate and copies an image into a ring in shared memory; a
worker is woken by a semaphore, takes the newest, sleeps for as long as the network would
compute, tests a region, and writes a byte to a pseudo-terminal every few frames.

    python benchmarks/floor.py --width 640 --height 480 --rate 30 --network-ms 10
"""

import argparse
import json
import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing.shared_memory import SharedMemory
from multiprocessing.synchronize import Semaphore
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from deeplabstream.ipc.pipe import Connection

SLOTS = 8
WARM_UP_S = 0.5
_HEAD = 4  # int64 before each image: sequence, tick
_STOPPED = -1


@dataclass(frozen=True)
class Job:
    """What is to be done, by the floor and by the rig alike."""

    width: int
    height: int
    rate: float
    network_ms: float
    seconds: float
    frames_per_byte: int = 5

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of an image: colour, 8 bit."""
        return self.height, self.width, 3

    @property
    def nbytes(self) -> int:
        """Of an image."""
        return self.height * self.width * 3


@contextmanager
def drained_terminal() -> Iterator[str]:
    """Give the name of a new pseudo-terminal; a thread reads whatever comes out of it."""
    ours, theirs = os.openpty()
    name = os.ttyname(theirs)

    def drain() -> None:
        while (said := os.read(ours, 4096)) and b"\x04" not in said:
            continue

    thread = threading.Thread(target=drain, daemon=True)
    thread.start()
    try:
        yield name
    finally:
        os.write(theirs, b"\x04")
        thread.join()
        os.close(theirs)
        os.close(ours)


def run_floor(job: Job) -> dict[str, Any]:
    """Do the job for `job.seconds`; return times in ms and the cores that it took."""
    spawn = multiprocessing.get_context("spawn")
    size = 8 * 2 + SLOTS * (8 * _HEAD + job.nbytes)
    memory = SharedMemory(create=True, size=size)
    wake = spawn.Semaphore(0)
    ends = [spawn.Pipe(duplex=False) for _ in range(2)]
    try:
        with drained_terminal() as port:
            work = (job, memory.name, wake, port, ends[1][1])
            worker = spawn.Process(target=_work, args=work)
            worker.start()
            ends[1][1].close()  # so that a dead process is noticed
            ends[1][0].recv()
            film = (job, memory.name, wake, ends[0][1])
            camera = spawn.Process(target=_film, args=film)
            camera.start()
            ends[0][1].close()
            of_camera, of_worker = (end[0].recv() for end in ends)
            camera.join()
            worker.join()
    finally:
        memory.close()
        memory.unlink()
    return {
        **spread(of_worker["latencies_ns"], job.network_ms),
        "poses_per_s": of_worker["poses"] / of_worker["seconds"],
        "analysed_share": of_worker["poses"] / of_worker["delivered"],
        "cores": {"camera": of_camera["cores"], "worker": of_worker["cores"]},
        "memcpy_ms": of_camera["memcpy_ms"],
        "latencies_ns": of_worker["latencies_ns"],
    }


def spread(latencies_ns: list[int], network_ms: float) -> dict[str, float]:
    """Return percentiles and the largest in ms, without the network's time, and the number."""
    names, percents = ("p50", "p99", "p99.9", "max"), (50, 99, 99.9, 100)
    if not latencies_ns:
        return {**dict.fromkeys(names, np.nan), "n": 0}
    values = np.percentile(latencies_ns, percents) / 1e6 - network_ms
    return {**dict(zip(names, values.tolist(), strict=True)), "n": len(latencies_ns)}


def _mapped(job: Job, memory: SharedMemory) -> tuple[Any, Any, Any]:
    """Return the count of frames, the heads (slots, field) and the images."""
    ring: Any = np.frombuffer(memory.buf or b"", np.uint8)
    count = ring[:16].view(np.int64)
    slots = ring[16 : 16 + SLOTS * (8 * _HEAD + job.nbytes)].reshape(SLOTS, -1)
    heads = slots[:, : 8 * _HEAD].view(np.int64)
    return count, heads, slots[:, 8 * _HEAD :].reshape(SLOTS, *job.shape)


def _film(job: Job, name: str, wake: Semaphore, end: Connection) -> None:
    memory = SharedMemory(name)
    count, heads, images = _mapped(job, memory)
    image = np.random.default_rng(0).integers(0, 255, job.shape, np.uint8)
    period_ns = round(1e9 / job.rate)
    start_ns = time.perf_counter_ns()
    copied_ns = []
    began_s, frames = time.process_time(), round((WARM_UP_S + job.seconds) * job.rate)
    for index in range(frames):
        tick_ns = start_ns + index * period_ns
        left_ns = tick_ns - time.perf_counter_ns()
        if left_ns > 0:
            time.sleep(left_ns / 1e9)
        before_ns = time.perf_counter_ns()
        np.copyto(images[index % SLOTS], image)
        copied_ns.append(time.perf_counter_ns() - before_ns)
        heads[index % SLOTS, :2] = index, tick_ns
        count[0] = index + 1
        wake.release()
    seconds = (time.perf_counter_ns() - start_ns) / 1e9
    cores = (time.process_time() - began_s) / seconds
    time.sleep(2 / job.rate + job.network_ms / 1e3)
    count[1] = _STOPPED
    wake.release()
    end.send({"cores": cores, "memcpy_ms": float(np.median(copied_ns)) / 1e6})
    del count, heads, images


def _work(job: Job, name: str, wake: Semaphore, port: str, end: Connection) -> None:
    import serial

    memory = SharedMemory(name)
    count, heads, images = _mapped(job, memory)
    line = serial.Serial(port, 115_200)
    low, high = np.array((100, 100), np.float32), np.array((300, 300), np.float32)
    network_s = job.network_ms / 1e3
    warm = round(WARM_UP_S * job.rate)
    latencies_ns, poses, read, inside = [], 0, 0, 0
    began_s = began_ns = first = 0.0
    end.send("ready")
    while True:
        wake.acquire()
        while wake.acquire(block=False):
            pass
        if count[1] == _STOPPED:
            break
        if (published := int(count[0])) == read:
            continue
        read = published
        place = (published - 1) % SLOTS
        index, tick_ns = heads[place, :2].tolist()
        left_s = network_s
        if left_s > 0:
            time.sleep(left_s)
        points = images[place, :4, :2, 0].astype(np.float32)
        inside += bool(((points >= low) & (points <= high)).all())
        if index >= warm and not began_ns:
            began_s, began_ns, first = time.process_time(), time.perf_counter_ns(), read
        poses += index >= warm
        if poses % job.frames_per_byte == 1 % job.frames_per_byte:
            line.write(b"H")
            latencies_ns.append(time.perf_counter_ns() - tick_ns)
    seconds = (time.perf_counter_ns() - began_ns) / 1e9
    end.send(
        {
            "latencies_ns": latencies_ns,
            "poses": poses,
            "delivered": int(count[0]) - first + 1,
            "seconds": seconds,
            "cores": (time.process_time() - began_s) / seconds,
        }
    )
    line.close()
    del count, heads, images


def main() -> int:
    """Print the floor of one job as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, default=640)
    parser.add_argument("--height", type=int, default=480)
    parser.add_argument("--rate", type=float, default=30.0)
    parser.add_argument("--network-ms", type=float, default=0.0)
    parser.add_argument("--seconds", type=float, default=5.0)
    job = Job(**vars(parser.parse_args()))
    result = run_floor(job)
    del result["latencies_ns"]
    print(json.dumps({"job": asdict(job), "floor": result}, indent=2))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
