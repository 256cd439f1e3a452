import { describe, expect, it } from 'vitest';

import { BadParameter, fieldText, fieldValue } from '../src/components/parameters';
import { STRIP, withRun } from '../src/models/flows';
import { relativeTo } from '../src/models/location';
import { readReceipt, RECEIPT_TYPE } from '../src/models/receipt';
import { graphOf, withLogs, withTasks } from '../src/models/run';
import type { FlowSpec, FlowSummary, LogRecord, ParameterSpec, RunRecord, TaskRunRecord } from '../src/records';

const flow = (id: string, runs: string[] = []): FlowSummary =>
  ({
    id,
    name: id,
    last_runs: runs.map(run => ({ id: run, name: run, state: 'Success', at: '2026-01-01T00:00:00Z', duration_s: 1 }))
  }) as unknown as FlowSummary;
const run = (id: string, type: string, more: Partial<RunRecord> = {}): RunRecord =>
  ({
    id,
    name: id,
    flow_id: 'f',
    state: { type, message: '', at: '2026-01-01T00:00:00Z' },
    scheduled_at: '2026-01-01T00:00:00Z',
    auto_scheduled: false,
    started_at: null,
    ended_at: null,
    ...more
  }) as RunRecord;
const ids = (flows: FlowSummary[]): string[] => flows[0]!.last_runs.map(item => `${item.id}:${item.state}`);

describe('the strip of last runs', () => {
  it('takes a new run in front and drops the oldest', () => {
    const many = Array.from({ length: STRIP }, (_, i) => `r${i}`);
    const after = withRun([flow('f', many)], run('new', 'Submitted'));
    expect(after[0]!.last_runs).toHaveLength(STRIP);
    expect(ids(after)[0]).toBe('new:Submitted');
  });

  it('changes a run where it stands, with the time it took', () => {
    const ended = run('a', 'Failed', { started_at: '2026-01-01T00:00:00Z', ended_at: '2026-01-01T00:00:05Z' });
    const after = withRun([flow('f', ['b', 'a'])], ended);
    expect(ids(after)).toEqual(['b:Success', 'a:Failed']);
    expect(after[0]!.last_runs[1]!.duration_s).toBe(5);
  });

  it('shows no run that only the schedule has made for later', () => {
    const later = run('later', 'Scheduled', { auto_scheduled: true });
    expect(ids(withRun([flow('f', ['a'])], later))).toEqual(['a:Success']);
  });

  it('leaves other flows alone', () => {
    const other = flow('g');
    expect(withRun([other], run('a', 'Running'))[0]).toBe(other);
  });
});

const line = (id: number): LogRecord => ({ id, message: `line ${id}` }) as LogRecord;
const task = (slug: string, type: string, map_index = -1): TaskRunRecord =>
  ({ slug, map_index, state: { type } }) as unknown as TaskRunRecord;

describe('a run', () => {
  it('joins lines that came twice or late, in order', () => {
    const all = withLogs(withLogs([], [line(2), line(3)]), [line(1), line(3), line(4)]);
    expect(all.map(item => item.id)).toEqual([1, 2, 3, 4]);
  });

  it('puts a changed task in its place, mapped ones apart', () => {
    const all = withTasks([task('a', 'Running'), task('b', 'Pending'), task('b', 'Running', 0)], [task('b', 'Success', 0)]);
    expect(all.map(item => `${item.slug}${item.map_index}:${item.state.type}`)).toEqual([
      'a-1:Running',
      'b-1:Pending',
      'b0:Success'
    ]);
  });

  it('draws data, not the order that only shared memory asks for', () => {
    const spec = {
      tasks: [{ slug: 'a', name: 'A' }, { slug: 'b', name: 'B' }],
      edges: [
        { upstream: 'a', downstream: 'b', names: [], key: 'x', kind: 'data', reason: '' },
        { upstream: 'a', downstream: 'b', names: ['y'], kind: 'order', reason: '' }
      ]
    } as unknown as FlowSpec;
    const graph = graphOf(spec);
    expect(graph.nodes.map(node => node.name)).toEqual(['A', 'B']);
    expect(graph.edges).toEqual([{ from: 'a', to: 'b', names: ['x'], kind: 'data', reason: '' }]);
  });
});

describe('relativeTo', () => {
  it.each([
    ['/work', '/work/runs/a.ipynb', 'runs/a.ipynb'],
    ['/work/', '/work/a.ipynb', 'a.ipynb'],
    ['/work', '/workshop/a.ipynb', null],
    ['/work', '/work/../etc/passwd', null],
    ['/work', 'a.ipynb', null],
    ['~', '/home/ada/x/a.ipynb', 'x/a.ipynb'],
    ['~/nb', '/root/nb/a.ipynb', 'a.ipynb'],
    ['~/nb', '/home/ada/other/a.ipynb', null],
    ['C:\\nb', 'C:\\nb\\runs\\a.ipynb', 'runs/a.ipynb']
  ])('%s, %s: %s', (root, location, path) => expect(relativeTo(root, location)).toBe(path));
});

describe('a parameter field', () => {
  const spec = (value: ParameterSpec['default'], required = false): ParameterSpec => ({
    name: 'p',
    required,
    default: value,
    slug: ''
  });

  it.each([
    [spec(1), '2', 2],
    [spec(1.5), '-3e2', -300],
    [spec(true), 'False', false],
    [spec('a'), '12', '12'],
    [spec('a'), '', ''],
    [spec(null), 'None', null],
    [spec(null), 'text', 'text'],
    [spec([1, 2]), '[3, "x"]', [3, 'x']]
  ])('%o with "%s" is %o', (which, text, value) => expect(fieldValue(which, text)).toEqual(value));

  it('refuses with a sentence that names it', () => {
    expect(() => fieldValue(spec(1), 'one')).toThrow('p is a number, such as 1; not "one"');
    expect(() => fieldValue(spec(true), '1')).toThrow(BadParameter);
    expect(() => fieldValue(spec(null), '{"a": 1}')).toThrow('a value or a list of values');
  });

  it('shows a default as it would be typed', () => {
    expect([fieldText('a'), fieldText(1), fieldText([1]), fieldText(null)]).toEqual(['a', '1', '[1]', '']);
  });
});

describe('a receipt', () => {
  const receipt = { text: 'flow  etl', flow: 'etl', version: 3, created: true };

  it('is read with its rows, and only those that are two texts', () => {
    const rows = [['flow', 'etl'], ['labels'], 'code', ['code', 5], null];
    expect(readReceipt({ [RECEIPT_TYPE]: { ...receipt, rows } })?.rows).toEqual([['flow', 'etl']]);
  });

  it('may have no rows, but has a flow and a text', () => {
    expect(readReceipt({ [RECEIPT_TYPE]: receipt })).toEqual({ ...receipt, rows: [] });
    expect(readReceipt({ [RECEIPT_TYPE]: { rows: [] } })).toBeNull();
    expect(readReceipt({ 'text/plain': 'etl' })).toBeNull();
  });
});
