/** Who waits for whom, and where arrow keys lead. */

import type { Placed } from './layout';
import type { DagEdge } from './model';

export class Neighbours {
  constructor(edges: readonly DagEdge[]) {
    for (const { from, to } of edges) {
      add(this._down, from, to);
      add(this._up, to, from);
    }
  }

  upstream(id: string): string[] {
    return this._up.get(id) ?? [];
  }

  downstream(id: string): string[] {
    return this._down.get(id) ?? [];
  }

  private _up = new Map<string, string[]>();
  private _down = new Map<string, string[]>();
}

function add(map: Map<string, string[]>, key: string, value: string): void {
  const list = map.get(key);
  if (list === undefined) {
    map.set(key, [value]);
  } else if (!list.includes(value)) {
    list.push(value);
  }
}

/** The node that an arrow key leads to: up and down along edges, left and right along the row. */
export function step(
  key: string,
  from: string,
  places: ReadonlyMap<string, Placed>,
  neighbours: Neighbours
): string | null {
  const here = places.get(from);
  if (here === undefined) {
    return null;
  }
  const nearest = (ids: readonly string[]): string | null => {
    const spots = ids.map(id => places.get(id)).filter((spot): spot is Placed => spot !== undefined);
    spots.sort((a, b) => Math.abs(a.x - here.x) - Math.abs(b.x - here.x));
    return spots[0]?.id ?? null;
  };
  const row = [...places.values()].filter(spot => spot.layer === here.layer).sort((a, b) => a.x - b.x);
  const at = row.findIndex(spot => spot.id === from);
  switch (key) {
    case 'ArrowDown':
      return nearest(neighbours.downstream(from));
    case 'ArrowUp':
      return nearest(neighbours.upstream(from));
    case 'ArrowLeft':
      return row[at - 1]?.id ?? null;
    case 'ArrowRight':
      return row[at + 1]?.id ?? null;
    case 'Home':
      return [...places.keys()][0] ?? null;
    case 'End':
      return [...places.keys()].pop() ?? null;
    default:
      return null;
  }
}
