/** The left panel: a Lumino shell round the list of flows. */

import { ReactWidget } from '@jupyterlab/ui-components';
import type { Message } from '@lumino/messaging';
import React from 'react';

import { FlowList, type FlowListActions } from '../components/flow-list';
import type { Words } from '../dag/words';
import type { FlowsModel } from '../models/flows';

export class FlowsPanel extends ReactWidget {
  constructor(
    private readonly _model: FlowsModel,
    private readonly _actions: FlowListActions,
    private readonly _trans: Words
  ) {
    super();
    this.addClass('jp-FlowsPanel');
    _model.changed.connect(() => this.update());
  }

  protected override onAfterShow(message: Message): void {
    super.onAfterShow(message);
    this._model.feed.hurry();
    // "in 5 min" grows old while it is looked at.
    this._clock = setInterval(() => this.update(), 15_000);
    this.update();
  }

  protected override onAfterHide(message: Message): void {
    clearInterval(this._clock);
    super.onAfterHide(message);
  }

  override dispose(): void {
    clearInterval(this._clock);
    super.dispose();
  }

  protected override render(): JSX.Element {
    const { status, message, flows, agents, live } = this._model;
    return (
      <>
        <h2 className="jp-FlowsPanel-title">{this._trans.__('Flows')}</h2>
        <FlowList
          status={status}
          message={message}
          flows={flows}
          agents={agents}
          live={live}
          actions={this._actions}
          trans={this._trans}
        />
      </>
    );
  }

  private _clock: ReturnType<typeof setInterval> | undefined = undefined;
}
