"""Named checks, run in the order they are written, each with a deadline.

The SDK reads its sockets without a timeout and spins for ever at their end, so every wait is bounded
from outside: a check that takes too long fails by name, and if even that is stuck the process ends.
"""

import faulthandler
import signal
import sys
import traceback

CHECK_SECONDS_MAX = 30
RUN_SECONDS_MAX = 170

_checks = []


def check(name):
    """Registers a function as the check `name`."""

    def register(function):
        _checks.append((name, function))
        return function

    return register


def expect(condition, reason):
    """Fails the running check unless `condition` holds."""
    if not condition:
        raise AssertionError(reason)


def expect_equal(found, wanted, what):
    expect(found == wanted, f"{what}: found {_short(found)}, wanted {_short(wanted)}")


def expect_refused(kind, action):
    """The action must fail with exactly this kind of exception, which is returned."""
    try:
        answer = action()
    except kind as refusal:
        return refusal
    raise AssertionError(f"not refused, but answered {_short(answer)}; wanted {kind.__name__}")


def run_all(world):
    """Runs every check with `world`; returns the exit code."""
    faulthandler.dump_traceback_later(RUN_SECONDS_MAX, exit=True)
    signal.signal(signal.SIGALRM, _too_long)
    for name, function in _checks:
        signal.alarm(CHECK_SECONDS_MAX)
        try:
            function(world)
        except Exception as reason:
            traceback.print_exc()
            _say(f"FAILED {name}: {type(reason).__name__}: {reason}")
            return 1
        finally:
            signal.alarm(0)
        _say(f"ok {name}")
    _say(f"all {len(_checks)} checks passed")
    return 0


def _too_long(_signal, _frame):
    raise TimeoutError(f"no answer within {CHECK_SECONDS_MAX} s")


def _short(value):
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}… ({len(text)} characters)"


def _say(line):
    print(line)
    sys.stdout.flush()
