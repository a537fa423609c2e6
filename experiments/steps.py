"""The words that plans are written in; each consumes at least one frame."""

from math import inf

from experiments.experiment import Ask, Plan


def until(trigger: str, at_most_s: float = inf) -> Plan[bool]:
    """Wait until the trigger holds; return False if it did not within `at_most_s`."""
    start_s = (yield Ask.NOW).time_s
    while True:
        seen = yield Ask.NEXT
        if seen.holds(trigger):
            return True
        if seen.time_s - start_s >= at_most_s:
            return False


def during(trigger: str, at_most_s: float = inf) -> Plan[bool]:
    """Wait while the trigger does not fail; return whether it lasted all `at_most_s`.

    A lost animal does not end it: the loop switches the outputs off then.
    """
    start_s = (yield Ask.NOW).time_s
    while True:
        seen = yield Ask.NEXT
        if seen.fails(trigger):
            return False
        if seen.time_s - start_s >= at_most_s:
            return True


def wait(seconds: float) -> Plan[None]:
    """Wait for `seconds` of frames' time, one frame at least."""
    start_s = (yield Ask.NOW).time_s
    while (yield Ask.NEXT).time_s - start_s < seconds:
        pass
