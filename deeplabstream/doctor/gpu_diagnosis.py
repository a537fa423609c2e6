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
from deeplabstream.doctor.findings import PROBLEM, Finding, finding
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
"""GPU memory for a ResNet-50 with its CUDA libraries, including a reserve."""
_NO_MEMORY = ("out of memory", "alloc_failed", "cuda failure 2", "bad_alloc")
_NO_KERNEL = ("no kernel image", "nokernelimage", "arch_mismatch")


def diagnose_gpu(environment: Environment) -> Iterator[Finding]:
    """Find the reasons why networks do not run on the GPU."""
    graphics = environment.graphics
    if not (graphics.nvidia or graphics.nvidia_hardware):
        yield from _without_nvidia(environment)
        return
    broken = list(_driver(environment))
    yield from broken
    if any(result.severity is PROBLEM for result in broken):
        return
    gpu = graphics.nvidia[0] if graphics.nvidia else None
    if gpu is None:
        return
    yield from _onnxruntime(environment, gpu)
    yield from _torch(environment, gpu)
    yield from _tensorrt(environment)
    yield from _nvenc(environment, gpu)
    if gpu.free_mb is not None and gpu.free_mb < LEAST_FREE_MB:
        yield finding("gpu-memory", gpu=gpu)


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
        yield finding("gpu-container", name=name, cure=cures.nvidia_driver(environment))
    elif "version mismatch" in low:
        yield finding("gpu-driver-mismatch")
    elif "no answer within" in low:
        yield finding(
            "gpu-driver-hangs",
            error=error,
            name=name,
            cure="shutdown /r /t 0"
            if environment.os.system == "windows"
            else "sudo reboot",
        )
    elif graphics.kernel_driver == "nouveau":
        yield finding("gpu-nouveau", name=name, cure=cures.nvidia_driver(environment))
    elif graphics.kernel_driver == "vfio-pci":
        yield finding("gpu-passed-through", name=name)
    elif "communicate with the nvidia driver" in low:
        yield finding(
            "gpu-driver-stopped",
            name=name,
            cure="sudo modprobe nvidia"
            if environment.os.package_manager != "apt"
            else "sudo dpkg-reconfigure nvidia-kernel-dkms && sudo modprobe nvidia"
            if environment.os.distribution == "debian"
            else "sudo ubuntu-drivers install && sudo reboot",
        )
    elif "no devices were found" in low:
        yield finding("gpu-not-served", name=name)
    elif error and graphics.driver_library:
        yield finding("gpu-unreadable", error=error)
    elif not graphics.nvidia:
        yield finding(
            "gpu-driver-missing", name=name, cure=cures.nvidia_driver(environment)
        )


def _no_driver_library(environment: Environment, name: str) -> Finding:
    cure = cures.nvidia_driver(environment)
    if environment.os.container:
        cure = "docker run --gpus all -e NVIDIA_DRIVER_CAPABILITIES=compute,utility,video ..."
    elif environment.os.distribution == "debian":
        cure = "sudo apt-get install -y libcuda1"
    return finding("gpu-driver-library", name=name, cure=cure)


