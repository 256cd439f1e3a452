/** The list of plugins and nothing else. */
import type { JupyterFrontEndPlugin } from '@jupyterlab/application';

import { badges } from './plugins/badges';
import { main } from './plugins/main';
import { mime, widget } from './plugins/pictures';

const plugins: JupyterFrontEndPlugin<unknown>[] = [main, badges, mime, widget];

export default plugins;
