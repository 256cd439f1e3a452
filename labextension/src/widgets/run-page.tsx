/** A run's page: header, live picture, tasks, log. A Lumino shell round components and the picture. */

import { showErrorMessage } from '@jupyterlab/apputils';
import { ReactWidget } from '@jupyterlab/ui-components';
import { Panel, Widget } from '@lumino/widgets';
import React from 'react';

import { sentence } from '../client';
import { Log, RunHeader, TaskTable } from '../components/run-view';
import { isEnded } from '../dag/states';
import { DagView } from '../dag/view';
import type { Words } from '../dag/words';
import { graphOf, type RunModel } from '../models/run';
import { stateOf } from '../widget/picture';

export interface RunPageActions {
  openRun(id: string): void;
  openResult(location: string): Promise<void>;
  revealCell(cellId: string): void;
  debug(): Promise<void>;
}

/** The live picture: drawn when the graph is known, then only coloured. */
class PictureWidget extends Widget {
  constructor(
    private readonly _model: RunModel,
    actions: RunPageActions,
    trans: Words
  ) {
    super();
    this.addClass('jp-FlowsRun-picture');
    const inner = document.createElement('div');
    this.node.append(inner);
    this.view = new DagView(inner, {
      trans,
      reveal: node => node.cell_id && actions.revealCell(node.cell_id),
      jumps: false
    });
    _model.changed.connect(this._show, this);
    this._show();
  }

  readonly view: DagView;

  override dispose(): void {
    if (!this.isDisposed) {
      this._model.changed.disconnect(this._show, this);
      this.view.dispose();
      super.dispose();
    }
  }

  private _show(): void {
    const { spec, tasks, run } = this._model;
    if (spec !== null && !this._isDrawn) {
      this._isDrawn = true;
      const { nodes, edges } = graphOf(spec);
      this.view.draw(nodes, edges);
    }
    const token = run?.token ?? 0;
    if (token !== this._token) {
      this._token = token;
      this.view.clearStates();
    }
    const whole = tasks.filter(task => (task.map_index ?? -1) < 0);
    this.view.setStates(Object.fromEntries(whole.map(task => [task.slug, stateOf(task)])));
  }

  private _isDrawn = false;
  private _token = 0;
}

/** Something of React that is drawn again when the run changes, and each second while it runs. */
class Part extends ReactWidget {
  constructor(
    private readonly _model: RunModel,
    private readonly _draw: () => JSX.Element
  ) {
    super();
    _model.changed.connect(this._onChanged, this);
    this._clock = setInterval(() => {
      if (this.isVisible && !isEnded(_model.run?.state.type)) {
        this.update();
      }
    }, 1000);
  }

  override dispose(): void {
    clearInterval(this._clock);
    this._model.changed.disconnect(this._onChanged, this);
    super.dispose();
  }

  protected override render(): JSX.Element {
    return this._draw();
  }

  private _onChanged(): void {
    this.update();
  }

  private readonly _clock: ReturnType<typeof setInterval>;
}

export class RunPage extends Panel {
  constructor(
    readonly model: RunModel,
    private readonly _actions: RunPageActions,
    private readonly _trans: Words
  ) {
    super();
    this.addClass('jp-FlowsRun');
    this._picture = new PictureWidget(model, _actions, _trans);
    this._picture.view.onSelect = () => this._tasks.update();
    this._tasks = new Part(model, () => this._drawTasks());
    this._log = new Part(model, () => this._drawLog());
    this.addWidget(new Part(model, () => this._drawHeader()));
    this.addWidget(this._picture);
    this.addWidget(this._tasks);
    this.addWidget(this._log);
  }

  override dispose(): void {
    if (!this.isDisposed) {
      this.model.dispose();
      super.dispose();
    }
  }

  private _drawHeader(): JSX.Element {
    const { run, message } = this.model;
    const trans = this._trans;
    return (
      <>
        {message !== '' && (
          <p className="jp-FlowsRun-message" role="alert" data-family="failed">
            {run === null
              ? trans.__('This run could not be read: %1', message)
              : trans.__('What is shown may be out of date: %1', message)}{' '}
            <button type="button" className="jp-FlowsDag-button" onClick={() => void this.model.refresh()}>
              {trans.__('Try again')}
            </button>
          </p>
        )}
        {run !== null && (
          <RunHeader
            run={run}
            trans={trans}
            now={Date.now()}
            actions={{
              cancel: () => void this._try(trans.__('The run was not cancelled'), () => this.model.cancel()),
              retry: () =>
                void this._try(trans.__('The run was not started again'), async () => {
                  const again = await this.model.retry();
                  if (again.id !== this.model.id) {
                    this._actions.openRun(again.id);
                  }
                }),
              openNotebook: () =>
                void this._try(trans.__('The result was not opened'), () =>
                  this._actions.openResult(run.result?.location ?? '')
                ),
              debug: () => void this._try(trans.__('The run cannot be debugged'), () => this._actions.debug())
            }}
          />
        )}
      </>
    );
  }

  private _drawTasks(): JSX.Element {
    const rows = this.model.ordered();
    return (
      <section className="jp-FlowsRun-section">
        <h3>{this._trans.__('Tasks')}</h3>
        {rows.length > 0 && (
          <TaskTable
            tasks={rows}
            selected={this._picture.view.selected}
            select={slug => this._picture.view.select(slug)}
            trans={this._trans}
            now={Date.now()}
          />
        )}
      </section>
    );
  }

  private _drawLog(): JSX.Element {
    return (
      <section className="jp-FlowsRun-section">
        <div className="jp-FlowsDag-bar">
          <h3>{this._trans.__('Log')}</h3>
          <label className="jp-FlowsRun-follow">
            <input
              type="checkbox"
              checked={this._follow}
              onChange={event => {
                this._follow = event.target.checked;
                this._log.update();
              }}
            />
            {this._trans.__('Follow')}
          </label>
        </div>
        <Log logs={this.model.logs} follow={this._follow} trans={this._trans} />
      </section>
    );
  }

  private async _try(title: string, action: () => Promise<void>): Promise<void> {
    try {
      await action();
    } catch (error) {
      await showErrorMessage(title, sentence(error));
    }
  }

  private readonly _picture: PictureWidget;
  private readonly _tasks: Part;
  private readonly _log: Part;
  private _follow = true;
}
