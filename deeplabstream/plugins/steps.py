"""The words that plans are written in; all but `until_known` consume a frame at least."""

from math import inf

from deeplabstream.plugins.experiment import Ask, Plan


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


def until_known(trigger: str) -> Plan[bool]:
    """Wait until it is known whether the trigger holds, and return that.

    For what shall happen wherever the animal is, but not while it is lost.
    """
    seen = yield Ask.NOW
    while (answer := seen.triggers[trigger]) is None:
        seen = yield Ask.NEXT
    return answer
