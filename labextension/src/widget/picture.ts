/** A picture of a flow with its data: draws again only when the graph changed, follows a run if it has one. */

import { readEdges, readNodes, readStates, type DagState, type DagStates } from '../dag/model';
import { familyOf, isEnded } from '../dag/states';
import { PLAIN_WORDS } from '../dag/words';
import { DagView } from '../dag/view';
import type { FlowsFeed } from '../feed';
import { host } from '../host';
import type { FlowEvent, TaskRunRecord } from '../records';

/** A task run of the server as the picture's state. */
export function stateOf(task: TaskRunRecord): DagState {
  return {
    state: task.state.type,
    message: task.state.message ?? '',
    started_at: task.started_at ?? null,
    ended_at: task.ended_at ?? null,
    attempt: task.attempt,
    progress: task.state.type === 'Running' ? (task.progress ?? null) : null
  };
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');

export class FlowPicture {
  constructor(el: HTMLElement) {
    this.view = new DagView(el, {
      trans: host.trans ?? PLAIN_WORDS,
      reveal: node => (node.cell_id ? host.revealCell?.(node.cell_id) : undefined)
    });
  }

  readonly view: DagView;

  /** Take data that nobody vouches for: `{nodes, edges, states, title, run}`. */
  update(data: Record<string, unknown>): void {
    const graph = JSON.stringify([data['nodes'], data['edges']]);
    this.view.setTitle(textOf(data['title']));
    if (graph !== this._graph) {
      this._graph = graph;
      this.view.draw(readNodes(data['nodes']), readEdges(data['edges']));
    }
    const run = (typeof data['run'] === 'object' && data['run'] !== null ? data['run'] : {}) as Record<
      string,
      unknown
    >;
    this.view.setRun(textOf(run['state']), textOf(run['message']));
    this.replaceStates(readStates(data['states']));
    this._follow(textOf(run['id']), textOf(run['state']));
  }

  /** Set all states; tasks that are not named have none. */
  replaceStates(states: DagStates): void {
    this.view.clearStates();
    this.view.setStates(states);
  }

  dispose(): void {
    this._unfollow();
    this.view.dispose();
  }

  private _follow(runId: string, state: string): void {
    const feed = host.feed;
    if (runId === this._runId || feed === null || isEnded(state)) {
      return;
    }
    this._unfollow();
    this._runId = runId;
    if (runId === '') {
      return;
    }
    this._feed = feed;
    feed.event.connect(this._onEvent, this);
    feed.opened.connect(this._catchUp, this);
    feed.start();
    this._catchUp();
  }

  private _unfollow(): void {
    this._feed?.event.disconnect(this._onEvent, this);
    this._feed?.opened.disconnect(this._catchUp, this);
    this._feed = null;
    this._runId = '';
  }

  private _catchUp(): void {
    const runId = this._runId;
    const feed = this._feed;
    if (feed === null || runId === '') {
      return;
    }
    Promise.all([feed.client.run(runId), feed.client.tasks(runId)]).then(
      ([run, tasks]) => {
        if (this._runId === runId) {
          this.view.setRun(run.state.type, run.state.message);
          this._take(tasks);
        }
      },
      // The server may be away, or may have forgotten the run: the states that came with the data stay.
      (error: unknown) => console.debug('jupyter-flows: a run was not read', error)
    );
  }

  private _onEvent(_: FlowsFeed, { body }: FlowEvent): void {
    if (body.type === 'task_run_changed' && body.task_run.run_id === this._runId) {
      this._take([body.task_run]);
    } else if (body.type === 'run_changed' && body.run.id === this._runId) {
      this.view.setRun(body.run.state.type, body.run.state.message);
      if (familyOf(body.run.state.type) !== 'running' && isEnded(body.run.state.type)) {
        this._catchUp();
      }
    }
  }

  private _take(tasks: readonly TaskRunRecord[]): void {
    const whole = tasks.filter(task => (task.map_index ?? -1) < 0);
    this.view.setStates(Object.fromEntries(whole.map(task => [task.slug, stateOf(task)])));
  }

  private _graph = '';
  private _runId = '';
  private _feed: FlowsFeed | null = null;
}
