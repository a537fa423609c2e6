"""Diagnosis of GPUs: driver, packages, libraries, and whether networks really run there."""

from __future__ import annotations

from collections.abc import Iterator

from deeplabstream.doctor import cures
from deeplabstream.doctor.environment import (
    Environment,
    NvidiaGpu,
    ProviderTrial,
    Version,
)
from deeplabstream.doctor.findings import Finding, Severity
from deeplabstream.doctor.gpu_support import (
    CUDA_12,
    CUDA_13,
    DIRECTML,
    MAXWELL,
    OLD_CUDNN,
    TORCH_FOR_OLD,
    TURING,
    Generation,
    architecture_of,
    best_generation,
    generation_of,
    least_driver,
)

CUDA, DIRECTML_PROVIDER = "CUDAExecutionProvider", "DmlExecutionProvider"
TENSORRT = "TensorrtExecutionProvider"
LEAST_FREE_MB = 1000.0
"""GPU memory that a ResNet-50 with its CUDA libraries takes, with some room."""
PROBLEM, WARNING, NOTE = Severity.PROBLEM, Severity.WARNING, Severity.NOTE
AREA = "GPU"
_ON_CPU = "Networks run on the CPU instead, which is much slower."
_NO_MEMORY = ("out of memory", "alloc_failed", "cuda failure 2", "bad_alloc")
_NO_KERNEL = ("no kernel image", "nokernelimage", "arch_mismatch")


def diagnose_gpu(environment: Environment) -> Iterator[Finding]:
    """Find what keeps networks from running on the GPU."""
    graphics = environment.graphics
    if not (graphics.nvidia or graphics.nvidia_hardware):
        yield from _without_nvidia(environment)
        return
    broken = list(_driver(environment))
    yield from broken
    if any(each.severity is PROBLEM for each in broken):
        return
    gpu = graphics.nvidia[0] if graphics.nvidia else None
    if gpu is None:
        return
    yield from _onnxruntime(environment, gpu)
    yield from _torch(environment, gpu)
    yield from _tensorrt(environment)
    yield from _nvenc(environment, gpu)
    if gpu.free_mb is not None and gpu.free_mb < LEAST_FREE_MB:
        yield Finding(
            "gpu-memory",
            WARNING,
            AREA,
            f"Only {gpu.free_mb:.0f} MB of memory are free on {gpu.name}.",
            "A network may not fit, and then runs on the CPU.",
            "nvidia-smi (it lists the programs that use the memory; close them)",
        )


def _driver(environment: Environment) -> Iterator[Finding]:
    graphics = environment.graphics
    error = graphics.error
    name = ", ".join(graphics.nvidia_hardware or [g.name for g in graphics.nvidia])
    if graphics.nvidia and not error:
        if graphics.driver_library is False:
            yield _no_driver_library(environment, name)
        return
    low = error.lower()
    if environment.os.container and not graphics.driver_library:
        yield Finding(
            "gpu-container",
            PROBLEM,
            AREA,
            f"{name} is not passed into this container.",
            _ON_CPU,
            cures.nvidia_driver(environment),
        )
    elif "version mismatch" in low:
        yield Finding(
            "gpu-driver-mismatch",
            PROBLEM,
            AREA,
            "The NVIDIA driver was updated, and the old one is still running.",
            _ON_CPU,
            "sudo reboot",
        )
    elif "no answer within" in low:
        yield Finding(
            "gpu-driver-hangs",
            PROBLEM,
            AREA,
            f"nvidia-smi gives {error}: the driver of {name} hangs.",
            "A program that uses the GPU would hang too.",
            "shutdown /r /t 0" if environment.os.system == "windows" else "sudo reboot",
        )
    elif graphics.kernel_driver == "nouveau":
        yield Finding(
            "gpu-nouveau",
            PROBLEM,
            AREA,
            f"{name} runs with nouveau, which has no CUDA.",
            _ON_CPU,
            cures.nvidia_driver(environment),
        )
    elif graphics.kernel_driver == "vfio-pci":
        yield Finding(
            "gpu-passed-through",
            PROBLEM,
            AREA,
            f"{name} is reserved for virtual machines (vfio-pci).",
            _ON_CPU,
            "Remove vfio-pci for this GPU from /etc/modprobe.d and restart the computer.",
        )
    elif "communicate with the nvidia driver" in low:
        yield Finding(
            "gpu-driver-stopped",
            PROBLEM,
            AREA,
            f"The NVIDIA driver is installed and does not run for {name}.",
            f"{_ON_CPU} After an update of the kernel it must be rebuilt; with "
            "Secure Boot its module must be signed.",
            "sudo modprobe nvidia"
            if environment.os.package_manager != "apt"
            else "sudo dpkg-reconfigure nvidia-kernel-dkms && sudo modprobe nvidia"
            if environment.os.distribution == "debian"
            else "sudo ubuntu-drivers install && sudo reboot",
        )
    elif "no devices were found" in low:
        yield Finding(
            "gpu-not-served",
            PROBLEM,
            AREA,
            f"The NVIDIA driver finds no GPU, although {name} is in the computer.",
            "The driver is too new for it, or the GPU has failed or has no power.",
            "Install driver branch 580 for GPUs before Turing, 470 for Kepler.",
        )
    elif error and graphics.driver_library:
        yield Finding(
            "gpu-unreadable",
            NOTE,
            AREA,
            f"nvidia-smi could not be read: {error}",
            "The GPU may work; its driver version is not known.",
        )
    elif not graphics.nvidia:
        yield Finding(
            "gpu-driver-missing",
            PROBLEM,
            AREA,
            f"{name} has no NVIDIA driver.",
            _ON_CPU,
            cures.nvidia_driver(environment),
        )


