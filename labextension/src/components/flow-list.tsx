/** The panel's content: flows with their schedule, last runs and buttons; agents; what to do when there are none. */

import React from 'react';

import { durationText, familyOf, glyphOf } from '../dag/states';
import type { Words } from '../dag/words';
import type { Status } from '../models/flows';
import type { AgentRecord, FlowSummary, RunBrief } from '../records';
import { distanceText, momentText } from './when';

export interface FlowListActions {
  run(flow: FlowSummary): void;
  setPaused(flow: FlowSummary, paused: boolean): void;
  openRun(id: string): void;
  explain(flow: FlowSummary): void;
  retry(): void;
}

export interface FlowListProps {
  status: Status;
  message: string;
  live: boolean;
  flows: readonly FlowSummary[];
  agents: readonly AgentRecord[];
  actions: FlowListActions;
  trans: Words;
}

/** Last runs, oldest left: a square for each, with its glyph. */
export function RunStrip(props: {
  runs: readonly RunBrief[];
  open(id: string): void;
  trans: Words;
}): JSX.Element {
  const { runs, open, trans } = props;
  if (runs.length === 0) {
    return <span className="jp-FlowsPanel-quiet">{trans.__('not run yet')}</span>;
  }
  return (
    <span className="jp-FlowsStrip" role="group" aria-label={trans.__('Last runs')}>
      {[...runs].reverse().map(run => {
        const time = durationText(run.duration_s);
        const text = [run.name, run.state, momentText(run.at), time].filter(part => part !== '').join(', ');
        return (
          <button
            key={run.id}
            type="button"
            className="jp-FlowsStrip-run"
            data-family={familyOf(run.state)}
            data-state={run.state}
            title={text}
            aria-label={trans.__('Open run %1', text)}
            onClick={() => open(run.id)}
          >
            {glyphOf(run.state)}
          </button>
        );
      })}
    </span>
  );
}

function scheduleLine(flow: FlowSummary, trans: Words): string {
  const text = flow.schedule_text || '';
  if ((flow.schedules ?? []).length === 0) {
    return trans.__('no schedule');
  }
  if (flow.paused) {
    return trans.__('%1 (paused)', text);
  }
  return text;
}

function FlowRow(props: { flow: FlowSummary; actions: FlowListActions; trans: Words }): JSX.Element {
  const { flow, actions, trans } = props;
  const scheduled = (flow.schedules ?? []).length > 0;
  const project = flow.project === 'default' ? '' : `${flow.project} / `;
  return (
    <li className="jp-FlowsPanel-flow" data-flow={flow.name}>
      <div className="jp-FlowsPanel-head">
        <span className="jp-FlowsPanel-name" title={`${project}${flow.name}, ${trans.__('version %1', flow.version)}`}>
          {project}
          {flow.name}
        </span>
        {scheduled && (
          <button
            type="button"
            role="switch"
            aria-checked={!flow.paused}
            aria-label={trans.__('Schedule of %1', flow.name)}
            title={flow.paused ? trans.__('Resume the schedule') : trans.__('Pause the schedule')}
            className="jp-FlowsSwitch"
            onClick={() => actions.setPaused(flow, !flow.paused)}
          />
        )}
        <button
          type="button"
          className="jp-FlowsDag-button jp-mod-run"
          aria-label={trans.__('Run %1 now', flow.name)}
          title={trans.__('Run %1 now', flow.name)}
          onClick={() => actions.run(flow)}
        >
          ▶ {trans.__('Run')}
        </button>
      </div>
      <div className="jp-FlowsPanel-line">
        <span title={(flow.labels ?? []).join(', ')}>{scheduleLine(flow, trans)}</span>
        {!flow.paused && flow.next_run_at && (
          <span title={momentText(flow.next_run_at)}>
            {trans.__('next %1', distanceText(flow.next_run_at))}
          </span>
        )}
      </div>
      <div className="jp-FlowsPanel-line">
        <RunStrip runs={flow.last_runs ?? []} open={actions.openRun} trans={trans} />
        <button
          type="button"
          className="jp-FlowsDag-link jp-mod-why"
          title={trans.__('Where the code is, who runs it, when, and why it may wait')}
          onClick={() => actions.explain(flow)}
        >
          {trans.__('Explain')}
        </button>
      </div>
    </li>
  );
}

function Agents(props: { agents: readonly AgentRecord[]; trans: Words }): JSX.Element {
  const { agents, trans } = props;
  const alive = agents.filter(agent => agent.alive !== false);
  if (alive.length === 0) {
    return (
      <div className="jp-FlowsPanel-agents" data-family="paused">
        <p>
          <strong>⚠ {trans.__('No agent is running: runs wait.')}</strong>
        </p>
        <p>{trans.__('Start one in a terminal:')}</p>
        <pre>jupyter flows agent start</pre>
      </div>
    );
  }
  return (
    <div className="jp-FlowsPanel-agents">
      {alive.map(agent => (
        <div key={agent.id} title={trans.__('labels: %1', (agent.labels ?? []).join(', ') || trans.__('none'))}>
          <span aria-hidden="true" className="jp-FlowsPanel-dot">
            ●
          </span>{' '}
          {trans.__('agent %1', agent.name)}
          {', '}
          {agent.running ? trans._n('%1 run', '%1 runs', agent.running) : trans.__('idle')}
          {', '}
          {trans.__('seen %1', distanceText(agent.last_seen_at))}
        </div>
      ))}
    </div>
  );
}

function Trouble(props: FlowListProps): JSX.Element {
  const { status, message, actions, trans } = props;
  return (
    <div className="jp-FlowsPanel-empty" role="alert">
      {status === 'missing' ? (
        <>
          <p>
            <strong>{trans.__('This Jupyter server has no flows part.')}</strong>
          </p>
          <p>{trans.__('Install jupyter_flows where the Jupyter server runs, check that it is enabled, and restart the server:')}</p>
          <pre>{'pip install jupyter-flows\njupyter server extension list'}</pre>
        </>
      ) : (
        <>
          <p>
            <strong>{trans.__('The flows server does not answer.')}</strong>
          </p>
          <p>{message}</p>
          <p>{trans.__('What was shown before may be out of date. To see what is wrong:')}</p>
          <pre>jupyter flows server status</pre>
        </>
      )}
      <button type="button" className="jp-FlowsDag-button" onClick={() => actions.retry()}>
        {trans.__('Try again')}
      </button>
    </div>
  );
}

export function FlowList(props: FlowListProps): JSX.Element {
  const { status, flows, agents, actions, live, trans } = props;
  if (status === 'loading') {
    return <p className="jp-FlowsPanel-empty">{trans.__('Asking the server…')}</p>;
  }
  if (status !== 'ready') {
    return <Trouble {...props} />;
  }
  return (
    <>
      {!live && (
        <p className="jp-FlowsPanel-stale" role="status">
          {trans.__('Not live: connecting again…')}
        </p>
      )}
      {flows.length === 0 ? (
        <div className="jp-FlowsPanel-empty">
          <p>
            <strong>{trans.__('No flows yet.')}</strong>
          </p>
          <p>{trans.__('Open a notebook and press Register in its toolbar, or write in a cell:')}</p>
          <pre>%flow register</pre>
        </div>
      ) : (
        <ul className="jp-FlowsPanel-flows">
          {flows.map(flow => (
            <FlowRow key={flow.id} flow={flow} actions={actions} trans={trans} />
          ))}
        </ul>
      )}
      <h3 className="jp-FlowsPanel-section">{trans.__('Agents')}</h3>
      <Agents agents={agents} trans={trans} />
    </>
  );
}
