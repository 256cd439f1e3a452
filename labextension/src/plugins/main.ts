/** Panel, run pages, commands. Whatever a front end may lack (Notebook 7 has less) is optional. */

import { ILabShell, ILayoutRestorer, type JupyterFrontEnd, type JupyterFrontEndPlugin } from '@jupyterlab/application';
import {
  ICommandPalette,
  InputDialog,
  MainAreaWidget,
  Notification,
  showErrorMessage,
  WidgetTracker
} from '@jupyterlab/apputils';
import { PageConfig } from '@jupyterlab/coreutils';
import { INotebookTracker } from '@jupyterlab/notebook';
import { IStatusBar } from '@jupyterlab/statusbar';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { FlowsClient, sentence } from '../client';
import { CommandIDs, textArgument, textArguments } from '../commands';
import { isEnded } from '../dag/states';
import type { Words } from '../dag/words';
import { FlowsFeed } from '../feed';
import { host } from '../host';
import { FlowsModel } from '../models/flows';
import { relativeTo } from '../models/location';
import { RunModel } from '../models/run';
import { debugNotebook, debugRun, type Debugging } from '../notebook/debug';
import { registerNotebook } from '../notebook/register';
import { revealCell } from '../notebook/reveal';
import type { FlowSummary, RunRecord } from '../records';
import { askParameters, showPath, showText } from '../widgets/dialogs';
import { flowsIcon, registerIcon } from '../widgets/icon';
import { FlowsPanel } from '../widgets/panel';
import { RunPage } from '../widgets/run-page';
import { RunningItem } from '../widgets/status';

const PANEL_ID = 'jupyter-flows-panel';

/** What the commands work with; made once. */
class FlowsFrontEnd {
  constructor(
    private readonly _app: JupyterFrontEnd,
    private readonly _trans: Words,
    private readonly _tracker: INotebookTracker | null
  ) {
    this.feed = new FlowsFeed(new FlowsClient(_app.serviceManager.serverSettings));
    this.model = new FlowsModel(this.feed);
    this.model.runChanged.connect((_, run) => this._tell(run));
    this.panel = new FlowsPanel(
      this.model,
      {
        run: flow => void this.runFlow(flow),
        setPaused: (flow, paused) =>
          void this._try(_trans.__('The schedule was not changed'), () => this.model.setPaused(flow, paused)),
        openRun: id => void _app.commands.execute(CommandIDs.openRun, { id }),
        explain: flow => void this._try(_trans.__('Not explained'), () => this._explain(flow)),
        retry: () => {
          this.feed.hurry();
          void this.model.refresh();
        }
      },
      _trans
    );
    this.panel.id = PANEL_ID;
    this.panel.title.icon = flowsIcon;
    this.panel.title.caption = _trans.__('Flows');
  }

  readonly feed: FlowsFeed;
  readonly model: FlowsModel;
  readonly panel: FlowsPanel;
  readonly pages = new WidgetTracker<MainAreaWidget<RunPage>>({ namespace: 'jupyter-flows-run' });

  openPanel(): void {
    this._app.shell.activateById(PANEL_ID);
  }

  openRun(id: string): MainAreaWidget<RunPage> {
    const known = this.pages.find(page => page.content.model.id === id);
    if (known !== undefined) {
      this._app.shell.activateById(known.id);
      return known;
    }
    const run = new RunModel(id, this.feed);
    const content = new RunPage(
      run,
      {
        openRun: other => void this._app.commands.execute(CommandIDs.openRun, { id: other }),
        openResult: location => this._openResult(location, run.run?.result?.host ?? ''),
        revealCell: cellId => void this._app.commands.execute(CommandIDs.revealCell, { cellId }),
        debug: () => this._debug(debugging => debugRun(run.run!, run.spec, debugging))
      },
      this._trans
    );
    const page = new MainAreaWidget({ content });
    page.toolbar.hide();
    page.id = `jupyter-flows-run-${id}`;
    page.title.icon = flowsIcon;
    page.title.closable = true;
    page.title.label = this._trans.__('Run');
    run.changed.connect(() => {
      page.title.label = run.run?.name ?? this._trans.__('Run');
      page.title.caption = run.run === null ? '' : `${run.run.flow_name}: ${run.run.state.type}`;
    });
    this._app.shell.add(page, 'main');
    void this.pages.add(page);
    this._app.shell.activateById(page.id);
    return page;
  }

  async runFlow(flow: FlowSummary): Promise<void> {
    const trans = this._trans;
    const parameters = await askParameters(flow, trans);
    if (parameters === null) {
      return;
    }
    await this._try(trans.__('The run was not created'), async () => {
      const run = await this.model.run(flow, parameters);
      const open = { label: trans.__('Open run'), callback: () => void this.openRun(run.id) };
      const note = Notification.info(trans.__('Run %1 of %2 was asked for', run.name, flow.name), {
        autoClose: 5000,
        actions: [open]
      });
      this._mine.set(run.id, note);
    });
  }

