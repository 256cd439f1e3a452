/** Registering an open notebook: it is saved, then its own kernel registers it. */

import { Dialog, Notification, showDialog, showErrorMessage } from '@jupyterlab/apputils';
import type { NotebookPanel } from '@jupyterlab/notebook';
import type { Contents, Kernel } from '@jupyterlab/services';

import { sentence } from '../client';
import type { Words } from '../dag/words';
import { showText } from '../widgets/dialogs';

export const RECEIPT_TYPE = 'application/vnd.jupyter-flows.receipt+json';

export interface Receipt {
  text: string;
  flow: string;
  version: number;
  created: boolean;
}

/** What the kernel runs; it leaves no name behind in the user's namespace. */
export function registeringCode(path: string): string {
  const text = JSON.stringify(path);
  return `__import__("jupyter_flows.magics", fromlist=["register_from_front_end"]).register_from_front_end(${text})`;
}

class Refusal extends Error {}

/** Read what the kernel displayed; only the receipt's own fields are believed. */
export function readReceipt(data: Record<string, unknown>): Receipt | null {
  const value = data[RECEIPT_TYPE];
  if (typeof value !== 'object' || value === null) {
    return null;
  }
  const { text, flow, version, created } = value as Record<string, unknown>;
  return typeof text === 'string' && typeof flow === 'string'
    ? { text, flow, version: typeof version === 'number' ? version : 0, created: created === true }
    : null;
}

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
    Notification.update({
      id: note,
      type: 'success',
      message: receipt.created
        ? trans.__('Registered %1, version %2', receipt.flow, receipt.version)
        : trans.__('%1 is unchanged: version %2 stays', receipt.flow, receipt.version),
      autoClose: 8000,
      actions: [{ label: trans.__('Open Flows'), callback: openFlows }]
    });
    if (await showText(trans.__('Receipt'), receipt.text, trans, trans.__('Open Flows'))) {
      openFlows();
    }
    return receipt;
  } catch (error) {
    Notification.dismiss(note);
    await showErrorMessage(title, sentence(error));
    return null;
  }
}
