/** The parts of a run's page round its picture: header, why it waits, tasks with time bars, log. */

import React from 'react';

import { durationText, familyOf, glyphOf, isEnded, progressText, secondsOf } from '../dag/states';
import type { Words } from '../dag/words';
import { canBeDebugged } from '../models/debugged';
import type { LogRecord, RunRecord, TaskRunRecord } from '../records';
import { clockText, momentText } from './when';

export interface RunActions {
  cancel(): void;
  retry(): void;
  openNotebook(): void;
  debug(): void;
}

function Chip(props: { state: string }): JSX.Element {
  return (
    <span className="jp-FlowsState" data-family={familyOf(props.state)} data-state={props.state}>
      {glyphOf(props.state)} {props.state}
    </span>
  );
}

export function RunHeader(props: { run: RunRecord; actions: RunActions; trans: Words; now: number }): JSX.Element {
  const { run, actions, trans, now } = props;
  const state = run.state.type;
  const seconds = secondsOf({ state, started_at: run.started_at, ended_at: run.ended_at }, now);
  const ended = isEnded(state);
  const parameters = Object.entries(run.parameters ?? {});
  const facts: [string, string][] = [
    [trans.__('flow'), `${run.flow_name}, ${trans.__('version %1', run.version)}`],
    [trans.__('scheduled'), momentText(run.scheduled_at, now)],
    [trans.__('started'), momentText(run.started_at, now)],
    [trans.__('ended'), momentText(run.ended_at, now)],
    [trans.__('took'), durationText(seconds)],
    [trans.__('agent'), run.agent ?? ''],
    [trans.__('attempt'), (run.attempt ?? 0) > 1 ? String(run.attempt) : ''],
    [trans.__('labels'), (run.labels ?? []).join(', ')],
    [trans.__('parameters'), parameters.map(([name, value]) => `${name}=${JSON.stringify(value)}`).join(', ')]
  ];
  return (
    <header className="jp-FlowsRun-header">
      <div className="jp-FlowsDag-bar">
        <h2 className="jp-FlowsRun-name">{run.name}</h2>
        <Chip state={state} />
        <span className="jp-FlowsDag-space" />
        {!ended && state !== 'Cancelling' && (
          <button type="button" className="jp-FlowsDag-button" onClick={() => actions.cancel()}>
            {trans.__('Cancel')}
          </button>
        )}
        {ended && (
          <button type="button" className="jp-FlowsDag-button" onClick={() => actions.retry()}>
            {trans.__('Retry')}
          </button>
        )}
        {canBeDebugged(run) && (
          <button
            type="button"
            className="jp-FlowsDag-button"
            title={trans.__('Open the executed notebook at the cell that failed, with the variables as before it')}
            onClick={() => actions.debug()}
          >
            {trans.__('Debug')}
          </button>
        )}
        {run.result && (
          <button
            type="button"
            className="jp-FlowsDag-button jp-mod-result"
            title={run.result.location}
            onClick={() => actions.openNotebook()}
          >
            {run.result.location.endsWith('.ipynb')
              ? trans.__('Open executed notebook')
              : trans.__('Show where the result is')}
          </button>
        )}
      </div>
      {run.state.message && <p className="jp-FlowsRun-message">{run.state.message}</p>}
      {run.lost && (
        <p className="jp-FlowsRun-message" data-family="failed">
          {trans.__('The agent fell silent during this run; whether its work went on is not known.')}
        </p>
      )}
      {(run.why ?? []).length > 0 && (
        <ul className="jp-FlowsRun-why" aria-label={trans.__('Why it waits')}>
          {(run.why ?? []).map(why => (
            <li key={why}>{why}</li>
          ))}
        </ul>
      )}
      <dl className="jp-FlowsRun-facts">
        {facts
          .filter(([, value]) => value !== '')
          .map(([name, value]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          ))}
      </dl>
    </header>
  );
}

/** How far a running task is: a thin bar with its percent and text. */
export function ProgressBar(props: { task: TaskRunRecord; trans: Words }): JSX.Element | null {
  const { task, trans } = props;
  if (task.state.type !== 'Running' || !task.progress) {
    return null;
  }
  const { fraction } = task.progress;
  const text = progressText(task.progress);
  const known = typeof fraction === 'number';
  return (
    <div
      className="jp-FlowsRun-progress"
      role="progressbar"
      aria-label={trans.__('Progress of %1', task.name)}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={known ? Math.floor(100 * fraction) : undefined}
      aria-valuetext={text}
    >
      {known && (
        <span className="jp-FlowsRun-progressTrack">
          <span className="jp-FlowsRun-progressDone" style={{ width: `${100 * fraction}%` }} />
        </span>
      )}
      <span>{text}</span>
    </div>
  );
}

