"""Table of NVIDIA GPUs and of the packages that run networks on them.

docs/gpu.md, requirements-gpu.txt, requirements-gpu-cuda12.txt and the extras of
pyproject.toml are compared with this table by tests.

Where the figures come from: drivers and compute capabilities from NVIDIA's support matrix
of cuDNN and its page on minor version compatibility of CUDA; kernels of ONNX Runtime from
the wheels themselves and from the settings of their build; kernels of torch from the
CUDA matrix of its releases.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from deeplabstream.doctor.environment import System, Version

Capability = tuple[int, int]


@dataclass(frozen=True, slots=True)
class GpuArchitecture:
    """A family of NVIDIA GPUs."""

    name: str
    capabilities: tuple[Capability, ...]
    examples: str
    newest_driver: int | None = None
    """The last driver branch that supports it; None: current drivers do."""


ARCHITECTURES = (
    GpuArchitecture("Kepler", ((3, 0), (3, 5), (3, 7)), "GeForce GTX 6xx, 7xx", 470),
    GpuArchitecture("Maxwell", ((5, 0), (5, 2)), "GeForce GTX 9xx, GTX 750", 580),
    GpuArchitecture("Pascal", ((6, 0), (6, 1)), "GeForce GTX 10xx, Tesla P100", 580),
    GpuArchitecture("Volta", ((7, 0),), "Titan V, Tesla V100", 580),
    GpuArchitecture("Turing", ((7, 5),), "GeForce RTX 20xx, GTX 16xx, T4"),
    GpuArchitecture("Ampere", ((8, 0), (8, 6)), "GeForce RTX 30xx, A100, RTX A4000"),
    GpuArchitecture("Ada Lovelace", ((8, 9),), "GeForce RTX 40xx, L4"),
    GpuArchitecture("Hopper", ((9, 0),), "H100, H200"),
    GpuArchitecture("Blackwell", ((10, 0), (10, 3)), "B200, B300"),
    GpuArchitecture("Blackwell", ((12, 0),), "GeForce RTX 50xx, RTX PRO 6000"),
)


@dataclass(frozen=True, slots=True)
class Kernels:
    """GPU code in a package: for exact GPUs, and portable code that the driver compiles."""

    real: tuple[Capability, ...]
    """Runs on GPUs of the same major number and the same or a higher minor number."""
    only: tuple[Capability, ...] = ()
    """Runs on GPUs of exactly this number."""
    portable: tuple[Capability, ...] = ()
    """Runs on GPUs of this or any higher number, compiled at the first start."""

    def serve(self, gpu: Capability) -> bool:
        """Return whether there is code for a GPU."""
        real = any(gpu[0] == code[0] and gpu[1] >= code[1] for code in self.real)
        return real or gpu in self.only or any(gpu >= code for code in self.portable)


@dataclass(frozen=True, slots=True)
class Generation:
    """Packages that belong together: all for one major version of CUDA."""

    cuda: int
    onnxruntime: str
    torch: str
    """The release; on Windows, PyPI has it for the CPU alone."""
    torch_backend: str
    """The name that uv has for its build with CUDA."""
    wheels: Mapping[str, str]
    """CUDA and cuDNN packages with their versions."""
    libraries: Mapping[str, int]
    """Libraries that ONNX Runtime loads, with their major versions."""
    least_driver: Mapping[System, Version]
    kernels: Mapping[System, Kernels]
    torch_kernels: Kernels
    tensorrt: int = 10
    """Major version of the TensorRT that ONNX Runtime loads."""
    requirements: str = ""
    extra: str = ""
    special_driver: Mapping[Capability, int] = field(default_factory=dict)
    """GPUs that need a newer driver than the others."""

    def serves(self, gpu: Capability, system: System) -> bool:
        """Return whether ONNX Runtime and cuDNN have code for a GPU."""
        kernels = self.kernels.get(system)
        return kernels is not None and kernels.serve(gpu)


CUDA_13 = Generation(
    13,
    onnxruntime="1.31.1",
    torch="2.13.0",
    torch_backend="cu130",
    wheels={
        "nvidia-cublas": "13.1.1.3",
        "nvidia-cuda-nvrtc": "13.0.88",
        "nvidia-cuda-runtime": "13.0.96",
        "nvidia-cudnn-cu13": "9.20.0.48",
        "nvidia-cufft": "12.0.0.61",
        "nvidia-curand": "10.4.0.35",
    },
    libraries={
        "cublasLt": 13,
        "cublas": 13,
        "cudart": 13,
        "cudnn": 9,
        "curand": 10,
    },
    least_driver={"linux": (580, 65, 6), "windows": (580,)},
    kernels={
        "linux": Kernels(((7, 5), (8, 0), (8, 6), (8, 9)), only=((9, 0), (12, 0))),
        "windows": Kernels(((7, 5), (8, 0), (8, 6), (8, 9)), only=((12, 0),)),
    },
    torch_kernels=Kernels(((7, 5), (8, 0), (8, 6), (9, 0), (10, 0), (12, 0))),
    requirements="requirements-gpu.txt",
    extra="gpu-cuda13",
)
CUDA_12 = Generation(
    12,
    onnxruntime="1.26.0",
    torch="2.10.0",
    torch_backend="cu128",
    wheels={
        "nvidia-cublas-cu12": "12.8.4.1",
        "nvidia-cuda-nvrtc-cu12": "12.8.93",
        "nvidia-cuda-runtime-cu12": "12.8.90",
        "nvidia-cudnn-cu12": "9.10.2.21",
        "nvidia-cufft-cu12": "11.3.3.83",
        "nvidia-curand-cu12": "10.3.9.90",
    },
    libraries={
        "cublasLt": 12,
        "cublas": 12,
        "cudart": 12,
        "cudnn": 9,
        "cufft": 11,
        "curand": 10,
    },
    least_driver={"linux": (525, 60, 13), "windows": (527, 41)},
    kernels={
        "linux": Kernels(
            ((6, 0), (7, 0), (7, 5), (8, 0), (8, 6)),
            only=((9, 0),),
            portable=((9, 0),),
        ),
        "windows": Kernels(
            ((5, 2), (6, 1), (7, 5), (8, 6), (8, 9)), portable=((9, 0),)
        ),
    },
    torch_kernels=Kernels(((7, 0), (7, 5), (8, 0), (8, 6), (9, 0), (10, 0), (12, 0))),
    requirements="requirements-gpu-cuda12.txt",
    extra="gpu-cuda12",
    special_driver={(10, 0): 570, (10, 3): 570, (12, 0): 570},
)
GENERATIONS = (CUDA_13, CUDA_12)
"""Sets of packages; the preferred one, that of requirements.txt, is first."""
TORCH_FOR_OLD = "cu126"
"""uv's name for builds of torch that still support Maxwell, Pascal and Volta."""
OLD_CUDNN: Version = (9, 10)
"""The last cuDNN 9 that supports GPUs before Turing."""
MAXWELL: Capability = (5, 0)
TURING: Capability = (7, 5)
DIRECTML = "1.24.4"
"""onnxruntime-directml: any GPU with DirectX 12, on Windows."""


