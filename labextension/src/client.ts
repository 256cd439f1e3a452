/** The server's API, through Jupyter's own connection (its address, token and cross-site header). */

import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';

import {
  BadAnswer,
  record,
  records,
  type AgentRecord,
  type Explanation,
  type FlowSpec,
  type FlowSummary,
  type LogRecord,
  type ParameterValue,
  type RunRecord,
  type TaskRunRecord,
  type VersionInfo
} from './records';

export const API_PATH = 'flows/api/v1';

/** Why nothing came back: the part is not there, nobody answers, it said no, or it made no sense. */
export type FailureKind = 'missing' | 'unreachable' | 'refused' | 'odd';

export class FlowsFailure extends Error {
  constructor(
    readonly kind: FailureKind,
    message: string,
    readonly code: string = '',
    readonly status: number = 0
  ) {
    super(message);
    this.name = 'FlowsFailure';
  }
}

export interface LogPage {
  logs: LogRecord[];
  next: number;
}

export class FlowsClient {
  constructor(settings?: ServerConnection.ISettings) {
    this.settings = settings ?? ServerConnection.makeSettings();
  }

  readonly settings: ServerConnection.ISettings;

  async version(): Promise<VersionInfo> {
    return record('VersionInfo', await this._ask('GET', 'version'));
  }

  async flows(): Promise<FlowSummary[]> {
    const found: FlowSummary[] = [];
    let after: string | null = null;
    do {
      const page = await this._ask('GET', 'flows', { after, limit: 200 });
      found.push(...records('FlowSummary', page, 'flows'));
      after = nextOf(page);
    } while (after !== null && found.length < 5000);
    return found;
  }

  async pause(flow: string, paused: boolean): Promise<FlowSummary> {
    const verb = paused ? 'pause' : 'resume';
    return record('FlowSummary', await this._ask('POST', `flows/${encodeURIComponent(flow)}/${verb}`));
  }

  async createRun(flow: string, parameters: Record<string, ParameterValue>): Promise<RunRecord> {
    const body = { parameters };
    return record('RunRecord', await this._ask('POST', `flows/${encodeURIComponent(flow)}/runs`, {}, body));
  }

  async explain(flow: string): Promise<Explanation> {
    return record('Explanation', await this._ask('GET', `flows/${encodeURIComponent(flow)}/explain`));
  }

  async agents(): Promise<AgentRecord[]> {
    return records('AgentRecord', await this._ask('GET', 'agents'), 'agents');
  }

  async run(id: string): Promise<RunRecord> {
    return record('RunRecord', await this._ask('GET', `runs/${encodeURIComponent(id)}`));
  }

  async spec(id: string): Promise<FlowSpec> {
    return record('FlowSpec', await this._ask('GET', `runs/${encodeURIComponent(id)}/spec`));
  }

  async tasks(id: string): Promise<TaskRunRecord[]> {
    return records('TaskRunRecord', await this._ask('GET', `runs/${encodeURIComponent(id)}/tasks`));
  }

  async logs(id: string, after: number): Promise<LogPage> {
    const page = await this._ask('GET', `runs/${encodeURIComponent(id)}/logs`, { after, limit: 1000 });
    const next = (page as { next?: unknown }).next;
    return { logs: records('LogRecord', page, 'logs'), next: typeof next === 'number' ? next : after };
  }

  async cancel(id: string): Promise<RunRecord> {
    return record('RunRecord', await this._ask('POST', `runs/${encodeURIComponent(id)}/cancel`, {}, {}));
  }

  async retry(id: string): Promise<RunRecord> {
    return record('RunRecord', await this._ask('POST', `runs/${encodeURIComponent(id)}/retry`, {}, {}));
  }

  /** Open the event stream; the answer's body is read by whoever asked. */
  async events(after: number | null, signal: AbortSignal): Promise<Response> {
    const headers: Record<string, string> = { Accept: 'text/event-stream' };
    if (after !== null) {
      headers['Last-Event-ID'] = String(after);
    }
    return this._fetch('events', { method: 'GET', headers, signal });
  }

  private async _ask(
    method: 'GET' | 'POST',
    path: string,
    query: Record<string, string | number | null> = {},
    body?: unknown
  ): Promise<unknown> {
    const given = Object.entries(query).filter(([, value]) => value !== null && value !== '');
    const search = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
    const init: RequestInit = { method };
    if (body !== undefined) {
      init.body = JSON.stringify(body);
      init.headers = { 'Content-Type': 'application/json' };
    }
    const response = await this._fetch(search === '' ? path : `${path}?${search}`, init);
    try {
      return (await response.json()) as unknown;
    } catch {
      throw new BadAnswer('the answer is not JSON');
    }
  }

  private async _fetch(path: string, init: RequestInit): Promise<Response> {
    const url = URLExt.join(this.settings.baseUrl, API_PATH, path);
    let response: Response;
    try {
      // With "no-store" (the default) Jupyter adds the time to the query, and our server knows no such argument.
      response = await ServerConnection.makeRequest(url, { ...init, cache: 'no-cache' }, this.settings);
    } catch (error) {
      if (init.signal?.aborted) {
        throw error;
      }
      throw new FlowsFailure('unreachable', error instanceof Error ? error.message : String(error));
    }
    if (!response.ok) {
      throw await failureOf(response);
    }
    return response;
  }
}

function nextOf(page: unknown): string | null {
  const next = (page as { next?: unknown } | null)?.next;
  return typeof next === 'string' && next !== '' ? next : null;
}

/** Tell our own problem from a Jupyter server that has no such page. */
async function failureOf(response: Response): Promise<FlowsFailure> {
  const text = await response.text().catch(() => '');
  let problem: { code?: unknown; message?: unknown } = {};
  try {
    problem = (JSON.parse(text) as typeof problem | null) ?? {};
  } catch {
    // Not JSON: a proxy or a login page answered.
  }
  if (typeof problem.code === 'string' && typeof problem.message === 'string') {
    const kind = response.status === 503 ? 'unreachable' : 'refused';
    return new FlowsFailure(kind, problem.message, problem.code, response.status);
  }
  if (response.status === 404) {
    return new FlowsFailure('missing', 'the Jupyter server has no flows part', '', 404);
  }
  if (response.status >= 502) {
    return new FlowsFailure('unreachable', `${response.status} ${response.statusText}`, '', response.status);
  }
  const said = typeof problem.message === 'string' ? problem.message : response.statusText;
  return new FlowsFailure('refused', `${response.status} ${said}`.trim(), '', response.status);
}

/** A failure as one sentence for people. */
export function sentence(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
