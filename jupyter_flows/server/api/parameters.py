"""Whether given parameters are those of a flow."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches

from jupyter_flows.errors import InvalidParameters
from jupyter_flows.schema.base import PARAMETERS_LIMIT_BYTES, to_json
from jupyter_flows.schema.flows import FlowSpec


def check_parameters(spec: FlowSpec, given: Mapping[str, object], *, complete: bool = False) -> None:
    """Say nothing if every given parameter is known, and with *complete* none is missing.

    Raises
    ------
    InvalidParameters : one sentence that names the parameter.
    """
    known = [parameter.name for parameter in spec.parameters]
    for name in given:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            if near:
                hint = f"; did you mean {near[0]!r}?"
            elif known:
                hint = f"; it has {', '.join(known[:20])}"
            else:
                hint = "; it has none"
            raise InvalidParameters(f"{spec.name} has no parameter {name!r}{hint}")
    size = len(to_json(dict(given)))
    if size > PARAMETERS_LIMIT_BYTES:
        raise InvalidParameters(
            f"the parameters have {size} bytes; at most {PARAMETERS_LIMIT_BYTES} are kept; pass a path"
        )
    missing = [p.name for p in spec.parameters if p.required and p.name not in given]
    if complete and missing:
        names = ", ".join(repr(name) for name in missing)
        raise InvalidParameters(f"{spec.name} needs a value for {names}: give -p {missing[0]}=VALUE")


def fits(spec: FlowSpec, given: Mapping[str, object]) -> bool:
    """Tell whether a run with *given* parameters can run *spec*."""
    try:
        check_parameters(spec, given, complete=True)
    except InvalidParameters:
        return False
    return True
