"""The collector runs on this computer, and no fault of a probe is a traceback."""

import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from deeplabstream.doctor import child_probe, collection
from deeplabstream.doctor.collection import (
    TrainingGpus,
    collect,
    output_folder,
    training_gpus,
)
from deeplabstream.doctor.commands import PATIENCE_S, CommandResult, run_command
from deeplabstream.doctor.diagnosis import diagnose
from deeplabstream.doctor.environment import Torch
from deeplabstream.doctor.summary import summary

SYSTEM = collection._system()


def test_this_computer_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        collection, "CHILD_S", 240.0
    )  # all libraries are loaded at once
    environment = collect(tmp_path / "runs", whole_s=240)
    assert environment.os.system == SYSTEM
    assert environment.python.version == tuple(sys.version_info[:3])
    assert environment.packages.installed["numpy"]
    assert environment.cpu.cores
    assert environment.memory.total_gb
    assert environment.output.path == str(tmp_path / "runs")
    assert environment.output.error == ""
    assert environment.output.write_mb_s
    assert list(tmp_path.iterdir()) == []
    trials = {each.requested: each for each in environment.computing.onnxruntime.trials}
    cpu = trials["CPUExecutionProvider"]
    assert cpu.used == cpu.requested, (cpu, environment.failures)
    assert cpu.right
    assert summary(environment)
    assert json.dumps(environment.to_json())
    diagnose(environment)


