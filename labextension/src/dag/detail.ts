/** One task in words: its state, what it waits for and feeds, what it reads and writes. */

import { button, html } from './html';
import { isWaitedFor, type DagEdge, type DagNode, type DagState } from './model';
import { durationText, familyOfTask, glyphOf, glyphOfTask, isStale, partsOf, progressText, secondsOf } from './states';
import type { Words } from './words';

export interface DetailActions {
  select(id: string): void;
  reveal: ((node: DagNode) => void) | null;
  close(): void;
}

function stateChip(state: DagState | undefined, trans: Words): HTMLElement {
  const chip = html('span', 'jp-FlowsState', glyphOfTask(state), ' ', state?.state ?? trans.__('not run'));
  chip.dataset['family'] = familyOfTask(state);
  return chip;
}

export function detail(
  node: DagNode,
  state: DagState | undefined,
  edges: readonly DagEdge[],
  names: ReadonlyMap<string, string>,
  actions: DetailActions,
  trans: Words
): HTMLElement {
  const head = html('div', 'jp-FlowsDag-detailHead', html('strong', '', node.name), stateChip(state, trans));
  const time = durationText(secondsOf(state));
  if (time !== '') {
    head.append(html('span', 'jp-FlowsDag-detailTime', time));
  }
  if (state?.attempt !== undefined && state.attempt > 1) {
    head.append(html('span', 'jp-FlowsDag-detailTime', trans.__('attempt %1', state.attempt)));
  }
  head.append(html('span', 'jp-FlowsDag-space'));
  const reveal = actions.reveal;
  if (reveal !== null && node.cell_id) {
    head.append(button('jp-FlowsDag-button', trans.__('Go to cell'), () => reveal(node)));
  }
  const close = button('jp-FlowsDag-button jp-mod-quiet', '×', () => actions.close());
  close.setAttribute('aria-label', trans.__('Close details'));
  head.append(close);

  const list = html('dl', 'jp-FlowsDag-facts');
  const fact = (term: string, ...value: (Node | string)[]): void => {
    list.append(html('dt', '', term), html('dd', '', ...value));
  };
  const others = (side: 'from' | 'to', waited: boolean = true): Node[] => {
    const near = edges.filter(edge => isWaitedFor(edge) === waited && (side === 'from' ? edge.to : edge.from) === node.id);
    return near.map(edge => {
      const id = edge[side];
      const variables = edge.names?.join(', ') ?? '';
      const link = button('jp-FlowsDag-link', names.get(id) ?? id, () => actions.select(id));
      link.title = edge.reason ?? '';
      return html('span', 'jp-FlowsDag-other', link, variables === '' ? '' : ` (${variables})`);
    });
  };
  const progress = progressText(state?.progress);
  if (progress !== '') {
    fact(trans.__('Progress'), progress);
  }
  if (state?.message) {
    fact(trans.__('Says'), state.message);
  }
  if (isStale(state)) {
    fact(trans.__('Stale'), state?.stale ?? '');
  }
  if (partsOf(state?.counts) !== null) {
    const counts = Object.entries(state?.counts ?? {});
    fact(trans.__('Mapped'), counts.map(([name, count]) => `${glyphOf(name)} ${count} ${name}`).join(', '));
  }
  const waits = others('from');
  fact(trans.__('Waits for'), ...(waits.length > 0 ? waits : [trans.__('nothing')]));
  const denied = others('from', false);
  if (denied.length > 0) {
    fact(trans.__('Does not wait for'), ...denied, ` ${trans.__('(by --not-after)')}`);
  }
  const feeds = others('to');
  fact(trans.__('Feeds'), ...(feeds.length > 0 ? feeds : [trans.__('nothing')]));
  if (node.reads && node.reads.length > 0) {
    fact(trans.__('Reads'), node.reads.join(', '));
  }
  if (node.writes && node.writes.length > 0) {
    fact(trans.__('Writes'), node.writes.join(', '));
  }
  const rules = [
    node.retries ? trans._n('%1 retry', '%1 retries', node.retries) : '',
    node.timeout_s ? trans.__('stopped after %1', durationText(node.timeout_s)) : '',
    node.trigger && node.trigger !== 'all_successful' ? trans.__('runs on %1', node.trigger) : ''
  ].filter(text => text !== '');
  if (rules.length > 0) {
    fact(trans.__('Rules'), rules.join(', '));
  }
  if (node.barrier === true) {
    fact(trans.__('Barrier'), trans.__('It waits for all cells above, and all below wait for it.'));
  }
  for (const warning of node.warnings ?? []) {
    fact(trans.__('Warning'), warning);
  }
  return html('div', 'jp-FlowsDag-detailBody', head, list);
}
