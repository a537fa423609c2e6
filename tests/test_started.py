"""Benchmarks start by their paths, in whatever folder a user stands."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
PROGRAMS = sorted((ROOT / "benchmarks").glob("*.py"))
OURS = [place.stem for place in (*ROOT.iterdir(), *(ROOT / "benchmarks").iterdir())]
STARTER = """
import contextlib, io, json, runpy, sys, traceback
ours, *programs = json.loads(sys.stdin.read())
outside = [place for place in sys.path if place]
told = []
for program in programs:
    for name in [name for name in sys.modules if name.partition(".")[0] in ours]:
        del sys.modules[name]
    sys.path[:] = [program.rpartition("/")[0], *outside]
    sys.argv[:] = [program, "--help"]
    said, code = io.StringIO(), 0
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            runpy.run_path(program, run_name="__main__")
        except SystemExit as end:
            code = end.code
        except BaseException:
            code = 1
            traceback.print_exc()
    told.append([program, code or 0, said.getvalue()])
print(json.dumps(told))
"""
"""Does in one process what `python PROGRAM --help` does; only packages stay loaded."""


def started(
    *words: str | Path, folder: Path, given: str = ""
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *map(str, words)],
        cwd=folder,
        input=given,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.timeout(600)  # for a computer on which much else runs
def test_every_benchmark_gives_help_in_another_folder(tmp_path: Path) -> None:
    programs = [program.as_posix() for program in PROGRAMS]
    given = json.dumps([OURS, *programs])
    done = started("-c", STARTER, folder=tmp_path, given=given)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert [program for program, _, _ in told] == programs
    assert [(program, text) for program, code, text in told if code] == []
    for program, _, text in told:
        if "argparse" in Path(program).read_text(encoding="utf-8"):
            runs_by_itself = "__main__" in Path(program).read_text(encoding="utf-8")
            assert not runs_by_itself or text.startswith("usage: "), program
        else:
            assert "Traceback" not in text, program


SMALLEST = {
    "board_latency.py --quick": "write to pin",
    "floor.py --seconds 0.2 --rate 50": "poses_per_s",
}
"""What each benchmark is started with, and what it says in the end."""

ELSEWHERE = {
    "grouping.py": "measures for a minute on a busy computer",
    "queue_worker.py": "started by offline.py",
    "triggers.py": "measures for a minute on a busy computer",
    "first_pose.py": "starts the application four times, and gives up after 30 s",
    "identity.py": "walks of 30 s, some minutes on a busy computer",
    "inference.py": "measures runtimes, some minutes on a busy computer",
    "loop_latency.py": "runs a whole rig, which needs an idle computer",
    "most_poses.py": "runs a whole rig, which needs an idle computer",
    "prediction.py": "a whole walk, some minutes on a busy computer",
    "record_load.py": "three cameras at once, which need an idle computer",
    "two_cameras.py": "runs a whole rig, which needs an idle computer",
    "window_cost.py": "runs a whole rig, which needs an idle computer",
    "drawn_networks.py": "trains for minutes; its networks are trained in tests/training",
    "faults.py": "kills for minutes; tests/engine kill the same processes",
    "offline.py": "whole videos through a network and a renderer; tests/offline run both",
    "rig_case.py": "started by loop_latency.py, most_poses.py and window_cost.py",
    "rival_worker.py": "needs a rival's environment",
    "rivals.py": "needs the rivals' environments",
    "training.py": "needs labelled videos of a user, and Lightning Pose beside it",
}
"""Benchmarks of which no case takes a few seconds, and why: these give help alone."""


def test_every_benchmark_is_started() -> None:
    programs = {
        file.name
        for file in (ROOT / "benchmarks").glob("*.py")
        if "__main__" in file.read_text(encoding="utf-8")
    }
    tried = {case.split()[0] for case in SMALLEST}
    assert programs - tried - set(ELSEWHERE) == set()
    assert tried - programs == set()


@pytest.mark.timeout(600)  # for a computer on which much else runs
@pytest.mark.skipif(sys.platform == "win32", reason="they need pseudo-terminals")
@pytest.mark.parametrize(("case", "end"), SMALLEST.items(), ids=list(SMALLEST))
def test_the_smallest_case_of_a_benchmark_comes_to_its_end(
    tmp_path: Path, case: str, end: str
) -> None:
    name, *words = case.split()
    if name == "board_latency.py" and not shutil.which("avr-gcc"):
        pytest.skip("the emulated board needs avr-gcc")
    done = started(ROOT / "benchmarks" / name, *words, folder=tmp_path)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert end in done.stdout, said
    for problem in ("Traceback", "no result", "FAILED"):
        assert problem not in said, said


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("rivals.py", "name --dlc-live or --sleap-nn"),
        ("rivals.py --dlc-live nowhere/python", "nowhere/python does not exist"),
        ("offline.py --litpose nowhere/litpose", "nowhere/litpose does not exist"),
        ("training.py --data . --rival nowhere/litpose", "litpose does not exist"),
        ("rival_worker.py dlc-live . 1 weights.pt 1", "install dlc-live"),
        ("rival_worker.py sleap-nn . 1 weights.pt 1", "install sleap-nn"),
    ],
)
def test_a_rival_that_is_missing_is_a_sentence(
    tmp_path: Path, words: str, sentence: str
) -> None:
    np.save(tmp_path / "frames.npy", np.zeros((2, 64, 64, 3), np.uint8))
    np.savez(tmp_path / "crops.npz", crops=np.zeros((2, 64, 64), np.uint8))
    name, *rest = words.split()
    done = started(ROOT / "benchmarks" / name, *rest, folder=tmp_path)
    assert done.returncode == 2, done.stderr
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
