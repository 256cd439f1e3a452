/** What a picture of a flow is made of: nodes, edges, states. Plain data from outside, checked here. */

export interface DagNode {
  id: string;
  name: string;
  /** task, plain, setup or parameters. */
  role?: string;
  type?: string;
  cell_id?: string | null;
  retries?: number;
  timeout_s?: number | null;
  /** One card stands for all of its children. */
  mapped?: boolean;
  trigger?: string | null;
  reads?: string[];
  writes?: string[];
  warnings?: string[];
  /** Runs code that cannot be read: waits for all above, and all below wait for it. */
  barrier?: boolean;
}

export interface DagEdge {
  from: string;
  to: string;
  names?: string[];
  /** data, order, channel or declared; denied: `--not-after` took it away, it is only shown. */
  kind?: string;
  reason?: string;
}

export interface DagState {
  state: string;
  message?: string;
  started_at?: string | null;
  ended_at?: string | null;
  attempt?: number;
  duration_s?: number | null;
  /** How many children of a mapped task are in each state. */
  counts?: Record<string, number> | null;
  /** How far a running task is; no fraction: how much there is to do is not known. */
  progress?: { fraction?: number | null; text?: string } | null;
  /** Why what the task made is out of date; it is not, if there is no reason. */
  stale?: string;
}

export type DagStates = Record<string, DagState>;

/** Roles that carry no work of the flow; hidden until asked for. */
const HIDDEN_ROLES = new Set(['setup', 'parameters']);

export function isHidden(node: DagNode): boolean {
  return HIDDEN_ROLES.has(node.role ?? 'task');
}

/** The nodes and edges to show; an edge with a hidden end is dropped. */
export function visible(
  nodes: readonly DagNode[],
  edges: readonly DagEdge[],
  withSetup: boolean
): { nodes: DagNode[]; edges: DagEdge[] } {
  const shown = nodes.filter(node => withSetup || !isHidden(node));
  const ids = new Set(shown.map(node => node.id));
  return { nodes: shown, edges: edges.filter(edge => ids.has(edge.from) && ids.has(edge.to)) };
}

/** Whether the lower end waits for the upper one. */
export function isWaitedFor(edge: DagEdge): boolean {
  return edge.kind !== 'denied';
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const text = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);
const finite = (value: unknown): number | undefined =>
  typeof value === 'number' && Number.isFinite(value) ? value : undefined;
const texts = (value: unknown): string[] =>
  Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string') : [];

/** Nodes out of data that nobody vouches for (a saved notebook); what is not a node is left out. */
export function readNodes(value: unknown): DagNode[] {
  const seen = new Set<string>();
  const nodes: DagNode[] = [];
  for (const item of Array.isArray(value) ? (value as unknown[]) : []) {
    const id = isObject(item) ? text(item['id']) : undefined;
    if (!isObject(item) || id === undefined || seen.has(id)) {
      continue;
    }
    seen.add(id);
    nodes.push({
      id,
      name: text(item['name']) ?? id,
      role: text(item['role']) ?? 'task',
      type: text(item['type']),
      cell_id: text(item['cell_id']) ?? null,
      retries: finite(item['retries']),
      timeout_s: finite(item['timeout_s']) ?? null,
      mapped: item['mapped'] === true,
      trigger: text(item['trigger']) ?? null,
      reads: texts(item['reads']),
      writes: texts(item['writes']),
      warnings: texts(item['warnings']),
      barrier: item['barrier'] === true
    });
  }
  return nodes;
}

export function readEdges(value: unknown): DagEdge[] {
  const edges: DagEdge[] = [];
  for (const item of Array.isArray(value) ? (value as unknown[]) : []) {
    const from = isObject(item) ? text(item['from']) : undefined;
    const to = isObject(item) ? text(item['to']) : undefined;
    if (isObject(item) && from !== undefined && to !== undefined) {
      edges.push({
        from,
        to,
        names: texts(item['names']),
        kind: text(item['kind']) ?? 'data',
        reason: text(item['reason']) ?? ''
      });
    }
  }
  return edges;
}

function readCounts(value: unknown): Record<string, number> | null {
  const counts = Object.entries(isObject(value) ? value : {}).filter(
    (item): item is [string, number] => Number.isInteger(item[1]) && (item[1] as number) > 0
  );
  return counts.length > 0 ? Object.fromEntries(counts) : null;
}

export function readStates(value: unknown): DagStates {
  const states: DagStates = Object.create(null) as DagStates;
  for (const [id, item] of Object.entries(isObject(value) ? value : {})) {
    const state = isObject(item) ? text(item['state']) : text(item);
    if (state === undefined) {
      continue;
    }
    const rest = isObject(item) ? item : {};
    states[id] = {
      state,
      message: text(rest['message']) ?? '',
      started_at: text(rest['started_at']) ?? null,
      ended_at: text(rest['ended_at']) ?? null,
      attempt: finite(rest['attempt']),
      duration_s: finite(rest['duration_s']) ?? null,
      counts: readCounts(rest['counts']),
      stale: text(rest['stale'])
    };
  }
  return states;
}

/** What a task is, in a word: a cell, a parameter, a class of the user's. */
export function kindOf(node: DagNode): string {
  if (node.cell_id) {
    return 'cell';
  }
  const name = (node.type ?? '').split('.').pop() ?? '';
  return name === '' || name === 'FunctionTask' ? 'task' : name;
}
