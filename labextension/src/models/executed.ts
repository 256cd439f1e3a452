/** How a cell stood in the headless run that wrote its notebook, as its metadata tells it. No DOM. */

import { readStates } from '../dag/model';
import { isEnded } from '../dag/states';
import type { CellBadge } from './badges';

/** Where runs write, in the metadata of cells and of the notebook: `jupyter_flows.notebook.write`. */
export const KEY = 'jupyter_flows';

/** What a badge tells of a run besides the state. */
export interface RunFacts {
  attempts: number;
  /** Peak of the kernel's memory; null: not measured. */
  memoryMb: number | null;
  /** Which run the outputs are of, if it is another one; empty: they are of this run. */
  restoredFrom: string;
}

export interface ExecutedCell {
  /** The cell's metadata. */
  metadata: Readonly<Record<string, unknown>>;
  executionCount: number | null;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** What the run left in a cell; undefined: nothing, or the cell was run by hand since, and it is not of its outputs. */
export function readExecuted(cell: ExecutedCell): CellBadge | undefined {
  const entry = cell.metadata[KEY];
  const state = readStates({ it: entry })['it'];
  if (!isObject(entry) || typeof entry['task'] !== 'string' || state === undefined || isRunSince(cell, state)) {
    return undefined;
  }
  const { task, attempts, memory_peak_mb: memory, restored, restored_from: from } = entry;
  return {
    name: task,
    // A cell that is no task is called after its place.
    role: /^cell-\d+$/.test(task) ? 'plain' : 'task',
    state,
    warnings: [],
    barrier: false,
    run: {
      attempts: typeof attempts === 'number' && Number.isInteger(attempts) ? attempts : 0,
      memoryMb: typeof memory === 'number' && Number.isFinite(memory) && memory > 0 ? memory : null,
      restoredFrom: restored !== true ? '' : typeof from === 'string' && from !== '' ? from : 'the run before'
    }
  };
}

/** JupyterLab takes a cell's times away when it runs it, or writes its own. */
function isRunSince(cell: ExecutedCell, state: { state: string; ended_at?: string | null }): boolean {
  const times = cell.metadata['execution'];
  const ended = Date.parse(state.ended_at ?? '');
  if (cell.executionCount === null || !isEnded(state.state) || !Number.isFinite(ended)) {
    return false;
  }
  const begun = isObject(times) ? Date.parse(String(times['iopub.execute_input'] ?? times['iopub.status.busy'])) : NaN;
  return !(begun <= ended);
}

/** 54 MB, 1.2 GB. */
export function memoryText(megabytes: number | null): string {
  if (megabytes === null) {
    return '';
  }
  return megabytes < 999.5 ? `${Math.max(1, Math.round(megabytes))} MB` : `${(megabytes / 1024).toFixed(1)} GB`;
}
