"""Whole runs connect to nothing, and write only what they are known to write.

Each program runs in a network namespace of its own, with an empty home, cache and folder
for temporary files; strace notes every address that any of its processes asks for.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from deeplabstream.startup.program import ROOT
from tests.engine.tolerant import shipped_settings
from tests.offline.films import write_film

NAMESPACE = ("unshare", "--map-root-user", "--net")
TRACE = ("strace", "-f", "-qq", "-e", "trace=network", "-e", "signal=none")
ONLY_TRACED = "--seccomp-bpf"
"""Lets a process stop at the calls that are traced alone; without it, at every call."""
ADDRESS = re.compile(
    r"sin6?_port=htons\((?P<port>\d+)\).*?"
    r'(?:inet_addr\(|inet_pton\(AF_INET6, )"(?P<host>[^"]+)"'
)
"""As strace writes it in the calls that take one (connect, bind, sendto, sendmsg)."""
DNS = "53"
KNOWN = (
    r"cache/DeepLabStream/runtimes\.json",
    r"cache/DeepLabStream/videos\.json",
    r"cache/DeepLabStream/graphs/[0-9a-f]{64}-\d+\.(onnx|sha256)",
    r"cache/(matplotlib|torch|fontconfig|mesa_shader_cache)/.*",
    r"home/\.config/matplotlib/.*",
)
"""All that a program leaves outside of what it was told to write."""


def why_not() -> str:
    """Return why a program can't be watched here; empty: it can."""
    if sys.platform != "linux":
        return "network namespaces are Linux's"
    for words in ([*NAMESPACE, "true"], ["strace", "true"]):
        if shutil.which(words[0]) is None:
            return f"{words[0]} is not installed"
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            return f"{words[0]} is not allowed: {done.stderr.strip()[:80]}"
    return ""


WHY_NOT = why_not()


def tracer() -> list[str]:
    """Return the command that traces, the one that slows a program least."""
    words = [*TRACE, ONLY_TRACED]
    done = subprocess.run([*words, "true"], capture_output=True, check=False)
    return list(TRACE) if done.returncode else words


def run(folder: Path, *words: str) -> tuple[list[str], list[str]]:
    """Return what a program left outside of `folder/own`, and whom it wanted to reach."""
    places = {name: folder / name for name in ("home", "cache", "tmp")}
    for place in places.values():
        place.mkdir()
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    environment = {
        **kept,
        "HOME": str(places["home"]),
        "XDG_CACHE_HOME": str(places["cache"]),
        "TMPDIR": str(places["tmp"]),
        "OMP_NUM_THREADS": "1",
    }
    calls = folder / "calls"
    command = [*NAMESPACE, *tracer(), "-o", str(calls), sys.executable, *words]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    left = [
        file.relative_to(folder).as_posix()
        for place in places.values()
        for file in sorted(place.rglob("*"))
        if not file.is_dir()
    ]
    asked = {
        f"{found['host']}:{found['port']}"
        for found in ADDRESS.finditer(calls.read_text("utf-8"))
        if found["port"] == DNS
        or not re.match(r"127\.|::1?$|0\.0\.0\.0", found["host"])
    }
    return left, sorted(asked)


def unknown(left: list[str]) -> list[str]:
    return [name for name in left if not any(re.fullmatch(k, name) for k in KNOWN)]


def rig(folder: Path) -> list[str]:
    """Return the words that run a rig that is recorded, with an experiment."""
    own = folder / "own"
    own.mkdir()
    slow = shipped_settings(FRAMERATE="4")  # a computer that traces all keeps up
    (own / "settings.ini").write_text(slow, "utf-8")
    shutil.copytree(ROOT / "models/arena", own / "models/arena")
    words = ["--headless", "--seconds", "2", "--start", "experiment"]
    return [str(ROOT / "app.py"), *words, "--settings", str(own / "settings.ini")]


def prediction(folder: Path) -> list[str]:
    """Return the words that take a network over a video."""
    own = folder / "own"
    own.mkdir()
    film = write_film(own / "film.mp4", frames=20)
    words = [str(film), "--model", str(ROOT / "models/arena")]
    return [str(ROOT / "utils/PredictVideos.py"), *words]


def training(folder: Path) -> list[str]:
    """Return the words that train a small network."""
    own = folder / "own"
    own.mkdir()
    rows = ["scorer,me,me", "bodyparts,snout,snout", "coords,x,y"]
    for n in range(8):
        picture = np.full((96, 128, 3), 120, np.uint8)
        cv2.circle(picture, (20 + 10 * n, 48), 6, (250,) * 3, -1)
        cv2.imwrite(str(own / f"{n}.png"), picture)
        rows.append(f"{n}.png,{20 + 10 * n},48")
    (own / "CollectedData.csv").write_text("\n".join(rows), encoding="utf-8")
    words = ["--data", str(own), "--output", str(own / "model"), "--device", "cpu"]
    words += ["--size", "64x48", "--steps", "2", "--batch", "2", "--stages", "4"]
    return [str(ROOT / "utils/TrainNetwork.py"), *words]


@pytest.mark.parametrize("program", [rig, prediction, training])
@pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)
@pytest.mark.timeout(600)
def test_a_whole_run_connects_to_nothing_and_writes_only_what_is_known(
    program: Callable[[Path], list[str]], tmp_path: Path
) -> None:
    left, asked = run(tmp_path, *program(tmp_path))
    assert asked == []
    assert unknown(left) == []
    assert any((tmp_path / "own").rglob("*.*"))


@pytest.mark.parametrize(
    "name", ["onnxruntime", "onnxruntime.quantization", "openvino"]
)
def test_importing_what_computes_leaves_nothing_behind(
    name: str, tmp_path: Path
) -> None:
    pytest.importorskip(name.partition(".")[0])
    code = (
        "from deeplabstream.pose.runtimes.compute_packages import package\n"
        f"import sys; package({name!r}, 'testing')\n"
        "print([n for n in sys.modules if n.startswith('openvino_telemetry.')])"
    )
    places = ("HOME", "XDG_CACHE_HOME", "LOCALAPPDATA", "TMPDIR", "TMP", "TEMP")
    environment = {**os.environ, **dict.fromkeys(places, str(tmp_path))}
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
    assert sorted(tmp_path.rglob("*")) == []
