/** What registering did, as the kernel displays it. */

export const RECEIPT_TYPE = 'application/vnd.jupyter-flows.receipt+json';

export interface Receipt {
  text: string;
  /** What, and a sentence (or lines) of it. */
  rows: readonly (readonly [string, string])[];
  flow: string;
  version: number;
  created: boolean;
}

/** Read what the kernel displayed; only the receipt's own fields are believed. */
export function readReceipt(data: Record<string, unknown>): Receipt | null {
  const value = data[RECEIPT_TYPE];
  if (typeof value !== 'object' || value === null) {
    return null;
  }
  const { text, rows, flow, version, created } = value as Record<string, unknown>;
  return typeof text === 'string' && typeof flow === 'string'
    ? { text, rows: readRows(rows), flow, version: typeof version === 'number' ? version : 0, created: created === true }
    : null;
}

function readRows(value: unknown): [string, string][] {
  return (Array.isArray(value) ? value : []).filter(
    (row): row is [string, string] => Array.isArray(row) && typeof row[0] === 'string' && typeof row[1] === 'string'
  );
}