/** Tasks in the order of the flow, each with a bar where it ran in the run's time. */
export function TaskTable(props: {
  tasks: readonly TaskRunRecord[];
  selected: string | null;
  select(slug: string): void;
  trans: Words;
  now: number;
}): JSX.Element {
  const { tasks, selected, select, trans, now } = props;
  const starts = tasks.map(task => Date.parse(task.started_at ?? '')).filter(Number.isFinite);
  const from = Math.min(...starts);
  const ends = tasks.map(task =>
    task.ended_at ? Date.parse(task.ended_at) : familyOf(task.state.type) === 'running' ? now : NaN
  );
  const span = Math.max(1, Math.max(...ends.filter(Number.isFinite)) - from);
  return (
    <table className="jp-FlowsTable jp-FlowsRun-tasks">
      <thead>
        <tr>
          <th scope="col">{trans.__('Task')}</th>
          <th scope="col">{trans.__('State')}</th>
          <th scope="col">{trans.__('Started')}</th>
          <th scope="col" className="jp-mod-number">
            {trans.__('Time')}
          </th>
          <th scope="col" className="jp-mod-bar">
            {trans.__('When')}
          </th>
          <th scope="col">{trans.__('Says')}</th>
        </tr>
      </thead>
      <tbody>
        {tasks.map((task, i) => {
          const start = Date.parse(task.started_at ?? '');
          const end = ends[i] ?? NaN;
          const mapped = (task.map_index ?? -1) >= 0 ? `[${task.map_index}]` : '';
          const seconds = secondsOf(
            { state: task.state.type, started_at: task.started_at, ended_at: task.ended_at },
            now
          );
          return (
            <tr
              key={`${task.slug}${mapped}`}
              data-slug={task.slug}
              data-state={task.state.type}
              className={task.slug === selected ? 'jp-mod-selected' : ''}
            >
              <td>
                <button type="button" className="jp-FlowsDag-link" onClick={() => select(task.slug)}>
                  {task.name}
                  {mapped}
                </button>
              </td>
              <td>
                <Chip state={task.state.type} />
                {(task.attempt ?? 1) > 1 ? ` ×${task.attempt}` : ''}
              </td>
              <td>{clockText(task.started_at)}</td>
              <td className="jp-mod-number">{durationText(seconds)}</td>
              <td className="jp-mod-bar">
                {Number.isFinite(start) && Number.isFinite(end) && (
                  <span
                    className="jp-FlowsRun-timeBar"
                    data-family={familyOf(task.state.type)}
                    style={{
                      marginLeft: `${(100 * (start - from)) / span}%`,
                      width: `max(3px, ${(100 * (end - start)) / span}%)`
                    }}
                  />
                )}
              </td>
              <td>
                {task.state.message}
                <ProgressBar task={task} trans={trans} />
              </td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

/** The log, which stays at its end while it is followed. */
export function Log(props: { logs: readonly LogRecord[]; follow: boolean; trans: Words }): JSX.Element {
  const { logs, follow, trans } = props;
  const box = React.useRef<HTMLDivElement>(null);
  React.useEffect(() => {
    if (follow && box.current !== null) {
      box.current.scrollTop = box.current.scrollHeight;
    }
  }, [logs, follow]);
  return (
    <div className="jp-FlowsRun-log" ref={box} role="log" aria-label={trans.__('Log')} tabIndex={0}>
      {logs.length === 0 ? (
        <p className="jp-FlowsPanel-quiet">{trans.__('No lines yet.')}</p>
      ) : (
        logs.map(line => (
          <div key={line.id} className="jp-FlowsRun-logLine" data-level={line.level}>
            <span className="jp-FlowsRun-logTime">{clockText(line.at)}</span>{' '}
            <span className="jp-FlowsRun-logLevel">{line.level}</span>{' '}
            {line.task && <span className="jp-FlowsRun-logTask">{line.task}: </span>}
            <span>{line.message}</span>
          </div>
        ))
      )}
    </div>
  );
}
