"""settings.ini and advanced_settings.ini of DeepLabStream 1."""

from deeplabstream.settings.v1_import.key_conversion import Made, OldFile, numbers

CAMERA = "camera"
"""The NAME that the one camera gets."""
_PLACEHOLDERS = (
    *("MODEL_ORIGIN", "ORIGIN", "PATH_TO_MODEL", "NAME_OF_MODEL", "MODEL_NAME"),
    *("PATH_TO_VIDEO", ""),
)
_MODEL = (
    "convert the network to a model folder first (models/README.md); then enter "
    "that folder's name as MODEL"
)
_CLASSIFIER = (
    "convert the classifier with utils/ConvertClassifier.py, then add a "
    "[Classifier NAME], and a [Trigger NAME] with KIND = Behaviour and its "
    "THRESHOLD"
)
_PER_ANIMAL = "each pose has its animal; triggers name the animal that they evaluate"
_UNKNOWN = (
    "a body part that is not seen is unknown, neither inside nor outside; "
    "HOLD_MS of a trigger and [Experiment] LOST_MS set the time limits"
)

_POSE = {
    "FLATTEN_MA": _PER_ANIMAL,
    "SPLIT_MA": _PER_ANIMAL,
    "HANDLE_MISSING": _UNKNOWN,
    "FILTER_LIKELIHOOD": "the model folder contains the confidence threshold of body parts",
    "LIKELIHOOD_THRESHOLD": "the threshold is in the model folder",
    "USE_DLSTREAM_POSTURE_DETECTION": "the model folder describes how points are decoded",
}
_STREAMING = {
    "STREAMS": (
        "depth and infrared were not used; a RealSense camera with STREAM = depth or "
        "infrared provides them"
    ),
    "STACK_FRAMES": "the window shows all cameras",
    "PASS_SEPARATE": _PER_ANIMAL,
    "ANIMALS_NUMBER": "the network determines the number of animals",
}


def carry_rig(old: OldFile, advanced: OldFile, made: Made) -> None:
    """Convert cameras, network and recording."""
    made.head += old.head
    for key in ("RESOLUTION", "FRAMERATE", "OUTPUT_DIRECTORY"):
        made.carry("Streaming", key, old.take("Streaming", key))
    _several_cameras(old, advanced, made)
    _network(old, advanced, made)
    _camera(old, advanced, made)
    made.drop(
        old,
        "Classification",
        dict.fromkeys(
            ("PATH_TO_CLASSIFIER", "TIME_WINDOW", "THRESHOLD", "TRIGGER"), _CLASSIFIER
        ),
    )
    made.drop(
        old,
        "Classification",
        {
            "POOL_SIZE": "classifiers no longer need a pool of processes",
            "PIXPERMM": (
                "use MM_PER_PIXEL of the camera, 1 divided by this value, for "
                "millimetres"
            ),
        },
    )


def _several_cameras(old: OldFile, advanced: OldFile, made: Made) -> None:
    """Report that all connected cameras ran; here each needs a section of its own.

    The first versions had the key in settings.ini, later ones in advanced_settings.ini.
    """
    for file in (old, advanced):
        several = file.take("Streaming", "MULTIPLE_DEVICES")
        if several is not None and several.word.casefold() in (
            "false",
            "no",
            "off",
            "0",
        ):
            made.untouched.append("[Streaming] MULTIPLE_DEVICES")
        else:
            made.report(
                several,
                "all connected cameras ran; add a [Camera NAME] section for each "
                "further one (DeepLabStream.py --list-cameras shows its lines)",
            )


def _network(old: OldFile, advanced: OldFile, made: Made) -> None:
    made.put("Pose Estimation", "MODEL", "")
    origin = old.take("Pose Estimation", "MODEL_ORIGIN")
    keys = ("MODEL_PATH", "MODEL_NAME", "DLC_PATH")
    found = [old.take("Pose Estimation", key) for key in keys]
    named = [
        network for network in found if network and network.word not in _PLACEHOLDERS
    ]
    for network in named:
        made.report(network, _MODEL)
    if not named:
        made.sentences.append(
            "[Pose Estimation] MODEL is empty, as the old file names no network: enter "
            "the name of a model folder (models/README.md)"
        )
    if origin is not None and origin.word not in _PLACEHOLDERS:
        made.report(origin, "the model folder describes how its network is run")
    parts = old.take("Pose Estimation", "ALL_BODYPARTS")
    made.report(parts, "the model folder contains the names of the body parts")
    for section in ("Pose", "Pose Estimation"):  # "Pose Estimation" in earlier versions
        made.drop(advanced, section, _POSE)


def _camera(old: OldFile, advanced: OldFile, made: Made) -> None:
    kind = old.word("Streaming", "STREAMING_SOURCE", "camera").casefold()
    source = old.take("Streaming", "CAMERA_SOURCE")
    port = old.take("IPWEBCAM", "PORT")
    video = old.take("Video", "VIDEO_SOURCE")
    first = old.take("Streaming", "VIDEO_SOURCE")
    if first is not None and first.word.isdigit():  # the format of the first versions
        source, first = source or first, None
    video = video or first
    if video is not None and video.word in _PLACEHOLDERS:
        video = None
    if video is not None and video.word.isdigit():
        made.report(
            video,
            "a number selects a webcam, not a video; enter it as SOURCE of a "
            "[Camera NAME] with KIND = Webcam",
        )
        video = None
    repeat = advanced.take("Video", "REPEAT_VIDEO")
    title = f"Camera {CAMERA}"
    if kind == "video":
        made.put(title, "KIND", "VideoFile")
        made.carry(title, "SOURCE", video)
        made.carry(title, "REPEAT", repeat)
        made.report(source, "frames came from the video, not from a camera")
    elif kind == "ipwebcam":
        made.put(title, "KIND", "ZmqCamera")
        made.carry(title, "PORT", port)
        made.report(source, "frames came from the network, not from a camera")
        made.sentences.append(
            f"[Camera {CAMERA}] accepts frames from this computer only. Set "
            "ADDRESS and PASSWORD_FILE to accept others (docs/cameras.md)"
        )
    else:
        made.put(title, "KIND", "Webcam")
        made.carry(title, "SOURCE", source)
        made.sentences.append(
            f"[Camera {CAMERA}] is a webcam. For an automatically detected "
            "RealSense or Basler camera, write KIND = RealSense or Basler; each "
            "camera needs its own section"
        )
    if kind != "video":
        made.report(repeat, "REPEAT is a key of a camera with KIND = VideoFile")
    if kind != "ipwebcam":
        made.report(port, "PORT is a key of a camera with KIND = ZmqCamera")
    made.carry("Video", "VIDEO_SOURCE", video)
    _crop(advanced, made, title)
    for file in (old, advanced):  # the first versions had these keys in settings.ini
        made.drop(file, "Streaming", _STREAMING)


def _crop(advanced: OldFile, made: Made, title: str) -> None:
    crop = advanced.take("Streaming", "CROP")
    sides = advanced.take("Streaming", "CROP_X"), advanced.take("Streaming", "CROP_Y")
    if crop is None or crop.word.casefold() not in ("true", "yes", "on", "1"):
        for side in (crop, *sides):
            made.report(side, "CROP was off")
        return
    x, y = (numbers(side.word) if side else [] for side in sides)
    if len(x) == len(y) == 2:
        corners = (x[0], y[0], x[1] - x[0], y[1] - y[0])
        made.put(title, "CROP", ", ".join(f"{n:g}" for n in corners), crop)
    else:
        made.report(crop, "CROP_X and CROP_Y are not pairs of numbers")
