"""Whether a kept result may stand for a call: for ``Task(cache_validator=...)``, by Prefect 1's names.

Each is called with the kept state, the call's inputs and the run's parameters. All refuse what has expired.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from jupyter_flows.core.state import Cached
from jupyter_flows.schema.base import utc_now

__all__ = [
    "all_inputs",
    "all_parameters",
    "duration_only",
    "never_use",
    "partial_inputs_only",
    "partial_parameters_only",
]

Validator = Callable[[Cached, Mapping[str, Any], Mapping[str, Any]], bool]


def hashed(value: Any) -> str:
    """Return a hash of a value that is the same in every process.

    Examples
    --------
    >>> hashed([1, 2]) == hashed([1, 2]), hashed([1, 2]) == hashed([2, 1])
    (True, False)
    """
    import cloudpickle

    try:
        data: bytes = cloudpickle.dumps(_in_order(value), protocol=5)
    except Exception:  # noqa: BLE001 - what cannot be pickled is the same only while it is the same object
        data = f"{type(value).__module__}.{type(value).__qualname__} at {id(value)}".encode()
    return hashlib.sha256(data).hexdigest()


def _in_order(value: Any) -> Any:
    """Return sets and dictionaries in an order that does not depend on hashes of this process."""
    if isinstance(value, set | frozenset):
        return (type(value).__name__, sorted(hashed(item) for item in value))
    if type(value) is dict:
        return {key: _in_order(item) for key, item in sorted(value.items(), key=lambda pair: repr(pair[0]))}
    if type(value) in {list, tuple}:
        return type(value)(_in_order(item) for item in value)
    return value


def never_use(state: Cached, inputs: Mapping[str, Any], parameters: Mapping[str, Any]) -> bool:
    """Never take a kept result."""
    del state, inputs, parameters
    return False


def duration_only(state: Cached, inputs: Mapping[str, Any], parameters: Mapping[str, Any]) -> bool:
    """Take a kept result until it expires, whatever it was made of."""
    del inputs, parameters
    return state.cached_result_expiration is None or state.cached_result_expiration > utc_now()


def all_inputs(state: Cached, inputs: Mapping[str, Any], parameters: Mapping[str, Any]) -> bool:
    """Take a kept result if all inputs are what they were."""
    return partial_inputs_only({*(state.hashed_inputs or {}), *inputs})(state, inputs, parameters)


def all_parameters(state: Cached, inputs: Mapping[str, Any], parameters: Mapping[str, Any]) -> bool:
    """Take a kept result if all parameters of the run are what they were."""
    return partial_parameters_only({*(state.cached_parameters or {}), *parameters})(state, inputs, parameters)


def partial_inputs_only(validate_on: Iterable[str] | None = None) -> Validator:
    """Return a validator: these inputs must be what they were; None: no matter what they are."""
    names = tuple(validate_on or ())

    def partial_inputs_only(state: Cached, inputs: Mapping[str, Any], parameters: Mapping[str, Any]) -> bool:
        if not duration_only(state, inputs, parameters):
            return False
        kept = state.hashed_inputs or {}
        return all(
            name in kept and kept[name] == hashed(inputs[name]) if name in inputs else name not in kept
            for name in names
        )

    return partial_inputs_only


def partial_parameters_only(validate_on: Iterable[str] | None = None) -> Validator:
    """Return a validator: these parameters must be what they were; None: no matter what they are."""
    names = tuple(validate_on or ())

    def partial_parameters_only(
        state: Cached, inputs: Mapping[str, Any], parameters: Mapping[str, Any]
    ) -> bool:
        if not duration_only(state, inputs, parameters):
            return False
        kept = state.cached_parameters or {}
        return all(
            name in kept and kept[name] == parameters[name] if name in parameters else name not in kept
            for name in names
        )

    return partial_parameters_only
