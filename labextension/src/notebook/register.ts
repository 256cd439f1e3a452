/** Registering an open notebook: it is saved, then its own kernel registers it. */

import { Dialog, Notification, showDialog, showErrorMessage } from '@jupyterlab/apputils';
import type { NotebookPanel } from '@jupyterlab/notebook';
import type { Contents, Kernel } from '@jupyterlab/services';

import { sentence } from '../client';
import type { Words } from '../dag/words';
import { readReceipt } from '../models/receipt';
import type { Receipt } from '../models/receipt';
import { showReceipt } from '../widgets/dialogs';

/** What the kernel runs; it leaves no name behind in the user's namespace. */
export function registeringCode(path: string): string {
  const text = JSON.stringify(path);
  return `__import__("jupyter_flows.magics", fromlist=["register_from_front_end"]).register_from_front_end(${text})`;
}

class Refusal extends Error {}

async function ask(kernel: Kernel.IKernelConnection, path: string, trans: Words): Promise<Receipt> {
  let receipt: Receipt | null = null;
  let refusal = '';
  let missing = '';
  const future = kernel.requestExecute({
    code: registeringCode(path),
    silent: false,
    store_history: false,
    allow_stdin: false,
    stop_on_error: false
  });
  future.onIOPub = message => {
    const type = message.header.msg_type;
    const content = message.content as Record<string, unknown>;
    if (type === 'display_data' || type === 'execute_result') {
      receipt = readReceipt(content['data'] as Record<string, unknown>) ?? receipt;
    } else if (type === 'stream' && content['name'] === 'stderr') {
      refusal += String(content['text']);
    } else if (type === 'error') {
      missing = String(content['ename']) === 'ModuleNotFoundError' ? String(content['evalue']) : '';
      refusal = `${String(content['ename'])}: ${String(content['evalue'])}`;
    }
  };
  await future.done;
  if (missing.includes('jupyter_flows')) {
    throw new Refusal(
      trans.__("The notebook's kernel has no jupyter_flows. Run %pip install jupyter-flows in a cell, restart the kernel, and register again.")
    );
  }
  if (receipt === null) {
    throw new Refusal(refusal.trim() || trans.__('The kernel said nothing; restart it and register again.'));
  }
  return receipt;
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
    const receipt = await ask(kernel, contents.localPath(panel.context.path), trans);
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
