/** Registering an open notebook: it is saved, then its own kernel registers it. */

import { Dialog, Notification, showDialog, showErrorMessage } from '@jupyterlab/apputils';
import type { NotebookPanel } from '@jupyterlab/notebook';
import type { Contents } from '@jupyterlab/services';

import { sentence } from '../client';
import type { Words } from '../dag/words';
import { readReceipt } from '../models/receipt';
import type { Receipt } from '../models/receipt';
import { showReceipt } from '../widgets/dialogs';
import { askKernel, calling } from './ask-kernel';

/** What the kernel runs. */
export function registeringCode(path: string): string {
  return calling('jupyter_flows.magics', 'register_from_front_end', path);
}

async function saved(panel: NotebookPanel, trans: Words): Promise<boolean> {
  if (!panel.context.model.dirty) {
    return true;
  }
  const answer = await showDialog({
    title: trans.__('Save the notebook?'),
    body: trans.__('%1 has changes that are not saved. What is registered is the saved file.', panel.context.contentsModel?.name ?? panel.context.path),
    buttons: [
      Dialog.cancelButton({ label: trans.__('Cancel') }),
      Dialog.okButton({ label: trans.__('Save and register') })
    ]
  });
  if (!answer.button.accept) {
    return false;
  }
  await panel.context.save();
  return !panel.context.model.dirty;
}

export interface Registering {
  panel: NotebookPanel;
  contents: Contents.IManager;
  openFlows(): void;
  trans: Words;
}

/** Register the notebook of *panel*; everything it has to say is said to the person. */
export async function registerNotebook({ panel, contents, openFlows, trans }: Registering): Promise<Receipt | null> {
  const title = trans.__('The notebook was not registered');
  const kernel = panel.sessionContext.session?.kernel;
  if (!kernel) {
    await showErrorMessage(title, trans.__('It has no kernel; start one and register again.'));
    return null;
  }
  const language = (await kernel.info).language_info.name;
  if (language !== 'python') {
    await showErrorMessage(
      title,
      trans.__('Its kernel speaks %1; flows are written in Python. Choose a Python kernel.', language)
    );
    return null;
  }
  if (!(await saved(panel, trans))) {
    return null;
  }
  const busy = kernel.status === 'busy';
  const note = Notification.emit(
    busy ? trans.__('Registering when the kernel is free…') : trans.__('Registering…'),
    'in-progress',
    { autoClose: false }
  );
  try {
    const receipt = await askKernel(kernel, registeringCode(contents.localPath(panel.context.path)), readReceipt, trans);
    Notification.dismiss(note);
    if (await showReceipt(receipt, trans)) {
      openFlows();
    }
    return receipt;
  } catch (error) {
    Notification.dismiss(note);
    await showErrorMessage(title, sentence(error));
    return null;
  }
}
