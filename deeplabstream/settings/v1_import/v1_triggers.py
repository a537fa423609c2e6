"""The base triggers of DeepLabStream 1's experiment files."""

from collections.abc import Callable

from deeplabstream.settings.v1_import.key_conversion import (
    Made,
    Old,
    OldFile,
    format_list,
    numbers,
)

_DEBUG = "the window always shows regions and trigger states"


def carry_trigger(old: OldFile, made: Made, name: str, rate: float, image: str) -> str:
    """Convert the trigger of that class; return its NAME, empty if it can't be converted.

    `rate` (per second) turns pixels per frame into pixels per second, `image` is the
    image's width, height.
    """
    title = f"Trigger {name}"
    if title in made.titles:
        return name
    carry = _KINDS.get(name.casefold())
    if carry is None:
        made.sentences.append(
            f"the trigger {name} is your own class: write it as a trigger "
            "(docs/experiments.md) and name it in the experiment's section"
        )
        return ""
    if not old.has(name):
        made.sentences.append(
            f"[{name}]: the section is missing, so the trigger is missing too"
        )
        return ""
    made.report(old.take(name, "DEBUG"), _DEBUG)
    carry(old, made, name, rate, image)
    return name


def _region(old: OldFile, made: Made, name: str, kind: str, title: str) -> None:
    made.put(title, "KIND", kind)
    parts = old.take(name, "BODYPARTS") or old.take(name, "ROI_BODYPARTS")
    made.put(title, "BODYPARTS", format_list(parts.word if parts else ""), parts)
    shape, center = old.word(name, "TYPE", "circle"), old.take(name, "CENTER")
    radius = old.take(name, "RADIUS")
    xy = numbers(center.word) if center else []
    r = numbers(radius.word) if radius else []
    if len(xy) != 2 or len(r) != 1:
        made.report(
            center or radius,
            "can't be converted to a circle or rectangle; write REGION",
        )
        made.put(title, "REGION", "", center)
    elif shape.casefold() == "square":
        corner = (xy[0] - r[0], xy[1] - r[0], 2 * r[0], 2 * r[0])
        made.put(title, "REGION", _shape_text("rectangle", *corner), center)
    else:
        made.put(title, "REGION", _shape_text("circle", *xy, r[0]), center)
    made.put(title, "INSIDE", "any")


def _shape_text(shape: str, *values: float) -> str:
    return " ".join([shape, *(f"{value:g}" for value in values)])


def _inside(old: OldFile, made: Made, name: str, rate: float, image: str) -> None:
    _region(old, made, name, "InsideRegion", f"Trigger {name}")


def _outside(old: OldFile, made: Made, name: str, rate: float, image: str) -> None:
    _region(old, made, name, "OutsideRegion", f"Trigger {name}")


def _head(old: OldFile, made: Made, name: str, title: str) -> None:
    made.put(title, "KIND", "HeadDirection")
    parts = old.take(name, "BODYPARTS") or old.take(name, "ANGLE_BODYPARTS")
    made.put(title, "BODYPARTS", format_list(parts.word if parts else ""), parts)
    point = old.take(name, "POINT")
    made.put(title, "POINT", format_list(point.word if point else ""), point)
    made.carry(title, "ANGLE", old.take(name, "ANGLE"))
    _order(made, title, parts)


def _order(made: Made, title: str, parts: Old | None) -> None:
    made.report(
        parts,
        f"[{title}] needs the back of the head (or body) first and its tip last: "
        "check the order",
    )


def _heading(old: OldFile, made: Made, name: str, rate: float, image: str) -> None:
    _head(old, made, name, f"Trigger {name}")


def _ego(old: OldFile, made: Made, name: str, rate: float, image: str) -> None:
    title = f"Trigger {name}"
    made.put(title, "KIND", "EgoHeadDirection")
    parts = old.take(name, "BODYPARTS")
    made.put(title, "BODYPARTS", format_list(parts.word if parts else ""), parts)
    side = old.take(name, "HEADDIRECTION")
    made.put(title, "SIDE", side.word.casefold() if side else "both", side)
    made.carry(title, "ANGLE", old.take(name, "ANGLE"))
    _order(made, title, parts)


def _screen(old: OldFile, made: Made, name: str, rate: float, image: str) -> None:
    title = f"Trigger {name}"
    made.put(title, "KIND", "ScreenDirection")
    parts = old.take(name, "BODYPARTS")
    made.put(title, "BODYPARTS", format_list(parts.word if parts else ""), parts)
    edge = old.take(name, "DIRECTION")
    made.put(title, "EDGE", edge.word.casefold() if edge else "", edge)
    made.carry(title, "ANGLE", old.take(name, "ANGLE"))
    made.put(title, "PICTURE", image)
    _order(made, title, parts)


def _convert_turned_outside(
    old: OldFile, made: Made, name: str, rate: float, image: str
) -> None:
    made.put(f"Trigger {name}", "KIND", "AllOf")
    turned, outside = f"{name} turned", f"{name} outside"
    made.put(f"Trigger {name}", "TRIGGERS", f"{turned}, {outside}")
    _region(old, made, name, "OutsideRegion", f"Trigger {outside}")
    _head(old, made, name, f"Trigger {turned}")


def _speed(old: OldFile, made: Made, name: str, rate: float, image: str) -> None:
    title = f"Trigger {name}"
    made.put(title, "KIND", "Speed")
    parts = old.take(name, "BODYPARTS")
    made.put(title, "BODYPARTS", format_list(parts.word if parts else ""), parts)
    limit = old.take(name, "THRESHOLD")
    per_frame = numbers(limit.word) if limit else []
    speed = f"{per_frame[0] * rate:g}" if per_frame else ""
    made.put(title, "SPEED", speed, limit)
    freezing = "freez" in name.casefold()
    made.put(title, "WHEN", "below" if freezing else "above")
    made.report(
        limit,
        f"was in px from one analysed frame to the next; [{title}] SPEED = "
        f"{speed} px/s is equal at {rate:g} frames/s. If frames were skipped, "
        "determine the threshold again",
    )


_KINDS: dict[str, Callable[[OldFile, Made, str, float, str], None]] = {
    "baseregiontrigger": _inside,
    "baseoutsideregiontrigger": _outside,
    "baseheaddirectiontrigger": _heading,
    "baseegoheaddirectiontrigger": _ego,
    "basescreentrigger": _screen,
    "baseheaddirectionroitrigger": _convert_turned_outside,
    "basespeedtrigger": _speed,
    "basefreezetrigger": _speed,
}
