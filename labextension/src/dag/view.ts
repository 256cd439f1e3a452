/**
 * The live picture of a flow: a framework-free view that draws once and then only changes states.
 *
 * It answers: what runs, what waits for what, and why. It knows nothing of JupyterLab or of any
 * connection: whoever owns it hands in nodes, edges and states, and listens to `onSelect`.
 */

import { detail } from './detail';
import { CARD_HEIGHT, cardWidth, drawBar, drawProgress, picture, shorten, type Picture } from './draw';
import { Neighbours, step } from './graph';
import { button, html } from './html';
import { layout, type Placed } from './layout';
import { isHidden, isWaitedFor, kindOf, visible, type DagEdge, type DagNode, type DagState, type DagStates } from './model';
import { durationText, familyOf, familyOfTask, glyphOf, glyphOfTask, isEnded, isStale, partsOf, percentText, progressText, secondsOf } from './states';
import { table } from './table';
import { PLAIN_WORDS, type Words } from './words';
import { Zoom } from './zoom';

export interface DagOptions {
  trans?: Words;
  /** Given: "Go to cell" is offered. */
  reveal?: ((node: DagNode) => void) | null;
  /** A click on a card leads to its cell at once; else only the button does. */
  jumps?: boolean;
}

export class DagView {
  constructor(el: HTMLElement, options: DagOptions = {}) {
    this.el = el;
    this._trans = options.trans ?? PLAIN_WORDS;
    this._reveal = options.reveal ?? null;
    this._jumps = options.jumps ?? true;
    this._build();
  }

  readonly el: HTMLElement;

  /** Told of every change of the selection; null: nothing is selected. */
  onSelect: ((id: string | null) => void) | null = null;

  get selected(): string | null {
    return this._selected;
  }

  draw(nodes: readonly DagNode[], edges: readonly DagEdge[]): void {
    this._nodes = nodes;
    this._edges = edges;
    this._names = new Map(nodes.map(node => [node.id, node.name]));
    if (this._selected !== null && !this._names.has(this._selected)) {
      this._selected = null;
    }
    this._setupButton.hidden = !nodes.some(isHidden);
    this._redraw();
  }

  setTitle(title: string): void {
    this._title.textContent = title;
    this._title.hidden = title === '';
  }

  /** A word on the run as a whole, beside the title. */
  setRun(state: string, message: string = ''): void {
    this._run.hidden = state === '';
    this._run.textContent = state === '' ? '' : `${glyphOf(state)} ${state}`;
    this._run.dataset['family'] = familyOf(state);
    this._run.title = message;
  }

  /** Merge states; the picture follows in the next frame. */
  setStates(states: DagStates): void {
    for (const [id, state] of Object.entries(states)) {
      this._states.set(id, state);
      this._dirty.add(id);
    }
    this._plan();
  }

  /** Forget all states: a new run begins. */
  clearStates(): void {
    for (const id of this._states.keys()) {
      this._dirty.add(id);
    }
    this._states.clear();
    this._plan();
  }

  select(id: string | null): void {
    if (id === this._selected || (id !== null && !this._names.has(id))) {
      return;
    }
    this._selected = id;
    this._tip.hidden = true;
    this._mark();
    this._showDetail();
    this.onSelect?.(id);
  }

  /** Show as a picture or as a table that says the same. */
  show(as: 'graph' | 'table'): void {
    this._as = as;
    this._graphButton.setAttribute('aria-pressed', String(as === 'graph'));
    this._tableButton.setAttribute('aria-pressed', String(as === 'table'));
    this._zoomButtons.hidden = as === 'table';
    this._redraw();
  }

  dispose(): void {
    cancelAnimationFrame(this._frame);
    clearInterval(this._clock);
    window.removeEventListener('keydown', this._keepKeys, true);
    this._frame = 0;
    this.el.replaceChildren();
    this.onSelect = null;
  }

