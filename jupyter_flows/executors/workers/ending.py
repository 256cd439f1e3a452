"""How a process ended, in words. Knows nothing of what it was for."""

from __future__ import annotations

import signal

_WORDS = {
    signal.SIGKILL: "killed",
    signal.SIGSEGV: "segmentation fault",
    signal.SIGABRT: "aborted",
    signal.SIGBUS: "bus error",
    signal.SIGFPE: "arithmetic error",
    signal.SIGILL: "illegal instruction",
    signal.SIGTERM: "terminated",
    signal.SIGINT: "interrupted",
}


def ending(returncode: int | None) -> str:
    """Say how a process ended.

    Examples
    --------
    >>> ending(3), ending(-9), ending(-11)
    ('exit code 3', 'killed by signal 9', 'segmentation fault (signal 11)')
    """
    if returncode is None:
        return "for an unknown cause"
    if returncode >= 0:
        return f"exit code {returncode}"
    try:
        word = _WORDS.get(signal.Signals(-returncode), "")
    except ValueError:
        word = ""
    if not word or word == "killed":
        return f"killed by signal {-returncode}"
    return f"{word} (signal {-returncode})"
