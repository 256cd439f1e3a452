/** What a kernel has of a failed run, as it tells it. No DOM. */

import type { Words } from '../dag/words';
import type { RunRecord } from '../records';

/** The kernel's side: `jupyter_flows.magics.debugging`. */
export const DEBUG_TYPE = 'application/vnd.jupyter-flows.debug+json';

/** More names than these make no sentence. */
const MOST_NAMES = 12;

export interface Debugged {
  task: string;
  cellId: string;
  /** Place of the cell among all cells of the notebook. */
  place: number;
  names: readonly string[];
  /** Setup cells that were run again. */
  setup: readonly string[];
  /** Variable, and why it is not there. */
  missing: readonly (readonly [name: string, why: string])[];
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const texts = (value: unknown): string[] =>
  Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string') : [];

/** Whether a run ended so that there is a cell to look at. */
export function canBeDebugged(run: RunRecord): boolean {
  return ['Failed', 'TimedOut', 'Cancelled'].includes(run.state.type) && run.result?.location.endsWith('.ipynb') === true;
}

/** What the kernel told; null: it told something else. */
export function readDebugged(data: Record<string, unknown>): Debugged | null {
  const value = data[DEBUG_TYPE];
  if (!isObject(value) || typeof value['task'] !== 'string' || typeof value['place'] !== 'number') {
    return null;
  }
  const missing = Object.entries(isObject(value['missing']) ? value['missing'] : {});
  return {
    task: value['task'],
    cellId: typeof value['cell_id'] === 'string' ? value['cell_id'] : '',
    place: value['place'],
    names: texts(value['names']),
    setup: texts(value['setup']),
    missing: missing.filter((item): item is [string, string] => typeof item[1] === 'string')
  };
}

/** The name of the copy that a kernel made. */
export function readCopy(data: Record<string, unknown>): string | null {
  const value = data[DEBUG_TYPE];
  return isObject(value) && typeof value['path'] === 'string' ? value['path'] : null;
}

/** What is there now, in sentences. */
export function debuggedText(found: Debugged, trans: Words): string {
  const list = (names: readonly string[]): string =>
    names.length <= MOST_NAMES
      ? names.join(', ')
      : trans.__('%1 and %2 more', names.slice(0, MOST_NAMES).join(', '), names.length - MOST_NAMES);
  return [
    found.names.length > 0
      ? trans.__('The kernel is as before %1: it has %2.', found.task, list(found.names))
      : trans.__('The kernel is as before %1; no variable was there.', found.task),
    found.setup.length > 0 ? trans.__('Run again: %1.', list(found.setup)) : '',
    ...found.missing.slice(0, MOST_NAMES).map(([name, why]) => trans.__('Not here: %1 (%2).', name, why))
  ]
    .filter(text => text !== '')
    .join(' ');
}
