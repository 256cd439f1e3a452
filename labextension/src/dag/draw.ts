/** SVG elements of a laid-out flow: cards and curves. Text goes in by textContent, shapes are numbers. */

import { pathOf, type Layout, type Placed, type Route } from './layout';
import { isWaitedFor, type DagEdge, type DagNode } from './model';
import type { Parts } from './states';

const SVG = 'http://www.w3.org/2000/svg';
export const CARD_HEIGHT = 46;
const LONGEST_NAME = 28;

type Attributes = Record<string, string | number>;

export function svg<K extends keyof SVGElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: readonly Node[]
): SVGElementTagNameMap[K] {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) {
    element.setAttribute(name, String(value));
  }
  element.append(...children);
  return element;
}

function label(className: string, x: number, y: number, text: string): SVGTextElement {
  const element = svg('text', { class: className, x, y });
  element.textContent = text;
  return element;
}

export function shorten(text: string, most: number = LONGEST_NAME): string {
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`;
}

/** A card's width from its longest line; a guess that errs on the wide side. A mapped one counts its children. */
export function cardWidth(node: DagNode): number {
  const mark = (node.warnings ?? []).length > 0 ? 18 : 0;
  return Math.max(node.mapped ? 208 : 164, 52 + mark + 8.3 * shorten(node.name).length);
}

export interface Card {
  node: DagNode;
  at: Placed;
  element: SVGGElement;
  glyph: SVGTextElement;
  note: SVGTextElement;
  /** Along the lower side of a mapped task: its children by state. */
  bar: SVGGElement;
}

const BAR_INSET = 8;

/** Draw the children of a mapped task as a bar; nothing for a task that is not mapped. */
export function drawBar(card: Card, parts: Parts | null): void {
  const { width, height } = card.at;
  const length = width - 2 * BAR_INSET;
  let x = BAR_INSET;
  const pieces = (parts?.families ?? []).map(([family, count]) => {
    const share = (length * count) / parts!.total;
    const piece = svg('rect', { class: 'jp-FlowsDag-part', x: x.toFixed(1), y: height - 6, width: share.toFixed(1), height: 3 });
    piece.dataset['family'] = family;
    x += share;
    return piece;
  });
  card.bar.replaceChildren(...pieces);
}

/** Draw how far a running task is, in the place of a mapped one's children. */
export function drawProgress(card: Card, fraction: number): void {
  const { width, height } = card.at;
  const length = width - 2 * BAR_INSET;
  const piece = (family: string, share: number): SVGRectElement => {
    const rect = svg('rect', { class: 'jp-FlowsDag-part', x: BAR_INSET, y: height - 6, width: share.toFixed(1), height: 3 });
    rect.dataset['family'] = family;
    return rect;
  };
  card.bar.replaceChildren(piece('waiting', length), piece('running', length * fraction));
}

function makeCard(node: DagNode, at: Placed): Card {
  const { width, height } = at;
  const glyph = label('jp-FlowsDag-glyph', 22, height / 2, '');
  const note = label('jp-FlowsDag-note', 40, height / 2 + 13, '');
  const bar = svg('g', { 'aria-hidden': 'true' });
  // A mapped task looks like a pile of cards.
  const pile = (node.mapped ? [7, 3.5] : []).map(by =>
    svg('rect', { class: 'jp-FlowsDag-card jp-mod-behind', x: by, y: by, width, height, rx: 8 })
  );
  const element = svg(
    'g',
    {
      class: 'jp-FlowsDag-node',
      transform: `translate(${(at.x - width / 2).toFixed(1)},${(at.y - height / 2).toFixed(1)})`,
      role: 'button',
      tabindex: -1,
      'data-id': node.id,
      'data-role': node.role ?? 'task'
    },
    svg('rect', { class: 'jp-FlowsDag-ring', x: -3, y: -3, width: width + 6, height: height + 6, rx: 11 }),
    ...pile,
    svg('rect', { class: 'jp-FlowsDag-card', width, height, rx: 8 }),
    svg('circle', { class: 'jp-FlowsDag-badge', cx: 22, cy: height / 2, r: 11 }),
    glyph,
    label('jp-FlowsDag-name', 40, height / 2 - 3, shorten(node.name)),
    note,
    bar
  );
  if (node.barrier === true) {
    const post = (x: number): SVGRectElement =>
      svg('rect', { class: 'jp-FlowsDag-barrier', x, y: -5, width: 3, height: height + 10, rx: 1 });
    element.append(post(-8), post(width + 5));
  }
  if (node.warnings !== undefined && node.warnings.length > 0) {
    element.append(
      svg('path', { class: 'jp-FlowsDag-warning', d: `M${width - 14},6l6,11h-12z` }),
      label('jp-FlowsDag-warningMark', width - 14, 13, '!')
    );
  }
  return { node, at, element, glyph, note, bar };
}

export interface Curve {
  edge: DagEdge;
  element: SVGGElement;
}

function makeCurve(edge: DagEdge, points: Route['points']): Curve {
  const tip = points[points.length - 1] ?? [0, 0];
  const before = points[points.length - 2] ?? [0, 0];
  const sign = tip[1] >= before[1] ? 1 : -1;
  const base = tip[1] - 7 * sign;
  const line = pathOf([...points.slice(0, -1), [tip[0], base]]);
  if (edge.kind === 'denied') {
    return deniedCurve(edge, points);
  }
  const head = `M${tip[0].toFixed(1)},${tip[1].toFixed(1)}l-4.5,${-8 * sign}h9z`;
  return {
    edge,
    element: svg(
      'g',
      { class: 'jp-FlowsDag-edge', 'data-kind': edge.kind ?? 'data', 'data-from': edge.from, 'data-to': edge.to },
      svg('path', { class: 'jp-FlowsDag-line', d: line }),
      svg('path', { class: 'jp-FlowsDag-head', d: head }),
      svg('path', { class: 'jp-FlowsDag-hit', d: line })
    )
  };
}

/** No arrow: a faint line with a cross in its middle. */
function deniedCurve(edge: DagEdge, points: Route['points']): Curve {
  const at = Math.max(1, Math.floor(points.length / 2));
  const [a, b] = [points[at - 1] ?? [0, 0], points[at] ?? points[at - 1] ?? [0, 0]];
  const [x, y] = [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2];
  const line = pathOf(points);
  const cross = `M${(x - 4).toFixed(1)},${(y - 4).toFixed(1)}l8,8m0,-8l-8,8`;
  return {
    edge,
    element: svg(
      'g',
      { class: 'jp-FlowsDag-edge', 'data-kind': 'denied', 'data-from': edge.from, 'data-to': edge.to },
      svg('path', { class: 'jp-FlowsDag-line', d: line }),
      svg('path', { class: 'jp-FlowsDag-cross', d: cross }),
      svg('path', { class: 'jp-FlowsDag-hit', d: line })
    )
  };
}

export interface Picture {
  root: SVGSVGElement;
  cards: Map<string, Card>;
  curves: Curve[];
}

/** Draw the layout; `edges` may hold several between the same two nodes: they share one curve. */
export function picture(nodes: readonly DagNode[], edges: readonly DagEdge[], placed: Layout, name: string): Picture {
  const width = Math.ceil(placed.width);
  const height = Math.ceil(placed.height);
  const byPair = new Map<string, DagEdge>();
  for (const edge of edges) {
    const key = JSON.stringify([edge.from, edge.to]);
    const known = byPair.get(key);
    byPair.set(
      key,
      known === undefined
        ? edge
        : {
            ...known,
            names: [...new Set([...(known.names ?? []), ...(edge.names ?? [])])],
            kind: known.kind === 'data' || !isWaitedFor(edge) ? known.kind : edge.kind,
            reason: [known.reason, edge.reason].filter(Boolean).join('; ')
          }
    );
  }
  const curves = placed.routes.map(route =>
    makeCurve(byPair.get(JSON.stringify([route.from, route.to])) ?? route, route.points)
  );
  const at = new Map(placed.nodes.map(spot => [spot.id, spot]));
  const cards = new Map<string, Card>();
  for (const node of nodes) {
    const spot = at.get(node.id);
    if (spot !== undefined) {
      cards.set(node.id, makeCard(node, spot));
    }
  }
  const root = svg(
    'svg',
    { class: 'jp-FlowsDag-picture', viewBox: `0 0 ${width} ${height}`, width, height, role: 'group', 'aria-label': name },
    svg('g', { class: 'jp-FlowsDag-edges' }, ...curves.map(curve => curve.element)),
    svg('g', { class: 'jp-FlowsDag-nodes' }, ...[...cards.values()].map(card => card.element))
  );
  return { root, cards, curves };
}
