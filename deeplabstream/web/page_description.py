"""Page description: the OpenAPI description of the page's HTTP interface."""

from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from deeplabstream.rack.box_views import BoxView
from deeplabstream.rack.rack_commands import COMMANDS, CommandHelp, typed_commands
from deeplabstream.web.other_computers import ComputerView

OTHER = "/api/computers/{computer}"
"""Begin of the paths of another computer."""


@dataclass(frozen=True)
class CommandBody:
    """Body of a request with a command."""

    command: str


COMMAND = TypeAdapter(CommandBody)
_HELP = CommandHelp.__name__


def description() -> dict[str, Any]:
    """Return the OpenAPI description of the interface."""
    place = "#/components/schemas/{model}"
    computers = TypeAdapter(list[ComputerView]).json_schema(ref_template=place)
    boxes = TypeAdapter(list[BoxView]).json_schema(ref_template=place)
    boxes.pop("$defs")
    schemas = computers.pop("$defs")
    schemas[_HELP] = TypeAdapter(CommandHelp).json_schema()
    answer = {
        "rack": {"type": "string"},
        "commands": {
            "type": "boolean",
            "description": "whether the page takes commands",
        },
        "boxes": boxes,
        "computers": computers,
    }
    computer = _path_parameters("computer")
    camera = _path_parameters("box", "camera")
    return {
        "openapi": "3.1.0",
        "info": {"title": "DeepLabStream rack", "version": "1"},
        "paths": {
            "/api/boxes": _get("States of all boxes", "application/json", answer),
            "/api/events": _get(
                "The same as server-sent events, one each second",
                "text/event-stream",
                answer,
            ),
            "/metrics": _get("The same for Prometheus", "text/plain", None),
            "/api/commands": {
                **_get(
                    "Title, lines and consequence of each command",
                    "application/json",
                    {key: {"$ref": place.format(model=_HELP)} for key in COMMANDS},
                ),
                **_COMMANDS,
            },
            **_image_paths("/api", camera),
            f"{OTHER}/commands": {"parameters": computer, **_COMMANDS},
            **_image_paths(OTHER, computer + camera),
        },
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}, {}],
    }


_COMMANDS: dict[str, Any] = {
    "post": {
        "summary": f"A line: {typed_commands()}",
        "requestBody": {
            "content": {"application/json": {"schema": COMMAND.json_schema()}}
        },
        "responses": {
            "200": {"description": "carried out: `ok: …`"},
            "409": {"description": "refused: `error: …`"},
            "403": {"description": "the page reads only"},
            "504": {"description": "the rack does not answer"},
        },
    }
}


def _path_parameters(*names: str) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in names
    ]


def _image_paths(root: str, parameters: list[dict[str, Any]]) -> dict[str, Any]:
    kinds = {
        "image": ("Newest frame", "image/jpeg"),
        "images": ("Motion JPEG", "multipart/x-mixed-replace"),
    }
    return {
        f"{root}/{name}/{{box}}/{{camera}}": {
            "parameters": parameters,
            **_get(about, kind, None),
        }
        for name, (about, kind) in kinds.items()
    }


def _get(about: str, kind: str, properties: dict[str, Any] | None) -> dict[str, Any]:
    schema = (
        {"type": "string", "contentMediaType": kind}
        if properties is None
        else {"type": "object", "properties": properties}
    )
    answer = {"description": about, "content": {kind: {"schema": schema}}}
    return {"get": {"summary": about, "responses": {"200": answer}}}
