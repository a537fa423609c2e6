"""Recorded outputs of systems and drivers are understood; garbage gives nothing."""

import pytest

from deeplabstream.doctor import parsing, windows
from deeplabstream.doctor.environment import NvidiaGpu

SMI = """NVIDIA GeForce RTX 3060, 580.95.05, 8.6, 12288, 11513
Tesla T4, 580.95.05, 7.5, 15360, 14912
"""
SMI_GARBAGE = (
    "",
    "No devices were found\n",
    "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n",
    "\x00\xff\xfe,,,,\n",
    "a, b, c, d, e\n",
    '{"json": true}',
    "NVIDIA GeForce GTX 1080, 580",
)


def test_nvidia_smi() -> None:
    gpus, driver = parsing.nvidia_smi(SMI)
    assert driver == (580, 95, 5)
    assert gpus == (
        NvidiaGpu("NVIDIA GeForce RTX 3060", (8, 6), 12288, 11513),
        NvidiaGpu("Tesla T4", (7, 5), 15360, 14912),
    )


def test_nvidia_smi_of_an_old_driver_tells_no_capability() -> None:
    gpus, driver = parsing.nvidia_smi(
        "Tesla K80, 470.256.02, Tesla K80, 11441, [N/A]\n"
    )
    assert (gpus, driver) == (
        (NvidiaGpu("Tesla K80", None, 11441, None),),
        (470, 256, 2),
    )


@pytest.mark.parametrize("text", SMI_GARBAGE)
def test_nvidia_smi_that_prints_garbage(text: str) -> None:
    assert parsing.nvidia_smi(text) == ((), None)


@pytest.mark.parametrize(
    ("text", "plan"),
    [
        (
            "Power Scheme GUID: 381b4222-f694-41f0-9685-ff5bb260df2e  (Balanced)",
            "balanced",
        ),
        (
            "GUID des Energieschemas: 381b4222-f694-41f0-9685-ff5bb260df2e  (Ausbalanciert)",
            "balanced",
        ),
        (
            "Power Scheme GUID: 8C5E7FDA-E8BF-4A96-9A85-A6E23A8C635C  (High performance)",
            "high performance",
        ),
        (
            "Power Scheme GUID: 11111111-2222-3333-4444-555555555555  (Lab rig)\r\n",
            "Lab rig",
        ),
        ("Access denied", ""),
        ("", ""),
    ],
)
def test_power_plans(text: str, plan: str) -> None:
    assert parsing.power_plan(text) == plan


TOLD = """WARNING: a module was updated
{"exclusions":["D:\\\\runs","C:\\\\DeepLabStream"],"realtime":true,
"antivirus":["Windows Defender","Sophos Endpoint"],"devices":[
{"Name":"NVIDIA GeForce RTX 4070","PNPClass":"Display","ConfigManagerErrorCode":0,
 "PNPDeviceID":"PCI\\\\VEN_10DE&DEV_2786"},
{"Name":"Intel(R) UHD Graphics 770","PNPClass":"Display","ConfigManagerErrorCode":0,
 "PNPDeviceID":"PCI\\\\VEN_8086&DEV_4680"},
{"Name":"Logitech BRIO","PNPClass":"Camera","ConfigManagerErrorCode":0,
 "PNPDeviceID":"USB\\\\VID_046D&PID_085E"},
{"Name":"USB Video Device","PNPClass":"Image","ConfigManagerErrorCode":43,
 "PNPDeviceID":"USB\\\\VID_32E4&PID_9230"},
{"Name":"USB2.0-Serial","PNPClass":null,"ConfigManagerErrorCode":28,
 "PNPDeviceID":"USB\\\\VID_1A86&PID_7523"},
{"Name":"Billboard","PNPClass":null,"ConfigManagerErrorCode":28,
 "PNPDeviceID":"USB\\\\VID_2109&PID_0103"}]}
"""


def test_what_powershell_tells() -> None:
    told = parsing.json_of(TOLD)
    cameras, boards = windows.cameras(told)
    assert [(each.name, each.error) for each in cameras] == [
        ("Logitech BRIO", ""),
        ("USB Video Device", "Windows has stopped it because it reported problems"),
    ]
    assert [(each.name, each.error) for each in boards] == [
        ("USB2.0-Serial", "its driver is not installed")
    ]
    assert windows.graphics(told) == (
        ("NVIDIA GeForce RTX 4070",),
        ("Intel(R) UHD Graphics 770",),
    )
    found = windows.scheduling(told, "balanced", None)
    assert found.exclusions == ("D:\\runs", "C:\\DeepLabStream")
    assert found.real_time_scan
    assert found.antivirus == ("Windows Defender", "Sophos Endpoint")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "'powershell' is not recognized as an internal or external command",
        "{",
        "[1, 2]",
        '{"devices": 5, "exclusions": {"a": 1}, "antivirus": null, "realtime": "x"}',
        '{"devices": [null, 3, {"Name": null}]}',
    ],
)
def test_powershell_that_tells_garbage(text: str) -> None:
    told = parsing.json_of(text)
    assert windows.cameras(told) == ((), ())
    assert windows.graphics(told) == ((), ())
    assert windows.scheduling(told, "", None).real_time_scan is None
    assert windows.scheduling(told, "", None).exclusions in (None, ())


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (["D:\\runs"], ("D:\\runs",)),
        ("D:\\runs", ("D:\\runs",)),
        (None, ()),
        (["N/A: Must be an administrator to view exclusions"], None),
        ("N/A: Must be an administrator to view exclusions", None),
        ([5], None),
    ],
)
def test_exclusions_of_defender(value: object, found: object) -> None:
    assert parsing.exclusions(value) == found


