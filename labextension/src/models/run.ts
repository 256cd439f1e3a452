/** One run with its graph, tasks and log, kept fresh by the server's events. No DOM. */

import { Signal, type ISignal } from '@lumino/signaling';

import { sentence } from '../client';
import { readEdges, readNodes, type DagEdge, type DagNode } from '../dag/model';
import type { FlowsFeed } from '../feed';
import type { FlowEvent, FlowSpec, LogRecord, RunRecord, TaskRunRecord } from '../records';

/** More lines than these are not kept: the whole log is on the server. */
const MOST_LINES = 5000;

/** The spec's tasks and edges as the picture takes them. */
export function graphOf(spec: FlowSpec): { nodes: DagNode[]; edges: DagEdge[] } {
  return {
    nodes: readNodes(
      (spec.tasks ?? []).map(task => ({
        id: task.slug,
        name: task.name,
        role: task.role,
        type: task.type,
        cell_id: task.cell_id,
        mapped: task.mapped,
        retries: task.max_retries,
        timeout_s: task.timeout_s,
        trigger: task.trigger
      }))
    ),
    // Edges of kind "order" say only what shared memory forbids; they would clutter the picture.
    edges: readEdges(
      (spec.edges ?? [])
        .filter(edge => edge.kind !== 'order')
        .map(edge => ({
          from: edge.upstream,
          to: edge.downstream,
          names: edge.names && edge.names.length > 0 ? edge.names : edge.key ? [edge.key] : [],
          kind: edge.kind,
          reason: edge.reason
        }))
    )
  };
}

const keyOf = (task: TaskRunRecord): string => `${task.slug}\n${task.map_index ?? -1}`;

/** Tasks with the changed ones put in their place. */
export function withTasks(known: readonly TaskRunRecord[], changed: readonly TaskRunRecord[]): TaskRunRecord[] {
  const all = new Map(known.map(task => [keyOf(task), task]));
  for (const task of changed) {
    all.set(keyOf(task), task);
  }
  return [...all.values()];
}

/** Lines joined by their ids, each once. */
export function withLogs(known: readonly LogRecord[], more: readonly LogRecord[]): LogRecord[] {
  const last = known[known.length - 1]?.id ?? -1;
  const inOrder = more.every((line, i) => line.id > (more[i - 1]?.id ?? last));
  const all = inOrder
    ? [...known, ...more]
    : [...new Map([...known, ...more].map(line => [line.id, line])).values()].sort((a, b) => a.id - b.id);
  return all.slice(-MOST_LINES);
}

export class RunModel {
  constructor(
    readonly id: string,
    private readonly _feed: FlowsFeed
  ) {
    _feed.event.connect(this._onEvent, this);
    _feed.opened.connect(this._onOpened, this);
    _feed.start();
    void this.refresh();
  }

  run: RunRecord | null = null;
  spec: FlowSpec | null = null;
  tasks: TaskRunRecord[] = [];
  logs: LogRecord[] = [];
  message = '';

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  async refresh(): Promise<void> {
    const client = this._feed.client;
    try {
      const [run, tasks] = await Promise.all([client.run(this.id), client.tasks(this.id)]);
      this.spec ??= await client.spec(this.id);
      this.run = run;
      this.tasks = tasks;
      this.message = '';
      this._changed.emit();
      await this._readLogs();
    } catch (error) {
      this.message = sentence(error);
    }
    this._changed.emit();
  }

  async cancel(): Promise<void> {
    this.run = await this._feed.client.cancel(this.id);
    this._changed.emit();
  }

  async retry(): Promise<RunRecord> {
    const run = await this._feed.client.retry(this.id);
    if (run.id === this.id) {
      this.run = run;
      this.tasks = [];
      void this.refresh();
    }
    return run;
  }

  /** Tasks in the order of the flow; those the server has no word of yet are Pending. */
  ordered(): TaskRunRecord[] {
    const found = new Map<string, TaskRunRecord[]>();
    for (const task of this.tasks) {
      found.set(task.slug, [...(found.get(task.slug) ?? []), task]);
    }
    const rows: TaskRunRecord[] = [];
    for (const task of this.spec?.tasks ?? []) {
      const hidden = task.role === 'setup' || task.role === 'parameters';
      const mine = found.get(task.slug) ?? [];
      found.delete(task.slug);
      mine.sort((a, b) => (a.map_index ?? -1) - (b.map_index ?? -1));
      if (mine.length > 0) {
        rows.push(...mine.filter(item => !hidden || item.state.type !== 'Success'));
      } else if (!hidden) {
        rows.push({
          run_id: this.id,
          slug: task.slug,
          name: task.name,
          map_index: -1,
          attempt: 1,
          started_at: null,
          ended_at: null,
          progress: null,
          state: { type: 'Pending', at: this.run?.created_at ?? '', message: '' }
        });
      }
    }
    return [...rows, ...[...found.values()].flat()];
  }

  dispose(): void {
    this._feed.event.disconnect(this._onEvent, this);
    this._feed.opened.disconnect(this._onOpened, this);
    Signal.clearData(this);
  }

  private async _readLogs(): Promise<void> {
    for (let pages = 0; pages < 20; pages++) {
      const after = this.logs[this.logs.length - 1]?.id ?? 0;
      const page = await this._feed.client.logs(this.id, after);
      this.logs = withLogs(this.logs, page.logs);
      if (page.logs.length === 0 || page.next <= after) {
        return;
      }
    }
  }

  private _onOpened(): void {
    void this.refresh();
  }

  private _onEvent(_: FlowsFeed, { body }: FlowEvent): void {
    if (body.type === 'run_changed' && body.run.id === this.id) {
      const again = (this.run?.token ?? 0) !== (body.run.token ?? 0);
      this.run = body.run;
      if (again) {
        void this.refresh();
      }
    } else if (body.type === 'task_run_changed' && body.task_run.run_id === this.id) {
      this.tasks = withTasks(this.tasks, [body.task_run]);
    } else if (body.type === 'logs_written' && body.run_id === this.id) {
      this.logs = withLogs(this.logs, body.logs ?? []);
    } else {
      return;
    }
    this._changed.emit();
  }

  private readonly _changed = new Signal<this, void>(this);
}
