import { describe, expect, it } from 'vitest';

import { layout, pathOf, type Box, type Link } from '../src/dag/layout';

const boxes = (...ids: string[]): Box[] => ids.map(id => ({ id, width: 100, height: 40 }));
const links = (...pairs: string[]): Link[] => pairs.map(pair => ({ from: pair[0]!, to: pair[1]! }));

function overlaps(nodes: ReturnType<typeof layout>['nodes']): number {
  let count = 0;
  nodes.forEach((a, i) =>
    nodes.slice(i + 1).forEach(b => {
      if (
        Math.abs(a.x - b.x) < (a.width + b.width) / 2 - 0.01 &&
        Math.abs(a.y - b.y) < (a.height + b.height) / 2 - 0.01
      ) {
        count++;
      }
    })
  );
  return count;
}

describe('layout', () => {
  it('puts a reader below what it reads', () => {
    const { nodes } = layout(boxes('a', 'b', 'c'), links('ab', 'bc'));
    expect(nodes.map(n => n.layer)).toEqual([0, 1, 2]);
    expect(nodes[0]!.y).toBeLessThan(nodes[1]!.y);
    expect(new Set(nodes.map(n => Math.round(n.x))).size).toBe(1);
  });

  it('keeps document order where nothing else decides', () => {
    const { nodes } = layout(boxes('a', 'b', 'c'), []);
    expect(nodes[0]!.x).toBeLessThan(nodes[1]!.x);
    expect(nodes[1]!.x).toBeLessThan(nodes[2]!.x);
  });

  it('uncrosses what can be uncrossed', () => {
    const { nodes } = layout(boxes('a', 'b', 'c', 'd'), links('ad', 'bc'));
    const x = Object.fromEntries(nodes.map(n => [n.id, n.x]));
    expect(Math.sign(x['a']! - x['b']!)).toBe(Math.sign(x['d']! - x['c']!));
  });

  it('swaps neighbours where the means of their lines say nothing', () => {
    // c and d hang on the same means, yet only one order of the lower row is without a crossing.
    const { routes } = layout(boxes('a', 'b', 'c', 'd', 'e'), links('ac', 'cd', 'be', 'ae', 'bd', 'ad'));
    expect(routes).toHaveLength(6);
    for (const one of routes) {
      for (const other of routes) {
        const [p, q] = [one.points[0]!, other.points[0]!];
        const [s, t] = [one.points[one.points.length - 1]!, other.points[other.points.length - 1]!];
        const crossed = p[1] === q[1] && s[1] === t[1] && (p[0] - q[0]) * (s[0] - t[0]) < -1;
        expect(crossed && one.points.length === other.points.length).toBe(false);
      }
    }
  });

  it('leads a long edge past the boxes between', () => {
    const placed = layout(boxes('a', 'b', 'c'), links('ab', 'bc', 'ac'));
    const long = placed.routes.find(r => r.from === 'a' && r.to === 'c')!;
    const b = placed.nodes.find(n => n.id === 'b')!;
    const between = long.points.slice(1, -1);
    expect(between.length).toBeGreaterThan(0);
    for (const [x] of between) {
      expect(Math.abs(x - b.x)).toBeGreaterThan(b.width / 2);
    }
  });

  it('never lets boxes overlap and stays inside its size', () => {
    const ids = Array.from({ length: 60 }, (_, i) => `n${i}`);
    const edges = ids.flatMap((id, i) => [1, 3, 7].filter(k => (i * k) % 5 < 3 && i + k < 60).map(k => ({ from: id, to: ids[i + k]! })));
    const placed = layout(ids.map((id, i) => ({ id, width: 80 + (i % 4) * 30, height: 40 })), edges);
    expect(overlaps(placed.nodes)).toBe(0);
    for (const n of placed.nodes) {
      expect(n.x - n.width / 2).toBeGreaterThanOrEqual(0);
      expect(n.x + n.width / 2).toBeLessThanOrEqual(placed.width);
      expect(n.y + n.height / 2).toBeLessThanOrEqual(placed.height);
    }
  });

  it('draws a cycle too, with the edge pointing the way it points', () => {
    const placed = layout(boxes('a', 'b'), links('ab', 'ba'));
    expect(placed.routes.map(r => r.from + r.to).sort()).toEqual(['ab', 'ba']);
  });

  it('ignores loops, doubles and edges to nowhere', () => {
    const placed = layout(boxes('a', 'b'), links('ab', 'ab', 'aa', 'az'));
    expect(placed.routes).toHaveLength(1);
  });

  it('answers for nothing at all', () => {
    expect(layout([], []).nodes).toEqual([]);
  });

  it('lays out a thousand boxes in layers without overlap', () => {
    const all: Box[] = Array.from({ length: 1000 }, (_, i) => ({ id: `n${i}`, width: 120, height: 44 }));
    const edges: Link[] = all.slice(20).flatMap((box, i) => [
      { from: `n${i + (i * 7) % 20}`, to: box.id },
      ...(i % 5 < 2 ? [{ from: `n${i + (i * 3) % 20}`, to: box.id }] : [])
    ]);
    const start = performance.now();
    const placed = layout(all, edges);
    console.info(`1,000 boxes, ${edges.length} edges: ${(performance.now() - start).toFixed(0)} ms`);
    expect(overlaps(placed.nodes)).toBe(0);
  });
});

describe('pathOf', () => {
  it('is made of M, L and C with numbers only', () => {
    expect(pathOf([[0, 0], [10, 40]])).toBe('M0,0C0,20 10,20 10,40');
    expect(pathOf([[5, 0], [5, 40]])).toBe('M5,0L5,40');
    expect(pathOf([])).toBe('');
  });
});