def test_os_release_and_memory() -> None:
    text = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\n\nbroken\n'
    assert parsing.os_release(text)["ID"] == "debian"
    memory = "MemTotal:       16316412 kB\nMemFree: x\nMemAvailable:    8158206 kB\n"
    total, free = parsing.memory_info(memory)
    assert total == pytest.approx(16.7, abs=0.1)
    assert free == pytest.approx(8.35, abs=0.1)
    assert parsing.memory_info("nonsense") == (None, None)


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/data/runs", "ext4"),
        ("/data/my share/x", "cifs"),
        ("/database", "overlay"),
        ("relative", ""),
    ],
)
def test_file_systems(folder: str, kind: str) -> None:
    mounts = (
        "overlay / overlay rw 0 0\n/dev/sdb1 /data ext4 rw 0 0\n"
        "//server/x /data/my\\040share cifs rw 0 0\nbroken\n"
    )
    assert parsing.file_system(mounts, folder) == kind


@pytest.mark.parametrize(
    ("file", "name", "major"),
    [
        ("libcublasLt.so.13", "cublasLt", 13),
        ("libcublas.so.12.8.4.1", "cublas", 12),
        ("libcudnn.so.9", "cudnn", 9),
        ("libcudart.so.11.0", "cudart", 11),
        ("cudart64_13.dll", "cudart", 13),
        ("cudnn64_9.dll", "cudnn", 9),
        ("cublasLt64_12.dll", "cublasLt", 12),
        ("nvinfer_10.dll", "nvinfer", 10),
        ("libnvinfer.so.10.9.0", "nvinfer", 10),
    ],
)
def test_names_of_cuda_libraries(file: str, name: str, major: int) -> None:
    library = parsing.cuda_library(file, "there")
    assert library is not None
    assert (library.name, library.major) == (name, major)


@pytest.mark.parametrize(
    "file", ["libcudnn.so", "libcudnn_ops.so.9", "cudnn_ops64_9.dll", "libc.so.6", "x"]
)
def test_other_files_are_no_cuda_library(file: str) -> None:
    assert parsing.cuda_library(file, "there") is None


def test_pins_by_system() -> None:
    text = (
        "# a comment\n-r other.txt\nA_b==1.0\n"
        'PyQt5-Qt5==5.15.19; sys_platform != "win32"\n'
        'PyQt5-Qt5==5.15.2; sys_platform == "win32"  # older\n'
        'odd==1; python_version < "3"\nnidaqmx[grpc]==1.7.0\nrange>=2\n'
    )
    assert parsing.pins(text, "linux") == {
        "a-b": "1.0",
        "pyqt5-qt5": "5.15.19",
        "nidaqmx": "1.7.0",
    }
    assert parsing.pins(text, "windows")["pyqt5-qt5"] == "5.15.2"


def test_the_reason_that_onnxruntime_writes() -> None:
    text = (
        "\x1b[1;31m2026-11-22 10:00:00 [E:onnxruntime:Default, "
        "provider_bridge_ort.cc:2251 TryGetProviderInfo_CUDA] Failed to load library "
        "libonnxruntime_providers_cuda.so with error: libcublasLt.so.13: cannot open "
        "shared object file: No such file or directory\x1b[m\n"
    )
    assert parsing.first_error(text).startswith("libcublasLt.so.13: cannot open")
    assert parsing.first_error("nothing\nof the kind") == ""


def test_features_of_cpus() -> None:
    flags = [
        "fpu",
        "sse2",
        "avx",
        "avx2",
        "avx512f",
        "avx512_vnni",
        "amx_tile",
        "amx_bf16",
    ]
    assert parsing.cpu_features(flags) == {"avx2", "avx512", "avx512_vnni", "amx"}
    assert parsing.cpu_features(["fpu"]) == frozenset()


@pytest.mark.parametrize("code", [28, 43, 99])
def test_error_codes_of_windows(code: int) -> None:
    assert parsing.pnp_error(code)
    assert parsing.pnp_error(0) == parsing.pnp_error(None) == ""
