"""The code of a run: fetched by the run itself, proved to be what was registered, then loaded.

Nothing is imported, parsed or unpickled before its digest was compared; what is loaded are the very
bytes that were hashed, copied once into the run's own directory.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from jupyter_flows.errors import CodeChanged, EnvironmentDiffers, FlowsError, InvalidFlow
from jupyter_flows.schema.flows import FlowSpec
from jupyter_flows.schema.refs import Fingerprint, StorageRef

Policy = Literal["refuse", "warn", "ignore"]
Say = Callable[[str, str], None]
"""``say(level, text)`` writes a line of the run's log."""


def fetch_code(ref: StorageRef, into: Path) -> Path:
    """Copy the registered code into the directory *into* and verify it.

    Returns
    -------
    Path
        The verified copy (0600).

    Raises
    ------
    CodeChanged : the bytes are not those that were registered.
    StorageUnavailable : they cannot be read.
    """
    from jupyter_flows.storage import storage_from_ref

    into.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = storage_from_ref(ref).fetch(ref, into)
    verify_digest(path, ref)
    return path


def verify_digest(path: Path, ref: StorageRef) -> str:
    """Compare the digest of *path* with the registered one; return it.

    Raises
    ------
    CodeChanged : naming both digests and the place.
    """
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if ref.sha256 is not None and digest != ref.sha256:
        msg = (
            f"Code at {ref.location} has sha256 {digest[:8]}…, registered was {ref.sha256[:8]}…. "
            "Someone changed it after registering; register again or restore it."
        )
        raise CodeChanged(msg)
    return digest


def compare_environment(spec: FlowSpec, *, policy: Policy, say: Say) -> None:
    """Compare the environment that the flow was registered in with this one.

    Raises
    ------
    EnvironmentDiffers : the policy is ``refuse`` and something differs, or a pickle was made by another
        minor version of Python (whatever the policy: such a pickle may crash or lie).
    """
    registered = spec.fingerprint
    if registered is None:
        return
    if spec.storage.kind == "local" and not spec.storage.options.get("stored_as_script"):
        refuse_foreign_pickle(registered, location=spec.storage.location)
    if policy == "ignore":
        return
    from jupyter_flows.environment import compare, fingerprint_here

    differences = compare(registered, fingerprint_here(list(registered.distributions)))
    if not differences:
        say("INFO", "environment is as registered")
        return
    lines = [str(difference) for difference in differences]
    for line in lines:
        say("WARNING" if policy == "warn" else "ERROR", f"environment: {line}")
    if policy == "refuse":
        more = f" and {len(lines) - 3} more (see the log)" if len(lines) > 3 else ""
        msg = f"this environment is not the registered one: {'; '.join(lines[:3])}{more}"
        raise EnvironmentDiffers(msg)


def refuse_foreign_pickle(registered: Fingerprint, *, location: str) -> None:
    """Refuse a pickle from another minor version of Python, before it is opened."""
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    made_by = ".".join(registered.python.split(".")[:2])
    if made_by != here:
        msg = (
            f"the pickle at {location} was made by Python {registered.python}, this agent runs "
            f"{sys.version.split()[0]}; start an agent with Python {made_by}, or register with "
            "storage notebook or stored_as_script"
        )
        raise EnvironmentDiffers(msg)


def load_flow(path: Path, spec: FlowSpec) -> Any:
    """Load the flow from the verified copy *path*: unpickle it, or execute it as a script.

    Raises
    ------
    InvalidFlow : what was loaded is no flow, or loading it failed (class and place, no text of it).
    """
    if spec.storage.options.get("stored_as_script"):
        from jupyter_flows.storage import load_script

        return load_script(path, spec.name)
    import cloudpickle

    try:
        flow = cloudpickle.loads(path.read_bytes())
    except ModuleNotFoundError as error:
        msg = (
            f"the pickle of flow {spec.name} needs the module {error.name!r}, which is not installed in this "
            f"agent's environment ({os.path.realpath(sys.executable)}); install it, add its directory with "
            "--import-path, or register with storage notebook"
        )
        raise InvalidFlow(msg) from error
    except FlowsError:
        raise
    except Exception as error:
        msg = f"the pickle of flow {spec.name} cannot be opened: {type(error).__name__}; register it again"
        raise InvalidFlow(msg) from error
    return flow
