"""State publisher: the states of a rack's boxes at an MQTT broker, as retained messages."""

import json
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deeplabstream.core.clock import Clock
from deeplabstream.core.errors import DeviceError
from deeplabstream.rack.box_views import BoxView

ONLINE, OFFLINE = "online", "offline"
"""Texts of the topic `state`; the broker publishes `OFFLINE` when the publisher is silent."""
AGAIN_NS = 10_000_000_000
"""Interval of a message that has not changed."""
KEEP_ALIVE_S = 10
"""The broker publishes `OFFLINE` after 1.5 times that without a sign of the publisher."""
_MOST_QUEUED = 100
_RECONNECT_S = 30
_ROUNDED = 1


@dataclass(frozen=True)
class Broker:
    """Where the states are published."""

    host: str
    port: int
    user: str = ""
    password: str = ""
    tls: bool = False
    authority: Path | None = None
    """Certificate of the authority that has signed the broker's; None: those of the system."""


class StatePublisher:
    """Publishes the states in a thread of its own; it receives nothing.

    Messages to a broker that is down are dropped: the newest ones are sent when it is back.
    """

    def __init__(self, broker: Broker, root: str, clock: Clock) -> None:
        """Begin to connect; `root`: the first part of all topics."""
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion

        self._root, self._clock = root, clock
        self._sent: dict[str, tuple[str, int]] = {}
        self._connected = False
        self._client = client = Client(CallbackAPIVersion.VERSION2)
        client.max_queued_messages_set(_MOST_QUEUED)
        client.reconnect_delay_set(1, _RECONNECT_S)
        client.will_set(f"{root}/state", OFFLINE, qos=1, retain=True)
        client.on_connect, client.on_disconnect = self._on_connect, self._on_disconnect
        if broker.user:
            client.username_pw_set(broker.user, broker.password or None)
        if broker.tls:
            try:
                client.tls_set_context(
                    ssl.create_default_context(cafile=broker.authority)
                )
            except OSError as error:
                raise DeviceError(
                    f"{broker.authority} can't be used: {error}"
                ) from error
        try:
            client.connect_async(broker.host, broker.port, KEEP_ALIVE_S)
        except ValueError as error:
            raise DeviceError(f"broker {broker.host}: {error}") from error
        client.loop_start()

    @property
    def connected(self) -> bool:
        """Whether the broker has accepted the connection."""
        return self._connected

    def publish(self, boxes: Sequence[BoxView], rack_runs: bool) -> None:
        """Publish what has changed, and all else from time to time; never waits."""
        if not self._connected:
            self._sent.clear()
            return
        self._send("state", ONLINE)
        self._send("rack", "runs" if rack_runs else "does not run")
        for box in boxes:
            self._send(f"boxes/{box.name}", json.dumps(message_of(box)))

    def close(self) -> None:
        """Publish that the publisher has ended, and disconnect."""
        if self._connected:
            self._client.publish(f"{self._root}/state", OFFLINE, qos=1, retain=True)
        self._client.disconnect()
        self._client.loop_stop()

    def _send(self, topic: str, text: str) -> None:
        now_ns = self._clock.now_ns()
        before, sent_ns = self._sent.get(topic, ("", 0))
        if text != before or now_ns - sent_ns >= AGAIN_NS:
            self._sent[topic] = text, now_ns
            self._client.publish(f"{self._root}/{topic}", text, qos=1, retain=True)

    def _on_connect(
        self, client: object, data: object, flags: object, reason: Any, more: object
    ) -> None:
        self._connected = not reason.is_failure

    def _on_disconnect(self, *values: object) -> None:
        self._connected = False


def message_of(box: BoxView) -> dict[str, Any]:
    """Return what is published of a box; unknown values are None."""
    status = box.status if box.runs else None
    facts: dict[str, Any] = {
        "state": box.state,
        "runs": box.runs,
        "fails": box.fails,
        "animal": box.animal,
    }
    if status is not None:
        p50, p99 = status.latency_ms or (None, None)
        light = status.light
        facts |= {
            "frames_per_second": {k: _rounded(it) for k, it in status.rates.items()},
            "trials": status.trials,
            "light_phase": light.phase if light else None,
            "zeitgeber_h": _rounded(light.zeitgeber_h) if light else None,
            "latency_p50_ms": _rounded(p50),
            "latency_p99_ms": _rounded(p99),
            "lost_frames": status.lost,
            "lost_video_frames": status.lost_to_video,
            "disk_free_gb": _rounded(status.disk_free_gb),
            "alarms": status.alarm_count,
            "alarm": status.alarm,
        }
    return facts


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, _ROUNDED)
