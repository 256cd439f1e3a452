import { beforeEach, describe, expect, it, vi } from 'vitest';

import { readEdges, readNodes, readStates, kindOf } from '../src/dag/model';
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

  it('marks what is stale, unless it failed', async () => {
    const view = new DagView(el);
    view.draw(nodes, edges);
    view.setStates(
      readStates({
        load: { state: 'Success', duration_s: 1, stale: 'imports changed' },
        plot: { state: 'Failed', stale: 'imports changed' }
      })
    );
    await frame();
    expect(card('load').dataset['family']).toBe('stale');
    expect(card('load').textContent).toContain('⟳');
    expect(card('load').getAttribute('aria-label')).toBe('load, stale · 1.0 s');
    expect(card('plot').dataset['family']).toBe('failed');
    expect(el.textContent).toContain('1 stale');
  });

  it('shows what was denied crossed out, and lets nobody wait for it', () => {
    const view = new DagView(el);
    const denied = { from: 'load', to: 'plot', names: ['df'], kind: 'denied', reason: 'denied by --not-after' };
    view.draw(nodes, readEdges([{ from: 'load', to: 'clean', names: ['df'] }, denied]));
    const curve = el.querySelector('.jp-FlowsDag-edge[data-kind="denied"]')!;
    expect(curve.querySelector('.jp-FlowsDag-cross')).not.toBeNull();
    expect(curve.querySelector('.jp-FlowsDag-head')).toBeNull();
    curve.querySelector('.jp-FlowsDag-hit')!.dispatchEvent(new MouseEvent('pointerover', { bubbles: true }));
    expect(el.querySelector('.jp-FlowsDag-tip')!.textContent).toContain('load ↛ plot: df');
    card('plot').dispatchEvent(new MouseEvent('click', { bubbles: true }));
    const detail = el.querySelector('.jp-FlowsDag-detail')!.textContent;
    expect(detail).toContain('Waits fornothing');
    expect(detail).toContain('Does not wait forload (df) (by --not-after)');
    view.show('table');
    const row = [...el.querySelectorAll('tr')].find(item => item.dataset['id'] === 'plot')!;
    expect(row.textContent).toContain('(by --not-after not for load)');
  });

  it('puts posts on both sides of a barrier, and says what it is', () => {
    const view = new DagView(el);
    view.draw(readNodes([{ id: 'a', name: 'a' }, { id: 'b', name: 'b', barrier: true }]), []);
    expect(card('b').querySelectorAll('.jp-FlowsDag-barrier')).toHaveLength(2);
    expect(card('a').querySelectorAll('.jp-FlowsDag-barrier')).toHaveLength(0);
    card('b').dispatchEvent(new MouseEvent('click', { bubbles: true }));
    expect(el.querySelector('.jp-FlowsDag-detail')!.textContent).toContain('waits for all cells above');
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

  it('stands for all children of a mapped task, by counts', async () => {
    const view = new DagView(el);
    view.draw(readNodes([{ id: 'm', name: 'm', mapped: true }]), []);
    const counts = { Success: 3, Failed: 1, Running: 2, Pending: 4, Bogus: -1 };
    view.setStates(readStates({ m: { state: 'Mapped', counts } }));
    await frame();
    expect(card('m').dataset['family']).toBe('running');
    expect(card('m').getAttribute('aria-label')).toBe('m, 4 of 10 done · 1 failed');
    const bar = [...card('m').querySelectorAll<SVGElement>('.jp-FlowsDag-part')];
    expect(bar.map(part => part.dataset['family'])).toEqual(['success', 'failed', 'running', 'waiting']);
    view.setStates(readStates({ m: { state: 'Mapped', counts: { Success: 9, Failed: 1 } } }));
    await frame();
    expect(card('m').dataset['family']).toBe('failed');
    expect(el.textContent).toContain('1 of 1 done, 1 failed');
    view.dispose();
  });

  it('shows how far a running task is, and no more once it ended', async () => {
    const view = new DagView(el);
    view.draw(readNodes([{ id: 'm', name: 'm' }]), []);
    view.setStates({ m: { state: 'Running', progress: { fraction: 0.25, text: '1/4' } } });
    await frame();
    expect(card('m').getAttribute('aria-label')).toBe('m, Running · 25 % · 1/4');
    const widths = (): number[] =>
      [...card('m').querySelectorAll('.jp-FlowsDag-part')].map(part => Number(part.getAttribute('width')));
    expect(widths()).toHaveLength(2);
    expect(widths()[1]! / widths()[0]!).toBeCloseTo(0.25);
    view.setStates({ m: { state: 'Success' } });
    await frame();
    expect(widths()).toEqual([]);
    view.dispose();
  });

  it('grows and shrinks by its buttons and keys, and fits', () => {
    new DagView(el).draw(nodes, edges);
    const root = el.querySelector<SVGSVGElement>('.jp-FlowsDag-picture')!;
    const natural = Number(root.getAttribute('width'));
    expect(root.style.width).toBe('');
    buttonOf('+').click();
    expect(parseFloat(root.style.width)).toBeGreaterThan(natural * 1.2);
    press(card('load'), '-');
    press(card('load'), '-');
    expect(parseFloat(root.style.width)).toBeLessThan(natural);
  });

  it('keeps bare keys from the page while a card has the focus, and only those', () => {
    new DagView(el).draw(nodes, edges);
    const body = el.querySelector('.jp-FlowsDag-body')!;
    const kept: boolean[] = [];
    const page = (): void => void kept.push(body.hasAttribute('data-lm-suppress-shortcuts'));
    document.addEventListener('keydown', page, true);
    card('load').focus();
    press(card('load'), 'ArrowDown');
    card('load').dispatchEvent(new KeyboardEvent('keydown', { key: 's', ctrlKey: true, bubbles: true }));
    document.removeEventListener('keydown', page, true);
    expect(kept).toEqual([true, false]);
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
    expect(cells).toEqual(['load', '✕ Failed', '', 'clean, plot', '1 m 01 s']);
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

describe('kindOf', () => {
  it.each([
    [{ cell_id: 'c1', type: 'jupyter_flows.notebook.cell_task.CellTask' }, 'cell'],
    [{ type: 'jupyter_flows.core.task.FunctionTask' }, 'task'],
    [{ type: 'etl.load.ToWarehouse' }, 'ToWarehouse'],
    [{}, 'task']
  ])('%o is a %s', (node, kind) => expect(kindOf({ id: 'a', name: 'a', ...node })).toBe(kind));
});

describe('durationText', () => {
  it.each([
    [0, '0.0 s'],
    [0.0001, '1 ms'],
    [0.04, '40 ms'],
    [0.9999, '1.0 s'],
    [9.96, '10 s'],
    [59.6, '1 m 00 s'],
    [3600, '1 h 00 m'],
    [200_000, '2 d 7 h'],
    [null, ''],
    [NaN, '']
  ])('%s is "%s"', (seconds, text) => expect(durationText(seconds)).toBe(text));
});
