/** Asking a kernel for something that a function of ours does there. */

import type { Kernel } from '@jupyterlab/services';

import type { Words } from '../dag/words';

/** Why there is no answer, in a sentence for people. */
export class Refusal extends Error {}

/** Code that calls a function with texts; it leaves no name behind in the user's namespace. */
export function calling(module: string, name: string, ...texts: string[]): string {
  const given = texts.map(text => JSON.stringify(text)).join(', ');
  return `__import__("${module}", fromlist=["${name}"]).${name}(${given})`;
}

/** Run *code*; return what *read* makes of what it displays. What it writes to stderr instead is a refusal. */
export async function askKernel<T>(
  kernel: Kernel.IKernelConnection,
  code: string,
  read: (data: Record<string, unknown>) => T | null,
  trans: Words
): Promise<T> {
  let answer: T | null = null;
  let refusal = '';
  let missing = '';
  const future = kernel.requestExecute({
    code,
    silent: false,
    store_history: false,
    allow_stdin: false,
    stop_on_error: false
  });
  future.onIOPub = message => {
    const type = message.header.msg_type;
    const content = message.content as Record<string, unknown>;
    if (type === 'display_data' || type === 'execute_result') {
      answer = read(content['data'] as Record<string, unknown>) ?? answer;
    } else if (type === 'stream' && content['name'] === 'stderr') {
      refusal += String(content['text']);
    } else if (type === 'error') {
      missing = String(content['ename']) === 'ModuleNotFoundError' ? String(content['evalue']) : '';
      refusal = `${String(content['ename'])}: ${String(content['evalue'])}`;
    }
  };
  await future.done;
  if (answer !== null) {
    return answer;
  }
  if (missing.includes('jupyter_flows')) {
    throw new Refusal(
      trans.__('The kernel has no jupyter_flows. Run %pip install jupyter-flows in a cell, restart the kernel, and try again.')
    );
  }
  throw new Refusal(refusal.trim() || trans.__('The kernel said nothing; restart it and try again.'));
}
