"""Papermill's own writing of the executed notebook, so that it leaves the old file or the new, never half.

Papermill writes the notebook once more when the engine has returned, and empties the file first: on a full
disk what we had saved would be gone.
"""

from __future__ import annotations

from typing import Any

from papermill.iorw import LocalHandler, papermill_io

from jupyter_flows.notebook.write import write_atomically
from jupyter_flows.runtime.notebook_states import local_path, not_saved


class WholeFiles:
    """A handler of papermill's for files of this machine that replaces them at once.

    Parameters
    ----------
    handler : LocalHandler
        Papermill's own; it knows the directory of whoever called papermill, and reads.
    """

    def __init__(self, handler: LocalHandler) -> None:
        self._handler = handler

    def write(self, buf: str, path: str) -> None:
        """Write *buf* to *path*.

        Raises
        ------
        FileNotFoundError : there is no such directory.
        OSError : it could not be written; the file is what it was.
        """
        target = local_path(path)
        assert target is not None
        if not target.parent.is_dir():
            msg = f"output folder {target.parent} doesn't exist."
            raise FileNotFoundError(msg)
        # What a link points to is written, as papermill does.
        target = target.resolve()
        if target.exists() and not target.is_file():
            # A pipe or a device, /dev/stdout: nothing there can be torn.
            self._handler.write(buf, path)
            return
        try:
            write_atomically(target, buf)
        except OSError as error:
            raise OSError(error.errno, not_saved(target, error)) from error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._handler, name)


def keep_whole(output_path: str) -> None:
    """Have papermill write *output_path* whole or not at all, if it is a file of this machine.

    Registered under the path itself, and for good: papermill has no way to take a handler back.
    """
    handler = papermill_io.get_handler(output_path)
    # It is taken for all that begins so: a name with an ending cannot begin an address of another kind.
    if type(handler) is LocalHandler and output_path.endswith((".ipynb", ".json")):
        papermill_io.register(output_path, WholeFiles(handler))
