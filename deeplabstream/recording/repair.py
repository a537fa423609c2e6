"""Makes the folder of a killed run whole, and says what is missing. Deletes nothing."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from deeplabstream.core.atomic_replace import replace
from deeplabstream.recording.frame_accounts import Accounts
from deeplabstream.recording.remux import finished_copy, pictures, size_of, unfinished
from deeplabstream.recording.run_folder import RunFolder, accounting, stem
from deeplabstream.recording.sound_facts import Facts, sound_facts
from deeplabstream.recording.table_reader import (
    bodyparts_of,
    camera_table,
    picture_rows,
    pictures_table,
)
from deeplabstream.recording.table_repair import cut_rows, cut_to, half_written, kept_as

TABLES = ("events", "triggers")


@dataclass
class Repair:
    """What was found and done."""

    done: list[str] = field(default_factory=list)
    """Sentences on what was changed, or is missing; empty: the folder was whole."""
    missing: int = 0
    """Pictures that were filmed and are not in a video."""
    missing_s: float = 0.0
    """The longest time that a video ends before its table."""


@dataclass(frozen=True)
class _Filmed:
    camera: str
    files: tuple[str, str]
    listed: int
    pictures: int


def repair(path: Path) -> Repair:
    """Make a run folder whole; ValueError when it is none."""
    if not (path / "settings.ini").is_file():
        raise ValueError(f"{path} is no run folder: it has no settings.ini")
    report = Repair()
    facts = _facts(path, report)
    for table in sorted(path.glob("*.csv")):
        if half := half_written(table):
            kept = cut_to(table, table.stat().st_size - half)
            report.done.append(
                f"{table.name}: a half-written row was cut off ({half} bytes; the "
                f"original is {kept.name})"
            )
    folder = RunFolder(path)
    cameras = list(facts["cameras"]) or _stems(path)
    films = [film for camera in cameras for film in _films(path, camera, report)]
    if facts["ended"] is None:
        spans = [*_analysed(folder, cameras, facts), *_recorded(films, facts)]
        ended = _ended(folder, facts, films)
        folder.update(
            ended=ended,
            ended_is_estimated=True,
            how="killed",
            accounting=[*facts["accounting"], *accounting(spans)],
        )
        report.done.append(f"run.json: the run was killed, at about {ended}")
    if report.done:
        folder.update(repaired=[*facts.get("repaired", []), *report.done])
    return report


def _facts(path: Path, report: Repair) -> Facts:
    """Return what `run.json` says; what it does not say any more is looked up in the tables."""
    file = path / "run.json"
    found: object = {}
    try:
        found = json.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        report.done.append("run.json: was missing; versions and cameras are not known")
    except ValueError:
        report.done.append(f"run.json: could not be read (kept as {_kept(file)})")
    facts, bad = sound_facts(found)
    if not bad:
        return facts
    if not report.done:
        names = ", ".join(bad)
        report.done.append(f"run.json: {names} can't be used (kept as {_kept(file)})")
    if "cameras" in bad:
        tables = {name: path / f"{name}.csv" for name in _stems(path)}
        facts["cameras"] = {
            name: {"shape": _size(path / f"{name}.mkv"), "rate": None}
            for name, table in tables.items()
            if table.exists()
        }
    first = next(_first_rows(path, facts["cameras"] or _stems(path)), None)
    if "start_ns" in bad:
        facts["start_ns"] = first.start_ns if first else 0
    if "skeleton" in bad and first and first.bodyparts:
        bodyparts = list(first.bodyparts)
        facts["skeleton"] = {"bodyparts": bodyparts, "bones": [], "animals": []}
        report.done.append("run.json: the body parts are those of the table's header")
    file.write_text(json.dumps(facts, indent=2) + "\n", "utf-8")
    return facts


def _size(video: Path) -> list[int]:
    """Return height and width of a video; 1, 1 when nobody knows them any more."""
    return list(size_of(video)) if video.exists() else [1, 1]


def _kept(file: Path) -> str:
    kept = kept_as(file)
    replace(file, kept)
    return kept.name


@dataclass(frozen=True)
class _FirstRow:
    """What the table of a camera says of its run."""

    start_ns: int
    bodyparts: tuple[str, ...]


def _first_rows(path: Path, cameras: Iterable[str]) -> Iterator[_FirstRow]:
    for camera in cameras:
        table = camera_table(RunFolder(path).table_path(camera), None)
        for row in table.rows():
            start_ns = int(row["exposed_ns"]) - round(float(row["time_s"]) * 1e9)
            yield _FirstRow(start_ns, bodyparts_of(table.columns))
            break


def _stems(path: Path) -> list[str]:
    """Return the cameras of a folder whose `run.json` knows none."""
    names = {table.name.split(".")[0] for table in path.glob("*.csv")}
    return sorted(re.sub(r"_\d+$", "", name) for name in names - {*TABLES})


def _films(path: Path, camera: str, report: Repair) -> Iterator[_Filmed]:
    """Mend the videos of a camera, in their order."""
    of_camera = re.compile(re.escape(stem(camera)) + r"(_(\d+))?\.frames\.csv")
    found = [(of_camera.fullmatch(each.name), each) for each in path.iterdir()]
    takes = {int(match[2] or 1): table for match, table in found if match}
    for _, table in sorted(takes.items()):
        video = table.with_name(table.name.replace(".frames.csv", ".mkv"))
        shown = _mend(video, report)
        listed = {
            picture: (number, int(line.split(",")[2]))
            for picture, (number, line) in picture_rows(pictures_table(table)).items()
        }
        count = max(listed, default=-1) + 1
        yield _Filmed(camera, (video.name, table.name), count, shown)
        lacking = count - shown
        if lacking > 0:
            lost = [picture for picture in listed if picture >= shown]
            before = [ns for picture, (_, ns) in listed.items() if picture < shown]
            last_ns = before[-1] if before else listed[lost[0]][1]
            seconds = (listed[lost[-1]][1] - last_ns) / 1e9
            kept = cut_rows(table, listed[lost[0]][0] - 2)
            report.missing += lacking
            report.missing_s = max(report.missing_s, seconds)
            report.done.append(
                f"{video.name}: {lacking} pictures ({seconds:.3f} s) at the end are "
                f"missing; their rows are in {kept.name}"
            )
        elif lacking < 0 and f"{video.name}: {-lacking} pictures" not in str(
            RunFolder(path).facts.get("repaired")
        ):
            report.done.append(
                f"{video.name}: {-lacking} pictures at the end have no row"
            )


def _mend(video: Path, report: Repair) -> int:
    """Make a video whole if it is not; return how many pictures it has."""
    copy = video.with_name(video.name + ".repaired")
    if not video.exists():
        if not copy.exists():
            return 0
        replace(copy, video)  # an earlier repair was killed between its last two steps
    if not unfinished(video):
        return pictures(video)
    count = finished_copy(video, copy)
    if count:
        kept = kept_as(video)
        replace(video, kept)
        replace(copy, video)
        report.done.append(
            f"{video.name}: was not closed; now it is, {count} pictures (the original is "
            f"{kept.name})"
        )
    return count


def _analysed(
    folder: RunFolder, cameras: list[str], facts: Facts
) -> Iterator[Accounts]:
    """Yield the accounts of analyses that were going on."""
    for camera in cameras:
        table = folder.table_path(camera)
        if not table.exists():
            continue
        closed = sum(
            each["delivered"] - (each["unlisted"] or 0)
            for each in facts["accounting"]
            if (each["camera"], each["span"]) == (camera, "analysis")
        )
        listed = camera_table(table, None)
        numbered = [(n, line.split(",", 8)[7]) for n, line in listed.lines()]
        seen = [cell == "1" for number, cell in numbered if number > 1 + closed]
        broken = sum(number > 1 + closed for number in listed.broken)
        if seen or broken:
            yield Accounts(
                camera,
                "analysis",
                delivered=len(seen) + broken,
                analysed=sum(seen),
                skipped=len(seen) + broken - sum(seen),
                unlisted=broken,
            )


def _recorded(films: list[_Filmed], facts: Facts) -> Iterator[Accounts]:
    """Yield the accounts of recordings that were going on."""
    closed = {name for each in facts["accounting"] for name in each["files"]}
    for camera in dict.fromkeys(film.camera for film in films):
        own = [f for f in films if f.camera == camera and f.files[0] not in closed]
        if not own:
            continue
        delivered = sum(max(film.listed, film.pictures) for film in own)
        shown = sum(film.pictures for film in own)
        yield Accounts(
            camera,
            "recording",
            delivered=delivered,
            recorded=shown,
            recording_losses=delivered - shown,
            files=tuple(name for film in own for name in film.files),
        )


def _ended(folder: RunFolder, facts: Facts, films: list[_Filmed]) -> str:
    """Return when the last thing that is known happened."""
    films_of = [pictures_table(folder.path / film.files[1]) for film in films]
    paths = [folder.table_path(camera) for camera in facts["cameras"]]
    tables = [*films_of, *(camera_table(path, None) for path in paths)]
    times = [0]
    for table in tables:
        last = [line for _, line in table.lines()][-1:]
        times += [int(line.split(",")[3]) for line in last]  # arrived_ns, in both
    if facts.get("started") and "started_ns" in facts and max(times):
        passed = timedelta(microseconds=(max(times) - facts["started_ns"]) // 1000)
        return (datetime.fromisoformat(facts["started"]) + passed).isoformat()
    ended_s = max(file.stat().st_mtime for file in folder.path.iterdir())
    return datetime.fromtimestamp(ended_s, UTC).isoformat()
