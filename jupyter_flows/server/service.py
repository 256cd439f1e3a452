"""The server without its coat: database, scheduler, bells, and an answer to each call. Knows no HTTP.

Opening it makes this process the only one that uses the SQLite file.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from jupyter_flows.errors import Bug, DatabaseUnusable, ServerUnavailable
from jupyter_flows.schema.agents import ClaimAnswer, ClaimRuns
from jupyter_flows.schema.base import from_json, new_id, utc_now
from jupyter_flows.schema.endpoints import Endpoint
from jupyter_flows.server import auth
from jupyter_flows.server.api import agents as agent_calls
from jupyter_flows.server.api.bind import FUNCTIONS, READS
from jupyter_flows.server.api.call import Call
from jupyter_flows.server.auth import Principal
from jupyter_flows.server.leases import Leases
from jupyter_flows.server.scheduler import Scheduler
from jupyter_flows.server.store import Conflict, Database, Transaction
from jupyter_flows.server.store import agents as agent_store
from jupyter_flows.server.store import events as event_store
from jupyter_flows.server.store import flows as flow_store
from jupyter_flows.server.store import runs as run_store
from jupyter_flows.server.store import tokens as token_store
from jupyter_flows.server.wakeups import Bell
from jupyter_flows.settings import Settings

T = TypeVar("T")
_TRIES = 4
_NOTE_EVERY_S = 600.0
_POLL_S = 1.0
"""Several servers on one PostgreSQL hear of each other's commits by looking; one server by its bells."""


