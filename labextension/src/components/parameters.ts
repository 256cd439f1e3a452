/** Text of a form field to a parameter's value and back. The type of the default tells what is meant. */

import type { ParameterSpec, ParameterValue } from '../records';

export function fieldText(value: ParameterValue | undefined): string {
  if (value === null || value === undefined) {
    return '';
  }
  return typeof value === 'string' ? value : JSON.stringify(value);
}

export class BadParameter extends Error {}

/** Read a field; a text default keeps text, others are JSON where that fits. */
export function fieldValue(spec: ParameterSpec, text: string): ParameterValue {
  const given = spec.default;
  if (typeof given === 'string') {
    return text;
  }
  const plain = text.trim();
  if (plain === '') {
    return null;
  }
  let value: unknown;
  try {
    value = JSON.parse(plain);
  } catch {
    const python: Record<string, ParameterValue> = { True: true, False: false, None: null };
    value = plain in python ? python[plain] : plain;
  }
  if (typeof given === 'number' && typeof value !== 'number') {
    throw new BadParameter(`${spec.name} is a number, such as ${given}; not ${JSON.stringify(text)}`);
  }
  if (typeof given === 'boolean' && typeof value !== 'boolean') {
    throw new BadParameter(`${spec.name} is true or false, not ${JSON.stringify(text)}`);
  }
  const scalar = (item: unknown): boolean => item === null || typeof item !== 'object';
  if (!scalar(value) && !(Array.isArray(value) && value.every(scalar))) {
    throw new BadParameter(`${spec.name} takes a value or a list of values, not ${JSON.stringify(text)}`);
  }
  return value as ParameterValue;
}
