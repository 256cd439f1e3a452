"""What this environment is: Python, platform, kernel, and the distributions that a flow imports."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterable
from functools import cache
from importlib import metadata

from jupyter_flows.schema.refs import Fingerprint


def fingerprint_here(
    distributions: Iterable[str] = (), *, kernel: str | None = None, language: str | None = None
) -> Fingerprint:
    """Return the fingerprint of this environment with the versions of *distributions* that are here.

    Examples
    --------
    >>> fingerprint_here(["pip"]).python.count(".")
    2
    """
    versions = {name: version for name in distributions if (version := version_of(name)) is not None}
    return Fingerprint(
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.machine()}",
        kernel=kernel,
        kernel_language=language,
        distributions=dict(sorted(versions.items())),
    )


def version_of(distribution: str) -> str | None:
    """Return the version of an installed distribution, or None."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


@cache
def _providers() -> dict[str, list[str]]:
    return dict(metadata.packages_distributions())


def distributions_of(modules: Iterable[str]) -> list[str]:
    """Return the distributions that provide the top-level *modules*; the standard library has none."""
    providers = _providers()
    names = {module.split(".")[0] for module in modules} - sys.stdlib_module_names
    return sorted({distribution for name in names for distribution in providers.get(name, [])})
