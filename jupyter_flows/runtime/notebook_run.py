"""A notebook executed once, as a flow: its graph, its kernels, its states, its end.

The flow engine runs in this process, the cells in kernels of their own: a kernel that dies is a failed
task with a cause, not the end of the report. A notebook whose graph cannot be built (a cell that does
not parse) is run from top to bottom, as papermill would.
"""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from nbformat import from_dict

from jupyter_flows.core.state import Success
from jupyter_flows.errors import FlowsError, InvalidNotebook, KernelDied
from jupyter_flows.notebook.write import KEY, unmark
from jupyter_flows.runtime.book import Book, Gift
from jupyter_flows.runtime.code_digests import code_digests
from jupyter_flows.runtime.document import Document
from jupyter_flows.runtime.earlier import Earlier
from jupyter_flows.runtime.kernel_backend import CellFailed, CellRunner, CellTimedOut
from jupyter_flows.runtime.kernels import Kernel, places_for_sockets
from jupyter_flows.runtime.notebook_states import NotebookStates, TimedManager
from jupyter_flows.runtime.owned_directory import OwnedDirectory, remove_abandoned
from jupyter_flows.runtime.passing import Needs, apart, needs_of, past_what_stands, sharing, without
from jupyter_flows.runtime.report_pipe import ReportPipe
from jupyter_flows.runtime.reporting import EngineReporter, final_message, keep_traceback
from jupyter_flows.runtime.resume import Resumption, chosen, resume
from jupyter_flows.runtime.run_options import Parallel, RunOptions
from jupyter_flows.runtime.seated_cells import SeatedCells, SeatedExecutor
from jupyter_flows.runtime.seats import Seats
from jupyter_flows.runtime.thread_seats import ThreadSeats
from jupyter_flows.schema.runs import StateName

if TYPE_CHECKING:
    from jupyter_flows.core.graph import FlowGraph


