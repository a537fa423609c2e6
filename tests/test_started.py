"""Benchmarks start by their paths, in whatever folder a user stands."""

import ast
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
BENCHMARKS = ROOT / "benchmarks"
PROGRAMS = sorted([*BENCHMARKS.glob("*.py"), *BENCHMARKS.glob("rivals/*.py")])
OURS = [place.stem for place in (*ROOT.iterdir(), *BENCHMARKS.iterdir())]
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
        assert text.startswith("usage: "), program


SMALLEST = {
    "accuracy.py --quick": "simulated +best +[0-9]+(.|\\n)*inversion +[0-9]+ points",
    "active_learning.py --quick": "uncertain +4 labels: ",
    "alarms.py --quick": "1 of 1 faults as expected",
    "appearance.py --simulated --seconds 20 --steps 1 --walks 1 --frames 20": (
        "alike +[1-9].* no (.|\\n)*4 mice, learned too"
    ),
    "arenas.py --quick": "in their own arena +100.000%",
    "audit.py --quick": "half inside +recall",
    "audit_page.py --quick": "the program's share: ",
    "board_latency.py --quick": "write to pin",
    "clock_alignment.py --quick": "10 of 10",
    "controller_kills.py --quick": "declared policies held 15 of 15 times",
    "cropzoom_animals.py --quick": "cropzoom, followed",
    "exposure_pulses.py --quick --minutes 1": "0 wrong",
    "distillation.py --quick": "student / teacher: error",
    "first_pose.py --starts 1 --compiled": "First pose, headless: .* after starting app.py",
    "floor.py --seconds 0.2 --rate 50": "poses_per_s",
    "foreign_projects.py --quick": "3 done, 1 refused .*, 0 failed",
    "grouping.py --calls 3": "4 +8 +noise",
    "identity.py --walks 1 --frames 20": "4 alike +1",
    "inference.py --networks arena --runtimes cpu --threads 1 --seconds 0.1": "cores",
    "label_checks.py --quick": "simulated +60",
    "latency_test.py --quick": "of 1 cases right",
    "live_arenas.py --quick --seconds 1": "48 arenas, simulated, run stopped",
    "live_measures.py --quick": "ratio:",
    "loop_latency.py --quick --seconds 1 --only /30 --no-window --no-extras": "load at",
    "many_runs.py --quick": "table of all",
    "month.py --quick": "accounted for: 1800 of 1800",
    "most_poses.py --seconds 0.5": "poses/s",
    "offline.py --frames 40 --sessions 2": r"done exactly once +2\.00",
    "page_commands.py --quick": "20 of 20 marks are in the records",
    "pair_behaviours.py --quick": "pursues: F1 0",
    "pairs.py --quick": r"100 fps, SPEED = .* approaches[^\n]*\n +wrong[^\n]*\n +chases: precision",
    "prediction.py --quick": "",
    "rack.py --quick": "policies held in 3 of 3 rounds",
    "rack_page.py --quick": "100 requests, 0 failures",
    "record_load.py --seconds 0.5": "recorder process / bare encoder",
    "remembered_animals.py --quick": r"4 without bands +.10% +0\.0%",
    "shelters.py --frames 200": "alike +[1-9]",
    "space.py --quick": "one is lost +100.0%",
    "space_loop.py --quick": "aims for what is added",
    "start_from.py --quick": "simulated +4 ",
    "tracking.py --quick --half second": "simulated, poor, second +Hungarian",
    "triggers.py --quick": "10 triggers:",
    "two_cameras.py --seconds 1 --runtime cpu": "right [0-9]+ frames delivered",
    "window_cost.py --rounds 1 --seconds 1 --cameras 1": "load at the end",
}
"""What each benchmark is started with, and what it prints in the end (an expression)."""
LONG = {
    "drawn_networks.py": "two steps of the smallest network for its smallest images took "
    "more than 25 s of processor time: its eight-bit form is tried on 48 images",
}
"""Benchmarks without a small case, and what was measured: these give help alone."""
ELSEWHERE = {
    "faults.py": "tests/engine/test_faults_benchmark.py",
    "gpu_table.py": "tests/pose/test_gpu_table.py",
}
"""Benchmarks whose smallest case is run and looked at by a test of its own."""
AIM_MISSED = (
    "distillation.py",
    "latency_test.py",
    "live_arenas.py",
    "offline.py",
    "page_commands.py",
    "pairs.py",
    "record_load.py",
    "triggers.py",
    "two_cameras.py",
)
"""End with 1 when this computer was too slow for an aim, a network learned two steps only, or
too few encounters were tried: no fault of the program."""
COSTLY = (
    *(
        "accuracy",
        "active_learning",
        "alarms",
        "controller_kills",
        "cropzoom_animals",
        "distillation",
        "first_pose",
        "identity",
    ),
    *("latency_test", "loop_latency", "most_poses", "offline", "page_commands"),
    "pair_behaviours",
    *("pairs", "rack.py", "record_load", "start_from", "two_cameras", "window_cost"),
)
"""Compute for more than 5 s of processor time: `make test-long` runs them."""
NEEDS = {
    "board_latency.py": "avr-gcc",
    "latency_test.py": "avr-gcc",
    "window_cost.py": "Xvfb",
}


