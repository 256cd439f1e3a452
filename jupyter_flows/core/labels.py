"""Labels: what a run asks for and an agent offers. Routing, not isolation. Pure.

An agent takes a run only if it offers every label that the run asks for. A run that asks for none is
taken by any agent that is not exclusive.
"""

from __future__ import annotations

from collections.abc import Iterable

from jupyter_flows.errors import InvalidLabel
from jupyter_flows.schema.base import LABEL_PATTERN

MOST_LABELS = 64


def validate_labels(labels: Iterable[str]) -> tuple[str, ...]:
    """Return *labels* sorted and each once.

    Raises
    ------
    InvalidLabel : one sentence that names the label.

    Examples
    --------
    >>> validate_labels(["lab-3", "gpu", "gpu"])
    ('gpu', 'lab-3')
    >>> validate_labels(["my label"])
    Traceback (most recent call last):
    ...
    jupyter_flows.errors.InvalidLabel: label 'my label' has a space; use 'my-label'
    """
    if isinstance(labels, str):
        raise InvalidLabel(f"labels are a list of words, not the text {labels!r}; write [{labels!r}]")
    found = sorted(set(labels))
    for label in found:
        if not isinstance(label, str) or not LABEL_PATTERN.fullmatch(label):
            raise InvalidLabel(_complaint(label))
    if len(found) > MOST_LABELS:
        raise InvalidLabel(f"{len(found)} labels are more than the {MOST_LABELS} that a run may ask for")
    return tuple(found)


def _complaint(label: object) -> str:
    if not isinstance(label, str):
        return f"label {label!r} is no text"
    if not label.strip():
        return "a label is empty; name it, or leave it out"
    words = "-".join(label.split())
    if words != label and LABEL_PATTERN.fullmatch(words):
        return f"label {label!r} has a space; use {words!r}"
    if len(label) > 100:
        return f"label {label[:20]!r}... has {len(label)} characters; at most 100 are allowed"
    return (
        f"label {label!r} is not one word; use letters, digits, '.', '_', ':' or '-', "
        "beginning with a letter or digit"
    )


def matches(run_labels: Iterable[str], agent_labels: Iterable[str], *, exclusive: bool = False) -> bool:
    """Tell whether an agent that offers *agent_labels* may take a run that asks for *run_labels*.

    Examples
    --------
    >>> matches(["gpu"], ["gpu", "lab-3"])
    True
    >>> matches(["gpu", "lab-4"], ["gpu", "lab-3"])
    False
    >>> matches([], ["gpu"]), matches([], ["gpu"], exclusive=True)
    (True, False)
    """
    asked = set(run_labels)
    if not asked:
        return not exclusive
    return asked <= set(agent_labels)


def missing(run_labels: Iterable[str], agent_labels: Iterable[str]) -> tuple[str, ...]:
    """Return the labels that the run asks for and the agent does not offer.

    Examples
    --------
    >>> missing(["gpu", "lab-4"], ["gpu"])
    ('lab-4',)
    """
    return tuple(sorted(set(run_labels) - set(agent_labels)))
