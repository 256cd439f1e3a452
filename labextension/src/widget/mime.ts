/** The picture as an output of a cell: shown in untrusted notebooks too, for it only ever shows text. */

import type { IRenderMime } from '@jupyterlab/rendermime-interfaces';
import { Widget } from '@lumino/widgets';

import { FlowPicture } from './picture';

export const DAG_TYPE = 'application/vnd.jupyter-flows.dag+json';

export class RenderedFlow extends Widget implements IRenderMime.IRenderer {
  constructor() {
    super();
    this.addClass('jp-FlowsOutput');
    const inner = document.createElement('div');
    this.node.append(inner);
    this._picture = new FlowPicture(inner);
  }

  renderModel(model: IRenderMime.IMimeModel): Promise<void> {
    const data: unknown = model.data[DAG_TYPE];
    this._picture.update(typeof data === 'object' && data !== null ? (data as Record<string, unknown>) : {});
    return Promise.resolve();
  }

  override dispose(): void {
    if (!this.isDisposed) {
      this._picture.dispose();
      super.dispose();
    }
  }

  private readonly _picture: FlowPicture;
}

export const rendererFactory: IRenderMime.IRendererFactory = {
  safe: true,
  mimeTypes: [DAG_TYPE],
  defaultRank: 0,
  createRenderer: () => new RenderedFlow()
};