def _no_driver_library(environment: Environment, name: str) -> Finding:
    cure = cures.nvidia_driver(environment)
    if environment.os.container:
        cure = "docker run --gpus all -e NVIDIA_DRIVER_CAPABILITIES=compute,utility,video ..."
    elif environment.os.distribution == "debian":
        cure = "sudo apt-get install -y libcuda1"
    return Finding(
        "gpu-driver-library",
        PROBLEM,
        AREA,
        f"The driver of {name} runs, but its CUDA library is missing.",
        _ON_CPU,
        cure,
    )


def _onnxruntime(environment: Environment, gpu: NvidiaGpu) -> Iterator[Finding]:
    """Find why ONNX Runtime does not use the GPU: one cause, the deepest."""
    found = environment.computing.onnxruntime
    trials = {each.asked: each for each in found.trials}
    if not found.version:
        return  # the packages' part names it
    if found.error:
        yield Finding(
            "gpu-not-tried",
            WARNING,
            AREA,
            f"No network could be run by ONNX Runtime {found.version}: {found.error}",
            f"Whether {gpu.name} computes is not known.",
            "Close other programs, or restart the computer, and run this again.",
        )
        return
    if any(_works(trials.get(each)) for each in (CUDA, DIRECTML_PROVIDER)):
        return
    generation = generation_of(found.cuda)
    system, driver = environment.os.system, environment.graphics.driver
    best = best_generation(gpu.capability, driver, system)
    cure = cures.gpu_packages(environment, best or CUDA_13)
    if CUDA not in found.providers or generation is None:
        yield Finding(
            "gpu-onnxruntime",
            PROBLEM,
            AREA,
            f"ONNX Runtime {found.version} is built for "
            f"{'CUDA ' + found.cuda if found.cuda else 'the CPU alone'}.",
            f"{_ON_CPU} {gpu.name} stays unused.",
            cure,
        )
        return
    yield from (
        _not_served(environment, gpu, generation)
        or _old_driver(environment, gpu, generation)
        or _old_cudnn(environment, gpu)
        or _missing_libraries(environment, generation)
        or _failed(environment, gpu, trials.get(CUDA))
    )


def _works(trial: ProviderTrial | None) -> bool:
    return (
        trial is not None
        and trial.used == trial.asked
        and trial.right
        and not trial.error
    )


def _not_served(
    environment: Environment, gpu: NvidiaGpu, generation: Generation
) -> list[Finding]:
    if gpu.capability is None or generation.serves(
        gpu.capability, environment.os.system
    ):
        return []
    named = _described(gpu)
    version = environment.computing.onnxruntime.version
    fits = best_generation(gpu.capability, None, environment.os.system)
    if fits is None:
        return [
            Finding(
                "gpu-unsupported",
                PROBLEM,
                AREA,
                f"No published build of ONNX Runtime runs on {named}.",
                _ON_CPU,
                "Set RUNTIME = openvino in [Pose Estimation], or use another GPU.",
            )
        ]
    return [
        Finding(
            "gpu-packages",
            PROBLEM,
            AREA,
            f"ONNX Runtime {version} for CUDA {generation.cuda} has no code for {named}.",
            f"{_ON_CPU} The packages for CUDA {fits.cuda} serve this GPU.",
            cures.gpu_packages(environment, fits),
        )
    ]


def _described(gpu: NvidiaGpu) -> str:
    if gpu.capability is None:
        return gpu.name
    family = architecture_of(gpu.capability)
    number = ".".join(map(str, gpu.capability))
    known = f"{family.name}, " if family else ""
    return f"{gpu.name} ({known}compute capability {number})"


