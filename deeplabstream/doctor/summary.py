"""Summary of a snapshot: one line for each part of the computer."""

from __future__ import annotations

from collections.abc import Iterator

from deeplabstream.doctor.environment import Environment


def summary(environment: Environment) -> list[str]:
    """Return one line for each part that was detected."""
    return [f"{name:<17}{text}" for name, text in _parts(environment) if text]


def _parts(environment: Environment) -> Iterator[tuple[str, str]]:
    os, python = environment.os, environment.python
    where = [
        word
        for word, installed in (("container", os.container), ("WSL", os.wsl))
        if installed
    ]
    yield "operating system", ", ".join([os.name or os.system, os.machine, *where])
    yield "Python", f"{'.'.join(map(str, python.version))}, {python.executable}"
    packages = environment.packages
    installed = sum(name in packages.installed for name in packages.pins)
    yield "packages", f"{installed} of {len(packages.pins)} of requirements.txt"
    yield "CPU", _cpu(environment)
    yield "memory", _memory(environment)
    yield "output folder", _output(environment)
    yield (
        "cameras",
        ", ".join(camera.name for camera in environment.devices.cameras) or "none",
    )
    ports = environment.devices.ports
    yield "serial ports", ", ".join(port.path or port.name for port in ports) or "none"
    yield "GPU", _gpu(environment)
    yield "networks run on", _networks(environment)
    yield "torch", _torch(environment)
    screen = environment.screen
    yield "real-time rights", _rights(environment)
    size = f", {screen.size[0]}x{screen.size[1]}" if screen.size else ""
    yield "screen", f"{screen.display or 'none'}{size}"


def _rights(environment: Environment) -> str:
    found = environment.scheduling
    rights = {
        "SCHED_FIFO": found.can_run_real_time,
        "locked memory": found.can_lock_memory,
    }
    return ", ".join(
        f"{name}{'' if allowed else ' refused'}"
        for name, allowed in rights.items()
        if allowed is not None
    )


def _cpu(environment: Environment) -> str:
    cpu = environment.cpu
    features = sorted(cpu.features or ())
    parts = [cpu.name, f"{cpu.cores} cores" if cpu.cores else "", " ".join(features)]
    return ", ".join(word for word in parts if word)


def _memory(environment: Environment) -> str:
    memory = environment.memory
    parts = []
    if memory.total_gb is not None:
        parts.append(f"{memory.total_gb:.1f} GB")
    if memory.free_gb is not None:
        parts.append(f"{memory.free_gb:.1f} GB free")
    if memory.shared_free_mb is not None:
        parts.append(f"{memory.shared_free_mb:.0f} MB free in /dev/shm")
    return ", ".join(parts)


def _output(environment: Environment) -> str:
    output = environment.output
    parts = [output.path]
    if output.free_gb is not None:
        parts.append(f"{output.free_gb:.1f} GB free")
    if output.write_mb_s is not None:
        parts.append(f"{output.write_mb_s:.0f} MB/s")
    return ", ".join(word for word in parts if word)


def _gpu(environment: Environment) -> str:
    graphics = environment.graphics
    parts = []
    for gpu in graphics.nvidia:
        number = ".".join(map(str, gpu.capability)) if gpu.capability else "?"
        parts.append(f"{gpu.name} (compute capability {number})")
    if graphics.driver is not None:
        parts.append(f"driver {'.'.join(map(str, graphics.driver))}")
    return ", ".join([*parts, *graphics.other]) or "none"


def _networks(environment: Environment) -> str:
    found = environment.computing
    trials = [
        f"{trial.used} {trial.ms:.3g} ms"
        for trial in found.onnxruntime.trials
        if trial.used == trial.requested and trial.right and trial.ms is not None
    ]
    name = (
        f"ONNX Runtime {found.onnxruntime.version}" if found.onnxruntime.version else ""
    )
    parts = [f"{name}: {', '.join(trials) or 'nothing'}"] if name else []
    if found.openvino.version:
        devices = ", ".join(found.openvino.devices) or "nothing"
        parts.append(f"OpenVINO {found.openvino.version}: {devices}")
    return "; ".join(parts)


def _torch(environment: Environment) -> str:
    torch = environment.computing.torch
    if not torch.version:
        return ""
    return (
        f"{torch.version}, {f'for CUDA {torch.cuda}' if torch.cuda else 'for the CPU'}"
    )
