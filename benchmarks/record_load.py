"""The three cameras of an IBL rig recorded at once, with and without analysis.

1280×1024 at 60/s, 640×512 at 150/s, 640×512 at 30/s, grey; a mouse drawn before the start,
moving, with noise of 2 grey levels (standard deviation). Prints where every frame went, CPU
seconds of each process, memory over time and file sizes; beside it the floor: the same
images through the bare encoder in a loop, and through ffmpeg's command line where there
is one.

    python benchmarks/record_load.py [--quick] [--json FILE]
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import psutil

from benchmarks.support.rendered import Rendered, shown
from deeplabstream.core.frame import ImageFormat
from deeplabstream.engine.session.session import RigSession
from deeplabstream.engine.session.session_state import Action, Failed, Phase
from deeplabstream.recording.video_writer import VideoWriter
from deeplabstream.settings.loading import parse

NOISE = 2.0
CAMERAS = {
    "right": (640, 512, 150.0),
    "left": (1280, 1024, 60.0),
    "body": (640, 512, 30.0),
}
ANALYSED = "body"
SETTINGS = """\
[Streaming]
OUTPUT_DIRECTORY = runs
[Pose Estimation]
MODEL = {model}
[Experiment]
PATIENCE_S = 30
""" + "".join(
    f"[Camera {name}]\nKIND = SimulatedCamera\nANALYSE = {'yes' if name == ANALYSED else 'no'}\n"
    for name in CAMERAS
)


def camera(name: str, analyse: bool) -> Rendered:
    """Return one of the three."""
    width, height, rate = CAMERAS[name]
    form = {"width": width, "height": height, "rate": rate, "grey": True}
    return Rendered(**form, noise=NOISE, shelter=False, analyse=analyse)


def recorded(folder: Path, seconds: float, model: str, analyse: bool) -> dict[str, Any]:
    """Run the rig and return what it cost."""
    settings = parse(SETTINGS.format(model=model), folder)
    cameras = {name: camera(name, name == ANALYSED) for name in CAMERAS}
    settings = replace(settings, cameras=cameras)
    wanted = [Action.START_STREAM, Action.START_RECORDING]
    if analyse:
        wanted.insert(1, Action.START_ANALYSIS)
    said: list[Failed] = []
    memory: dict[str, list[float]] = {}
    with RigSession(settings) as session:
        until, next_look, before = float("inf"), 0.0, {}
        while time.perf_counter() < until:
            if wanted and wanted[0] in session.state.allowed:
                session.do(wanted.pop(0))
                if not wanted:
                    until = time.perf_counter() + seconds
                    before = cpu(session)
            session.rest(0.05)
            said += [news for news in session.poll() if isinstance(news, Failed)]
            if said and session.state.phase is Phase.IDLE:
                break
            if not wanted and time.perf_counter() >= next_look:
                next_look = time.perf_counter() + 1.0
                for process in session.processes():
                    used = psutil.Process(process.pid).memory_full_info().uss / 1e6
                    memory.setdefault(process.name, []).append(round(used, 1))
        after = cpu(session) if session.processes() else {}
        run = session.state.run_folder
    facts = json.loads((run / "run.json").read_text("utf-8")) if run else {}
    files = {f.name: f.stat().st_size for f in run.glob("*.mkv")} if run else {}
    return {
        "analysing": analyse,
        "seconds": seconds,
        "cpu_s": {name: round(after[name] - before.get(name, 0), 2) for name in after},
        "memory_mb": memory,
        "bytes": files,
        "accounting": facts.get("accounting", []),
        "skew": facts.get("skew", []),
        "failed": [each.text for each in said if each.grave],
        "warnings": [each.text for each in said if not each.grave],
    }


def cpu(session: RigSession) -> dict[str, float]:
    """Return the CPU seconds of each process of the rig, and ours."""
    used = {}
    for name, process in [
        *((p.name, psutil.Process(p.pid)) for p in session.processes()),
        ("session", psutil.Process()),
    ]:
        times = process.cpu_times()
        used[name] = times.user + times.system
    return used


def floor(folder: Path, seconds: float) -> dict[str, float]:
    """Return the CPU seconds of encoding as many images and doing nothing else."""
    own, total = psutil.Process(), {}
    for name in CAMERAS:
        one = camera(name, False)
        drawn, form = one.pictures(), ImageFormat(one.shape, one.rate)
        period_ns = round(1e9 / one.rate)
        before = own.cpu_times()
        with VideoWriter(folder / f"floor_{name}.mkv", form) as video:
            for index in range(round(seconds * one.rate)):
                at = index * period_ns
                video.write(drawn[shown(index)], index, at, at)
        after = own.cpu_times()
        total[name] = after.user + after.system - before.user - before.system
    return {name: round(used, 2) for name, used in total.items()}


def command_line(folder: Path, seconds: float) -> dict[str, float]:
    """Return the CPU seconds of ffmpeg on the same images; empty without ffmpeg."""
    ffmpeg = shutil.which("ffmpeg")
    total: dict[str, float] = {}
    for name in CAMERAS if ffmpeg else ():
        one = camera(name, False)
        drawn = one.pictures()
        command = [
            *(str(ffmpeg), "-v", "error", "-f", "rawvideo", "-pix_fmt", "gray"),
            *("-s", f"{one.width}x{one.height}", "-r", str(one.rate), "-i", "-"),
            *("-c:v", "libx264", "-preset", "ultrafast", "-crf", "20", "-threads", "1"),
            *("-tune", "zerolatency", "-pix_fmt", "gray"),
            str(folder / f"ffmpeg_{name}.mkv"),
        ]
        process = subprocess.Popen(command, stdin=subprocess.PIPE)
        watched = psutil.Process(process.pid)
        pipe = process.stdin
        for index in range(round(seconds * one.rate) if pipe else 0):
            pipe.write(drawn[shown(index)].tobytes())
        times = watched.cpu_times()
        pipe.close()
        process.wait()
        total[name] = round(times.user + times.system, 2)
    return total


def table(result: dict[str, Any]) -> str:
    """Return what a run cost, for people."""
    lines = ["", f"analysing: {result['analysing']}, {result['seconds']:g} s"]
    for each in result["accounting"]:
        lines.append(
            f"  {each['camera']:6} {each['span']:9} delivered {each['delivered']}, lost at "
            f"the device {each['lost']}, analysed {each['analysed']}, recorded "
            f"{each['recorded']}, lost to the video {each['recording_losses']}, "
            f"{'closes' if each['closes'] else 'DOES NOT CLOSE'}"
        )
    for name, used in result["cpu_s"].items():
        share = 100 * used / result["seconds"]
        seen = result["memory_mb"].get(name, [0.0])
        lines.append(
            f"  {name:14} {used:7.2f} CPU s ({share:5.1f} %)   memory {seen[0]:.0f} MB "
            f"at first, {max(seen):.0f} at most, {seen[-1]:.0f} at last"
        )
    lines += [
        f"  {name}: {size / 1e6:.1f} MB" for name, size in result["bytes"].items()
    ]
    lines += [f"  skew {s['cameras']}: {s['ms']}" for s in result["skew"]]
    lines += [f"  warning: {text}" for text in result["warnings"]]
    return "\n".join(lines + [f"  FAILED: {text}" for text in result["failed"]])


def main(argv: list[str]) -> int:
    """Measure and print; 1 when a frame was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="10 s instead of 120")
    parser.add_argument("--seconds", type=float, help="per case")
    parser.add_argument("--model", default=str(ROOT / "models" / "arena"))
    parser.add_argument("--json", type=Path, help="write everything there")
    options = parser.parse_args(argv)
    seconds = options.seconds or (10.0 if options.quick else 120.0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        results = [
            recorded(folder, seconds, options.model, analyse)
            for analyse in (False, True)
        ]
        floors = floor(folder, seconds)
        others = command_line(folder, seconds)
    for result in results:
        print(table(result))
    print(f"\nthe bare encoder on as many pictures: {floors} CPU s")
    missing = "not measured, there is no ffmpeg in the PATH (apt-get install ffmpeg)"
    print(f"ffmpeg's command line on as many pictures: {others or missing}")
    recorder = results[0]["cpu_s"].get("recorder", 0.0)
    ratio = recorder / sum(floors.values())
    print(f"recorder process / bare encoder: {ratio:.2f}")
    if others:
        print(f"recorder process / ffmpeg: {recorder / sum(others.values()):.2f}")
    whole = {"runs": results, "encoder_cpu_s": floors, "ffmpeg_cpu_s": others}
    if options.json:
        options.json.write_text(json.dumps(whole, indent=2) + "\n", "utf-8")
    losses = [
        (each["lost"] or 0) + (each["recording_losses"] or 0)
        for result in results
        for each in result["accounting"]
    ]
    return int(any(losses) or any(result["failed"] for result in results))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