def architecture_of(gpu: Capability) -> GpuArchitecture | None:
    """Return the family of a GPU; None: it is not in the table."""
    return next(
        (
            architecture
            for architecture in ARCHITECTURES
            if gpu in architecture.capabilities
        ),
        None,
    )


def generation_of(cuda: str) -> Generation | None:
    """Return the packages for a version of CUDA such as 13.0; None: there are none."""
    major = cuda.partition(".")[0]
    return next(
        (generation for generation in GENERATIONS if str(generation.cuda) == major),
        None,
    )


def least_driver(
    generation: Generation, system: System, gpu: Capability | None
) -> Version:
    """Return the oldest driver with which the packages run on a GPU."""
    least = generation.least_driver.get(system, ())
    if gpu is not None and gpu in generation.special_driver:
        return max(least, (generation.special_driver[gpu],))
    return least


def best_generation(
    gpu: Capability | None, driver: Version | None, system: System
) -> Generation | None:
    """Return the newest packages that support a GPU with its driver; None: there are none.

    Unknown values count as correct.
    """
    for generation in GENERATIONS:
        if gpu is not None and not generation.serves(gpu, system):
            continue
        if driver is not None and driver < least_driver(generation, system, gpu):
            continue
        return generation
    return None


def table() -> list[str]:
    """Return the table of docs/gpu.md: which packages support which GPUs, in Markdown."""
    lines = [
        "| GPUs | compute capability | Linux | Windows | NVIDIA driver |",
        "|---|---|---|---|---|",
    ]
    for family in ARCHITECTURES:
        groups: dict[tuple[str, str, str], list[str]] = {}
        for gpu in family.capabilities:
            on = _served(gpu, "linux"), _served(gpu, "windows")
            row = (*on, _drivers(family, gpu))
            groups.setdefault(row, []).append(".".join(map(str, gpu)))
        for (on_linux, on_windows, drivers), numbers in groups.items():
            lines.append(
                f"| {family.name}: {family.examples} | {', '.join(numbers)} "
                f"| {on_linux} | {on_windows} | {drivers} |"
            )
    return lines


def _served(gpu: Capability, system: System) -> str:
    generation = best_generation(gpu, None, system)
    return f"CUDA {generation.cuda}" if generation else "CPU"


def _drivers(family: GpuArchitecture, gpu: Capability) -> str:
    generation = best_generation(gpu, None, "linux") or best_generation(
        gpu, None, "windows"
    )
    if generation is None:
        return "–"
    least = least_driver(generation, "linux", gpu)[0]
    if family.newest_driver == least:
        return f"{least}"
    return f"{least} to {family.newest_driver}" if family.newest_driver else f"{least}+"