class FlowsService:
    """One server.

    Parameters
    ----------
    settings : where the home and the database are, and all durations.
    kind : ``standalone`` or ``jupyter``.
    """

    def __init__(self, *, settings: Settings, kind: str = "standalone") -> None:
        self.settings = settings
        self.kind = kind
        self.server_id = new_id()
        self.started_at = utc_now()
        self.leases = Leases(settings=settings)
        self.claims_bell = Bell()
        self.events_bell = Bell()
        self._stopping = asyncio.Event()
        self._idle = asyncio.Event()
        self._answers = 0
        self._polling: Counter[str] = Counter()
        self._polling_lock = threading.Lock()
        self._noted: dict[str, float] = {}
        self._database = Database(settings.effective_database_url, on_commit=self._committed)
        self._threads = ThreadPoolExecutor(max_workers=8, thread_name_prefix="jupyter-flows")
        self._scheduler = Scheduler(
            database=self._database, leases=self.leases, settings=settings, offer=self.claims_bell.ring
        )

    def open(self) -> None:
        """Open the database, make the home's tokens, start the scheduler.

        Raises
        ------
        DatabaseInUse : another server has the SQLite file.
        """
        prepare_home(self.settings.home)
        self._database.open()
        try:
            self._write(lambda tx: auth.prepare_home_tokens(tx, self.settings.home))
        except BaseException:
            self._database.close()
            raise
        self._scheduler.start()

    def close(self) -> None:
        """Stop the scheduler and close the database; calls under way end first."""
        self._scheduler.stop()
        self._threads.shutdown(wait=True, cancel_futures=True)
        self._database.close()

    def describe(self) -> str:
        """Return where the database is."""
        return self._database.describe()

    # -- asked from the event loop ------------------------------------------------------------------

    async def in_thread(self, function: Callable[[], T]) -> T:
        """Run *function* in a worker thread: the event loop never waits for the database."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, function)
        except RuntimeError as error:
            if "shutdown" in str(error):
                raise ServerUnavailable("the server is stopping") from error
            raise

    async def answer(
        self,
        row: Endpoint,
        *,
        token: str = "",
        principal: Principal | None = None,
        path: dict[str, str],
        query: dict[str, Any],
        body: bytes,
    ) -> msgspec.Struct:
        """Answer one call of the endpoint table; who asks is checked before the body is even read.

        Parameters
        ----------
        token, principal : who asks: a token to look up, or somebody the coat has let in.
        """

        def identify_and_decode() -> tuple[Principal, msgspec.Struct | None]:
            who = self._read(lambda tx: self._identify(tx, row, token, principal, path))
            if row.request is None:
                return who, None
            request: msgspec.Struct = from_json(body or b"{}", row.request)
            return who, request

        def answer_all() -> msgspec.Struct:
            who, request = identify_and_decode()
            return self.answer_now(row, principal=who, path=path, query=query, body=request)

        if row.waits:
            who, request = await self.in_thread(identify_and_decode)
            return await self._claim(row, who, path["agent"], request)
        return await self.in_thread(answer_all)

    def answer_now(
        self,
        row: Endpoint,
        *,
        principal: Principal,
        path: dict[str, str],
        query: dict[str, Any],
        body: msgspec.Struct | None,
    ) -> msgspec.Struct:
        """Answer one call of somebody who may make it, in this thread and one transaction."""
        function = FUNCTIONS[row.name]
        arguments = {**path, **query}

        def act(tx: Transaction) -> msgspec.Struct:
            call = Call(tx=tx, principal=principal, server=self)
            given = () if body is None else (body,)
            result: msgspec.Struct = function(call, *given, **arguments)
            return result

        result = self._read(act) if row.name in READS else self._write(act)
        self._note_use(principal.token_id)
        return result

    def _identify(
        self,
        tx: Transaction,
        row: Endpoint,
        token: str,
        principal: Principal | None,
        path: dict[str, str],
    ) -> Principal:
        if row.scope == "public":
            return principal or Principal(kind="viewer", name="anybody")
        who = principal or auth.authenticate(tx, token)
        auth.authorise(tx, who, row.scope, run=path.get("run"))
        return who

    async def _claim(
        self, row: Endpoint, principal: Principal, agent: str, body: msgspec.Struct | None
    ) -> msgspec.Struct:
        """Wait, holding no thread, until an agent's claim would be given something, then give it."""
        request = body if isinstance(body, ClaimRuns) else ClaimRuns()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + request.wait_s

        def agent_id() -> str:
            return self._read(lambda tx: agent_store.find_agent(tx, agent).id)

        def look() -> bool:
            return self._read(lambda tx: agent_calls.has_work(tx, agent=agent, request=request))

        def take() -> msgspec.Struct:
            return self.answer_now(row, principal=principal, path={"agent": agent}, query={}, body=request)

        key = await self.in_thread(agent_id)
        with self._polling_lock:
            self._polling[key] += 1
        try:
            # The first try also says that the agent is there; later ones only read until there is work.
            seen = self.claims_bell.count
            answer = await self.in_thread(take)
            while isinstance(answer, ClaimAnswer) and not answer.claims and not self._stopping.is_set():
                left_s = deadline - loop.time()
                if left_s <= 0:
                    break
                await self._wait(self.claims_bell, seen, left_s)
                seen = self.claims_bell.count
                if not self._stopping.is_set() and await self.in_thread(look):
                    answer = await self.in_thread(take)
            return answer
        finally:
            with self._polling_lock:
                self._polling[key] -= 1
                if not self._polling[key]:
                    del self._polling[key]

    async def _wait(self, bell: Bell, seen: int, timeout_s: float) -> None:
        if self._database.is_postgres:
            timeout_s = min(timeout_s, _POLL_S)
        await bell.wait(seen, timeout_s)

    # -- the stream ---------------------------------------------------------------------------------

    async def open_stream(
        self,
        *,
        token: str = "",
        principal: Principal | None = None,
        run: str | None,
        flow: str | None,
        after: int | None,
    ) -> tuple[int, str | None, str | None]:
        """Let a reader in; return the id to read after, and the ids of the run and flow asked for."""

        def act(tx: Transaction) -> tuple[int, str | None, str | None]:
            who = principal or auth.authenticate(tx, token)
            auth.authorise(tx, who, "runs:read", run=run)
            run_id = run_store.find_run(tx, run).id if run is not None else None
            flow_id = flow_store.find_flow(tx, flow).id if flow is not None else None
            return (event_store.last_id(tx) if after is None else after), run_id, flow_id

        return await self.in_thread(lambda: self._read(act))

    async def read_stream(
        self, *, after: int, run_id: str | None, flow_id: str | None, limit: int = 200
    ) -> list[event_store.RawEvent]:
        """Return the next events of the stream."""
        return await self.in_thread(
            lambda: self._read(
                lambda tx: event_store.read_events(
                    tx, after=after, run_id=run_id, flow_id=flow_id, limit=limit
                )
            )
        )

    async def wait_for_events(self, seen: int, timeout_s: float) -> None:
        """Wait until something was committed since *seen*, a count of ``events_bell``."""
        await self._wait(self.events_bell, seen, timeout_s)

    # -- the facts that calls may ask for -------------------------------------------------------------

    def is_polling(self, agent_id: str) -> bool:
        """Tell whether an agent's long poll is open at this moment."""
        with self._polling_lock:
            return self._polling.get(agent_id, 0) > 0

    @property
    def is_stopping(self) -> bool:
        """Whether :meth:`stop_answering` was called."""
        return self._stopping.is_set()

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Count an answer under way; from the event loop."""
        self._answers += 1
        try:
            yield
        finally:
            self._answers -= 1
            if not self._answers:
                self._idle.set()

    async def stop_answering(self, *, within_s: float) -> None:
        """Let long polls and streams end, and wait until they and all other answers are out."""
        self._stopping.set()
        self.claims_bell.ring()
        self.events_bell.ring()
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while self._answers:
                    self._idle.clear()
                    await self._idle.wait()

    # -- transactions ---------------------------------------------------------------------------------

    def _read(self, act: Callable[[Transaction], T]) -> T:
        with self._database.read() as tx:
            return act(tx)

    def _write(self, act: Callable[[Transaction], T]) -> T:
        for _ in range(_TRIES):
            try:
                with self._database.write() as tx:
                    return act(tx)
            except Conflict:
                continue
        raise ServerUnavailable("other requests change the same at this moment; try again")

    def _note_use(self, token_id: str) -> None:
        """Write down when a token was last used, at most every ten minutes."""
        now = time.monotonic()
        if token_id and now - self._noted.get(token_id, -_NOTE_EVERY_S) >= _NOTE_EVERY_S:
            self._noted[token_id] = now
            self._write(lambda tx: token_store.used(tx, token_id))

    def _committed(self, events: bool, offers: bool, schedules: bool) -> None:  # noqa: FBT001 - a callback
        if events:
            self.events_bell.ring()
        if offers:
            self.claims_bell.ring()
        if schedules:
            self._scheduler.wake()


def prepare_home(home: Path) -> None:
    """Make the home directory, readable by its user alone."""
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise DatabaseUnusable(
            f"the home directory {home} cannot be made ({error.strerror}); "
            "name another with JUPYTER_FLOWS_HOME"
        ) from error
    if not home.is_dir():
        raise Bug(f"{home} is no directory")