FAULTS: dict[str, Callable[[], CommandResult]] = {
    "no such command": lambda: CommandResult(code=127, error="it cannot be started"),
    "garbage": lambda: CommandResult("\x00\ufffd{[,,,\n\n", "\ufffd", 3),
    "half an answer": lambda: CommandResult(child_probe.ANSWER + '{"trials": [{"a'),
    "an answer of other kinds": lambda: CommandResult(
        child_probe.ANSWER
        + '{"trials": 5, "gpus": [["x"], 7, ["a", ["b"]]], "devices": {}, "works": 1, '
        '"available": [], "providers": null, "version": {}, "loads": "yes"}'
    ),
    "nothing": CommandResult,
    "too late": lambda: CommandResult(code=124, error="no answer within 6 s"),
    "a crash": lambda: CommandResult("", "Segmentation fault", -11),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_commands_that_fail_are_no_traceback(fault: str, tmp_path: Path) -> None:
    def faulty(
        words: Sequence[str], limit_s: float = PATIENCE_S, folder: Path | None = None
    ) -> CommandResult:
        return FAULTS[fault]()

    environment = collect(tmp_path, run_command=faulty, whole_s=120)
    found = diagnose(environment)
    assert summary(environment)
    assert json.dumps([environment.to_json(), *(each.to_json() for each in found)])
    assert not [each for each in environment.failures if "Error" in each.reason]


def test_a_command_that_raises_is_told_as_not_seen(tmp_path: Path) -> None:
    def raising(
        words: Sequence[str], limit_s: float = PATIENCE_S, folder: Path | None = None
    ) -> CommandResult:
        raise RuntimeError("the probe has a fault")

    environment = collect(tmp_path, run_command=raising, whole_s=120)
    reasons = {each.reason for each in environment.failures}
    assert "RuntimeError: the probe has a fault" in reasons
    assert "not-seen" in {each.key for each in diagnose(environment)}


def test_a_probe_that_hangs_is_left_behind(tmp_path: Path) -> None:
    import threading

    never = threading.Event()

    def hanging(
        words: Sequence[str], limit_s: float = PATIENCE_S, folder: Path | None = None
    ) -> CommandResult:
        never.wait(600)
        return CommandResult()

    try:
        environment = collect(tmp_path, run_command=hanging, whole_s=0.2)
    finally:
        never.set()
    assert "no answer in time" in {each.reason for each in environment.failures}
    assert summary(environment)
    diagnose(environment)


def test_a_command_that_hangs_is_ended() -> None:
    words = [sys.executable, "-c", "import time; print('begun'); time.sleep(600)"]
    answer = run_command(words, 0.5)
    assert (answer.code, answer.error) == (124, "no answer within 0.5 s")


def test_a_command_that_is_not_there(tmp_path: Path) -> None:
    answer = run_command([str(tmp_path / "nvidia-smi")])
    assert answer.code == 127
    assert "cannot be started" in answer.error


def test_a_command_that_prints_no_text() -> None:
    code = "import sys; sys.stdout.buffer.write(b'\\xff\\xfe\\x00ok')"
    assert run_command([sys.executable, "-c", code], 60).out.endswith("ok")


def test_a_gpu_whose_driver_tells_no_capability(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then the driver's library tells it."""
    old = 'Field "compute_cap" is not a valid field to query.\n'

    def told(
        words: Sequence[str], limit_s: float = PATIENCE_S, folder: Path | None = None
    ) -> CommandResult:
        if words[0] == "nvidia-smi":
            fits = "compute_cap" not in words[1]
            line = "Tesla M40, 470.57.02, Tesla M40, 11448, 11000\n"
            return CommandResult(line if fits else old, code=0 if fits else 2)
        if words[-1] == "driver":
            gpus = '{"loads": true, "gpus": [["Tesla M40", [5, 2]]]}'
            return CommandResult(child_probe.ANSWER + gpus)
        return CommandResult(code=127, error="not there")

    graphics = collect(tmp_path, run_command=told, whole_s=120).graphics
    assert graphics.driver == (470, 57, 2)
    assert graphics.driver_library
    assert [each.capability for each in graphics.nvidia] == [(5, 2)]


@pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() == 0, reason="root may write everywhere"
)
def test_a_folder_without_rights(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert output_folder(tmp_path, SYSTEM).error == "Permission denied"


def test_a_file_in_the_place_of_the_output_folder(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file", "utf-8")
    assert output_folder(tmp_path / "runs", SYSTEM).error


def test_a_folder_that_a_cloud_service_uploads(tmp_path: Path) -> None:
    folder = tmp_path / "OneDrive - Institute" / "runs"
    found = output_folder(folder, SYSTEM)
    assert (found.synced_by, found.error) == ("OneDrive", "")
    assert not folder.exists()


@pytest.mark.parametrize("name", sorted(set(child_probe.PROBES) - {"torch"}))
def test_every_child_probe_answers_here(name: str) -> None:
    words = [sys.executable, "-m", child_probe.__name__, name]
    answer = run_command(words, 120, child_probe.FOLDER)
    line = answer.out.splitlines()[-1]
    assert line.startswith(child_probe.ANSWER), (answer.out, answer.error_output)
    json.loads(line.removeprefix(child_probe.ANSWER))


@pytest.mark.parametrize(
    ("cuda", "available", "expected"),
    [
        ("13.0", True, TrainingGpus(("RTX A4000", "T400"))),
        (
            "13.0",
            False,
            TrainingGpus(problem="RTX A4000 is not used: torch does not find it"),
        ),
        (
            "",
            True,
            TrainingGpus(problem="RTX A4000 is not used: torch is built for the CPU"),
        ),
    ],
)
def test_gpus_for_training_are_named_in_cuda_s_order_or_the_reason_is(
    cuda: str, available: bool, expected: TrainingGpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: dict[str, object] = {
        "driver": {"loads": True, "gpus": [["RTX A4000", [8, 6]], ["T400", [7, 5]]]},
        "torch": {"available": available},
    }

    def answer(
        words: Sequence[str], limit_s: float = 0, folder: Path | None = None
    ) -> CommandResult:
        return CommandResult(child_probe.ANSWER + json.dumps(answers[words[-1]]))

    monkeypatch.setattr(collection, "_torch", lambda: Torch("2.12", cuda))
    assert training_gpus(answer) == expected
    answers["driver"] = {}
    assert training_gpus(answer) == TrainingGpus(), "no GPU is no problem"
