/**
 * Badges on the cells of one notebook: state, whether it is stale and why, warnings; in a notebook that a run
 * wrote, how the cells stood in that run.
 *
 * The kernel opens a comm when its notebook has a task, and tells how cells stand; this side tells it
 * how texts were edited. A badge stands in the cell's header, a place that JupyterLab leaves to extensions.
 */

import { type Cell, type CodeCell, isCodeCellModel } from '@jupyterlab/cells';
import { NotebookActions, type NotebookPanel } from '@jupyterlab/notebook';
import type { Kernel } from '@jupyterlab/services';
import type { JSONObject } from '@lumino/coreutils';
import type { IDisposable } from '@lumino/disposable';
import { Signal } from '@lumino/signaling';

import { button, html } from '../dag/html';
import type { Words } from '../dag/words';
import { badgeText, shownBadge, TARGET, untold, withMessage, type CellBadge, type CellBadges } from '../models/badges';
import { KEY, readExecuted } from '../models/executed';

/** After the last keystroke; a kernel need not hear of each letter. */
const QUIET_MS = 400;
const BADGE_CLASS = 'jp-FlowsBadge';

export class NotebookBadges implements IDisposable {
  constructor(
    private readonly _panel: NotebookPanel,
    private readonly _trans: Words,
    /** Debugs the run that wrote this notebook, before a task. */
    private readonly _debug: (task: string) => void
  ) {
    const { context, sessionContext } = _panel;
    sessionContext.kernelChanged.connect(this._onKernel, this);
    sessionContext.statusChanged.connect(this._onStatus, this);
    context.model.contentChanged.connect(this._onContent, this);
    NotebookActions.executionScheduled.connect(this._onScheduled, this);
    NotebookActions.executed.connect(this._onExecuted, this);
    _panel.disposed.connect(this.dispose, this);
    void context.ready.then(() => this._paint());
    void sessionContext.ready.then(() => this._connect(sessionContext.session?.kernel ?? null));
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  dispose(): void {
    if (this._isDisposed) {
      return;
    }
    this._isDisposed = true;
    this._disconnect();
    Signal.clearData(this);
    if (!this._panel.isDisposed) {
      this._panel.content.widgets.forEach(cell => paint(cell, undefined, this._trans, this._debug));
    }
  }

  private _onKernel(): void {
    this._connect(this._panel.sessionContext.session?.kernel ?? null);
  }

  private _onStatus(): void {
    // A kernel that starts again has forgotten all; its name and connection stay.
    if (['restarting', 'autorestarting', 'dead', 'terminating'].includes(this._panel.sessionContext.kernelDisplayStatus)) {
      this._drop();
    }
  }

  private _connect(kernel: Kernel.IKernelConnection | null): void {
    if (kernel === this._kernel || this._isDisposed) {
      return;
    }
    this._disconnect();
    // Of several connections of one page to a kernel, one hears its comms.
    if (kernel === null || !kernel.handleComms) {
      return;
    }
    this._kernel = kernel;
    kernel.registerCommTarget(TARGET, this._onOpen);
    void this._join(kernel).catch((error: unknown) => console.debug('jupyter-flows: no badges', error));
  }

  /** The kernel may have begun before this page was loaded. */
  private async _join(kernel: Kernel.IKernelConnection): Promise<void> {
    const { content } = await kernel.requestCommInfo({ target_name: TARGET });
    const known = content.status === 'ok' ? Object.keys(content.comms) : [];
    const id = known[known.length - 1];
    if (id !== undefined && this._comm === null && this._kernel === kernel) {
      this._adopt(kernel.createComm(TARGET, id));
      this._send({ kind: 'ask' });
      this._tellTexts();
    }
  }

  private readonly _onOpen = (comm: Kernel.IComm, message: { content: { data: unknown } }): void => {
    this._adopt(comm);
    this._take(message.content.data);
    this._tellTexts();
  };

  private _adopt(comm: Kernel.IComm): void {
    this._drop();
    this._comm = comm;
    // In the order of executions, not beside them: a text must be known before its cell runs.
    if ('commsOverSubshells' in comm) {
      (comm as { commsOverSubshells: string }).commsOverSubshells = 'disabled';
    }
    comm.onMsg = message => this._take(message.content.data);
    comm.onClose = () => this._drop();
  }

  private _send(data: JSONObject): void {
    this._comm?.send(data);
  }

  /** Forget what the kernel told. */
  private _drop(): void {
    clearTimeout(this._timer);
    const comm = this._comm;
    this._comm = null;
    comm?.dispose();
    this._told.clear();
    this._take({ kind: 'all', cells: {} });
  }

  private _disconnect(): void {
    this._drop();
    const kernel = this._kernel;
    this._kernel = null;
    if (kernel !== null && !kernel.isDisposed) {
      kernel.removeCommTarget(TARGET, this._onOpen);
    }
  }

  private _onContent(): void {
    clearTimeout(this._timer);
    this._timer = setTimeout(() => {
      this._tellTexts();
      // Cells that were added or moved have a header of their own.
      this._paint();
    }, QUIET_MS);
  }

  private _onScheduled(_: unknown, { notebook }: { notebook: unknown }): void {
    if (notebook === this._panel.content) {
      this._tellTexts();
    }
  }

  private _onExecuted(_: unknown, { notebook }: { notebook: unknown }): void {
    if (notebook === this._panel.content) {
      this._paint();
    }
  }

  private _tellTexts(): void {
    const cells = this._panel.content.model?.cells;
    if (this._comm === null || cells === undefined || this._kernel?.status === 'dead') {
      return;
    }
    const code = [...cells].filter(isCodeCellModel);
    const sources = untold(new Map(code.map(cell => [cell.id, cell.sharedModel.getSource()])), this._told);
    if (Object.keys(sources).length > 0) {
      this._send({ kind: 'edited', sources });
    }
  }

  private _take(message: unknown): void {
    this._badges = withMessage(this._badges, message);
    this._paint();
  }

  private _paint(): void {
    if (this._panel.isDisposed) {
      return;
    }
    for (const cell of this._panel.content.widgets) {
      if (cell.isPlaceholder()) {
        void (cell as CodeCell).ready.then(() => this._paintOne(cell));
      } else {
        this._paintOne(cell);
      }
    }
  }

  private _paintOne(cell: Cell): void {
    if (!cell.isDisposed) {
      paint(cell, shownBadge(this._badges.get(cell.model.id), executedBadge(cell)), this._trans, this._debug);
    }
  }

  private _kernel: Kernel.IKernelConnection | null = null;
  private _comm: Kernel.IComm | null = null;
  private _badges: CellBadges = new Map();
  private readonly _told = new Map<string, string>();
  private _timer: ReturnType<typeof setTimeout> | undefined = undefined;
  private _isDisposed = false;
}

function executedBadge(cell: Cell): CellBadge | undefined {
  const { model } = cell;
  return isCodeCellModel(model) && model.getMetadata(KEY) !== undefined
    ? readExecuted({ metadata: model.sharedModel.getMetadata(), executionCount: model.executionCount })
    : undefined;
}

/** Put the badge into the cell's header, bring it up to date, or take it away. */
function paint(cell: Cell, badge: CellBadge | undefined, trans: Words, debug: (task: string) => void): void {
  const header = cell.node.querySelector<HTMLElement>(':scope > .jp-Cell-header');
  const old = header?.querySelector<HTMLElement>(`:scope > .${BADGE_CLASS}`) ?? null;
  header?.classList.toggle('jp-mod-flows', badge !== undefined);
  if (header === null || badge === undefined) {
    old?.remove();
    return;
  }
  const text = badgeText(badge, trans);
  const made = old ?? html('div', BADGE_CLASS);
  // Written again only if it says something else: focus and a shown tooltip stay.
  const isSame = made.title === text.whole && made.dataset['family'] === text.family;
  if (isSame && (made.querySelector('button') !== null) === text.isDebuggable) {
    return;
  }
  made.dataset['family'] = text.family;
  made.dataset['state'] = badge.state.state;
  made.dataset['role'] = badge.role === 'task' ? 'task' : 'plain';
  made.title = text.whole;
  made.tabIndex = 0;
  made.setAttribute('role', 'note');
  made.setAttribute('aria-label', text.whole.replace(/\n/g, '. '));
  const part = (name: string, value: string): HTMLElement => html('span', `jp-FlowsBadge-${name}`, value);
  const warning = part('warning', text.warning === '' ? '' : `⚠ ${text.warning}`);
  made.replaceChildren(
    ...[
      part('glyph', text.glyph),
      part('name', text.name),
      part('state', text.state),
      part('facts', text.facts),
      part('why', text.why),
      warning
    ].filter(item => item.textContent !== '')
  );
  if (text.isDebuggable) {
    const press = button('jp-FlowsBadge-debug', trans.__('Debug'), () => debug(badge.name));
    press.title = trans.__('Give the kernel the variables as they were before this cell');
    made.append(press);
  }
  if (old === null) {
    header.append(made);
  }
}
