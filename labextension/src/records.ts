/** Names for the server's records, out of the generated types, and a check of what answers. */

import type { components } from './schema';

type Schemas = components['schemas'];
export type AgentRecord = Schemas['AgentRecord'];
export type Explanation = Schemas['Explanation'];
export type FlowDetail = Schemas['FlowDetail'];
export type FlowSpec = Schemas['FlowSpec'];
export type FlowSummary = Schemas['FlowSummary'];
export type LogRecord = Schemas['LogRecord'];
export type ParameterSpec = Schemas['ParameterSpec'];
export type RunBrief = Schemas['RunBrief'];
export type RunRecord = Schemas['RunRecord'];
export type TaskRunRecord = Schemas['TaskRunRecord'];
export type VersionInfo = Schemas['VersionInfo'];
export type FlowEvent = Schemas['Event'];
export type ParameterValue = NonNullable<RunRecord['parameters']>[string];

type Kind = 'string' | 'number' | 'boolean' | 'object' | 'array';
type Shape = Readonly<Record<string, Kind>>;

/** The fields that screens stand on; everything else is optional and read with a default. */
const SHAPES = {
  AgentRecord: { id: 'string', name: 'string', last_seen_at: 'string' },
  Explanation: { flow: 'string', where_code: 'string' },
  FlowSummary: { id: 'string', name: 'string', project: 'string', version: 'number', paused: 'boolean' },
  FlowSpec: { name: 'string', storage: 'object' },
  RunRecord: { id: 'string', name: 'string', flow_id: 'string', flow_name: 'string', state: 'object', scheduled_at: 'string' },
  TaskRunRecord: { run_id: 'string', slug: 'string', name: 'string', state: 'object' },
  LogRecord: { id: 'number', run_id: 'string', at: 'string', level: 'string', message: 'string' },
  Event: { id: 'number', body: 'object' },
  VersionInfo: { version: 'string' }
} as const satisfies Record<string, Shape>;

export type Checked = keyof typeof SHAPES;

export class BadAnswer extends Error {}

/** Return *value* as a record, or throw BadAnswer with the field that is wrong. */
export function record<K extends Checked>(kind: K, value: unknown): Schemas[K] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new BadAnswer(`${kind} is not an object`);
  }
  for (const [name, wanted] of Object.entries<Kind>(SHAPES[kind])) {
    const field = (value as Record<string, unknown>)[name];
    const found = Array.isArray(field) ? 'array' : field === null ? 'null' : typeof field;
    if (found !== wanted) {
      throw new BadAnswer(`${kind}.${name} is ${found}, not ${wanted}`);
    }
  }
  return value as Schemas[K];
}

/** Return the records of a list, either the answer itself or its field *name*. */
export function records<K extends Checked>(kind: K, value: unknown, name?: string): Schemas[K][] {
  const list: unknown =
    name === undefined ? value : (value as Record<string, unknown> | null | undefined)?.[name];
  if (!Array.isArray(list)) {
    throw new BadAnswer(`${name ?? kind} is not a list`);
  }
  return list.map(item => record(kind, item));
}
