/** Commands and panels of Flows. */
import type { JupyterFrontEndPlugin } from '@jupyterlab/application';

export const main: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-flows:plugin',
  description: 'Flows: register notebooks, see their runs.',
  autoStart: true,
  activate: (): void => {}
};
