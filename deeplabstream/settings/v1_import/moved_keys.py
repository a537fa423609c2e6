"""Moved keys: keys of DeepLabStream 1 and their new places."""

_CAMERA = "now KIND of the [Camera NAME] section"
_MODEL = "now MODEL, the name of a folder under models/ or the path of one"
_MODEL_KNOWS = "no longer needed: the model folder contains it"

MOVED: dict[tuple[str, str], str] = {
    ("Streaming", "CAMERA_SOURCE"): "now SOURCE of [Camera NAME] with KIND = Webcam",
    ("Streaming", "STREAMING_SOURCE"): _CAMERA,
    ("Streaming", "CAMERA"): _CAMERA,
    ("Streaming", "STACK_FRAMES"): "no longer needed: the window shows every camera",
    ("Streaming", "VIDEO_SOURCE"): "now VIDEO_SOURCE in [Video]",
    ("Streaming", "VIDEO"): "now VIDEO_SOURCE in [Video]",
    ("Streaming", "MODEL"): "now MODEL in [Pose Estimation]",
    ("Streaming", "DLC_PATH"): "now MODEL in [Pose Estimation]",
    ("Pose Estimation", "DLC_PATH"): _MODEL,
    ("Pose Estimation", "MODEL_PATH"): _MODEL,
    ("Pose Estimation", "MODEL_NAME"): _MODEL,
    ("Pose Estimation", "MODEL_ORIGIN"): _MODEL_KNOWS,
    ("Pose Estimation", "ALL_BODYPARTS"): _MODEL_KNOWS,
    ("Pose Estimation", "FILTER_LIKELIHOOD"): _MODEL_KNOWS,
    ("Pose Estimation", "LIKELIHOOD_THRESHOLD"): _MODEL_KNOWS,
    ("Experiment", "EXP_ORIGIN"): "no longer needed: EXP_NAME is enough",
    ("Experiment", "EXP_NUMBER"): "now EXP_NAME: experiments are selected by name",
    ("Experiment", "START_TIME"): "no longer needed: each run records when it began",
    ("Experiment", "RECORD"): "now RECORD_EXP",
    ("Camera", "FRAMERATE"): "use RATE",
    (
        "Camera",
        "STREAMS",
    ): "use STREAM of KIND = RealSense, one section for each stream",
    ("Trigger", "ENTER_PX"): "now ENTER_MARGIN",
    ("Trigger", "EXIT_PX"): "now EXIT_MARGIN",
    ("Video", "REPEAT_VIDEO"): "now a key of [Camera NAME] with KIND = VideoFile",
    ("Video", "VIDEO_PATH"): "now VIDEO_SOURCE",
}
"""(section, key) and a sentence that names its replacement."""

MOVED_SECTIONS: dict[str, str] = {
    "IPWEBCAM": "now a [Camera NAME] section whose KIND is a network camera",
    "Pose": "now [Pose Estimation]; the model folder contains what the network needs",
    "Classification": "now [Classifier NAME], and a [Trigger NAME] with KIND = Behaviour",
    "TRIGGER": "now a [Trigger NAME] section for each trigger",
    "EXPERIMENT": "now [Experiment], and [Experiment NAME] for each experiment's values",
    "PROCESS": "now keys of [Experiment NAME]",
    "STIMULATION": "now an [Output NAME] section for each output",
}
