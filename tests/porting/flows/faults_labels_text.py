"""Labels that are one text instead of a list."""

from prefect import Flow
from prefect.run_configs import UniversalRun

flow = Flow("labels")
RUNS = []


def look(states):
    try:
        return sorted(UniversalRun(labels="prod").labels)
    except (TypeError, ValueError):
        return "refused"


REFUSED = "Labels are a list; a text is refused instead of being taken letter by letter."

DIFFERS = {
    "look": ("(absent)", "refused", REFUSED),
    "look/0": ("d", "(absent)", REFUSED),
    "look/1": ("o", "(absent)", REFUSED),
    "look/2": ("p", "(absent)", REFUSED),
    "look/3": ("r", "(absent)", REFUSED),
}
