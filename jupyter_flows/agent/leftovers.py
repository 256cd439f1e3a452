"""Run directories whose keeper is gone: what the run left is swept, what it said is delivered.

An agent looks for them when it starts and whenever one of its keepers ends. The lock in the directory
tells for certain whether a keeper lives, also one of an earlier agent; pids are only used to signal.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from jupyter_flows.agent.children import sweep
from jupyter_flows.agent.crew import remove_crew_files
from jupyter_flows.agent.policy import open_tasks_ended
from jupyter_flows.agent.run_directory import CARD_NAME, KeeperCard, lock_directory
from jupyter_flows.client.backoff import Backoff
from jupyter_flows.client.reporter import FINAL, Deliverer
from jupyter_flows.client.spool import Spool
from jupyter_flows.errors import ServerFault
from jupyter_flows.runtime.processes import ending
from jupyter_flows.schema.base import utc_now
from jupyter_flows.schema.runs import FinishItem, HandBack, StateRecord


def kept_runs(home: Path) -> Iterator[tuple[Path, KeeperCard]]:
    """Yield the run directories that have a keeper, or had one that did not finish."""
    for path in sorted((home / "runs").glob("*/keeper.json")):
        with contextlib.suppress(OSError, msgspec.DecodeError, msgspec.ValidationError):
            yield path.parent, msgspec.json.decode(path.read_bytes(), type=KeeperCard)


def recover(
    directory: Path,
    card: KeeperCard,
    *,
    connect: Callable[[KeeperCard], Any],
    stop: threading.Event,
    returncode: int | None = None,
    spool_limit_bytes: int = 256 << 20,
) -> bool:
    """Finish what a dead keeper began; False if its keeper lives, or *stop* came first.

    Parameters
    ----------
    connect : callable
        ``connect(card)`` gives a client of the server with the run's token.
    returncode : int, optional
        How the keeper ended, where that is known.
    """
    lock = lock_directory(directory)
    if lock is None:
        return False
    try:
        if not (directory / CARD_NAME).exists():
            return True
        sweep(*card.markers, own_children=False)
        if card.crew:
            remove_crew_files(directory.parent.parent, card.crew)
        for name in ("kernel", "code"):
            shutil.rmtree(directory / name, ignore_errors=True)
        api = connect(card)
        spooled = directory / f"spool-{card.token}"
        if spooled.is_dir():
            done = _deliver(spooled, card, api=api, stop=stop, returncode=returncode, limit=spool_limit_bytes)
        else:
            # The keeper died before its start gate opened: no user code ran, so anyone may run it.
            done = _hand_back(card, "its keeper died before the run began", api=api, stop=stop)
        if done:
            (directory / "claim.json").unlink(missing_ok=True)
            (directory / CARD_NAME).unlink(missing_ok=True)
        return done
    finally:
        os.close(lock)


def _deliver(
    spooled: Path,
    card: KeeperCard,
    *,
    api: Any,
    stop: threading.Event,
    returncode: int | None,
    limit: int,
) -> bool:
    spool = Spool(spooled, limit_bytes=limit)
    unfinished = spool.finish is None
    if unfinished and card.on_lost != "rerun":
        how = f" ({ending(returncode)})" if returncode is not None else ""
        final = StateRecord(
            type="Failed",
            message=f"the run's supervisor was killed{how}, and the run with it; retry runs it again",
            at=utc_now(),
        )
        for item in open_tasks_ended(spool.states(), final, now=utc_now()):
            spool.append(item)
        spool.append(FinishItem(state=final))
    deliverer = Deliverer(spool, api, run_id=card.run_id, token=card.token)
    deliverer.start()
    while not deliverer.wait_delivered(timeout_s=0.5):
        if deliverer.refused is not None:
            break
        if stop.is_set():
            deliverer.stop()
            spool.close()
            return False
    deliverer.stop()
    if unfinished and card.on_lost == "rerun" and deliverer.refused is None:
        done = _hand_back(card, "the run's supervisor was killed", api=api, stop=stop)
        if not done:
            spool.close()
            return False
    spool.remove()
    shutil.rmtree(spooled, ignore_errors=True)
    return True


def _hand_back(card: KeeperCard, text: str, *, api: Any, stop: threading.Event) -> bool:
    back_off = Backoff()
    while not stop.is_set():
        try:
            api.hand_back_run(card.run_id, HandBack(token=card.token, message=text))
        except FINAL:
            # Somebody else has it, or it ended: both are fine.
            return True
        except (ServerFault, OSError):
            stop.wait(back_off.next_delay_s())
            continue
        return True
    return False