  private _build(): void {
    const trans = this._trans;
    this._graphButton = button('jp-FlowsDag-button', trans.__('Graph'), () => this.show('graph'));
    this._tableButton = button('jp-FlowsDag-button', trans.__('Table'), () => this.show('table'));
    this._graphButton.setAttribute('aria-pressed', 'true');
    this._tableButton.setAttribute('aria-pressed', 'false');
    this._setupButton = button('jp-FlowsDag-button', trans.__('Show setup'), () => {
      this._withSetup = !this._withSetup;
      this._setupButton.setAttribute('aria-pressed', String(this._withSetup));
      this._redraw();
    });
    this._setupButton.setAttribute('aria-pressed', 'false');
    this._setupButton.title = trans.__('Also show cells that only import, define or set parameters');
    const choice = html('span', 'jp-FlowsDag-choice', this._graphButton, this._tableButton);
    choice.setAttribute('role', 'group');
    choice.setAttribute('aria-label', trans.__('Show as'));
    this._zoomButtons.append(
      this._zoomButton('−', trans.__('Smaller'), () => this._zoom.by(1 / 1.25)),
      this._zoomButton(trans.__('Fit'), trans.__('Show all of it'), () => this._zoom.fit()),
      this._zoomButton('+', trans.__('Larger'), () => this._zoom.by(1.25))
    );
    this._zoomButtons.setAttribute('role', 'group');
    this._zoomButtons.setAttribute('aria-label', trans.__('Size'));
    this._progress.setAttribute('aria-live', 'polite');
    this._title.hidden = true;
    this._run.hidden = true;
    this._bar.append(
      this._title,
      this._run,
      this._progress,
      html('span', 'jp-FlowsDag-space'),
      this._setupButton,
      this._zoomButtons,
      choice
    );
    this._detail.hidden = true;
    this._tip.hidden = true;
    this._tip.setAttribute('role', 'tooltip');
    this.el.classList.add('jp-FlowsDag');
    this.el.append(this._bar, this._body, this._detail, this._tip);
    this._listen();
  }

  private _zoomButton(text: string, says: string, press: () => void): HTMLButtonElement {
    const made = button('jp-FlowsDag-button', text, press);
    made.title = says;
    made.setAttribute('aria-label', says);
    return made;
  }

  private _listen(): void {
    const idOf = (event: Event): string | null =>
      (event.target as Element).closest<HTMLElement | SVGElement>('[data-id]')?.dataset['id'] ?? null;
    this._body.addEventListener('click', event => {
      const id = idOf(event);
      if (id !== null) {
        this._choose(id);
      }
    });
    this._body.addEventListener('keydown', event => this._key(event, idOf(event)));
    const hover = (event: Event): void => this._hover(event.target as Element);
    this._body.addEventListener('pointerover', hover);
    this._body.addEventListener('focusin', hover);
    const leave = (): void => {
      this._tip.hidden = true;
      this._near(null);
    };
    this._body.addEventListener('pointerleave', leave);
    this._body.addEventListener('focusout', leave);
    this._body.addEventListener('scroll', leave, { passive: true });
    this._body.addEventListener('focusin', () => window.addEventListener('keydown', this._keepKeys, true));
    this._body.addEventListener('focusout', () => window.removeEventListener('keydown', this._keepKeys, true));
  }

  /** A person pointed at a card: select it, and lead to its cell if that is wanted. */
  private _choose(id: string): void {
    this.select(id);
    const node = this._nodes.find(item => item.id === id);
    if (node?.cell_id && this._jumps) {
      this._reveal?.(node);
    }
  }

