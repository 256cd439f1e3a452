/**
 * A layered layout, top to bottom: rows by longest path, order by barycentre, dummy points for long edges.
 *
 * Pure: sizes and edges in, positions and curves out. It knows nothing of pictures or states.
 * Document order breaks all ties, so the picture of a notebook reads like the notebook.
 */

export interface Box {
  id: string;
  width: number;
  height: number;
}

export interface Link {
  from: string;
  to: string;
}

export interface Placed {
  id: string;
  /** Centre. */
  x: number;
  y: number;
  width: number;
  height: number;
  layer: number;
}

export interface Route {
  from: string;
  to: string;
  /** Centre line, from the lower side of `from` to the upper side of `to`. */
  points: readonly (readonly [x: number, y: number])[];
}

export interface Layout {
  nodes: Placed[];
  routes: Route[];
  width: number;
  height: number;
}

export interface Spacing {
  between: number;
  layers: number;
  margin: number;
}

export const SPACING: Spacing = { between: 24, layers: 44, margin: 12 };

interface Point {
  id: string | null;
  layer: number;
  width: number;
  height: number;
  x: number;
  /** Place in its layer. */
  at: number;
  up: number[];
  down: number[];
}

/** Longest path from the sources, over forward edges only; a cycle's back edge is ignored. */
function layersOf(count: number, down: readonly number[][], up: readonly number[][]): Int32Array {
  const layer = new Int32Array(count);
  const waits = Int32Array.from(up, before => before.length);
  const ready: number[] = [];
  for (let i = 0; i < count; i++) {
    if (waits[i] === 0) {
      ready.push(i);
    }
  }
  for (let head = 0; head < ready.length; head++) {
    const here = ready[head]!;
    for (const next of down[here]!) {
      layer[next] = Math.max(layer[next]!, layer[here]! + 1);
      waits[next]!--;
      if (waits[next] === 0) {
        ready.push(next);
      }
    }
  }
  // Pull sources down to their nearest reader, so that a late input stands beside where it is used.
  for (let head = ready.length - 1; head >= 0; head--) {
    const here = ready[head]!;
    if (up[here]!.length === 0 && down[here]!.length > 0) {
      layer[here] = Math.max(0, Math.min(...down[here]!.map(next => layer[next]!)) - 1);
    }
  }
  return layer;
}

/** Edges made unique, without loops, and turned forward where they close a cycle (depth-first). */
function forward(count: number, pairs: readonly (readonly [number, number])[]): [number, number][] {
  const out: number[][] = Array.from({ length: count }, () => []);
  for (const [a, b] of pairs) {
    out[a]!.push(b);
  }
  const mark = new Uint8Array(count);
  const back = new Set<number>();
  for (let root = 0; root < count; root++) {
    if (mark[root] !== 0) {
      continue;
    }
    const stack: [number, number][] = [[root, 0]];
    mark[root] = 1;
    while (stack.length > 0) {
      const top = stack[stack.length - 1]!;
      const next = out[top[0]]![top[1]++];
      if (next === undefined) {
        mark[top[0]] = 2;
        stack.pop();
      } else if (mark[next] === 1) {
        back.add(top[0] * count + next);
      } else if (mark[next] === 0) {
        mark[next] = 1;
        stack.push([next, 0]);
      }
    }
  }
  return pairs.map(([a, b]) => (back.has(a * count + b) ? [b, a] : [a, b]));
}

/** Number of crossings between neighbouring rows, counted from the right (a Fenwick tree). */
function crossings(points: readonly Point[], rows: readonly number[][]): number {
  let total = 0;
  for (let r = 0; r + 1 < rows.length; r++) {
    const size = rows[r + 1]!.length;
    const tree = new Int32Array(size + 1);
    let seen = 0;
    for (const p of rows[r]!) {
      const ends = points[p]!.down.map(q => points[q]!.at).sort((a, b) => a - b);
      for (const end of ends) {
        let upTo = 0;
        for (let i = end + 1; i > 0; i -= i & -i) {
          upTo += tree[i]!;
        }
        total += seen - upTo;
      }
      for (const end of ends) {
        seen++;
        for (let i = end + 1; i <= size; i += i & -i) {
          tree[i]!++;
        }
      }
    }
  }
  return total;
}

/** Crossings between the lines of two neighbours, *a* left of *b*. */
function between(a: readonly number[], b: readonly number[], points: readonly Point[]): number {
  let count = 0;
  for (const p of a) {
    for (const q of b) {
      count += points[p]!.at > points[q]!.at ? 1 : 0;
    }
  }
  return count;
}

