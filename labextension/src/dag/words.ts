/** The part of a translation bundle that the picture needs, so that it works with JupyterLab's and without. */

export interface Words {
  __(text: string, ...args: unknown[]): string;
  _n(one: string, many: string, n: number, ...args: unknown[]): string;
}

const fill = (text: string, args: readonly unknown[]): string =>
  text.replace(/%(\d+)/g, (whole, n: string) => `${(args[Number(n) - 1] as string | number | undefined) ?? whole}`);

/** English as written, for pages without JupyterLab. */
export const PLAIN_WORDS: Words = {
  __: (text, ...args) => fill(text, args),
  _n: (one, many, n, ...args) => fill(n === 1 ? one : many, [n, ...args])
};
