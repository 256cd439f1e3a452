"""The one gate through which text of a run passes on its way to the server.

A user's program makes text that no type can keep in: messages of exceptions quote data, tracebacks
quote source. So a state's message is *our* sentence with the exception's class and place, never its
text; and a log line, which the user wrote to be read, is masked and cut.
"""

from __future__ import annotations

import re

MESSAGE_LIMIT = 1000
LINE_LIMIT = 8000

_MASK = "***"
_SECRETS = re.compile(
    r"""(?x)
    \bjf_[a-z]+_[A-Za-z0-9_-]{16,}                                  # ours
    | \b(?:AKIA|ASIA)[0-9A-Z]{16}\b                                 # AWS key id
    | \bgh[pousr]_[A-Za-z0-9]{30,}\b | \bgithub_pat_[A-Za-z0-9_]{30,}\b
    | \bey[A-Za-z0-9_-]{8,}\.ey[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,} # JSON web token
    | \bxox[abprs]-[A-Za-z0-9-]{10,}                                # Slack
    """
)
_LOGIN_IN_URL = re.compile(r"(?P<scheme>\b[a-z][a-z0-9+.-]*://)[^\s/@:]+:[^\s/@]+@", re.IGNORECASE)
_NAMED_SECRET = re.compile(
    r"(?i)(?P<name>\b(?:password|passwd|secret|api[_-]?key|access[_-]?token|authorization)\b[\"']?\s*[=:]\s*)"
    r"(?:bearer\s+)?[\"']?[^\s\"',;]{6,}"
)
_CONTROLS = re.compile(
    r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]|[\ud800-\udfff]"
)
_CLASS = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,99}")


def mask(text: str) -> str:
    """Return *text* with known shapes of secrets replaced and control characters removed.

    Examples
    --------
    >>> mask("postgres://bob:hunter2@db/x")
    'postgres://***@db/x'
    """
    text = _CONTROLS.sub("", text)
    text = _SECRETS.sub(_MASK, text)
    text = _LOGIN_IN_URL.sub(rf"\g<scheme>{_MASK}@", text)
    return _NAMED_SECRET.sub(rf"\g<name>{_MASK}", text)


def cut(text: str, limit: int) -> str:
    """Return *text*, at most *limit* characters of it."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def log_line(text: str) -> str:
    """Return a line of the flow's log as it may leave this machine."""
    return cut(mask(text), LINE_LIMIT)


def message(text: str) -> str:
    """Return a sentence of ours, which may carry names of the user's, as a state's message."""
    return cut(mask(text), MESSAGE_LIMIT)


def failure_message(class_name: str, where: str, line: int | None = None) -> str:
    """Tell an exception by class and place, without a word of its text.

    Examples
    --------
    >>> failure_message("ValueError", "cell clean", 3)
    'ValueError in cell clean, line 3'
    """
    found = _CLASS.fullmatch(class_name)
    name = class_name if found else "an exception"
    return message(f"{name} in {where}" + (f", line {line}" if line is not None else ""))
