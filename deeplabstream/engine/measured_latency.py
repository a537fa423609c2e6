"""Measured latency: the newest latency tests of a rig, their validity and record in a run."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deeplabstream.files.foreign_files import parse_json, read_bytes
from deeplabstream.plugins.output import Output
from deeplabstream.recording.run_json import is_timing
from deeplabstream.settings.fields import keys_of
from deeplabstream.settings.sections import Settings, section_values

FOLDER = "latency"
"""Folder of the results, beside settings.ini; one file for each test."""
_IRRELEVANT = {"MM_PER_PIXEL", "MARKS", "PROOF_PIN", *keys_of(Output)}
"""Keys of cameras and outputs that do not affect the timing.

Of an output they are its limits and what follows it, which every kind has.
"""
_DAMAGED = OSError, ValueError, KeyError, TypeError, AttributeError
"""Exceptions raised when a damaged result is read."""
Sections = dict[str, dict[str, Any]]


# --- settings for which a result is valid


def timing_settings(settings: Settings, output: str) -> Sections:
    """Return the sections on which the delay from a camera to an output depends.

    Empty `output`: to the decision.
    """
    rules = settings.experiment
    sections: Sections = {
        f"[Camera {name}]": _named(camera) for name, camera in settings.cameras.items()
    }
    sections["[Pose Estimation]"] = section_values(settings.pose)
    if output:
        sections[f"[Output {output}]"] = _named(settings.outputs[output])
    recording = section_values(settings.recording)
    sections["[Recording]"] = {key: recording[key] for key in ("CODEC", "QUALITY")}
    sections["[Streaming]"] = {"REAL_TIME": settings.streaming.real_time}
    sections["[Experiment]"] = {
        "CAMERA": settings.deciding_camera,
        "RECORD_EXP": rules.record_exp,
    }
    plain: Sections = json.loads(json.dumps(sections, default=str))
    return plain


def _named(plugin: object) -> dict[str, Any]:
    values = section_values(plugin).items()
    kept = {key: value for key, value in values if key not in _IRRELEVANT}
    return {"KIND": type(plugin).__name__, **kept}


def settings_hash(sections: Sections) -> str:
    """Return the SHA-256 of settings."""
    text = json.dumps(sections, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def changes(before: Mapping[str, Any], now: Sections) -> list[str]:
    """Return the differences, such as `[Camera top] RATE = 30.0 (was 60.0)`."""
    differences = []
    for section in dict.fromkeys([*before, *now]):
        was, is_now = before.get(section), now.get(section)
        if was is None or is_now is None:
            differences.append(f"{section} was {'added' if was is None else 'removed'}")
            continue
        for key in dict.fromkeys([*was, *is_now]):
            if was.get(key) != is_now.get(key):
                differences.append(
                    f"{section} {key} = {is_now.get(key)} (was {was.get(key)})"
                )
    return differences


# --- entries of run.json


def timing_facts(settings: Settings, network_sha256: str) -> list[dict[str, Any]]:
    """Return the entries of `run.json`: the newest result for each output, with its validity.

    The newest result without an output is an entry too. Results that can't be read are
    left out. `network_sha256` is that of the deciding camera's network.
    """
    newest: dict[str, dict[str, Any]] = {}
    for path in sorted((settings.folder / FOLDER).glob("*.json")):
        facts = _facts(path, settings, network_sha256)
        if facts is not None:
            newest[facts["output"]] = facts
    return [*newest.values()]


def _facts(
    path: Path, settings: Settings, network_sha256: str
) -> dict[str, Any] | None:
    try:
        facts, found = _read(path)
        output = facts["output"]
        if output and output not in settings.outputs:
            return None
        now = timing_settings(settings, output)
        facts["changed"] = _differences(found, now, settings, network_sha256)
        json.dumps(
            facts, ensure_ascii=False
        ).encode()  # must be valid JSON text for run.json
        return facts
    except _DAMAGED:
        return None


def _differences(
    found: Any, now: Sections, settings: Settings, network_sha256: str
) -> list[str]:
    """Return what was changed since a test, and parts of the rig that it did not include."""
    differ = changes(found["settings"], now)
    if found["network_sha256"] != network_sha256:
        differ.append("the network's file was changed")
    if not found["network"]:
        differ.append("no network ran in the test")
    differ += [
        f"the network of [Camera {name}] did not run in the test"
        for name, camera in settings.cameras.items()
        if name != settings.deciding_camera and camera.model and camera.analyse
    ]
    differ += [
        f"[Classifier {name}] did not run in the test" for name in settings.classifiers
    ]
    return differ


def differences_of_run(
    test: Path, settings: Settings, network_sha256: str
) -> list[str]:
    """Return the differences that `timing_facts` finds, for the settings in a run folder.

    In the test, relative paths were relative to the rig folder; and the version that wrote
    the test may have had fewer keys. Neither is a difference.
    """
    try:
        _, found = _read(test)
        output, before = found["output"], found["settings"]
        if output and output not in settings.outputs:
            return [f"[Output {output}] was removed"]
        now = timing_settings(settings, output)
        for section, values in now.items():
            was = before.get(section, values)
            now[section] = {
                key: was[key] if _is_moved(was[key], value, settings.folder) else value
                for key, value in values.items()
                if key in was
            }
        return _differences(found, now, settings, network_sha256)
    except _DAMAGED:
        return ["the settings of the test can't be read"]


def _is_moved(was: object, is_now: object, folder: Path) -> bool:
    """Return whether two values are the same relative path, now in `folder`."""
    if not (isinstance(was, str) and isinstance(is_now, str)):
        return False
    is_now = is_now.replace("\\", "/")
    inner = is_now.removeprefix(f"{folder.as_posix()}/")
    return inner != is_now and f"/{was}".replace("\\", "/").endswith(f"/{inner}")


def measured_facts(path: Path) -> dict[str, Any]:
    """Return the entry of `run.json` for a result, without its validity; empty: damaged."""
    try:
        return _read(path)[0]
    except _DAMAGED:
        return {}


def _read(path: Path) -> tuple[dict[str, Any], Any]:
    """Return the entry of `run.json` for a result, and its content; `_DAMAGED`: damaged."""
    content = read_bytes(path)
    found = parse_json(content)
    facts = {
        "file": f"{FOLDER}/{path.name}",
        "sha256": hashlib.sha256(content).hexdigest(),
        "measured": found["measured"],
        "camera": found["camera"],
        "output": found["output"],
        "flashes": len(found["flashes"]),
    }
    if found["output"]:
        facts["exposure_to_output_ms"] = found["ms"]["exposure_to_output"]
    else:
        facts["exposure_to_decision_ms"] = found["ms"]["exposure_to_decision"]
        facts["flash_to_decision_ms"] = found["ms"]["led_to_decision"]
    if not is_timing({**facts, "changed": []}):
        raise ValueError(f"{path} is damaged")
    return facts, found


def timing_sentence(facts: Mapping[str, Any]) -> str:
    """Return an entry of `timing` as a sentence."""
    if facts["output"]:
        what = (
            f"the delay from [Camera {facts['camera']}] to [Output {facts['output']}]"
        )
        ms, more = facts["exposure_to_output_ms"], ""
    else:
        what = f"half the delay, from [Camera {facts['camera']}] to the decision,"
        ms, flash = facts["exposure_to_decision_ms"], facts["flash_to_decision_ms"]
        more = (
            f" from the exposure, {flash['p50']:.1f} ms and {flash['p99']:.1f} ms from the "
            "screen"
        )
    text = (
        f"{what} was {ms['p50']:.1f} ms (median), {ms['p99']:.1f} ms (99 %){more}, measured "
        f"{facts['measured']} with {facts['flashes']} flashes"
    )
    if facts["changed"]:
        text += f"; changed since: {', '.join(facts['changed'])}"
    return text