def _old_driver(
    environment: Environment, gpu: NvidiaGpu, generation: Generation
) -> list[Finding]:
    system, driver = environment.os.system, environment.graphics.driver
    least = least_driver(generation, system, gpu.capability)
    if driver is None or driver >= least:
        return []
    fits = best_generation(gpu.capability, driver, system)
    why = f"{_ON_CPU} CUDA {generation.cuda} needs driver {_dotted(least)} or newer"
    return [
        Finding(
            "gpu-driver-old",
            PROBLEM,
            AREA,
            f"The NVIDIA driver {_dotted(driver)} is too old for ONNX Runtime "
            f"{environment.computing.onnxruntime.version}.",
            f"{why}; the packages for CUDA {fits.cuda} run with this one."
            if fits
            else f"{why}.",
            cures.gpu_packages(environment, fits)
            if fits
            else cures.nvidia_driver(environment),
        )
    ]


def _old_cudnn(environment: Environment, gpu: NvidiaGpu) -> list[Finding]:
    """Find a cuDNN that no longer serves an old GPU."""
    text = environment.packages.installed.get("nvidia-cudnn-cu12", "")
    version = tuple(int(part) for part in text.split(".")[:2] if part.isdigit())
    if gpu.capability is None or gpu.capability >= TURING or version <= OLD_CUDNN:
        return []
    pin = CUDA_12.wheels["nvidia-cudnn-cu12"]
    return [
        Finding(
            "gpu-cudnn-new",
            PROBLEM,
            AREA,
            f"cuDNN {text} no longer serves {_described(gpu)}.",
            f"{_ON_CPU} cuDNN 9.10 is the last one that does.",
            cures.pip(environment, f"nvidia-cudnn-cu12=={pin}"),
        )
    ]


def _missing_libraries(
    environment: Environment, generation: Generation
) -> list[Finding]:
    there = {(each.name, each.major) for each in environment.computing.libraries}
    others = {each.name: each.major for each in environment.computing.libraries}
    missing = [
        (name, major)
        for name, major in generation.libraries.items()
        if (name, major) not in there
    ]
    if not missing:
        return []
    words = [
        f"{name} {major}" + (f" (there is {others[name]})" if name in others else "")
        for name, major in missing
    ]
    only_cudnn = [name for name, _ in missing] == ["cudnn"]
    return [
        Finding(
            "gpu-cudnn" if only_cudnn else "gpu-cuda-libraries",
            PROBLEM,
            AREA,
            f"{'cuDNN is' if only_cudnn else 'CUDA libraries are'} missing: "
            f"{', '.join(words)}.",
            f"{_ON_CPU} The package onnxruntime-gpu comes without them.",
            cures.gpu_packages(environment, generation),
        )
    ]


def _failed(
    environment: Environment, gpu: NvidiaGpu, trial: ProviderTrial | None
) -> list[Finding]:
    """Find what a network that was run on the GPU told."""
    if trial is None:
        return []
    low = trial.error.lower().replace(" ", "")
    if any(word.replace(" ", "") in low for word in _NO_MEMORY):
        return [
            Finding(
                "gpu-memory-full",
                PROBLEM,
                AREA,
                f"The memory of {gpu.name} is full.",
                _ON_CPU,
                "nvidia-smi (it lists the programs that use the memory; close them)",
            )
        ]
    if any(word.replace(" ", "") in low for word in _NO_KERNEL):
        other = (
            CUDA_12 if environment.computing.onnxruntime.cuda[:2] == "13" else CUDA_13
        )
        return [
            Finding(
                "gpu-no-kernel",
                PROBLEM,
                AREA,
                f"ONNX Runtime {environment.computing.onnxruntime.version} has no code for "
                f"{_described(gpu)}.",
                _ON_CPU,
                cures.gpu_packages(environment, other),
            )
        ]
    if not trial.right:
        return [
            Finding(
                "gpu-wrong-result",
                PROBLEM,
                AREA,
                f"{gpu.name} computes a wrong result.",
                "Poses would be wrong.",
                "Update the NVIDIA driver; if that does not help, the GPU is faulty.",
            )
        ]
    said = trial.error or f"it computed on {trial.used or 'nothing'}"
    return [
        Finding(
            "gpu-provider-unused",
            PROBLEM,
            AREA,
            f"ONNX Runtime was asked for {gpu.name} and did not use it: {said}",
            _ON_CPU,
            cures.gpu_packages(
                environment,
                generation_of(environment.computing.onnxruntime.cuda) or CUDA_13,
            ),
        )
    ]


