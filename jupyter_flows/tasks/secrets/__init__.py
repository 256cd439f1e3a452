"""Tasks whose result is a secret. Their results are never written; they go to the tasks that need them."""

from jupyter_flows.tasks.secrets.base import PrefectSecret, SecretBase
from jupyter_flows.tasks.secrets.env_var import EnvVarSecret

__all__ = ["EnvVarSecret", "PrefectSecret", "SecretBase"]
