import { describe, expect, it } from 'vitest';

import { PLAIN_WORDS } from '../src/dag/words';
import { badgeText, untold, withMessage, type CellBadges } from '../src/models/badges';

const NONE: CellBadges = new Map();
const LOAD = { name: 'load', role: 'task', state: 'Success', duration_s: 0.012 };

function textOf(item: Record<string, unknown>): ReturnType<typeof badgeText> {
  return badgeText(withMessage(NONE, { kind: 'all', cells: { a: item } }).get('a')!, PLAIN_WORDS);
}

describe('badges of cells', () => {
  it('merge what changed, forget what is null, and begin anew with all', () => {
    const first = withMessage(NONE, { kind: 'all', cells: { a: LOAD, b: { ...LOAD, name: 'clean' } } });
    const second = withMessage(first, { kind: 'changed', cells: { a: { ...LOAD, state: 'Running' }, b: null } });
    expect([...second.keys()]).toEqual(['a']);
    expect(second.get('a')!.state.state).toBe('Running');
    expect([...withMessage(second, { kind: 'all', cells: { c: LOAD } }).keys()]).toEqual(['c']);
    expect(first.size).toBe(2);
  });

  it('believe nothing that is no badge', () => {
    for (const message of [null, 7, 'x', {}, { cells: [] }, { kind: 'all' }]) {
      expect(withMessage(NONE, message)).toBe(NONE);
    }
    const odd = { a: 7, b: { state: 3 }, c: { state: 'Success', name: 4, warnings: ['w', 5], barrier: 'yes' } };
    const read = withMessage(NONE, { kind: 'all', cells: odd });
    expect([...read.keys()]).toEqual(['c']);
    expect(read.get('c')).toMatchObject({ name: '', role: 'task', warnings: ['w'], barrier: false });
  });

  it('say a state by glyph and word, with its time', () => {
    expect(textOf(LOAD)).toMatchObject({ glyph: '✓', family: 'success', state: 'Success · 12 ms', why: '', warning: '' });
    expect(textOf({ ...LOAD, state: 'Pending', duration_s: undefined })).toMatchObject({ glyph: '○', state: 'not run' });
  });

  it('say why a cell is stale or failed, in words that a screen reader gets too', () => {
    const stale = textOf({ ...LOAD, stale: 'raw ran after load last ran' });
    expect(stale).toMatchObject({ glyph: '⟳', family: 'stale', state: 'stale', why: 'raw ran after load last ran' });
    expect(stale.whole).toBe('Task load: stale\nraw ran after load last ran');
    const failed = textOf({ ...LOAD, state: 'Failed', message: 'KeyError in this cell', stale: 'x' });
    expect(failed).toMatchObject({ glyph: '✕', why: 'KeyError in this cell' });
  });

  it('name a barrier and its warnings, also on a cell that is no task', () => {
    const odd = textOf({ ...LOAD, role: 'plain', name: 'cell-3', warnings: ['runs code by exec()'], barrier: true });
    expect(odd.warning).toBe('barrier: runs code by exec()');
    expect(odd.whole).toBe('Cell cell-3: Success · 12 ms\n⚠ barrier: runs code by exec()');
  });

  it('tell the kernel each text once', () => {
    const told = new Map<string, string>();
    expect(untold(new Map([['a', 'x = 1'], ['b', 'y = 2']]), told)).toEqual({ a: 'x = 1', b: 'y = 2' });
    expect(untold(new Map([['a', 'x = 1'], ['b', 'y = 3']]), told)).toEqual({ b: 'y = 3' });
    expect(untold(new Map([['a', 'x = 1']]), told)).toEqual({});
  });
});
