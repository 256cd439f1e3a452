/** The same flow as a table: task, state, waits for, feeds, time. */

import { html } from './html';
import { isWaitedFor, type DagEdge, type DagNode, type DagState } from './model';
import { Neighbours } from './graph';
import { durationText, familyOfTask, glyphOfTask, isStale, partsOf, progressText, secondsOf } from './states';
import type { Words } from './words';

export function table(
  nodes: readonly DagNode[],
  edges: readonly DagEdge[],
  names: ReadonlyMap<string, string>,
  states: ReadonlyMap<string, DagState>,
  trans: Words
): HTMLTableElement {
  const neighbours = new Neighbours(edges.filter(isWaitedFor));
  const denied = new Neighbours(edges.filter(edge => !isWaitedFor(edge)));
  const list = (ids: readonly string[]): string => ids.map(id => names.get(id) ?? id).join(', ');
  const not = (ids: readonly string[]): Node[] =>
    ids.length > 0 ? [html('span', 'jp-FlowsDag-denied', ` ${trans.__('(by --not-after not for %1)', list(ids))}`)] : [];
  const titles = [trans.__('Task'), trans.__('State'), trans.__('Waits for'), trans.__('Feeds'), trans.__('Time')];
  const head = html('tr', '');
  for (const title of titles) {
    const cell = html('th', '', title);
    cell.scope = 'col';
    cell.className = title === titles[titles.length - 1] ? 'jp-mod-number' : '';
    head.append(cell);
  }
  const rows = nodes.map(node => {
    const state = states.get(node.id);
    const chip = html('span', 'jp-FlowsState', `${glyphOfTask(state)} ${state?.state ?? trans.__('not run')}`);
    chip.dataset['family'] = familyOfTask(state);
    if (isStale(state)) {
      chip.append(` (${trans.__('stale')})`);
      chip.title = state?.stale ?? '';
    }
    const parts = partsOf(state?.counts);
    if (parts !== null) {
      chip.append(` (${trans.__('%1 of %2 done', parts.done, parts.total)})`);
    }
    const progress = progressText(state?.progress);
    if (progress !== '') {
      chip.append(` (${progress})`);
    }
    const name = html('button', 'jp-FlowsDag-link', node.name);
    name.type = 'button';
    const row = html(
      'tr',
      '',
      html('td', '', name),
      html('td', '', chip),
      html('td', '', list(neighbours.upstream(node.id)), ...not(denied.upstream(node.id))),
      html('td', '', list(neighbours.downstream(node.id))),
      html('td', 'jp-mod-number', durationText(secondsOf(state)))
    );
    row.dataset['id'] = node.id;
    row.dataset['state'] = state?.state ?? '';
    return row;
  });
  return html('table', 'jp-FlowsTable', html('thead', '', head), html('tbody', '', ...rows));
}