/** Swap neighbours of a row while that takes crossings away; what the means of a sweep cannot see. */
function exchange(points: readonly Point[], rows: readonly number[][], most: number): void {
  let changed = true;
  for (let pass = 0; changed && pass < most; pass++) {
    changed = false;
    for (const row of rows) {
      for (let i = 0; i + 1 < row.length; i++) {
        const a = points[row[i]!]!;
        const b = points[row[i + 1]!]!;
        const now = between(a.up, b.up, points) + between(a.down, b.down, points);
        if (now === 0) {
          continue;
        }
        if (between(b.up, a.up, points) + between(b.down, a.down, points) < now) {
          [row[i], row[i + 1]] = [row[i + 1]!, row[i]!];
          [a.at, b.at] = [b.at, a.at];
          changed = true;
        }
      }
    }
  }
}

/** Up to here swapping after each sweep takes a few ms; beyond, it is done once, at the end. */
const EXCHANGE_ALWAYS = 1200;

function order(points: Point[], rows: number[][]): void {
  const number = (row: number[]): void => row.forEach((p, at) => (points[p]!.at = at));
  rows.forEach(number);
  let best = rows.map(row => row.slice());
  let fewest = crossings(points, rows);
  const weight = new Float64Array(points.length);
  const sweeps = points.length > 4000 ? 4 : 10;
  let idle = 0;
  for (let sweep = 0; sweep < sweeps && fewest > 0; sweep++) {
    const downwards = sweep % 2 === 0;
    for (let k = 1; k < rows.length; k++) {
      const row = rows[downwards ? k : rows.length - 1 - k]!;
      for (const p of row) {
        const near = downwards ? points[p]!.up : points[p]!.down;
        let sum = 0;
        for (const q of near) {
          sum += points[q]!.at;
        }
        weight[p] = near.length > 0 ? sum / near.length : points[p]!.at;
      }
      row.sort((a, b) => weight[a]! - weight[b]! || points[a]!.at - points[b]!.at);
      number(row);
    }
    if (points.length < EXCHANGE_ALWAYS) {
      exchange(points, rows, 8);
    }
    const now = crossings(points, rows);
    if (now < fewest) {
      fewest = now;
      best = rows.map(row => row.slice());
      idle = 0;
    } else if (++idle === 4) {
      break;
    }
  }
  best.forEach((row, r) => {
    rows[r] = row;
    number(row);
  });
  if (points.length >= EXCHANGE_ALWAYS) {
    exchange(points, rows, 2);
  }
}

/** Give each point an x: pulled towards its neighbours' middle, pushed apart to keep its row's gaps. */
function place(points: Point[], rows: readonly number[][], spacing: Spacing): void {
  const gap = (a: Point, b: Point): number =>
    (a.width + b.width) / 2 + (a.id === null && b.id === null ? spacing.between / 2 : spacing.between);
  for (const row of rows) {
    let x = 0;
    row.forEach((p, i) => {
      x += i > 0 ? gap(points[row[i - 1]!]!, points[p]!) : 0;
      points[p]!.x = x;
    });
    for (const p of row) {
      points[p]!.x -= x / 2;
    }
  }
  const settle = (row: readonly number[], wish: (p: Point) => number | null): void => {
    const items = row.map(p => points[p]!);
    // Blocks of points that touch share one offset: the mean of their wishes (pool adjacent violators).
    const blocks: { from: number; to: number; sum: number; weight: number }[] = [];
    const offset: number[] = [];
    items.forEach((item, i) => {
      offset[i] = i > 0 ? offset[i - 1]! + gap(items[i - 1]!, item) : 0;
      const wished = wish(item);
      const weight = wished === null ? 0.05 : item.id === null ? 2 : 1;
      blocks.push({ from: i, to: i, sum: weight * ((wished ?? item.x) - offset[i]), weight });
      while (blocks.length > 1) {
        const last = blocks[blocks.length - 1]!;
        const before = blocks[blocks.length - 2]!;
        if (before.sum / before.weight <= last.sum / last.weight) {
          break;
        }
        blocks.pop();
        before.to = last.to;
        before.sum += last.sum;
        before.weight += last.weight;
      }
    });
    for (const block of blocks) {
      for (let i = block.from; i <= block.to; i++) {
        items[i]!.x = offset[i]! + block.sum / block.weight;
      }
    }
  };
  const middle = (near: readonly number[]): number | null => {
    if (near.length === 0) {
      return null;
    }
    let sum = 0;
    for (const q of near) {
      sum += points[q]!.x;
    }
    return sum / near.length;
  };
  for (let sweep = 0; sweep < 6; sweep++) {
    if (sweep % 2 === 0) {
      for (let r = 1; r < rows.length; r++) {
        settle(rows[r]!, p => middle(p.up) ?? middle(p.down));
      }
    } else {
      for (let r = rows.length - 2; r >= 0; r--) {
        settle(rows[r]!, p => middle(p.down) ?? middle(p.up));
      }
    }
  }
}

