/** The list of plugins and nothing else. */
import type { JupyterFrontEndPlugin } from '@jupyterlab/application';

import { main } from './plugins/main';
import { mime, widget } from './plugins/pictures';

const plugins: JupyterFrontEndPlugin<unknown>[] = [main, mime, widget];

export default plugins;
