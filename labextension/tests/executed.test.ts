import { describe, expect, it } from 'vitest';

import { PLAIN_WORDS } from '../src/dag/words';
import { badgeText, shownBadge, type CellBadge } from '../src/models/badges';
import { memoryText, readExecuted } from '../src/models/executed';

const RAN = { 'iopub.execute_input': '2026-11-26T16:33:10.892607Z' };
const ENTRY = {
  task: 'load',
  state: 'Success',
  attempts: 1,
  duration_s: 0.733,
  memory_peak_mb: 53.6,
  started_at: '2026-11-26T16:33:10.800000+00:00',
  ended_at: '2026-11-26T16:33:11.600000+00:00'
};

const read = (entry: unknown, execution: unknown = RAN, executionCount: number | null = 3): CellBadge | undefined =>
  readExecuted({ metadata: { jupyter_flows: entry, execution }, executionCount });
const textOf = (entry: unknown): ReturnType<typeof badgeText> => badgeText(read(entry)!, PLAIN_WORDS);

describe('a cell of a notebook that was executed', () => {
  it('says its state, time and memory, and its attempts if there were several', () => {
    expect(textOf(ENTRY)).toMatchObject({ glyph: '✓', name: 'load', state: 'Success · 733 ms', facts: 'peak 54 MB' });
    const failed = textOf({ ...ENTRY, state: 'Failed', attempts: 3, message: 'KeyError in cell load, line 2' });
    expect(failed).toMatchObject({ family: 'failed', facts: '3 attempts · peak 54 MB', why: 'KeyError in cell load, line 2' });
    expect(failed.whole).toBe('Task load: Failed · 733 ms · 3 attempts · peak 54 MB\nKeyError in cell load, line 2');
  });

  it('says of which run outputs are that are not of its own', () => {
    expect(textOf({ ...ENTRY, restored: true, restored_from: 'again.ipynb' }).facts).toContain('restored from again.ipynb');
    expect(textOf({ ...ENTRY, restored: true }).facts).toContain('restored from the run before');
    expect(textOf({ ...ENTRY, state: 'Cached', message: 'from cache, run old' }).why).toBe('from cache, run old');
  });

  it('has no time if it was skipped or did not run', () => {
    expect(textOf({ ...ENTRY, state: 'Skipped' }).state).toBe('Skipped');
    expect(badgeText(read({ task: 'a', state: 'TriggerFailed', attempts: 0 }, null, null)!, PLAIN_WORDS)).toMatchObject({
      state: 'TriggerFailed',
      facts: ''
    });
  });

  it('says nothing once it was run by hand', () => {
    expect(read(ENTRY, null)).toBeUndefined();
    expect(read(ENTRY, { 'iopub.execute_input': '2026-11-27T08:00:00Z' })).toBeUndefined();
    expect(read({ ...ENTRY, state: 'Skipped' }, null)).toBeUndefined();
    expect(read({ ...ENTRY, state: 'Skipped' }, null, null)).toBeDefined();
  });

  it('is told from one that no run wrote', () => {
    for (const odd of [undefined, null, 7, [], {}, { task: 'a' }, { state: 'Success' }, { task: 3, state: 'Success' }]) {
      expect(read(odd)).toBeUndefined();
    }
    expect(read({ ...ENTRY, task: 'cell-4' })?.role).toBe('plain');
  });

  it('gives way to what the kernel knows, once the cell has run there', () => {
    const executed = read(ENTRY)!;
    const live = (state: string): CellBadge => ({ name: 'load', role: 'task', state: { state }, warnings: ['w'], barrier: true });
    expect(shownBadge(undefined, executed)).toBe(executed);
    expect(shownBadge(live('Pending'), executed)).toMatchObject({ state: { state: 'Success' }, warnings: ['w'], barrier: true });
    expect(shownBadge(live('Failed'), executed)?.state.state).toBe('Failed');
    expect(shownBadge(live('Pending'), undefined)?.state.state).toBe('Pending');
  });
});

describe('memory', () => {
  it('is read in units', () => {
    expect([null, 0.2, 53.6, 999, 2500].map(memoryText)).toEqual(['', '1 MB', '54 MB', '999 MB', '2.4 GB']);
  });
});