def test_every_benchmark_has_a_smallest_case() -> None:
    programs = {file.name for file in BENCHMARKS.glob("*.py")}
    tested = {case.split()[0] for case in SMALLEST} | set(ELSEWHERE)
    assert tested == programs - set(LONG)
    assert set(LONG) <= programs
    assert all((ROOT / file).is_file() for file in ELSEWHERE.values())


def test_the_names_that_benchmarks_import_exist() -> None:
    """Most imports are inside of functions, and costly benchmarks run in `test-long` only."""
    missing = []
    for file in BENCHMARKS.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module is not None:
                if not node.module.startswith("deeplabstream"):
                    continue
                alone = ast.Module([node], [])
                try:
                    exec(compile(alone, file.name, "exec"), {})
                except ImportError as error:
                    missing.append(f"{file.name}:{node.lineno}: {error}")
    assert not missing


@pytest.mark.timeout(900)  # for a computer on which much else runs
@pytest.mark.skipif(sys.platform == "win32", reason="they need pseudo-terminals")
@pytest.mark.parametrize(
    ("case", "end"),
    [
        pytest.param(
            case, end, id=case, marks=[pytest.mark.long] * case.startswith(COSTLY)
        )
        for case, end in SMALLEST.items()
    ],
)
def test_the_smallest_case_of_a_benchmark_comes_to_its_end(
    tmp_path: Path, case: str, end: str
) -> None:
    name, *words = shlex.split(case)
    if (needed := NEEDS.get(name)) and not shutil.which(needed):
        pytest.skip(f"it needs {needed}")
    done = started(BENCHMARKS / name, *words, folder=tmp_path)
    said = done.stdout + done.stderr
    assert done.returncode in ((0, 1) if name in AIM_MISSED else (0,)), said
    assert re.search(end, done.stdout), said
    for problem in ("Traceback", "no result", "FAILED"):
        assert problem not in said, said


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("rivals/inference.py", "name --dlc-live or --sleap-nn"),
        (
            "rivals/inference.py --dlc-live nowhere/python",
            "nowhere/python does not exist",
        ),
        ("offline.py --litpose nowhere/litpose", "nowhere/litpose does not exist"),
        (
            "rivals/training.py --data . --rival nowhere/litpose",
            "litpose does not exist",
        ),
        ("rivals/inference_worker.py dlc-live . 1 weights.pt 1", "install dlc-live"),
        ("rivals/tracking_worker.py .", "install sleap-nn"),
        ("rivals/inference_worker.py sleap-nn . 1 weights.pt 1", "install sleap-nn"),
    ],
)
def test_a_rival_that_is_missing_is_a_sentence(
    tmp_path: Path, words: str, sentence: str
) -> None:
    np.save(tmp_path / "frames.npy", np.zeros((2, 64, 64, 3), np.uint8))
    np.savez(tmp_path / "crops.npz", crops=np.zeros((2, 64, 64), np.uint8))
    name, *rest = words.split()
    done = started(BENCHMARKS / name, *rest, folder=tmp_path)
    assert done.returncode == 2, done.stderr
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
