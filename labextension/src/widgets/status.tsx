/** "2 running" in the status bar; opens the panel. */

import { ReactWidget } from '@jupyterlab/ui-components';
import React from 'react';

import type { Words } from '../dag/words';
import type { FlowsModel } from '../models/flows';

export class RunningItem extends ReactWidget {
  constructor(
    private readonly _model: FlowsModel,
    private readonly _open: () => void,
    private readonly _trans: Words
  ) {
    super();
    this.addClass('jp-FlowsStatus');
    _model.changed.connect(() => this.update());
  }

  protected override render(): JSX.Element {
    const n = this._model.running;
    return (
      <button type="button" title={this._trans.__('Show Flows')} onClick={this._open}>
        ▶ {this._trans._n('%1 flow run', '%1 flow runs', n)}
      </button>
    );
  }
}
