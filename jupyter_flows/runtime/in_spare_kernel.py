"""Run inside a kernel that was started ahead, in a namespace that no cell ever sees.

The source of this module is sent to the kernel, whose environment may not have this package; so it needs
the standard library only. It imports installed modules and nothing else: no file of the user's is ever run.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import sys
import sysconfig
from typing import Any


def about(shell: Any) -> str:
    """Return, as JSON, what tells later whether a fresh kernel would be the same."""
    app, profile = shell.parent, shell.profile_dir
    startup = [name for name in os.listdir(profile.startup_dir) if name.endswith((".py", ".ipy"))]  # noqa: PTH208
    own = [
        getattr(app, name, None)
        for name in (
            "exec_lines",
            "exec_files",
            "file_to_run",
            "code_to_run",
            "module_to_run",
            "extensions",
            "extra_extensions",
        )
    ]
    configured = [f"{profile.location}/{name}" for name in ("ipython_config.py", "ipython_kernel_config.py")]
    return json.dumps(
        {
            "runs_own_code": bool(startup or any(own)),
            "path": sys.path,
            "files": [profile.startup_dir, *configured],
        }
    )


def load(name: str) -> str:
    """Import a module that is installed; return, as JSON, the top-level names that this loaded.

    ``outside`` names what does not lie where packages are installed: a person's own file, which may be
    another one by the time a run comes.
    """
    libraries = {sysconfig.get_paths()[kind] for kind in ("stdlib", "platstdlib", "purelib", "platlib")}
    libraries.update(path for path in sys.path if path.endswith(("site-packages", "dist-packages")))
    roots = tuple(os.path.realpath(path) + os.sep for path in libraries)

    def is_installed(places: Any) -> bool:
        return all(os.path.realpath(place).startswith(roots) for place in places)

    top = name.partition(".")[0]
    before = set(sys.modules)
    if top not in before:
        spec = importlib.util.find_spec(top)
        if spec is None:
            return json.dumps({"loaded": [], "outside": []})
        places = list(spec.submodule_search_locations or ())
        if not places and spec.has_location and spec.origin:
            places = [spec.origin]
        if not is_installed(places):
            return json.dumps({"loaded": [], "outside": []})
    importlib.import_module(name)
    loaded, outside = set(), []
    for key in set(sys.modules) - before:
        try:
            found = vars(sys.modules[key])
        except (KeyError, TypeError):
            continue
        loaded.add(key.partition(".")[0])
        file = found.get("__file__")
        if not is_installed([file] if file else list(found.get("__path__") or ())):
            outside.append(key)
    return json.dumps({"loaded": sorted(loaded), "outside": sorted(outside)})


def adopt(shell: Any, cwd: str, changed: str) -> str:
    """Become the kernel of a run: with its variables, in its working directory."""
    for name, value in json.loads(changed).items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    os.chdir(cwd)
    # What IPython notes of the directory when it starts.
    shell.user_ns["_dh"][:] = [os.getcwd()]  # noqa: PTH109
    shell.starting_dir = os.getcwd()  # noqa: PTH109
    importlib.invalidate_caches()
    return json.dumps(shell.starting_dir)
