"""Every exception of jupyter_flows. Stands on nothing of ours.

An error tells three things: *what* went wrong, *which* object it concerns, *what to do now*, in one
sentence or two. ``code`` is stable and goes into JSON; ``fault`` says whose move it is.

::

    FlowsError
    ├── YourFault          the flow, the notebook, an option: change it and try again
    ├── EnvironmentFault   this machine: a package, a kernel, a directory, the network
    ├── ServerFault        what the server answered
    └── Bug                ours
"""

from __future__ import annotations

from typing import ClassVar, Literal

Fault = Literal["yours", "environment", "server", "bug"]


class FlowsError(Exception):
    """Base of all; catch it to catch everything jupyter_flows raises on purpose.

    Examples
    --------
    >>> InvalidLabel("label 'a b' has a space; use letters, digits, '.', '_' or '-'").code
    'invalid_label'
    """

    code: ClassVar[str] = "error"
    fault: ClassVar[Fault] = "bug"


class YourFault(FlowsError):
    """The flow, notebook or option given is wrong."""

    fault = "yours"


class EnvironmentFault(FlowsError):
    """Something of this machine is missing or refuses."""

    fault = "environment"


class ServerFault(FlowsError):
    """The server refused, or cannot be reached."""

    fault = "server"


class Bug(FlowsError):
    """An internal contradiction; please report it."""

    code = "bug"


# -- flows, tasks, graphs ---------------------------------------------------------------------


class InvalidFlow(YourFault, ValueError):
    """A flow that cannot be built: a cycle, an unknown task, a bad argument."""

    code = "invalid_flow"


class FlowCycle(InvalidFlow):
    """The edges of a flow go round in a circle."""

    code = "flow_cycle"


class DuplicateTaskName(InvalidFlow):
    """Two task cells of a notebook carry one name."""

    code = "duplicate_task_name"


class InvalidTask(YourFault, ValueError):
    """A task defined or called in a way that cannot work."""

    code = "invalid_task"


class InvalidParameters(YourFault, ValueError):
    """Unknown, missing or oversized parameters of a run."""

    code = "invalid_parameters"


class InvalidLabel(YourFault, ValueError):
    """A label that is not one word."""

    code = "invalid_label"


class InvalidSchedule(YourFault, ValueError):
    """A schedule that does not parse or never fires."""

    code = "invalid_schedule"


class InvalidOption(YourFault, ValueError):
    """An unknown or malformed option of ``%%task``, ``%flow`` or the command line."""

    code = "invalid_option"


class InvalidDuration(InvalidOption):
    """A duration that does not read as ``10s``, ``5m``, ``1h`` or ``1d``."""

    code = "invalid_duration"


# -- notebooks --------------------------------------------------------------------------------


class InvalidNotebook(YourFault, ValueError):
    """A file that is not a notebook, or a notebook that breaks the format."""

    code = "invalid_notebook"


class NotebookNotSaved(YourFault):
    """The notebook on disk is not what its kernel has seen."""

    code = "notebook_not_saved"


class NotebookWithoutTasks(YourFault):
    """A notebook in which no cell is a task."""

    code = "notebook_without_tasks"


class CellsStillStale(YourFault):
    """``%flow run --stale`` ended before all cells were up to date."""

    code = "cells_still_stale"


# -- storage, registering, environment ----------------------------------------------------------


class UnknownKind(YourFault, ValueError):
    """A storage, run config, schedule or executor kind that nobody provides."""

    code = "unknown_kind"


class FlowNotFoundInFile(YourFault):
    """A script or module that holds no flow, or several."""

    code = "flow_not_found_in_file"


class CannotPickle(YourFault):
    """An object of a flow that cannot be pickled, named with its task and variable."""

    code = "cannot_pickle"


class StorageUnavailable(EnvironmentFault):
    """A storage location that cannot be read or written."""

    code = "storage_unavailable"


class CodeChanged(EnvironmentFault):
    """The code in storage is not the code that was registered."""

    code = "code_changed"


class KernelNotFound(EnvironmentFault):
    """The registered kernel is not installed here."""

    code = "kernel_not_found"


class KernelDied(EnvironmentFault):
    """A kernel's process ended while cells were still to run; ``cause`` says how, in words."""

    code = "kernel_died"

    def __init__(self, message: str, *, cause: str = "") -> None:
        super().__init__(message)
        self.cause = cause


class KernelDidNotStart(EnvironmentFault):
    """A kernel's process ended, or said nothing, before it was ready."""

    code = "kernel_did_not_start"


class ValueLost(EnvironmentFault):
    """A variable that a cell needs can neither be passed to its kernel nor be restored in it."""

    code = "value_lost"


class CheckpointUnreadable(EnvironmentFault):
    """What an earlier run left to go on from is not there, or not whole."""

    code = "checkpoint_unreadable"


class CannotResume(YourFault):
    """The notebook is not the one whose run is to go on."""

    code = "cannot_resume"


class RunNotStarted(EnvironmentFault):
    """The process of a run could not be started on this machine."""

    code = "run_not_started"


class PackageMissing(EnvironmentFault, ImportError):
    """A package that is needed for an option only is not installed."""

    code = "package_missing"


class ClusterUnavailable(EnvironmentFault, ConnectionError):
    """A Dask cluster that cannot be started or reached."""

    code = "cluster_unavailable"


class EnvironmentDiffers(EnvironmentFault):
    """This environment cannot run what another one registered."""

    code = "environment_differs"


# -- server, client, agent ------------------------------------------------------------------------


class ServerNotRunning(ServerFault, ConnectionError):
    """No server is configured or answering."""

    code = "server_not_running"


class ServerUnavailable(ServerNotRunning):
    """The server, or a gateway before it, cannot answer now; the same request may succeed later."""

    code = "server_unavailable"


class NotAuthorised(ServerFault, PermissionError):
    """The token is missing, wrong, expired, or may not do this."""

    code = "not_authorised"


class NotFound(ServerFault, LookupError):
    """The server knows no such flow, run or agent."""

    code = "not_found"


class Refused(ServerFault):
    """The server understood and said no: the state does not allow it."""

    code = "refused"


class StaleLease(Refused):
    """A report under a fencing token that is not the run's newest: somebody else may hold the run now."""

    code = "stale_lease"


class LeaseLost(Refused):
    """The lease ended, but nobody else was given the run: its finish is still welcome."""

    code = "lease_lost"


class InvalidRequest(ServerFault, ValueError):
    """A request that breaks the schema or a limit."""

    code = "invalid_request"


class DatabaseInUse(EnvironmentFault):
    """Another process owns the SQLite file."""

    code = "database_in_use"


class DatabaseUnusable(EnvironmentFault):
    """A database file that is damaged, newer than this code, or cannot be opened."""

    code = "database_unusable"


class CannotListen(EnvironmentFault):
    """An address or port that the server cannot or must not listen on."""

    code = "cannot_listen"


class InvalidSettings(YourFault, ValueError):
    """A setting whose value makes no sense."""

    code = "invalid_settings"
