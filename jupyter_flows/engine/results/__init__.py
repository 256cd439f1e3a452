"""Where results are written and read again; names are Prefect 1's."""

from jupyter_flows.engine.results.base import Result
from jupyter_flows.engine.results.constant import ConstantResult
from jupyter_flows.engine.results.inline import PrefectResult
from jupyter_flows.engine.results.local import LocalResult
from jupyter_flows.engine.results.object_store import AzureResult, GCSResult, S3Result
from jupyter_flows.engine.results.secret import SecretResult

__all__ = [
    "AzureResult",
    "ConstantResult",
    "GCSResult",
    "LocalResult",
    "PrefectResult",
    "Result",
    "S3Result",
    "SecretResult",
]
