/** Badges on the cells of open notebooks; a setting turns them off. */

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { INotebookTracker, type NotebookPanel } from '@jupyterlab/notebook';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { CommandIDs } from '../commands';
import { NotebookBadges } from '../notebook/badges';

const SETTINGS = 'jupyter-flows:plugin';

export const badges: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-flows:badges',
  description: 'Shows on each cell how its task stands.',
  autoStart: true,
  requires: [INotebookTracker],
  optional: [ISettingRegistry, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    tracker: INotebookTracker,
    registry: ISettingRegistry | null,
    translator: ITranslator | null
  ): void => {
    const trans = (translator ?? nullTranslator).load('jupyter_flows');
    const shown = new Map<NotebookPanel, NotebookBadges>();
    let isOn = true;
    const debug = (panel: NotebookPanel, task: string): void => {
      app.shell.activateById(panel.id);
      void app.commands.execute(CommandIDs.debugRun, { task });
    };
    const add = (panel: NotebookPanel): void => {
      if (isOn && !shown.has(panel)) {
        shown.set(panel, new NotebookBadges(panel, trans, task => debug(panel, task)));
        panel.disposed.connect(() => shown.delete(panel));
      }
    };
    const apply = (wanted: boolean): void => {
      isOn = wanted;
      if (isOn) {
        tracker.forEach(add);
      } else {
        shown.forEach(item => item.dispose());
        shown.clear();
      }
    };
    tracker.widgetAdded.connect((_sender, panel) => add(panel));
    tracker.forEach(add);
    void registry?.load(SETTINGS).then(
      settings => {
        const read = (): void => apply(settings.get('cellBadges').composite !== false);
        read();
        settings.changed.connect(read);
      },
      // Without settings the default stands.
      (error: unknown) => console.debug('jupyter-flows: no settings', error)
    );
  }
};