def _torch(environment: Environment, gpu: NvidiaGpu) -> Iterator[Finding]:
    torch = environment.computing.torch
    if not torch.version or torch.error:
        return
    system, driver = environment.os.system, environment.graphics.driver
    fits = best_generation(gpu.capability, driver, system) or CUDA_13
    old = gpu.capability is not None and not fits.torch_kernels.serve(gpu.capability)
    cure = (
        "Train on another computer: no current build of torch runs on this GPU."
        if gpu.capability is not None and gpu.capability < MAXWELL
        else cures.old_torch(environment, TORCH_FOR_OLD, CUDA_12.torch)
        if old
        else cures.torch_with_cuda(environment, fits)
    )
    slow = "Networks are trained on the CPU, which takes days instead of hours."
    built = generation_of(torch.cuda)
    if not torch.cuda:
        yield Finding(
            "torch-cpu",
            WARNING,
            "training",
            f"torch {torch.version} is built for the CPU alone.",
            slow,
            cure,
        )
    elif (
        built is not None
        and gpu.capability is not None
        and not built.torch_kernels.serve(gpu.capability)
        and not torch.cuda.startswith("12.6")
    ):
        yield Finding(
            "torch-no-kernel",
            WARNING,
            "training",
            f"torch {torch.version} for CUDA {torch.cuda} has no code for "
            f"{_described(gpu)}.",
            slow,
            cure,
        )
    elif torch.available is False:
        yield Finding(
            "torch-gpu-unused",
            WARNING,
            "training",
            f"torch {torch.version} for CUDA {torch.cuda} finds no GPU.",
            slow,
            cure,
        )
    elif _majors_differ(torch.cuda, environment.computing.onnxruntime.cuda):
        yield Finding(
            "torch-other-cuda",
            WARNING,
            "training",
            f"torch is built for CUDA {torch.cuda}, ONNX Runtime for CUDA "
            f"{environment.computing.onnxruntime.cuda}.",
            "Each needs its own libraries; take both from one generation.",
            cure,
        )


def _majors_differ(one: str, other: str) -> bool:
    majors = [each.partition(".")[0] for each in (one, other)]
    return all(majors) and majors[0] != majors[1]


def _tensorrt(environment: Environment) -> Iterator[Finding]:
    found = environment.computing.onnxruntime
    generation = generation_of(found.cuda)
    if TENSORRT not in found.providers or generation is None:
        return
    majors = [
        each.major for each in environment.computing.libraries if each.name == "nvinfer"
    ]
    if majors and generation.tensorrt not in majors:
        yield Finding(
            "tensorrt-version",
            WARNING,
            "TensorRT",
            f"TensorRT {majors[0]} is installed; ONNX Runtime loads "
            f"TensorRT {generation.tensorrt}.",
            "RUNTIME = tensorrt does not work; auto takes another runtime.",
            cures.pip(
                environment,
                f'"tensorrt-cu{generation.cuda}=={generation.tensorrt}.*"',
            ),
        )


def _nvenc(environment: Environment, gpu: NvidiaGpu) -> Iterator[Finding]:
    encoder = environment.computing.nvenc
    if encoder.works is False:
        yield Finding(
            "nvenc",
            NOTE,
            "video encoder",
            f"The video encoder of {gpu.name} does not work: {encoder.error}",
            "CODEC = h264_nvenc cannot be used; CODEC = h264 works.",
        )


def _without_nvidia(environment: Environment) -> Iterator[Finding]:
    graphics, found = environment.graphics, environment.computing
    name = ", ".join(graphics.other)
    low = name.lower()
    windows = environment.os.system == "windows"
    if (
        "intel" in low
        and found.openvino.version
        and "GPU" not in found.openvino.devices
    ):
        yield Finding(
            "intel-gpu-unused",
            NOTE,
            AREA,
            f"OpenVINO does not find {name}.",
            "RUNTIME = openvino-gpu cannot be used; openvino runs on the CPU.",
            "Install Intel's graphics driver from https://www.intel.com/support"
            if windows
            else "sudo apt-get install -y intel-opencl-icd",
        )
    amd = any(word in low for word in ("amd", "radeon", "advanced micro"))
    if windows and amd and DIRECTML_PROVIDER not in found.onnxruntime.providers:
        remove = cures.pip(environment, "").replace(
            " install ", " uninstall -y onnxruntime-gpu"
        )
        add = cures.pip(environment, f"onnxruntime-directml=={DIRECTML}")
        yield Finding(
            "directml",
            NOTE,
            AREA,
            f"{name} can run networks by DirectML.",
            "The package onnxruntime-gpu serves NVIDIA GPUs alone.",
            f"{remove} && {add}",
        )


def _dotted(version: Version) -> str:
    return ".".join(map(str, version))
