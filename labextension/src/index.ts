/** The list of plugins and nothing else. */
import type { JupyterFrontEndPlugin } from '@jupyterlab/application';

import { main } from './plugins/main';

const plugins: JupyterFrontEndPlugin<unknown>[] = [main];

export default plugins;
