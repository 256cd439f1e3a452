/** Debugging a failed run: its executed notebook at the cell that failed, with the variables as before it. */

import { Notification } from '@jupyterlab/apputils';
import type { INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';
import type { Contents, Kernel, ServiceManager } from '@jupyterlab/services';

import { sentence } from '../client';
import type { Words } from '../dag/words';
import { canBeDebugged, debuggedText, readCopy, readDebugged } from '../models/debugged';
import { relativeTo } from '../models/location';
import type { FlowSpec, RunRecord } from '../records';
import { askKernel, calling, Refusal } from './ask-kernel';
import { showCell } from './reveal';

const MODULE = 'jupyter_flows.magics.debugging';

export interface Debugging {
  services: ServiceManager.IManager;
  tracker: INotebookTracker;
  /** The directory that the Jupyter server shows. */
  root: string;
  open(path: string, kernel: Kernel.IModel | null): Promise<NotebookPanel | null>;
  activate(panel: NotebookPanel): void;
  trans: Words;
}

/** Give the kernel of an executed notebook the variables of its run, and show the cell; *task*: not the first that failed. */
export async function debugNotebook(panel: NotebookPanel, task: string, debugging: Debugging): Promise<void> {
  const { trans, services } = debugging;
  const kernel = await kernelOf(panel, trans);
  const path = services.contents.localPath(panel.context.path);
  const found = await said(trans.__('Restoring the variables of the run…'), () =>
    askKernel(kernel, calling(MODULE, 'debug_from_front_end', path, task), readDebugged, trans)
  );
  debugging.activate(panel);
  await showCell(panel, found.cellId, found.place);
  const text = debuggedText(found, trans);
  if (found.missing.length > 0) {
    Notification.warning(text, { autoClose: false });
  } else {
    Notification.success(text, { autoClose: 10_000 });
  }
}

/** Open the executed notebook of a run, or a copy where this page does not show it, and debug it. */
export async function debugRun(run: RunRecord, spec: FlowSpec | null, debugging: Debugging): Promise<void> {
  const { trans, services, root } = debugging;
  const location = run.result?.location ?? '';
  if (!canBeDebugged(run)) {
    throw new Refusal(
      location === ''
        ? trans.__('Run %1 is %2 and has left no executed notebook.', run.name, run.state.type)
        : trans.__('Run %1 is %2; only a run that failed can be debugged.', run.name, run.state.type)
    );
  }
  const path = relativeTo(root, location);
  let panel: NotebookPanel | null = null;
  if (path !== null && (await isThere(services.contents, path))) {
    panel = await debugging.open(path, null);
  } else {
    panel = await openCopy(run, spec, debugging);
  }
  if (panel === null) {
    throw new Refusal(trans.__('The executed notebook %1 was not opened as a notebook.', location));
  }
  await panel.context.ready;
  await panel.revealed;
  await debugNotebook(panel, '', debugging);
}

/** Let a kernel, which sees what the page does not, copy the notebook to where it is shown; it goes with the copy. */
async function openCopy(run: RunRecord, spec: FlowSpec | null, debugging: Debugging): Promise<NotebookPanel | null> {
  const { services, trans } = debugging;
  const name = spec?.fingerprint?.kernel ?? undefined;
  // Comms are the notebook's, which connects to the kernel later.
  const kernel = await services.kernels.startNew({ name }, { handleComms: false });
  let isTaken = false;
  try {
    const copy = await said(trans.__('Copying the executed notebook…'), () =>
      askKernel(kernel, calling(MODULE, 'copy_from_front_end', run.id), readCopy, trans)
    );
    const panel = await debugging.open(copy, kernel.model);
    await panel?.sessionContext.ready;
    // A copy that was open already keeps its own.
    isTaken = panel?.sessionContext.session?.kernel?.id === kernel.id;
    return panel;
  } finally {
    if (!isTaken) {
      await kernel.shutdown();
    }
    kernel.dispose();
  }
}

async function kernelOf(panel: NotebookPanel, trans: Words): Promise<Kernel.IKernelConnection> {
  const { sessionContext } = panel;
  await sessionContext.ready;
  if (!sessionContext.session?.kernel) {
    await sessionContext.startKernel();
  }
  const kernel = sessionContext.session?.kernel;
  if (!kernel) {
    throw new Refusal(trans.__('The notebook has no kernel; choose one and press Debug again.'));
  }
  const language = (await kernel.info).language_info.name;
  if (language !== 'python') {
    throw new Refusal(trans.__('Its kernel speaks %1; only runs of Python notebooks can be debugged.', language));
  }
  return kernel;
}

async function isThere(contents: Contents.IManager, path: string): Promise<boolean> {
  return contents.get(path, { content: false }).then(
    () => true,
    () => false
  );
}

/** Say what is being waited for. */
async function said<T>(text: string, action: () => Promise<T>): Promise<T> {
  const note = Notification.emit(text, 'in-progress', { autoClose: false });
  try {
    return await action();
  } catch (error) {
    throw error instanceof Refusal ? error : new Refusal(sentence(error));
  } finally {
    Notification.dismiss(note);
  }
}
