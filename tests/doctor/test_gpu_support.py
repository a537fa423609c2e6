"""The table of GPUs, the requirements files, the extras and docs/gpu.md agree."""

import tomllib
from pathlib import Path

import pytest

from deeplabstream.doctor.gpu_support import (
    ARCHITECTURES,
    CUDA_12,
    CUDA_13,
    DIRECTML,
    GENERATIONS,
    Generation,
    architecture_of,
    best_generation,
    generation_of,
    least_driver,
    table,
)
from deeplabstream.doctor.parsing import pins

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/gpu.md"
BOTH = pytest.mark.parametrize("generation", GENERATIONS, ids=lambda g: g.extra)


def expected(generation: Generation) -> dict[str, str]:
    own = {"onnxruntime-gpu": generation.onnxruntime, **generation.wheels}
    return own if generation is CUDA_13 else {**own, "torch": generation.torch}


@BOTH
def test_the_requirements_file_pins_what_the_table_says(generation: Generation) -> None:
    text = (ROOT / generation.requirements).read_text("utf-8")
    assert pins(text, "linux") == pins(text, "windows") == expected(generation)
    assert "onnxruntime-gpu[cuda,cudnn]==" in text
    assert pins(text, "darwin") == {}


@BOTH
def test_the_extra_pins_the_same(generation: Generation) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    lines = "\n".join(project["optional-dependencies"][generation.extra])
    assert pins(lines, "linux") == expected(generation)


def test_the_first_generation_is_that_of_requirements_txt() -> None:
    pinned = pins((ROOT / "requirements.txt").read_text("utf-8"), "linux")
    first = GENERATIONS[0]
    found = pinned["onnxruntime-gpu"], pinned["torch"]
    assert found == (first.onnxruntime, first.torch)


def test_the_page_has_the_table() -> None:
    assert "\n".join(table()) in PAGE.read_text("utf-8")


@BOTH
def test_the_page_names_versions_and_commands(generation: Generation) -> None:
    page = PAGE.read_text("utf-8")
    assert generation.requirements in page
    assert f"[{generation.extra}]" in page
    assert generation.onnxruntime in page
    assert f"--torch-backend={generation.torch_backend}" in page
    assert f"onnxruntime-directml=={DIRECTML}" in page


@pytest.mark.parametrize(
    ("gpu", "driver", "system", "found"),
    [
        ((8, 6), (580, 95, 5), "linux", CUDA_13),
        ((8, 6), (580, 65, 5), "linux", CUDA_12),
        ((8, 6), (580, 97), "windows", CUDA_13),
        ((8, 6), (535, 247, 1), "linux", CUDA_12),
        ((8, 6), (470, 256, 2), "linux", None),
        ((6, 1), (580, 95, 5), "linux", CUDA_12),
        ((6, 1), None, "windows", CUDA_12),
        ((6, 0), None, "windows", None),
        ((7, 0), None, "linux", CUDA_12),
        ((7, 0), None, "windows", None),
        ((12, 0), (570, 10), "linux", CUDA_12),
        ((12, 0), (565, 77), "linux", None),
        ((12, 0), (581, 15), "windows", CUDA_13),
        ((9, 0), None, "linux", CUDA_13),
        ((9, 0), None, "windows", CUDA_12),
        ((3, 7), None, "linux", None),
        (None, None, "linux", CUDA_13),
        ((8, 6), None, "darwin", None),
    ],
)
def test_which_packages_serve_which_gpu(
    gpu: tuple[int, int] | None,
    driver: tuple[int, ...] | None,
    system: str,
    found: Generation | None,
) -> None:
    assert best_generation(gpu, driver, system) is found  # type: ignore[arg-type]


def test_a_gpu_before_turing_needs_a_driver_that_still_has_it() -> None:
    for family in ARCHITECTURES:
        for gpu in family.capabilities:
            generation = best_generation(gpu, None, "linux")
            if generation is None or family.newest_driver is None:
                continue
            least = least_driver(generation, "linux", gpu)
            assert least[0] <= family.newest_driver, family.name


def test_generations_are_found_by_the_version_of_cuda() -> None:
    assert generation_of("13.0") is CUDA_13
    assert generation_of("12.8") is CUDA_12
    assert generation_of("11.8") is generation_of("") is None
    assert architecture_of((6, 1)).name == "Pascal"  # type: ignore[union-attr]
    assert architecture_of((1, 1)) is None
