"""How two fingerprints differ, as sentences. Pure."""

from __future__ import annotations

import msgspec

from jupyter_flows.schema.refs import Fingerprint


class Difference(msgspec.Struct, frozen=True):
    """One thing that is not as it was registered."""

    what: str
    registered: str
    here: str | None

    def __str__(self) -> str:
        if self.here is None:
            return f"{self.what} {self.registered} was there at registering, here it is not installed"
        return f"{self.what} is {self.here} here, was {self.registered} at registering"


def compare(registered: Fingerprint, here: Fingerprint) -> list[Difference]:
    """Return what differs; distributions that the flow did not import do not count.

    Examples
    --------
    >>> then = Fingerprint(python="3.11.7", platform="Linux x86_64", distributions={"pandas": "2.2"})
    >>> now = Fingerprint(python="3.11.9", platform="Linux x86_64")
    >>> [str(difference) for difference in compare(then, now)]
    ['pandas 2.2 was there at registering, here it is not installed']
    """
    found: list[Difference] = []
    if registered.python.split(".")[:2] != here.python.split(".")[:2]:
        found.append(Difference("Python", registered.python, here.python))
    if registered.platform != here.platform:
        found.append(Difference("platform", registered.platform, here.platform))
    for name, version in registered.distributions.items():
        present = here.distributions.get(name)
        if present != version:
            found.append(Difference(name, version, present))
    return found
