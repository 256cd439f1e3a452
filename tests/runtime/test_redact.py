"""What leaves the machine carries no secret and no word of an exception."""

from __future__ import annotations

import pytest

from jupyter_flows.runtime.redact import failure_message, log_line, message


@pytest.mark.parametrize(
    "secret",
    [
        "jf_agent_0123456789abcdefghij",
        "AKIAABCDEFGHIJKLMNOP",
        "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJlLXBhcnQ",
        "postgres://bob:hunter2secret@db/x",
        "password=correct-horse",
        "Authorization: Bearer abcdef123456",
    ],
)
def test_known_shapes_of_secrets_are_masked(secret: str) -> None:
    masked = log_line(f"connecting with {secret} now")
    assert "***" in masked
    for part in ("hunter2", "correct-horse", "abcdef123456", "AKIAAB", "0123456789abcdef", "c2lnbmF0"):
        assert part not in masked
    assert masked.startswith("connecting with ")


def test_terminal_controls_and_direction_marks_are_removed() -> None:
    assert "red line" == log_line("\x1b[31mred\x1b[0m\u202e line\x07")


def test_messages_are_short() -> None:
    assert 1000 == len(message("x" * 5000))
    assert 8000 == len(log_line("x" * 50_000))


def test_an_exception_is_told_by_class_and_place_only() -> None:
    assert "KeyError in cell clean, line 7" == failure_message("KeyError", "cell clean", 7)
    assert "an exception in cell clean" == failure_message("<canary> says 'x'", "cell clean")
