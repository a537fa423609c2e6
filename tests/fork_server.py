"""A rig's processes from a fork server, which has imported what they need once.

A rig starts seven processes; by `spawn`, as users have it, each imports everything anew.
Tests of what a rig does, not of how it starts, take this shorter way; so do the results
process of the window and tests of an output. Arguments are pickled in both. Tests of signals,
of killed processes and of programs use `spawn`. Their guards wait long, see
tests/engine/patient_guards.py, and their engine too: tests/engine/patient_engine.py.
"""

import multiprocessing
import os
import sys
from multiprocessing import forkserver
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.engine.patient_engine import use_patient_engine
from tests.engine.patient_guards import use_patient_guards

ROOT = Path(__file__).resolve().parents[1]
PRELOADED = [
    "deeplabstream.engine.processes.camera_process",
    "deeplabstream.engine.processes.engine_process",
    "deeplabstream.engine.processes.recorder_process",
    "deeplabstream.engine.processes.second_guard",
    "deeplabstream.analysis.analyse",
    "deeplabstream.analysis.plots",
    "deeplabstream.gui.results_process",
    "deeplabstream.settings.loading",
    "matplotlib.backends.backend_agg",
    "pandas",
    "cameras.simulated",
    "experiments.conditional",
    "outputs.serial_line",
    "tests.engine.patient_engine",
    "tests.engine.patient_guards",
]
STARTERS = {
    "deeplabstream.engine.checks.output_pulse",
    "deeplabstream.engine.session.process_manager",
    "deeplabstream.gui.results_client",
}
"""Modules that start processes; what a test module has not imported it does not use."""


def use_fork_server(patch: pytest.MonkeyPatch) -> None:
    """Have rigs start their processes from the fork server of this process."""
    use_patient_guards(patch)
    use_patient_engine(patch)
    if sys.platform == "win32":
        return
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    before = Path.cwd()
    os.chdir(ROOT)  # from where the server imports
    try:
        forkserver.ensure_running()
    finally:
        os.chdir(before)
    started_here = SimpleNamespace(get_context=lambda _method: context)
    for name in STARTERS & sys.modules.keys():
        patch.setattr(sys.modules[name], "multiprocessing", started_here)