class NotebookRun:
    """Executes the cells of an open notebook, and remembers how it ended.

    Parameters
    ----------
    pipe : ReportPipe
        Where states and log lines go; default: nowhere.
    flow_name : str
        Name of the flow, for the graph.
    directory : Path, optional
        The run's own directory: sockets of the kernel and ``traceback.txt`` go there; default: a
        temporary one, and no traceback beside the notebook's own.
    kernel : Kernel, optional
        A kernel that was launched already; it is stopped at the end.
    context : mapping
        Keys of the run's context.
    all_cells, by_heading : bool
        Which cells are tasks, as when the notebook was registered.
    options : RunOptions
    on_end : callable, optional
        ``on_end(nb, state, message)``, called when all cells have ended, before the notebook is saved for the
        last time.
    run_name : str
        What the run is called where it has no name of a server's.

    Attributes
    ----------
    state, message
        The flow's final state and why, after :meth:`execute`.
    unsaved
        Why the notebook could not be saved at the end; empty if it was.
    context
        The run's context.
    """

    def __init__(
        self,
        *,
        pipe: ReportPipe | None = None,
        flow_name: str = "notebook",
        directory: Path | None = None,
        kernel: Kernel | None = None,
        context: Mapping[str, Any] | None = None,
        all_cells: bool = False,
        by_heading: bool = False,
        options: RunOptions | None = None,
        on_end: Callable[[Any, StateName, str], None] | None = None,
        run_name: str = "",
    ) -> None:
        self._run_name = run_name
        self._on_end = on_end
        self._gifts: dict[str, Gift] | None = None
        self._built: FlowGraph | None = None
        self._options = options or RunOptions()
        self._all_cells = all_cells
        self._by_heading = by_heading
        self.context = dict(context or {})
        self._launched = kernel
        self._pipe = pipe or ReportPipe(None)
        self._flow_name = flow_name
        self._directory = directory
        self.state: StateName = "Pending"
        self.message = ""
        self.unsaved = ""

    def execute(
        self,
        manager: TimedManager,
        kernel_name: str,
        *,
        start_timeout_s: float = 60.0,
        cell_timeout_s: float | None = None,
        allow_errors: bool = False,
        on_output: Callable[[Any], None] | None = None,
    ) -> None:
        """Run all cells; failures of cells end up in :attr:`state`, not in an exception.

        Raises
        ------
        KernelNotFound, KernelDidNotStart : no cell ran.
        KeyboardInterrupt : the run was interrupted; the cell under way was, too.
        """
        try:
            self._execute(
                manager,
                kernel_name,
                start_timeout_s=start_timeout_s,
                cell_timeout_s=cell_timeout_s,
                allow_errors=allow_errors,
                on_output=on_output,
            )
        except KeyboardInterrupt:
            self.state, self.message = "Cancelled", "interrupted"
            raise

    def require_graph(self, nb: Any) -> FlowGraph | None:
        """Build the graph, and keep it for the run of *nb*; None: it is written in another language.

        Raises
        ------
        InvalidOption, DuplicateTaskName, InvalidFlow
            A cell says what cannot be. A run that nobody looks at passes it over.
        """
        document = Document(nb, self._flow_name)
        if document.language == "python":
            self._built = self._build(document)
        return self._built

    def check(self, nb: Any) -> None:
        """Refuse what cannot be gone on from, or is not there to be chosen, before anything is written.

        Raises
        ------
        CannotResume, CheckpointUnreadable, InvalidOption, InvalidNotebook
        """
        options = self._options
        if options.earlier is None and not options.only and options.start is None:
            return
        document = Document(nb, self._flow_name)
        graph = self._graph(document)
        if graph is None:
            msg = f"{self._flow_name}: its graph cannot be built, so only the whole notebook can be run"
            raise InvalidNotebook(msg)
        needs = needs_of(graph)
        digests = self._digests(document, graph, needs)
        if options.earlier is not None:
            options.earlier.require_same(
                source=str(nb.metadata.get("papermill", {}).get("input_path") or self._flow_name),
                names={task.name for task in graph.tasks},
                digests=digests,
            )
        self._decide(graph, needs, digests)

    def end(self, nb: Any) -> None:
        """Let whoever wants to write what the run was into its notebook, before that is saved at the end."""
        if self._on_end is not None:
            self._on_end(nb, self.state, self.message)

    def _execute(
        self,
        manager: TimedManager,
        kernel_name: str,
        *,
        start_timeout_s: float,
        cell_timeout_s: float | None,
        allow_errors: bool,
        on_output: Callable[[Any], None] | None,
    ) -> None:
        nb = manager.nb
        unmark(nb)
        if self._options.earlier is None:
            # A run that is killed before it saves for the first time can be gone on from, and what lay there
            # of an older run is not taken for its own.
            manager.save_now()
        cell_timeout_s = self._options.cell_timeout_s or cell_timeout_s
        self._pipe.mask = manager.mask
        manager.say = functools.partial(self._pipe.log, "WARNING")
        with self._places(kernel_name, start_timeout_s) as (another, first, checkpoint):
            # While the kernel's process comes up: reading the graph of 400 cells takes a third of that.
            document = Document(nb, self._flow_name)
            graph = self._graph(document)
            manager.outputs.on_output = on_output

            def runner(kernel: Kernel) -> CellRunner:
                how = "was ready" if getattr(kernel, "was_ready", False) else "started"
                self._pipe.log("INFO", f"kernel {kernel.name} {how}")
                return CellRunner(
                    manager.outputs,
                    kernel,
                    allow_errors=allow_errors,
                    say=functools.partial(self._pipe.log, "INFO"),
                )

            if graph is None:
                first.start()
                only = runner(first)
                try:
                    self._run_plain(manager, only, document, cell_timeout_s)
                finally:
                    _finish(manager, [only])
                return
            self._run_graph(
                manager,
                document,
                graph,
                another=another,
                first=first,
                runner=runner,
                checkpoint=checkpoint,
                cell_timeout_s=cell_timeout_s,
            )

    @contextlib.contextmanager
    def _places(
        self, name: str, start_timeout_s: float
    ) -> Iterator[tuple[Callable[[], Kernel], Kernel, Path]]:
        """Yield what launches a kernel, the first kernel, launched, and the directory for values."""
        remove_abandoned(places_for_sockets())
        with OwnedDirectory() as temporary:
            base = self._directory or temporary
            made: list[Kernel] = []

            def another() -> Kernel:
                number = f"-{len(made)}" if made or self._launched else ""
                kernel = Kernel(
                    name,
                    directory=base / f"kernel{number}",
                    start_timeout_s=start_timeout_s,
                    memory_limit_bytes=self._options.memory_limit_bytes,
                )
                made.append(kernel)
                kernel.launch()
                return kernel

            first = self._launched
            try:
                yield another, first or another(), self._options.checkpoint or temporary / "values"
            finally:
                for kernel in [*made, *([first] if first else [])]:
                    kernel.stop()

    def _build(self, document: Document) -> FlowGraph:
        from jupyter_flows.notebook.build import build_flow

        graph: FlowGraph = build_flow(
            document.registered, self._flow_name, all_cells=self._all_cells, by_heading=self._by_heading
        )
        graph.sorted_tasks()
        return graph

    def _graph(self, document: Document) -> FlowGraph | None:
        if self._built is not None or document.language != "python":
            return self._built
        try:
            graph = self._build(document)
        except FlowsError as error:
            text = f"the graph cannot be built, so cells run from top to bottom: {error}"
        except SyntaxError as error:
            text = f"a cell does not parse (line {error.lineno}), so cells run from top to bottom"
        else:
            return graph
        self._pipe.log("WARNING", text)
        return None

    def _run_graph(
        self,
        manager: TimedManager,
        document: Document,
        graph: FlowGraph,
        *,
        another: Callable[[], Kernel],
        first: Kernel,
        runner: Callable[[Kernel], CellRunner],
        checkpoint: Path,
        cell_timeout_s: float | None,
    ) -> None:
        """Run as the flow that the notebook is: past what failed, and what is independent at once."""
        from jupyter_flows.engine.flow_runner import FlowRunner
        from jupyter_flows.executors.local import LocalExecutor

        own_places = document.own_places(graph.slugs)
        needs = needs_of(graph)
        digests = self._digests(document, graph, needs)
        runners: list[CellRunner] = []
        limit_s = self._options.time_limit_s
        deadline_at = None if limit_s is None else time.monotonic() + limit_s

        def noted(kernel: Kernel) -> CellRunner:
            runners.append(runner(kernel))
            return runners[-1]

        parallel = self._parallel(document)
        is_alone = parallel == "off"
        book = Book(checkpoint, keeps=self._options.checkpoint is not None)
        states = NotebookStates(manager, self._pipe, own_places)
        resumption = self._resumed(graph, needs, digests, book)
        if resumption.left_out:
            graph = without(graph, resumption.left_out)
        if parallel == "processes":
            graph = apart(graph, needs)
        elif parallel == "threads":
            graph = sharing(graph)
        if resumption.stands and not is_alone:
            graph = past_what_stands(graph, resumption.stands)
        seats = (ThreadSeats if parallel == "threads" else Seats)(
            needs=needs,
            book=book,
            first=first,
            another=another,
            runner=noted,
            codes={slug: document.codes(places) for slug, places in own_places.items()},
            digests=digests,
            at_start=document.codes(tuple(document.injected)),
            limit=1 if is_alone else self._options.most_kernels,
            deadline_at=deadline_at,
            **({} if parallel == "threads" else {"is_alone": is_alone}),
        )
        if parallel == "processes":
            seats.get_ready(min(self._options.most_kernels, _width(graph)))
        executor = (
            LocalExecutor()
            if is_alone
            else SeatedExecutor(seats, graph.slugs, limit=self._options.most_kernels + 1)
        )
        earlier = self._options.earlier
        restored = _Restored(manager, own_places, earlier, set(resumption.stands))
        try:
            final = FlowRunner(
                graph,
                executor=executor,
                backend=SeatedCells(
                    seats,
                    book,
                    document,
                    slugs=graph.slugs,
                    cell_timeout_s=cell_timeout_s,
                    deadline_at=deadline_at,
                    run_name=str(self.context.get("flow_run_name") or self._run_name or self._flow_name),
                ),
                reporter=EngineReporter(
                    self._pipe, tell=restored.teller(states.state, self._pipe), directory=self._directory
                ),
            ).run(
                context=self.context,
                task_states={slug: Success("from the run before") for slug in resumption.stands},
                reraise=True,
            )
            self.state, self.message = final_message(graph, final)
        finally:
            _finish(manager, runners)
            seats.close()
            book.close()

    def _run_plain(
        self,
        manager: TimedManager,
        runner: CellRunner,
        document: Document,
        cell_timeout_s: float | None,
    ) -> None:
        """Run from top to bottom; stop at the first failure."""
        cells = document.plain_cells()
        names = {f"cell-{cell.index}": (cell.position,) for cell in cells}
        states = NotebookStates(manager, self._pipe, names)
        failed = ""
        for cell in cells:
            slug = f"cell-{cell.index}"
            if failed:
                states.state(slug, slug, "TriggerFailed", message=f"not run: {failed} failed")
                continue
            states.state(slug, slug, "Running")
            try:
                runner.call(cell.position, name=slug, timeout_s=cell_timeout_s)
            except (CellFailed, KernelDied, CellTimedOut) as error:
                keep_traceback(self._directory, error)
                failed = slug
                self.state, self.message = "Failed", str(error)
                states.state(
                    slug,
                    slug,
                    "TimedOut" if isinstance(error, CellTimedOut) else "Failed",
                    message=str(error),
                )
            except KeyboardInterrupt:
                states.state(slug, slug, "Cancelled", message="interrupted")
                raise
            else:
                states.state(slug, slug, "Success")
        if not failed:
            self.state, self.message = "Success", f"all {len(cells)} cells ran"

    def _resumed(
        self, graph: FlowGraph, needs: Mapping[str, Needs], digests: Mapping[str, str], book: Book
    ) -> Resumption:
        """Decide what runs, take over what stands, and say so."""
        earlier = self._options.earlier
        found = self._decide(graph, needs, digests)
        if earlier is not None:
            gifts = self._gifts or {}
            stands = [gifts[slug] for slug in found.stands]
            earlier.hand_over(stands, book.directory)
            for gift in stands:
                book.restore(gift, is_new=earlier.directory != book.directory)
            for slug in found.runs:
                book.void(slug)
            for slug, why in found.again.items():
                self._pipe.log("INFO", f"{slug} runs again: {why}", task=slug)
            self._pipe.log("INFO", f"resumed: {len(found.stands)} tasks stand, {len(found.runs)} run")
        return found

    def _decide(self, graph: FlowGraph, needs: Mapping[str, Needs], digests: Mapping[str, str]) -> Resumption:
        earlier = self._options.earlier
        if self._gifts is None:
            self._gifts = earlier.gifts() if earlier is not None else {}
        return resume(
            graph,
            needs,
            self._gifts,
            digests,
            wanted=chosen(graph, only=self._options.only, start=self._options.start),
            is_forced=earlier is not None and earlier.is_forced,
        )

    def _parallel(self, document: Document) -> Parallel:
        """Return how cells run: as asked for, else as the notebook declares, else as is set here."""
        if self._options.parallel is not None:
            return self._options.parallel
        from jupyter_flows.notebook.flow_line import declaration
        from jupyter_flows.settings import load_settings

        declared = declaration(cell.source for cell in document.registered.cells).parallel
        how: Parallel = msgspec.convert(declared or load_settings().parallel, type=Parallel)
        return how

    def _digests(self, document: Document, graph: FlowGraph, needs: Mapping[str, Needs]) -> dict[str, str]:
        places = document.places_by_task(graph.slugs)
        return code_digests(graph, needs, {slug: document.codes(found) for slug, found in places.items()})


