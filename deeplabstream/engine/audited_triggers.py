"""Audited triggers: the audit of an earlier run that a new run rests on, and what changed since."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from deeplabstream.core.errors import DeviceError
from deeplabstream.engine.measured_latency import changes
from deeplabstream.recording.audit_results import AuditResults, read_results
from deeplabstream.recording.run_schema import AUDIT_RESULTS
from deeplabstream.settings.ini_reading import read_sections

_FAMILIES = (
    "Animals",
    "Camera",
    "Classifier",
    "Pose Estimation",
    "Tracking",
    "Trigger",
)
"""Sections on which the answers of triggers depend, besides the network's file."""
_MOST_RUNS = 1000
"""Number of newest run folders in which an audit is looked for."""


def answer_settings(text: str) -> dict[str, dict[str, str]]:
    """Return the sections of a settings text on which the answers of triggers depend.

    Values are those that the text has: no plug-in is needed to read them. A seed decides on
    shams, not on the condition.
    """
    return {
        f"[{title}]": {key: word for key, word in keys.items() if key != "SEED"}
        for title, keys in read_sections(text).texts.items()
        if title in _FAMILIES or title.partition(" ")[0] in _FAMILIES
    }


def audit_facts(
    output_directory: Path, settings_text: str, networks: Mapping[str, str]
) -> dict[str, Any] | None:
    """Return the entry `audit` of `run.json`: the newest audit with one of the triggers.

    Parameters
    ----------
    output_directory : pathlib.Path
        Folder of the runs of the rig.
    settings_text : str
        Settings of the new run.
    networks : mapping of str to str
        SHA-256 of the networks of the new run, by name.

    Returns
    -------
    dict, optional
        The audited run, its figures as sentences, and the differences to the new run. None:
        no earlier run has an audit of one of the triggers.
    """
    now = answer_settings(settings_text)
    triggers = {
        title.removeprefix("[Trigger ").removesuffix("]")
        for title in now
        if title.startswith("[Trigger ")
    }
    for results in _audits(output_directory):
        audited = {row.name for row in results.rows if row.group == "trigger"}
        if not audited & triggers:
            continue
        return {
            "run": results.facts.run,
            "made": results.made,
            "judged": results.judged,
            "figures": [
                str(row)
                for row in results.rows
                if row.hour is None and (row.group != "trigger" or row.name in triggers)
            ],
            "changed": [
                *differences(results, now, networks),
                *(
                    f"[Trigger {name}] was not audited"
                    for name in sorted(triggers - audited)
                ),
            ],
        }
    return None


def differences(
    audit: AuditResults,
    now: Mapping[str, Mapping[str, str]],
    networks: Mapping[str, str],
) -> list[str]:
    """Return what differs from the audited run: `[Trigger in] HOLD_MS = 100 (was 0)`."""
    found = changes(audit.facts.settings, {title: dict(now[title]) for title in now})
    before = audit.facts.networks
    found += [
        f"the network {name} was {'added' if name not in before else 'changed'}"
        for name, sha256 in networks.items()
        if before.get(name) != sha256
    ]
    found += [
        f"the network {name} is not used" for name in before if name not in networks
    ]
    return found


def audit_sentence(facts: Mapping[str, Any]) -> str:
    """Return the entry `audit` of `run.json` as a sentence."""
    text = f"the triggers were audited in the run {facts['run']}"
    if facts["changed"]:
        return f"{text}; changed since: {', '.join(facts['changed'])}"
    return f"{text}; nothing was changed since"


def _audits(output_directory: Path) -> Iterator[AuditResults]:
    """Yield the audits of the newest runs, the newest first; damaged ones are left out."""
    try:
        runs = sorted(output_directory.iterdir(), reverse=True)[:_MOST_RUNS]
        found = [run for run in runs if (run / AUDIT_RESULTS).is_file()]
    except OSError:  # there are no runs yet
        return
    audits = []
    for run in found:
        try:
            results = read_results(run)
        except DeviceError:
            continue
        if results is not None:
            audits.append(results)
    yield from sorted(audits, key=lambda audit: audit.made, reverse=True)
