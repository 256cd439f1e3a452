import { beforeEach, describe, expect, it, vi } from 'vitest';

import { readEdges, readNodes, readStates } from '../src/dag/model';
import { durationText } from '../src/dag/states';
import { DagView } from '../src/dag/view';

const nodes = readNodes([
  { id: 'imports', name: 'imports', role: 'setup' },
  { id: 'load', name: 'load', role: 'task', cell_id: 'c1', writes: ['df'] },
  { id: 'clean', name: 'clean', role: 'task', cell_id: 'c2' },
  { id: 'plot', name: 'plot', role: 'task', warnings: ['reads a global'] }
]);
const edges = readEdges([
  { from: 'imports', to: 'load', names: ['pd'] },
  { from: 'load', to: 'clean', names: ['df'], reason: 'clean reads df' },
  { from: 'load', to: 'plot', names: ['df'] }
]);

let el: HTMLElement;
const card = (id: string): SVGGElement => el.querySelector<SVGGElement>(`.jp-FlowsDag-node[data-id="${id}"]`)!;
const frame = (): Promise<unknown> => new Promise(done => requestAnimationFrame(done));
const press = (target: Element, key: string): boolean =>
  target.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true }));
const buttonOf = (text: string): HTMLButtonElement =>
  [...el.querySelectorAll('button')].find(b => b.textContent === text)!;

beforeEach(() => {
  el = document.createElement('div');
  document.body.replaceChildren(el);
});

describe('DagView', () => {
  it('shows tasks and hides setup until asked', () => {
    new DagView(el).draw(nodes, edges);
    expect(el.querySelectorAll('.jp-FlowsDag-node')).toHaveLength(3);
    expect(el.querySelectorAll('.jp-FlowsDag-edge')).toHaveLength(2);
    buttonOf('Show setup').click();
    expect(el.querySelectorAll('.jp-FlowsDag-node')).toHaveLength(4);
    expect(el.querySelectorAll('.jp-FlowsDag-edge')).toHaveLength(3);
  });

  it('says a state by glyph and word, not by colour alone', async () => {
    const view = new DagView(el);
    view.draw(nodes, edges);
    view.setStates(readStates({ load: { state: 'Success', duration_s: 1.24 } }));
    await frame();
    expect(card('load').dataset['state']).toBe('Success');
    expect(card('load').textContent).toContain('✓');
    expect(card('load').getAttribute('aria-label')).toBe('load, Success · 1.2 s');
    expect(card('clean').dataset['state']).toBe('');
    expect(el.textContent).toContain('1 of 3 done');
  });

  it('merges states and keeps them over a redraw', async () => {
    const view = new DagView(el);
    view.draw(nodes, edges);
    view.setStates(readStates({ load: { state: 'Success' } }));
    view.setStates(readStates({ clean: { state: 'Running' } }));
    view.draw(nodes, edges);
    await frame();
    expect([card('load').dataset['state'], card('clean').dataset['state']]).toEqual(['Success', 'Running']);
    view.clearStates();
    await frame();
    expect(card('load').dataset['state']).toBe('');
    view.dispose();
  });

  it('tells of a click, shows details, and leads to the cell', () => {
    const reveal = vi.fn();
    const view = new DagView(el, { reveal });
    const selected = vi.fn();
    view.onSelect = selected;
    view.draw(nodes, edges);
    card('clean').dispatchEvent(new MouseEvent('click', { bubbles: true }));
    expect(selected).toHaveBeenCalledWith('clean');
    expect(reveal).toHaveBeenCalledTimes(1);
    expect(el.querySelector('.jp-FlowsDag-detail')!.textContent).toContain('Waits forload (df)');
    buttonOf('Go to cell').click();
    expect(reveal).toHaveBeenCalledTimes(2);
    card('plot').dispatchEvent(new MouseEvent('click', { bubbles: true }));
    expect(reveal).toHaveBeenCalledTimes(2);
    expect(el.querySelector('.jp-FlowsDag-detail')!.textContent).toContain('reads a global');
  });

  it('follows edges with the arrow keys and selects with Enter', () => {
    const view = new DagView(el);
    view.draw(nodes, edges);
    card('load').focus();
    press(card('load'), 'ArrowDown');
    const first = (document.activeElement as SVGGElement).dataset['id']!;
    expect(['clean', 'plot']).toContain(first);
    press(document.activeElement!, 'ArrowUp');
    expect((document.activeElement as SVGGElement).dataset['id']).toBe('load');
    press(document.activeElement!, 'Enter');
    expect(view.selected).toBe('load');
    press(document.activeElement!, 'Escape');
    expect(view.selected).toBeNull();
    expect(el.querySelectorAll('.jp-FlowsDag-node[tabindex="0"]')).toHaveLength(1);
  });

  it('explains an edge', () => {
    new DagView(el).draw(nodes, edges);
    const curve = el.querySelector('.jp-FlowsDag-edge[data-to="clean"] .jp-FlowsDag-hit')!;
    curve.dispatchEvent(new Event('pointerover', { bubbles: true }));
    const tip = el.querySelector<HTMLElement>('.jp-FlowsDag-tip')!;
    expect(tip.hidden).toBe(false);
    expect(tip.textContent).toBe('load → clean: dfclean reads df');
  });

  it('says the same as a table, live', async () => {
    const view = new DagView(el);
    view.draw(nodes, edges);
    buttonOf('Table').click();
    view.setStates(readStates({ load: { state: 'Failed', duration_s: 61 } }));
    await frame();
    const cells = [...el.querySelectorAll('tr[data-id="load"] td')].map(td => td.textContent);
    expect(cells).toEqual(['load', '✕ Failed', '', 'clean, plot', '1m 01s']);
    el.querySelector<HTMLButtonElement>('tr[data-id="load"] button')!.click();
    expect(view.selected).toBe('load');
  });

  it('never reads markup out of names', () => {
    new DagView(el).draw(readNodes([{ id: 'x"><img>', name: '<img src=x onerror=alert(1)>' }]), []);
    expect(el.querySelector('img')).toBeNull();
    expect(el.querySelector('.jp-FlowsDag-name')!.textContent).toContain('<img');
  });

  it('says what to do when there is nothing to draw', () => {
    new DagView(el).draw([], []);
    expect(el.textContent).toContain('Mark a cell with %%task');
  });
});

describe('data from a file', () => {
  it('leaves out what is not a node, an edge or a state', () => {
    expect(readNodes([null, 1, {}, { id: 5 }, { id: 'a' }, { id: 'a' }]).map(n => n.name)).toEqual(['a']);
    expect(readNodes('nodes')).toEqual([]);
    expect(readEdges([{ from: 'a' }, { from: 'a', to: 'b', names: [1, 'x'] }])).toEqual([
      { from: 'a', to: 'b', names: ['x'], kind: 'data', reason: '' }
    ]);
    expect(Object.keys(readStates({ a: { state: 'Running' }, b: { state: 3 }, c: null, d: 'Failed' }))).toEqual(['a', 'd']);
  });
});

describe('durationText', () => {
  it.each([
    [0.04, '0.0 s'],
    [9.96, '10 s'],
    [59.6, '1m 00s'],
    [3600, '1h 00m'],
    [200_000, '2d 7h'],
    [null, ''],
    [NaN, '']
  ])('%s is "%s"', (seconds, text) => expect(durationText(seconds)).toBe(text));
});
