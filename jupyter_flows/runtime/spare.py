"""Where a run gets its kernels: those that were started ahead while they fit, fresh ones else.

A notebook that runs in several kernels at once asks for each in turn, and says beforehand how many it will
need: they start while the first cells run.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from jupyter_flows.runtime.kernels import Kernel
from jupyter_flows.runtime.spare_kernel import NotAsFresh, SpareKernel


class KernelSource:
    """Gives kernels to one run; each is new, and given once.

    Parameters
    ----------
    directory : Path
        The run's own directory: sockets of its kernels go below it.
    spare : SpareKernel, optional
        A kernel that was started before the run was known.
    say : callable, optional
        ``say(text)`` is told why a kernel that was started ahead is not used.

    Examples
    --------
    A run that is about to need two more kernels like its first::

        kernels.prepare("python3", count=2, cwd=cwd, modules=known)
        ...
        kernel = kernels.take("python3", cwd=cwd)
        kernel.start()
    """

    def __init__(
        self,
        directory: Path,
        *,
        spare: SpareKernel | None = None,
        say: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self._directory = directory
        self._spares = [] if spare is None else [spare]
        self._say = say
        self._made = 0
        self._stopping: list[threading.Thread] = []
        self._lock = threading.Lock()

    def prepare(
        self,
        name: str,
        *,
        cwd: Path,
        count: int = 1,
        modules: tuple[str, ...] = (),
        env: Mapping[str, str] | None = None,
    ) -> None:
        """Start *count* kernels that will be taken later, without waiting for them.

        Parameters
        ----------
        modules : tuple of str
            Installed modules to import in them meanwhile.
        """
        for _ in range(count):
            spare = SpareKernel(name, directory=self._place(), modules=modules, cwd=str(cwd), env=env)
            spare.start()
            with self._lock:
                self._spares.append(spare)

    def take(self, name: str, *, cwd: Path, env: Mapping[str, str] | None = None, source: str = "") -> Kernel:
        """Return a kernel that no other gets: ready, if one was prepared that fits, else just launched.

        Parameters
        ----------
        name : str
            The kernelspec.
        cwd, env
            Where it works, and its whole environment; default: this process's.
        source : str
            The code that it will run, to see whether modules may have been imported ahead.

        Raises
        ------
        KernelNotFound, KernelDidNotStart
        """
        wanted = dict(os.environ if env is None else env)
        while True:
            with self._lock:
                spare = next((one for one in self._spares if one.name == name), None)
                if spare is None and self._spares:
                    spare = self._spares[0]
                if spare is None:
                    break
                self._spares.remove(spare)
            try:
                return spare.take(name, cwd=str(cwd), env=wanted, source=source)
            except NotAsFresh as error:
                self._say(f"the kernel that was started ahead is not used: {error}")
                self._let_go(spare)
        kernel = Kernel(name, directory=self._place(), cwd=str(cwd), env=wanted)
        kernel.launch()
        return kernel

    def close(self) -> None:
        """Stop the kernels that nobody took; those that were taken are their takers'."""
        with self._lock:
            left, self._spares = self._spares, []
        for spare in left:
            self._let_go(spare)
        for thread in self._stopping:
            thread.join()
        # Only if it is empty: the sockets of a kernel that was taken may still be there.
        place = self._directory / "kernel"
        if place.is_dir() and not any(place.iterdir()):
            shutil.rmtree(place, ignore_errors=True)

    def _let_go(self, spare: SpareKernel) -> None:
        # Its end can take a second, which the kernel that is wanted now need not wait for.
        thread = threading.Thread(target=spare.stop, name="spare-stop", daemon=True)
        thread.start()
        self._stopping.append(thread)

    def _place(self) -> Path:
        with self._lock:
            self._made += 1
            return self._directory / "kernel" / str(self._made)
