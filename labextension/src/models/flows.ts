/** What the server knows of flows and agents, kept fresh by its events. No DOM. */

import { Signal, type ISignal } from '@lumino/signaling';

import { FlowsFailure, sentence } from '../client';
import { familyOf } from '../dag/states';
import type { FlowsFeed } from '../feed';
import type { AgentRecord, FlowEvent, FlowSummary, ParameterValue, RunBrief, RunRecord } from '../records';

export const STRIP = 10;
/** Events come in bursts; lists are read again once after each. */
const REREAD_MS = 700;

export type Status = 'loading' | 'ready' | 'missing' | 'unreachable';

/** A run as a square of the strip. */
export function briefOf(run: RunRecord): RunBrief {
  const start = run.started_at ? Date.parse(run.started_at) : NaN;
  const end = run.ended_at ? Date.parse(run.ended_at) : NaN;
  const seconds = (end - start) / 1000;
  return {
    id: run.id,
    name: run.name,
    state: run.state.type,
    at: run.started_at ?? run.scheduled_at,
    duration_s: Number.isFinite(seconds) ? seconds : null
  };
}

/** The flows after a run changed: its square changes, or a new one comes in front. */
export function withRun(flows: readonly FlowSummary[], run: RunRecord): FlowSummary[] {
  return flows.map(flow => {
    if (flow.id !== run.flow_id) {
      return flow;
    }
    const known = flow.last_runs ?? [];
    const brief = briefOf(run);
    if (known.some(item => item.id === run.id)) {
      return { ...flow, last_runs: known.map(item => (item.id === run.id ? brief : item)) };
    }
    // A run of the future is the schedule's business until it starts.
    return run.state.type === 'Scheduled' && run.auto_scheduled
      ? flow
      : { ...flow, last_runs: [brief, ...known].slice(0, STRIP) };
  });
}

export class FlowsModel {
  constructor(readonly feed: FlowsFeed) {
    feed.opened.connect(() => void this.refresh());
    feed.event.connect(this._onEvent, this);
    feed.connectionChanged.connect((_, { error }) => {
      if (error !== null) {
        this._fail(error);
      } else {
        this._changed.emit();
      }
    });
  }

  status: Status = 'loading';
  message = '';
  flows: FlowSummary[] = [];
  agents: AgentRecord[] = [];

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** A run came to be or changed: for notifications. */
  get runChanged(): ISignal<this, RunRecord> {
    return this._runChanged;
  }

  get running(): number {
    const busy = new Set(['Submitted', 'Running', 'Cancelling']);
    return this.flows.reduce(
      (sum, flow) => sum + (flow.last_runs ?? []).filter(run => busy.has(run.state)).length,
      0
    );
  }

  get live(): boolean {
    return this.feed.connection.state === 'open';
  }

  async refresh(): Promise<void> {
    try {
      const [flows, agents] = await Promise.all([this.feed.client.flows(), this.feed.client.agents()]);
      this.flows = flows;
      this.agents = agents;
      this.status = 'ready';
      this.message = '';
      this._changed.emit();
    } catch (error) {
      this._fail(error);
    }
  }

  async setPaused(flow: FlowSummary, paused: boolean): Promise<void> {
    const after = await this.feed.client.pause(flow.id, paused);
    this.flows = this.flows.map(item => (item.id === after.id ? after : item));
    this._changed.emit();
  }

  async run(flow: FlowSummary, parameters: Record<string, ParameterValue>): Promise<RunRecord> {
    const run = await this.feed.client.createRun(flow.id, parameters);
    this.flows = withRun(this.flows, run);
    this._changed.emit();
    return run;
  }

  flow(id: string): FlowSummary | undefined {
    return this.flows.find(item => item.id === id);
  }

  private _fail(error: unknown): void {
    this.status = error instanceof FlowsFailure && error.kind === 'missing' ? 'missing' : 'unreachable';
    this.message = sentence(error);
    this._changed.emit();
  }

  private _onEvent(_: FlowsFeed, { body }: FlowEvent): void {
    switch (body.type) {
      case 'run_changed':
        this.flows = withRun(this.flows, body.run);
        this._changed.emit();
        this._runChanged.emit(body.run);
        // Only an end or a start moves the times of next runs and the counts of agents.
        if (familyOf(body.run.state.type) !== 'waiting') {
          this._rereadSoon();
        }
        break;
      case 'agent_changed': {
        const agent = body.agent;
        const known = this.agents.some(item => item.id === agent.id);
        this.agents = known
          ? this.agents.map(item => (item.id === agent.id ? agent : item))
          : [agent, ...this.agents];
        this._changed.emit();
        break;
      }
      case 'flow_changed':
        this._rereadSoon();
        break;
    }
  }

  private _rereadSoon(): void {
    this._timer ??= setTimeout(() => {
      this._timer = null;
      void this.refresh();
    }, REREAD_MS);
  }

  private readonly _changed = new Signal<this, void>(this);
  private readonly _runChanged = new Signal<this, RunRecord>(this);
  private _timer: ReturnType<typeof setTimeout> | null = null;
}
