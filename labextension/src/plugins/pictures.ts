/** Pictures in notebooks: the output renderer, and the widget (loaded when the first one is shown). */

import { IJupyterWidgetRegistry } from '@jupyter-widgets/base';
import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { IRenderMimeRegistry } from '@jupyterlab/rendermime';

import * as packageJson from '../../package.json';
import { rendererFactory } from '../widget/mime';

export const mime: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-flows:mime',
  description: 'Shows the picture of a flow in the output of a cell.',
  autoStart: true,
  requires: [IRenderMimeRegistry],
  activate: (_: JupyterFrontEnd, registry: IRenderMimeRegistry): void => registry.addFactory(rendererFactory, 0)
};

export const widget: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-flows:widget',
  description: 'The widget FlowDag.',
  autoStart: true,
  requires: [IJupyterWidgetRegistry],
  activate: (_: JupyterFrontEnd, registry: IJupyterWidgetRegistry): void =>
    registry.registerWidget({
      name: packageJson.name,
      version: packageJson.version,
      exports: async () => ({ ...(await import('../widget/widget')) })
    })
};
