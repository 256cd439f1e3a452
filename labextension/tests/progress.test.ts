import { createElement } from 'react';
import { flushSync } from 'react-dom';
import { createRoot } from 'react-dom/client';
import { describe, expect, it } from 'vitest';

import { ProgressBar } from '../src/components/run-view';
import { progressText } from '../src/dag/states';
import { DagView } from '../src/dag/view';
import { PLAIN_WORDS } from '../src/dag/words';
import { withTasks } from '../src/models/run';
import type { TaskRunRecord } from '../src/records';
import { stateOf } from '../src/widget/picture';

const task = (type: string, progress: TaskRunRecord['progress']): TaskRunRecord =>
  ({ slug: 'a', name: 'load', map_index: -1, state: { type, message: '' }, progress }) as unknown as TaskRunRecord;

function drawn(record: TaskRunRecord): Element | null {
  const place = document.createElement('div');
  flushSync(() => createRoot(place).render(createElement(ProgressBar, { task: record, trans: PLAIN_WORDS })));
  return place.firstElementChild;
}

describe('the progress of a running task', () => {
  it('is the newest that was told, and gone with the end of the task', () => {
    const first = withTasks([], [task('Running', { fraction: 0.25, text: '1/4' })]);
    const second = withTasks(first, [task('Running', { fraction: 0.5, text: '2/4' })]);
    expect(second.map(item => item.progress)).toEqual([{ fraction: 0.5, text: '2/4' }]);
    expect(stateOf(second[0]!).progress).toEqual({ fraction: 0.5, text: '2/4' });
    expect(stateOf(task('Success', { fraction: 0.5, text: '2/4' })).progress).toBeNull();
  });

  it('is a bar that a screen reader gets too', () => {
    const bar = drawn(task('Running', { fraction: 0.455, text: '45/99' }))!;
    expect(bar.getAttribute('role')).toBe('progressbar');
    expect(bar.getAttribute('aria-valuenow')).toBe('45');
    expect(bar.textContent).toBe('45 % · 45/99');
    expect(bar.querySelector<HTMLElement>('.jp-FlowsRun-progressDone')!.style.width).toBe('45.5%');
  });

  it('is on its card by percent and time, and whole in its tip, its table and its details', () => {
    const view = new DagView(document.createElement('div'));
    view.draw([{ id: 'a', name: 'load' }], []);
    const started_at = new Date(Date.now() - 75_000).toISOString();
    view.setStates({ a: { state: 'Running', started_at, progress: { fraction: 0.44, text: 'rows: 89/200' } } });
    view.select('a');
    view.show('graph');
    const card = view.el.querySelector('.jp-FlowsDag-node')!;
    expect(card.querySelector('.jp-FlowsDag-note')!.textContent).toBe('44 % · 1 m 15 s');
    expect(card.getAttribute('aria-label')).toBe('load, Running · 44 % · rows: 89/200 · 1 m 15 s');
    expect(card.querySelectorAll('.jp-FlowsDag-part')).toHaveLength(2);
    expect(view.el.querySelector('.jp-FlowsDag-detail')!.textContent).toContain('Progress44 % · rows: 89/200');
    view.show('table');
    expect(view.el.querySelector('tbody')!.textContent).toContain('▶ Running (44 % · rows: 89/200)');
    view.dispose();
  });

  it('is a count if how much there is to do is not known, and nothing before anything was told', () => {
    const bar = drawn(task('Running', { fraction: null, text: '45' }))!;
    expect(bar.getAttribute('aria-valuenow')).toBeNull();
    expect(bar.textContent).toBe('45');
    expect(bar.querySelector('.jp-FlowsRun-progressTrack')).toBeNull();
    expect(drawn(task('Running', null))).toBeNull();
    expect(drawn(task('Failed', { fraction: 0.5, text: '1/2' }))).toBeNull();
    expect(progressText(null)).toBe('');
  });
});
