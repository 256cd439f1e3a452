import { describe, expect, it } from 'vitest';

import { PLAIN_WORDS } from '../src/dag/words';
import { canBeDebugged, debuggedText, DEBUG_TYPE, readCopy, readDebugged } from '../src/models/debugged';
import type { RunRecord } from '../src/records';

const TOLD = { task: 'tenth', cell_id: 'c7', place: 6, names: ['rows', 'total'], setup: ['cell-1'], missing: {} };
const run = (type: string, location?: string): RunRecord =>
  ({ state: { type }, result: location === undefined ? null : { location } }) as unknown as RunRecord;

describe('a debugged run', () => {
  it('is told in sentences: what is there, what was run again, what is not there and why', () => {
    const found = readDebugged({ [DEBUG_TYPE]: { ...TOLD, missing: { lines: 'it cannot be pickled; load makes it' } } })!;
    expect(debuggedText(found, PLAIN_WORDS)).toBe(
      'The kernel is as before tenth: it has rows, total. Run again: cell-1. Not here: lines (it cannot be pickled; load makes it).'
    );
    const bare = readDebugged({ [DEBUG_TYPE]: { task: 'first', place: 0 } })!;
    expect(debuggedText(bare, PLAIN_WORDS)).toBe('The kernel is as before first; no variable was there.');
  });

  it('names no more variables than make a sentence', () => {
    const names = Array.from({ length: 30 }, (_, i) => `x${i}`);
    expect(debuggedText(readDebugged({ [DEBUG_TYPE]: { ...TOLD, names } })!, PLAIN_WORDS)).toContain('x11 and 18 more.');
  });

  it('is nothing else than what the kernel tells of one', () => {
    for (const odd of [null, 7, [], {}, { task: 'a' }, { place: 3 }, { path: 'x' }]) {
      expect(readDebugged({ [DEBUG_TYPE]: odd })).toBeNull();
    }
    expect(readCopy({ [DEBUG_TYPE]: { path: 'run.debug.ipynb' } })).toBe('run.debug.ipynb');
    expect(readCopy({ [DEBUG_TYPE]: TOLD })).toBeNull();
  });

  it('is one that failed and has left a notebook', () => {
    expect(canBeDebugged(run('Failed', '/r/executed.ipynb'))).toBe(true);
    expect(canBeDebugged(run('Success', '/r/executed.ipynb'))).toBe(false);
    expect(canBeDebugged(run('Failed', '/r/result.json'))).toBe(false);
    expect(canBeDebugged(run('Failed'))).toBe(false);
  });
});