class _Restored:
    """Tasks that stand: their cells keep the outputs and times of the run before."""

    def __init__(
        self,
        manager: TimedManager,
        places: Mapping[str, tuple[int, ...]],
        earlier: Earlier | None,
        stands: set[str],
    ) -> None:
        self._manager = manager
        self._places = places
        self._cells = {} if earlier is None else earlier.cells
        self._name = "" if earlier is None else earlier.name
        self._stands = stands

    def teller(self, tell: Callable[..., None], pipe: ReportPipe) -> Callable[..., None]:
        """Return what hears of states: of those tasks nothing is written over what they left."""

        def heard(slug: str, name: str, state: StateName, **more: Any) -> None:
            if slug not in self._stands:
                tell(slug, name, state, **more)
                return
            pipe.task_state(
                slug, name, state, message="from the run before", attempt=more.get("attempt") or 1
            )
            for place in self._places.get(slug, ()):
                cell = self._manager.nb.cells[place]
                before = self._cells.get(cell.get("id"))
                if before is not None:
                    cell.outputs = from_dict(before["outputs"])
                    cell.execution_count = before.get("execution_count")
                    left = before.get("metadata", {})
                    # A result that was handed on twice is still of the run that made it.
                    cell.metadata[KEY] = {"restored_from": self._name, **left.get(KEY, {}), "restored": True}
                    if "execution" in left:
                        cell.metadata["execution"] = from_dict(left["execution"])
                self._manager.changed(place)

        return heard


def _finish(manager: TimedManager, runners: list[CellRunner]) -> None:
    """Write what kernels say at the end: what they are, their language, and the state of widgets."""
    if runners:
        # JupyterLab writes the same when it starts the kernel; where it finds another text, or none, it calls
        # the notebook changed as soon as it is opened.
        manager.nb.metadata["kernelspec"] = runners[0].kernelspec()
    alive = [runner for runner in runners if not runner.dead]
    if alive:
        with contextlib.suppress(Exception):
            manager.nb.metadata["language_info"] = alive[0].language_info()
    manager.outputs.set_widgets_metadata()


def _width(graph: FlowGraph) -> int:
    """Return how many cells can run at once, going by their levels in the graph."""
    level: dict[Any, int] = {}
    counts: dict[int, int] = {}
    for task in graph.sorted_tasks():
        above = [level[edge.upstream_task] for edge in graph.edges_to(task)]
        level[task] = max(above, default=-1) + 1
        if getattr(task, "role", "") not in {"setup", "parameters"}:
            counts[level[task]] = counts.get(level[task], 0) + 1
    return max(counts.values(), default=1)
