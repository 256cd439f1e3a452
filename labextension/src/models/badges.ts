/** How cells stand, as the kernel tells it: data that is checked here, and the words for it. No DOM. */

import { readStates, type DagState } from '../dag/model';
import { durationText, familyOfTask, glyphOfTask, isStale, secondsOf } from '../dag/states';
import type { Words } from '../dag/words';
import { memoryText, type RunFacts } from './executed';

/** The kernel's side: `jupyter_flows.magics.badges`. */
export const TARGET = 'jupyter_flows.cells';

export interface CellBadge {
  name: string;
  role: string;
  state: DagState;
  warnings: readonly string[];
  /** Waits for all cells above, and all below wait for it. */
  barrier: boolean;
  /** Given: it is of a headless run, not of the kernel. */
  run?: RunFacts;
}

export type CellBadges = ReadonlyMap<string, CellBadge>;

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Take a message of the kernel: all badges, or those that changed (null: it has none any more). */
export function withMessage(known: CellBadges, message: unknown): CellBadges {
  if (!isObject(message) || !isObject(message['cells'])) {
    return known;
  }
  const cells = message['cells'];
  const next = new Map(message['kind'] === 'all' ? [] : known);
  const states = readStates(cells);
  for (const [id, item] of Object.entries(cells)) {
    const state = states[id];
    if (!isObject(item) || state === undefined) {
      next.delete(id);
      continue;
    }
    const warnings = Array.isArray(item['warnings']) ? (item['warnings'] as unknown[]) : [];
    next.set(id, {
      name: typeof item['name'] === 'string' ? item['name'] : '',
      role: typeof item['role'] === 'string' ? item['role'] : 'task',
      state,
      warnings: warnings.filter((text): text is string => typeof text === 'string'),
      barrier: item['barrier'] === true
    });
  }
  return next;
}

/** What a badge says: a glyph and a family for the colour, its words, and why if there is a reason. */
export interface BadgeText {
  glyph: string;
  family: string;
  name: string;
  state: string;
  /** Attempts, memory, which run the outputs are of. */
  facts: string;
  why: string;
  warning: string;
  /** It failed in a headless run, so the variables before it may be there still. */
  isDebuggable: boolean;
  /** All of it, for a screen reader and for a pointer over it. */
  whole: string;
}

export function badgeText(badge: CellBadge, trans: Words): BadgeText {
  const { state } = badge;
  const word = state.state === 'Pending' ? trans.__('not run') : isStale(state) ? trans.__('stale') : state.state;
  const why = isStale(state) ? (state.stale ?? '') : (state.message ?? '');
  const isTimed = !isStale(state) && !['Running', 'Skipped'].includes(state.state);
  const taken = durationText(isTimed ? secondsOf(state) : null);
  const said = taken === '' ? word : `${word} · ${taken}`;
  const warnings = badge.warnings.join('; ');
  const warning = badge.barrier ? trans.__('barrier: %1', warnings) : warnings;
  const head = badge.role === 'task' ? trans.__('Task %1: %2', badge.name, said) : trans.__('Cell %1: %2', badge.name, said);
  const facts = badge.run === undefined ? '' : factsText(badge.run, trans);
  return {
    glyph: glyphOfTask(state),
    family: familyOfTask(state),
    name: badge.name,
    state: said,
    facts,
    why,
    warning,
    isDebuggable: badge.run !== undefined && ['Failed', 'TimedOut', 'Cancelled'].includes(state.state),
    whole: [facts === '' ? head : `${head} · ${facts}`, why, warning === '' ? '' : `⚠ ${warning}`].filter(text => text !== '').join('\n')
  };
}

function factsText(run: RunFacts, trans: Words): string {
  const memory = memoryText(run.memoryMb);
  return [
    run.attempts > 1 ? trans.__('%1 attempts', run.attempts) : '',
    memory === '' ? '' : trans.__('peak %1', memory),
    run.restoredFrom === '' ? '' : trans.__('restored from %1', run.restoredFrom)
  ]
    .filter(text => text !== '')
    .join(' · ');
}

/** What to show of a cell: what the kernel knows, unless the cell has not run in it and a run's outputs still stand. */
export function shownBadge(live: CellBadge | undefined, executed: CellBadge | undefined): CellBadge | undefined {
  if (live === undefined || executed === undefined) {
    return live ?? executed;
  }
  return live.state.state === 'Pending' ? { ...executed, warnings: live.warnings, barrier: live.barrier } : live;
}

/** Texts that the kernel has not been told; they count as told from then on. */
export function untold(texts: ReadonlyMap<string, string>, told: Map<string, string>): Record<string, string> {
  const changed = [...texts].filter(([id, text]) => told.get(id) !== text);
  changed.forEach(([id, text]) => told.set(id, text));
  return Object.fromEntries(changed);
}