  private _key(event: KeyboardEvent, id: string | null): void {
    if (event.key === 'Escape' && this._selected !== null) {
      this.select(null);
    } else if (this._picture !== null && (event.key === '+' || event.key === '-')) {
      this._zoom.by(event.key === '+' ? 1.25 : 1 / 1.25);
    } else if (this._picture !== null && event.key === '0') {
      this._zoom.fit();
    } else if (id !== null && this._picture !== null && (event.key === 'Enter' || event.key === ' ')) {
      this._choose(id);
    } else if (id !== null && this._picture !== null) {
      const next = step(event.key, id, this._places, this._neighbours);
      if (next === null) {
        return;
      }
      this._focus(next);
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  }

  private _focus(id: string): void {
    for (const [key, card] of this._picture?.cards ?? []) {
      card.element.setAttribute('tabindex', key === id ? '0' : '-1');
    }
    this._picture?.cards.get(id)?.element.focus();
  }

  private _redraw(): void {
    const trans = this._trans;
    const shown = visible(this._nodes, this._edges, this._withSetup);
    this._shown = shown.nodes;
    this._neighbours = new Neighbours(shown.edges.filter(isWaitedFor));
    this._picture = null;
    this._places = new Map();
    this._tip.hidden = true;
    if (shown.nodes.length === 0) {
      const text =
        this._nodes.length === 0
          ? trans.__('No tasks yet. Mark a cell with %%task to see it here.')
          : trans.__('Only setup cells here. Mark a cell with %%task to see it.');
      this._body.replaceChildren(html('p', 'jp-FlowsDag-empty', text));
    } else if (this._as === 'table') {
      this._body.replaceChildren(table(shown.nodes, shown.edges, this._names, this._states, trans));
    } else {
      const boxes = shown.nodes.map(node => ({
        id: node.id,
        width: cardWidth(node),
        height: CARD_HEIGHT
      }));
      const placed = layout(boxes, shown.edges);
      this._places = new Map(placed.nodes.map(spot => [spot.id, spot]));
      const title = this._title.textContent || trans.__('Flow');
      this._picture = picture(shown.nodes, shown.edges, placed, trans.__('Graph of %1', title));
      const root = this._picture.root;
      this._picture.cards.get(this._selected ?? shown.nodes[0]!.id)?.element.setAttribute('tabindex', '0');
      this._body.replaceChildren(root);
    }
    this._zoom.show(this._picture?.root ?? null);
    shown.nodes.forEach(node => this._dirty.add(node.id));
    this._mark();
    this._showDetail();
    this._flush();
  }

  private _plan(): void {
    if (this._frame === 0) {
      this._frame = requestAnimationFrame(() => this._flush());
    }
  }

  private _flush(): void {
    cancelAnimationFrame(this._frame);
    this._frame = 0;
    if (this._dirty.size > 0 && this._as === 'table' && this._shown.length > 0) {
      const focused = (document.activeElement as HTMLElement | null)?.closest<HTMLElement>('[data-id]')?.dataset['id'];
      const shown = visible(this._nodes, this._edges, this._withSetup);
      this._body.replaceChildren(table(shown.nodes, shown.edges, this._names, this._states, this._trans));
      this._mark();
      if (focused !== undefined) {
        this._rowOf(focused)?.querySelector('button')?.focus();
      }
    }
    for (const id of this._dirty) {
      this._paint(id);
    }
    if (this._selected !== null && this._dirty.has(this._selected)) {
      this._showDetail();
    }
    this._dirty.clear();
    this._count();
  }

  private _paint(id: string): void {
    const card = this._picture?.cards.get(id);
    if (card === undefined) {
      return;
    }
    const state = this._states.get(id);
    const note = this._noteOf(card.node, state);
    card.element.dataset['state'] = state?.state ?? '';
    card.element.dataset['family'] = familyOfTask(state);
    card.glyph.textContent = state === undefined ? '' : glyphOfTask(state);
    // On a card the percent and the time say more than a text that is cut off; the tip has all of it.
    const percent = percentText(state?.progress);
    const short = percent === '' ? note : [percent, durationText(secondsOf(state))].filter(Boolean).join(' · ');
    card.note.textContent = shorten(short, Math.floor((card.at.width - 46) / 6.3));
    card.element.setAttribute('aria-label', `${card.node.name}, ${note}`);
    const fraction = state?.progress?.fraction;
    if (typeof fraction === 'number' && partsOf(state?.counts) === null) {
      drawProgress(card, fraction);
    } else {
      drawBar(card, partsOf(state?.counts));
    }
  }

  private _noteOf(node: DagNode, state: DagState | undefined): string {
    if (state !== undefined) {
      const parts = partsOf(state.counts);
      const failed = parts?.families.find(([family]) => family === 'failed')?.[1] ?? 0;
      return [
        // A card has room for one word beside the time; that it is stale implies that it ran.
        isStale(state)
          ? this._trans.__('stale')
          : parts === null
            ? state.state
            : this._trans.__('%1 of %2 done', parts.done, parts.total),
        failed > 0 ? this._trans.__('%1 failed', failed) : '',
        progressText(state.progress),
        durationText(secondsOf(state))
      ]
        .filter(text => text !== '')
        .join(' · ');
    }
    if (node.writes && node.writes.length > 0) {
      return this._trans.__('writes %1', node.writes.join(', '));
    }
    return kindOf(node);
  }

  /** Progress in words, and a clock while something runs. */
  private _count(): void {
    let done = 0;
    let running = 0;
    let failed = 0;
    let stale = 0;
    for (const node of this._shown) {
      const state = this._states.get(node.id);
      const family = familyOfTask(state);
      done += isEnded(state?.state) && family !== 'running' ? 1 : 0;
      running += family === 'running' ? 1 : 0;
      failed += family === 'failed' ? 1 : 0;
      stale += family === 'stale' ? 1 : 0;
    }
    const trans = this._trans;
    const total = this._shown.length;
    const parts =
      this._states.size === 0
        ? [trans._n('%1 task', '%1 tasks', total)]
        : [trans.__('%1 of %2 done', done, total)];
    if (running > 0) {
      parts.push(trans.__('%1 running', running));
    }
    if (failed > 0) {
      parts.push(trans.__('%1 failed', failed));
    }
    if (stale > 0) {
      parts.push(trans.__('%1 stale', stale));
    }
    const text = parts.join(', ');
    if (this._progress.textContent !== text) {
      this._progress.textContent = text;
    }
    if (running > 0 && this._clock === undefined) {
      this._clock = setInterval(() => this._tick(), 1000);
    } else if (running === 0 && this._clock !== undefined) {
      clearInterval(this._clock);
      this._clock = undefined;
    }
  }

  private _tick(): void {
    if (!this.el.isConnected) {
      return;
    }
    for (const [id, state] of this._states) {
      if (familyOfTask(state) === 'running') {
        this._paint(id);
      }
    }
  }

  private _rowOf(id: string): HTMLElement | null {
    return [...this._body.querySelectorAll<HTMLElement>('tr[data-id]')].find(row => row.dataset['id'] === id) ?? null;
  }

  private _mark(): void {
    for (const [id, card] of this._picture?.cards ?? []) {
      card.element.classList.toggle('jp-mod-selected', id === this._selected);
      card.element.setAttribute('aria-pressed', String(id === this._selected));
    }
    for (const row of this._body.querySelectorAll<HTMLElement>('tr[data-id]')) {
      row.classList.toggle('jp-mod-selected', row.dataset['id'] === this._selected);
    }
    this._near(null);
  }

  /** Bring out the edges at a card (or at the selected one). */
  private _near(id: string | null): void {
    const centre = id ?? this._selected;
    for (const { edge, element } of this._picture?.curves ?? []) {
      element.classList.toggle('jp-mod-near', edge.from === centre || edge.to === centre);
    }
  }

  private _hover(target: Element): void {
    const card = this._picture?.cards.get(target.closest<SVGElement>('.jp-FlowsDag-node')?.dataset['id'] ?? '');
    const curve = this._picture?.curves.find(item => item.element.contains(target));
    const isDetailed = card !== undefined && card.node.id === this._selected;
    if ((card === undefined && curve === undefined) || isDetailed) {
      this._tip.hidden = true;
      this._near(null);
      return;
    }
    const lines = card !== undefined ? this._tipOfNode(card.node) : this._tipOfEdge(curve!.edge);
    this._near(card?.node.id ?? null);
    curve?.element.classList.add('jp-mod-near');
    this._tip.replaceChildren(...lines.filter(line => line !== '').map(line => html('div', '', line)));
    this._tip.hidden = false;
    const box = this.el.getBoundingClientRect();
    const spot = (card?.element ?? curve!.element).getBoundingClientRect();
    const left = spot.left - box.left + (card === undefined ? spot.width / 2 : 0);
    const below = spot.bottom - box.top + 6;
    const top = card === undefined ? spot.top - box.top + spot.height / 2 : below;
    this._tip.style.left = `${Math.max(4, Math.min(left, box.width - this._tip.offsetWidth - 4))}px`;
    this._tip.style.top = `${top}px`;
  }

  private _tipOfNode(node: DagNode): string[] {
    const trans = this._trans;
    const state = this._states.get(node.id);
    const list = (ids: readonly string[]): string => ids.map(id => this._names.get(id) ?? id).join(', ');
    const up = this._neighbours.upstream(node.id);
    return [
      `${node.name}: ${this._noteOf(node, state)}`,
      state?.message ?? '',
      isStale(state) ? (state?.stale ?? '') : '',
      up.length > 0 ? trans.__('waits for %1', list(up)) : '',
      node.writes && node.writes.length > 0 && state !== undefined ? trans.__('writes %1', node.writes.join(', ')) : '',
      node.barrier === true ? trans.__('a barrier: waits for all above, and all below wait for it') : '',
      ...(node.warnings ?? []).map(warning => `⚠ ${warning}`)
    ];
  }

  private _tipOfEdge(edge: DagEdge): string[] {
    const name = (id: string): string => this._names.get(id) ?? id;
    const variables = edge.names && edge.names.length > 0 ? `: ${edge.names.join(', ')}` : '';
    return [`${name(edge.from)} ${isWaitedFor(edge) ? '→' : '↛'} ${name(edge.to)}${variables}`, edge.reason ?? ''];
  }

  private _showDetail(): void {
    const node = this._nodes.find(item => item.id === this._selected);
    this._detail.hidden = node === undefined;
    if (node === undefined) {
      this._detail.replaceChildren();
      return;
    }
    const actions = {
      select: (id: string): void => this.select(id),
      reveal: this._reveal,
      close: (): void => this.select(null)
    };
    this._detail.replaceChildren(
      detail(node, this._states.get(node.id), this._edges, this._names, actions, this._trans)
    );
  }

  /**
   * JupyterLab takes keys at the document, before they come here: an arrow would move the cell, `0 0`
   * restart the kernel. Lumino leaves bare keys alone below this attribute (a convention, not an import);
   * keys with Ctrl or Alt stay the page's, so that Ctrl+S saves the notebook and not the page.
   */
  private readonly _keepKeys = (event: KeyboardEvent): void => {
    const bare = !event.ctrlKey && !event.metaKey && !event.altKey;
    this._body.toggleAttribute('data-lm-suppress-shortcuts', bare);
  };

  private readonly _trans: Words;
  private readonly _reveal: ((node: DagNode) => void) | null;
  private readonly _jumps: boolean;
  private readonly _bar = html('div', 'jp-FlowsDag-bar');
  private readonly _title = html('strong', 'jp-FlowsDag-title');
  private readonly _run = html('span', 'jp-FlowsState');
  private readonly _progress = html('span', 'jp-FlowsDag-progress');
  private readonly _body = html('div', 'jp-FlowsDag-body');
  private readonly _detail = html('div', 'jp-FlowsDag-detail');
  private readonly _tip = html('div', 'jp-FlowsDag-tip');
  private readonly _zoomButtons = html('span', 'jp-FlowsDag-choice');
  private readonly _zoom = new Zoom(this._body);
  private _graphButton!: HTMLButtonElement;
  private _tableButton!: HTMLButtonElement;
  private _setupButton!: HTMLButtonElement;
  private _nodes: readonly DagNode[] = [];
  private _edges: readonly DagEdge[] = [];
  private _shown: readonly DagNode[] = [];
  private _names: Map<string, string> = new Map();
  private _states: Map<string, DagState> = new Map();
  private _dirty: Set<string> = new Set();
  private _neighbours = new Neighbours([]);
  private _places: Map<string, Placed> = new Map();
  private _picture: Picture | null = null;
  private _selected: string | null = null;
  private _withSetup = false;
  private _as: 'graph' | 'table' = 'graph';
  private _frame = 0;
  private _clock: ReturnType<typeof setInterval> | undefined = undefined;
}
