/** Dialogs: a run's parameters, a receipt, an explanation, a path. */

import { Dialog, showDialog, showErrorMessage } from '@jupyterlab/apputils';
import { Widget } from '@lumino/widgets';

import { BadParameter, fieldText, fieldValue } from '../components/parameters';
import { button, html } from '../dag/html';
import type { Words } from '../dag/words';
import type { Receipt } from '../models/receipt';
import type { FlowSummary, ParameterSpec, ParameterValue } from '../records';

type Parameters = Record<string, ParameterValue>;

class ParametersForm extends Widget implements Dialog.IBodyWidget<Record<string, string>> {
  constructor(parameters: readonly ParameterSpec[], texts: Record<string, string>, trans: Words) {
    super();
    this.addClass('jp-FlowsForm');
    for (const spec of parameters) {
      const input = html('input', 'jp-mod-styled');
      input.name = spec.name;
      input.value = texts[spec.name] ?? fieldText(spec.default);
      input.required = spec.required;
      input.autocomplete = 'off';
      const note = spec.required ? trans.__('required') : trans.__('default %1', fieldText(spec.default) || 'None');
      this.node.append(html('label', '', html('span', '', spec.name), input, html('small', '', note)));
      this._inputs.push(input);
    }
  }

  getValue(): Record<string, string> {
    return Object.fromEntries(this._inputs.map(input => [input.name, input.value]));
  }

  private readonly _inputs: HTMLInputElement[] = [];
}

/** Ask for a run's parameters; null: the person thought better of it. Only what differs is sent. */
export async function askParameters(flow: FlowSummary, trans: Words): Promise<Parameters | null> {
  const specs = flow.parameters ?? [];
  if (specs.length === 0) {
    return {};
  }
  let texts: Record<string, string> = {};
  for (;;) {
    const result = await showDialog({
      title: trans.__('Run %1', flow.name),
      body: new ParametersForm(specs, texts, trans),
      buttons: [
        Dialog.cancelButton({ label: trans.__('Cancel') }),
        Dialog.okButton({ label: trans.__('Run') })
      ],
      focusNodeSelector: 'input'
    });
    if (!result.button.accept || result.value === null) {
      return null;
    }
    texts = result.value;
    try {
      return chosen(specs, texts);
    } catch (error) {
      if (!(error instanceof BadParameter)) {
        throw error;
      }
      await showErrorMessage(trans.__('A parameter was not understood'), error.message);
    }
  }
}

/** The values that were changed or have no default. */
export function chosen(specs: readonly ParameterSpec[], texts: Record<string, string>): Parameters {
  const values: Parameters = {};
  for (const spec of specs) {
    const text = texts[spec.name] ?? '';
    if (spec.required && text.trim() === '') {
      throw new BadParameter(`${spec.name} is required`);
    }
    if (spec.required || text !== fieldText(spec.default)) {
      values[spec.name] = fieldValue(spec, text);
    }
  }
  return values;
}

function preBody(text: string): Widget {
  const body = new Widget();
  body.addClass('jp-FlowsReceipt');
  body.node.append(html('pre', '', text));
  return body;
}

/** Show a text as written. */
export async function showText(title: string, text: string, trans: Words): Promise<void> {
  await showDialog({ title, body: preBody(text), buttons: [Dialog.okButton({ label: trans.__('Close') })] });
}

function receiptBody(receipt: Receipt): Widget {
  if (receipt.rows.length === 0) {
    return preBody(receipt.text);
  }
  const body = new Widget();
  body.addClass('jp-FlowsReceipt');
  const table = html('table', '');
  for (const [what, sentence] of receipt.rows) {
    const row = html('tr', '', html('th', '', what), html('td', '', sentence));
    row.dataset['row'] = what;
    table.append(row);
  }
  body.node.append(table);
  return body;
}

/** Show what registering did; answers whether the person wants to see the flows now. */
export async function showReceipt(receipt: Receipt, trans: Words): Promise<boolean> {
  const result = await showDialog({
    title: receipt.created
      ? trans.__('Registered %1, version %2', receipt.flow, receipt.version)
      : trans.__('%1 is unchanged: version %2 stays', receipt.flow, receipt.version),
    body: receiptBody(receipt),
    buttons: [
      Dialog.createButton({ label: trans.__('Open Flows'), actions: ['more'] }),
      Dialog.okButton({ label: trans.__('Close') })
    ],
    defaultButton: 1
  });
  return result.button.actions.includes('more');
}

/** Show a path that this page cannot open. */
export async function showPath(path: string, host: string, trans: Words): Promise<void> {
  const body = new Widget();
  body.addClass('jp-FlowsReceipt');
  const copy = button('jp-FlowsDag-button', trans.__('Copy'), () => {
    void navigator.clipboard?.writeText(path).then(() => (copy.textContent = trans.__('Copied')));
  });
  body.node.append(
    html('p', '', trans.__('It is outside the directory that this page shows%1:', host === '' ? '' : ` (${host})`)),
    html('pre', '', path),
    copy
  );
  await showDialog({
    title: trans.__('Where the result is'),
    body,
    buttons: [Dialog.okButton({ label: trans.__('Close') })]
  });
}