  async chooseAndRun(name: string): Promise<void> {
    if (this.model.status !== 'ready') {
      await this.model.refresh();
    }
    let flow = this.model.flows.find(item => item.name === name || item.id === name);
    if (flow === undefined && name !== '') {
      await showErrorMessage(this._trans.__('No such flow'), this._trans.__('No flow is named %1.', name));
      return;
    }
    if (flow === undefined) {
      const names = this.model.flows.map(item => item.name);
      if (names.length === 0) {
        this.openPanel();
        return;
      }
      const answer = await InputDialog.getItem({ title: this._trans.__('Run which flow?'), items: names });
      flow = this.model.flows.find(item => answer.button.accept && item.name === answer.value);
    }
    if (flow !== undefined) {
      await this.runFlow(flow);
    }
  }

  async register(): Promise<void> {
    const panel = this._tracker?.currentWidget;
    if (panel) {
      await registerNotebook({
        panel,
        contents: this._app.serviceManager.contents,
        openFlows: () => this.openPanel(),
        trans: this._trans
      });
      void this.model.refresh();
    }
  }

  async reveal(cellId: string): Promise<void> {
    const tracker = this._tracker;
    const activate = (panel: { id: string }): void => this._app.shell.activateById(panel.id);
    if (tracker === null || !(await revealCell(tracker, activate, cellId))) {
      Notification.info(this._trans.__('The cell is in no open notebook; open the notebook of this flow first.'), {
        autoClose: 5000
      });
    }
  }

  /** Debug a run by its id, else the one that wrote the notebook at hand; *task*: not the first that failed. */
  async debug(id: string, task: string): Promise<void> {
    await this._try(this._trans.__('The run cannot be debugged'), () =>
      this._debug(async debugging => {
        const panel = debugging.tracker.currentWidget;
        if (id !== '') {
          const { client } = this.feed;
          const run = await client.run(id);
          await debugRun(run, await client.spec(run.id), debugging);
        } else if (panel !== null) {
          await debugNotebook(panel, task, debugging);
        }
      })
    );
  }

  /** Say how a run ended that was started here. */
  private _tell(run: RunRecord): void {
    const note = this._mine.get(run.id);
    if (note === undefined || !isEnded(run.state.type)) {
      return;
    }
    this._mine.delete(run.id);
    Notification.dismiss(note);
    if (this.pages.find(page => page.content.model.id === run.id && page.isVisible) !== undefined) {
      return;
    }
    const trans = this._trans;
    const text = trans.__('Run %1 of %2: %3', run.name, run.flow_name, run.state.type);
    const actions = [{ label: trans.__('Open run'), callback: () => void this.openRun(run.id) }];
    if (run.state.type === 'Success') {
      Notification.success(text, { autoClose: 8000, actions });
    } else {
      Notification.warning(run.state.message ? `${text}. ${run.state.message}` : text, { autoClose: false, actions });
    }
  }

  private async _debug(action: (debugging: Debugging) => Promise<void>): Promise<void> {
    const tracker = this._tracker;
    if (tracker === null) {
      throw new Error(this._trans.__('This page has no notebooks; open the run in JupyterLab.'));
    }
    await action({
      services: this._app.serviceManager,
      tracker,
      root: PageConfig.getOption('serverRoot'),
      open: async (path, kernel) => {
        const opened: unknown = await this._app.commands.execute('docmanager:open', {
          path,
          factory: 'Notebook',
          ...(kernel === null ? {} : { kernel: { id: kernel.id, name: kernel.name } })
        });
        return tracker.find(panel => panel === opened) ?? null;
      },
      activate: panel => this._app.shell.activateById(panel.id),
      trans: this._trans
    });
  }

  private async _openResult(location: string, machine: string): Promise<void> {
    const path = relativeTo(PageConfig.getOption('serverRoot'), location);
    if (path !== null) {
      const there = await this._app.serviceManager.contents.get(path, { content: false }).catch(() => null);
      if (there !== null) {
        await this._app.commands.execute('docmanager:open', { path });
        return;
      }
    }
    await showPath(location, machine, this._trans);
  }

  private async _explain(flow: FlowSummary): Promise<void> {
    const trans = this._trans;
    const said = await this.feed.client.explain(flow.id);
    const who = (said.who_runs ?? []).map(
      match => `${match.takes ? '✓' : '✕'} ${match.agent}${match.reason ? `: ${match.reason}` : ''}`
    );
    const waiting = Object.entries(said.waiting ?? {}).map(([run, why]) => `${run}: ${why.join(' ')}`);
    const parts = [
      [trans.__('Where the code is'), said.where_code],
      [trans.__('What the server has'), said.what_server_has],
      [trans.__('Who runs it'), who.join('\n')],
      [trans.__('When'), said.schedule ?? ''],
      [trans.__('Waiting'), waiting.join('\n')],
      ['', (said.sentences ?? []).join('\n')]
    ];
    const text = parts
      .filter(([, body]) => body)
      .map(([head, body]) => (head ? `${head}\n${body!.replace(/^/gm, '  ')}` : body))
      .join('\n\n');
    await showText(flow.name, text, trans);
  }