/** Lay out boxes in rows; edges whose ends are not among the boxes are ignored. */
export function layout(boxes: readonly Box[], links: readonly Link[], spacing: Spacing = SPACING): Layout {
  const index = new Map(boxes.map((box, i) => [box.id, i]));
  const count = boxes.length;
  const known = new Map<number, readonly [number, number]>();
  for (const link of links) {
    const a = index.get(link.from);
    const b = index.get(link.to);
    if (a !== undefined && b !== undefined && a !== b) {
      known.set(a * count + b, [a, b]);
    }
  }
  const pairs = [...known.values()];
  const turned = forward(count, pairs);
  const up: number[][] = boxes.map(() => []);
  const down: number[][] = boxes.map(() => []);
  for (const [a, b] of turned) {
    down[a]!.push(b);
    up[b]!.push(a);
  }
  const layer = layersOf(count, down, up);
  const points: Point[] = boxes.map((box, i) => ({
    id: box.id,
    layer: layer[i]!,
    width: box.width,
    height: box.height,
    x: 0,
    at: 0,
    up: [],
    down: []
  }));
  const chains = turned.map(([a, b]) => {
    const chain = [a];
    for (let l = layer[a]! + 1; l < layer[b]!; l++) {
      chain.push(points.push({ id: null, layer: l, width: 0, height: 0, x: 0, at: 0, up: [], down: [] }) - 1);
    }
    chain.push(b);
    for (let i = 0; i + 1 < chain.length; i++) {
      points[chain[i]!]!.down.push(chain[i + 1]!);
      points[chain[i + 1]!]!.up.push(chain[i]!);
    }
    return chain;
  });
  const rows: number[][] = [];
  points.forEach((point, i) => {
    (rows[point.layer] ??= []).push(i);
  });
  for (let r = 0; r < rows.length; r++) {
    rows[r] ??= [];
  }
  order(points, rows);
  place(points, rows, spacing);

  const tall = rows.map(row => Math.max(0, ...row.map(p => points[p]!.height)));
  const top: number[] = [];
  tall.forEach((_, r) => (top[r] = r === 0 ? spacing.margin : top[r - 1]! + tall[r - 1]! + spacing.layers));
  let left = Infinity;
  let right = -Infinity;
  for (const point of points) {
    left = Math.min(left, point.x - point.width / 2);
    right = Math.max(right, point.x + point.width / 2);
  }
  if (count === 0) {
    return { nodes: [], routes: [], width: 2 * spacing.margin, height: 2 * spacing.margin };
  }
  const shift = spacing.margin - left;
  const middleOf = (row: number): number => top[row]! + tall[row]! / 2;
  const nodes = boxes.map((box, i) => {
    const point = points[i]!;
    return { ...box, x: point.x + shift, y: middleOf(point.layer), layer: point.layer };
  });
  const routes = chains.map((chain, e): Route => {
    const last = chain.length - 1;
    const line = chain.flatMap((p, i): [number, number][] => {
      const point = points[p]!;
      const x = point.x + shift;
      const y = middleOf(point.layer);
      if (i === 0) {
        return [[x, y + point.height / 2]];
      }
      if (i === last) {
        return [[x, y - point.height / 2]];
      }
      return [
        [x, top[point.layer]!],
        [x, top[point.layer]! + tall[point.layer]!]
      ];
    });
    const [from, to] = pairs[e]!;
    const reversed = turned[e]![0] !== from;
    return { from: boxes[from]!.id, to: boxes[to]!.id, points: reversed ? line.reverse() : line };
  });
  const bottom = top[top.length - 1]! + tall[tall.length - 1]!;
  return { nodes, routes, width: right - left + 2 * spacing.margin, height: bottom + spacing.margin };
}

const short = (n: number): string => String(Math.round(n * 10) / 10);

/** A route as an SVG path: each stretch leaves and arrives straight up and down. */
export function pathOf(points: Route['points']): string {
  const first = points[0];
  if (first === undefined) {
    return '';
  }
  let path = `M${short(first[0])},${short(first[1])}`;
  for (let i = 1; i < points.length; i++) {
    const [x0, y0] = points[i - 1]!;
    const [x1, y1] = points[i]!;
    const bend = (y1 - y0) / 2;
    path +=
      Math.abs(x1 - x0) < 0.5
        ? `L${short(x1)},${short(y1)}`
        : `C${short(x0)},${short(y0 + bend)} ${short(x1)},${short(y1 - bend)} ${short(x1)},${short(y1)}`;
  }
  return path;
}