def _onnxruntime(environment: Environment, gpu: NvidiaGpu) -> Iterator[Finding]:
    """Find the root cause why ONNX Runtime does not use the GPU."""
    found = environment.computing.onnxruntime
    trials = {trial.requested: trial for trial in found.trials}
    if not found.version:
        return  # the package diagnosis reports it
    if found.error:
        yield finding("gpu-not-tried", found=found, gpu=gpu)
        return
    if any(_works(trials.get(provider)) for provider in (CUDA, DIRECTML_PROVIDER)):
        return
    generation = generation_of(found.cuda)
    system, driver = environment.os.system, environment.graphics.driver
    best = best_generation(gpu.capability, driver, system)
    cure = cures.gpu_packages(environment, best or CUDA_13)
    if CUDA not in found.providers or generation is None:
        yield finding(
            "gpu-onnxruntime",
            found=found,
            built="CUDA " + found.cuda if found.cuda else "the CPU alone",
            gpu=gpu,
            cure=cure,
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
        and trial.used == trial.requested
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
        return [finding("gpu-unsupported", named=named)]
    return [
        finding(
            "gpu-packages",
            version=version,
            generation=generation,
            named=named,
            fits=fits,
            cure=cures.gpu_packages(environment, fits),
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
    remedy = f"; the packages for CUDA {fits.cuda} run with this one" if fits else ""
    return [
        finding(
            "gpu-driver-old",
            version=_dotted(driver),
            onnxruntime=environment.computing.onnxruntime,
            generation=generation,
            least=_dotted(least),
            remedy=remedy,
            cure=cures.gpu_packages(environment, fits)
            if fits
            else cures.nvidia_driver(environment),
        )
    ]


def _old_cudnn(environment: Environment, gpu: NvidiaGpu) -> list[Finding]:
    """Find a cuDNN that no longer supports an old GPU."""
    text = environment.packages.installed.get("nvidia-cudnn-cu12", "")
    version = tuple(int(part) for part in text.split(".")[:2] if part.isdigit())
    if gpu.capability is None or gpu.capability >= TURING or version <= OLD_CUDNN:
        return []
    pin = CUDA_12.wheels["nvidia-cudnn-cu12"]
    return [
        finding(
            "gpu-cudnn-new",
            text=text,
            described=_described(gpu),
            cure=cures.pip(environment, f"nvidia-cudnn-cu12=={pin}"),
        )
    ]


def _missing_libraries(
    environment: Environment, generation: Generation
) -> list[Finding]:
    installed = {
        (library.name, library.major) for library in environment.computing.libraries
    }
    others = {
        library.name: library.major for library in environment.computing.libraries
    }
    missing = [
        (name, major)
        for name, major in generation.libraries.items()
        if (name, major) not in installed
    ]
    if not missing:
        return []
    names = [
        f"{name} {major}" + (f" (there is {others[name]})" if name in others else "")
        for name, major in missing
    ]
    only_cudnn = [name for name, _ in missing] == ["cudnn"]
    return [
        finding(
            "gpu-cudnn" if only_cudnn else "gpu-cuda-libraries",
            names=", ".join(names),
            cure=cures.gpu_packages(environment, generation),
        )
    ]


def _failed(
    environment: Environment, gpu: NvidiaGpu, trial: ProviderTrial | None
) -> list[Finding]:
    """Yield the findings of a trial run of a network on the GPU."""
    if trial is None:
        return []
    low = trial.error.lower().replace(" ", "")
    if any(word.replace(" ", "") in low for word in _NO_MEMORY):
        return [finding("gpu-memory-full", gpu=gpu)]
    if any(word.replace(" ", "") in low for word in _NO_KERNEL):
        other = (
            CUDA_12 if environment.computing.onnxruntime.cuda[:2] == "13" else CUDA_13
        )
        return [
            finding(
                "gpu-no-kernel",
                environment=environment,
                described=_described(gpu),
                cure=cures.gpu_packages(environment, other),
            )
        ]
    if not trial.right:
        return [finding("gpu-wrong-result", gpu=gpu)]
    reason = trial.error or f"it computed on {trial.used or 'nothing'}"
    return [
        finding(
            "gpu-provider-unused",
            gpu=gpu,
            said=reason,
            cure=cures.gpu_packages(
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
    built = generation_of(torch.cuda)
    if not torch.cuda:
        yield finding("torch-cpu", torch=torch, cure=cure)
    elif (
        built is not None
        and gpu.capability is not None
        and not built.torch_kernels.serve(gpu.capability)
        and not torch.cuda.startswith("12.6")
    ):
        yield finding(
            "torch-no-kernel", torch=torch, described=_described(gpu), cure=cure
        )
    elif torch.available is False:
        yield finding("torch-gpu-unused", torch=torch, cure=cure)
    elif _majors_differ(torch.cuda, environment.computing.onnxruntime.cuda):
        yield finding(
            "torch-other-cuda", torch=torch, environment=environment, cure=cure
        )


def _majors_differ(one: str, other: str) -> bool:
    majors = [version.partition(".")[0] for version in (one, other)]
    return all(majors) and majors[0] != majors[1]


def _tensorrt(environment: Environment) -> Iterator[Finding]:
    found = environment.computing.onnxruntime
    generation = generation_of(found.cuda)
    if TENSORRT not in found.providers or generation is None:
        return
    majors = [
        library.major
        for library in environment.computing.libraries
        if library.name == "nvinfer"
    ]
    if majors and generation.tensorrt not in majors:
        yield finding(
            "tensorrt-version",
            majors=majors,
            generation=generation,
            cure=cures.pip(
                environment,
                f'"tensorrt-cu{generation.cuda}=={generation.tensorrt}.*"',
            ),
        )


def _nvenc(environment: Environment, gpu: NvidiaGpu) -> Iterator[Finding]:
    encoder = environment.computing.nvenc
    if encoder.works is False:
        yield finding("nvenc", gpu=gpu, encoder=encoder)


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
        yield finding(
            "intel-gpu-unused",
            name=name,
            cure="Install Intel's graphics driver from https://www.intel.com/support"
            if windows
            else "sudo apt-get install -y intel-opencl-icd",
        )
    amd = any(word in low for word in ("amd", "radeon", "advanced micro"))
    if windows and amd and DIRECTML_PROVIDER not in found.onnxruntime.providers:
        remove = cures.pip(environment, "").replace(
            " install ", " uninstall -y onnxruntime-gpu"
        )
        add = cures.pip(environment, f"onnxruntime-directml=={DIRECTML}")
        yield finding("directml", name=name, remove=remove, add=add)


def _dotted(version: Version) -> str:
    return ".".join(map(str, version))