  private async _try(title: string, action: () => Promise<unknown>): Promise<void> {
    try {
      await action();
    } catch (error) {
      await showErrorMessage(title, sentence(error));
    }
  }

  /** Runs started here, with the note that said so. */
  private readonly _mine = new Map<string, string>();
}

function addCommands(app: JupyterFrontEnd, flows: FlowsFrontEnd, tracker: INotebookTracker | null, trans: Words): void {
  const { commands } = app;
  commands.addCommand(CommandIDs.openPanel, {
    label: trans.__('Show Flows'),
    caption: trans.__('Flows, their runs and agents'),
    icon: flowsIcon,
    execute: () => flows.openPanel()
  });
  commands.addCommand(CommandIDs.openRun, {
    label: trans.__('Open Run'),
    caption: trans.__('Open the page of a run'),
    icon: flowsIcon,
    describedBy: textArgument('id', 'The id of the run.', true) as never,
    execute: async args => {
      const asked = typeof args['id'] === 'string' ? args['id'] : '';
      const id =
        asked || (await InputDialog.getText({ title: trans.__('Open which run?'), label: trans.__('Id or name') })).value;
      return id ? flows.openRun(id) : undefined;
    }
  });
  commands.addCommand(CommandIDs.runFlow, {
    label: trans.__('Run Flow…'),
    caption: trans.__('Ask for a run of a flow, now'),
    describedBy: textArgument('flow', 'The name or the id of the flow; asked for if not given.', false) as never,
    execute: args => flows.chooseAndRun(typeof args['flow'] === 'string' ? args['flow'] : '')
  });
  commands.addCommand(CommandIDs.revealCell, {
    label: trans.__('Go to Cell of Task'),
    describedBy: textArgument('cellId', 'The id of the cell.', true) as never,
    isVisible: () => false,
    execute: args => flows.reveal(typeof args['cellId'] === 'string' ? args['cellId'] : '')
  });
  commands.addCommand(CommandIDs.debugRun, {
    label: trans.__('Debug Failed Run'),
    caption: trans.__('Give a kernel the variables of a run as they were before the cell that failed, and show the cell'),
    describedBy: textArguments({
      id: trans.__('The id of the run; if not given, the run that wrote the notebook at hand.'),
      task: trans.__('The task before which; if not given, the first that failed.')
    }) as never,
    isEnabled: args => typeof args['id'] === 'string' || (tracker !== null && tracker.currentWidget !== null),
    execute: args =>
      flows.debug(
        typeof args['id'] === 'string' ? args['id'] : '',
        typeof args['task'] === 'string' ? args['task'] : ''
      )
  });
  commands.addCommand(CommandIDs.registerNotebook, {
    label: trans.__('Register Notebook as Flow'),
    caption: trans.__('Register this notebook as a flow: metadata to the server, code to storage'),
    icon: registerIcon,
    isEnabled: () => tracker?.currentWidget !== null && tracker !== null,
    execute: () => flows.register()
  });
  tracker?.currentChanged.connect(() => {
    commands.notifyCommandChanged(CommandIDs.registerNotebook);
    commands.notifyCommandChanged(CommandIDs.debugRun);
  });
}

export const main: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-flows:plugin',
  description: 'Flows: register notebooks, see their runs.',
  autoStart: true,
  optional: [ITranslator, ICommandPalette, ILayoutRestorer, INotebookTracker, IStatusBar, ILabShell],
  activate: (
    app: JupyterFrontEnd,
    translator: ITranslator | null,
    palette: ICommandPalette | null,
    restorer: ILayoutRestorer | null,
    tracker: INotebookTracker | null,
    statusBar: IStatusBar | null,
    labShell: ILabShell | null
  ): void => {
    const trans = (translator ?? nullTranslator).load('jupyter_flows');
    const flows = new FlowsFrontEnd(app, trans, tracker);
    host.trans = trans;
    host.feed = flows.feed;
    host.revealCell = cellId => void app.commands.execute(CommandIDs.revealCell, { cellId });

    addCommands(app, flows, tracker, trans);
    const category = trans.__('Flows');
    for (const command of [
      CommandIDs.openPanel,
      CommandIDs.registerNotebook,
      CommandIDs.runFlow,
      CommandIDs.openRun,
      CommandIDs.debugRun
    ]) {
      palette?.addItem({ command, category });
    }

    app.shell.add(flows.panel, 'left', { rank: 650, type: 'Flows' });
    restorer?.add(flows.panel, PANEL_ID);
    if (restorer !== null) {
      void restorer.restore(flows.pages, {
        command: CommandIDs.openRun,
        args: page => ({ id: page.content.model.id }),
        name: page => page.content.model.id
      });
    }
    if (statusBar !== null && labShell !== null) {
      const item = new RunningItem(flows.model, () => flows.openPanel(), trans);
      statusBar.registerStatusItem('jupyter-flows:running', {
        item,
        align: 'left',
        rank: 40,
        isActive: () => flows.model.status === 'ready' && flows.model.running > 0,
        activeStateChanged: flows.model.changed
      });
    }
    void app.restored.then(() => flows.feed.start());
  }
};
