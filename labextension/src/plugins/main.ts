/** Commands and panels of Flows. */
import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';

export const main: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-flows:plugin',
  description: 'Flows: register notebooks, see their runs.',
  autoStart: true,
  activate: (_app: JupyterFrontEnd): void => {}
};
