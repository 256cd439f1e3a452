/** The server's events, each once and in order: resumed by the last id, with growing pauses after failures. */

import { record, type FlowEvent } from './records';

export type StreamState = 'connecting' | 'open' | 'waiting' | 'closed';

export interface StreamSource {
  events(after: number | null, signal: AbortSignal): Promise<Response>;
}

export interface StreamOptions {
  source: StreamSource;
  onEvent(event: FlowEvent): void;
  /** The connection came, or came back after `missed` was possible: whoever shows lists reads them again. */
  onOpen?(again: boolean): void;
  onState?(state: StreamState, error?: unknown): void;
  /** Pauses between attempts, in ms; the last one repeats. */
  pauses?: readonly number[];
}

/** Cut a text stream into server-sent events; fed piece by piece. */
export class EventCutter {
  constructor(private readonly _take: (data: string, id: string) => void) {}

  feed(piece: string): void {
    this._rest += piece;
    // A lone CR at the end may be half of a CRLF: wait for its other half.
    const lines = this._rest.split(/\r\n|\n|\r(?!$)/);
    this._rest = lines.pop() ?? '';
    for (const line of lines) {
      this._line(line);
    }
  }

  private _line(line: string): void {
    if (line === '') {
      if (this._data.length > 0) {
        this._take(this._data.join('\n'), this._id);
      }
      this._data = [];
      return;
    }
    const colon = line.indexOf(':');
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (name === 'data') {
      this._data.push(value);
    } else if (name === 'id') {
      this._id = value;
    }
  }

  private _rest = '';
  private _data: string[] = [];
  private _id = '';
}

const PAUSES = [500, 1000, 2000, 5000, 10_000, 20_000];

export class EventStream {
  constructor(private readonly _options: StreamOptions) {}

  get state(): StreamState {
    return this._state;
  }

  start(): void {
    if (this._abort === null) {
      this._abort = new AbortController();
      void this._loop(this._abort.signal);
    }
  }

  stop(): void {
    this._abort?.abort();
    this._abort = null;
    this._set('closed');
  }

  /** Try again at once instead of waiting. */
  hurry(): void {
    this._wake?.();
  }

  private async _loop(signal: AbortSignal): Promise<void> {
    const pauses = this._options.pauses ?? PAUSES;
    let failures = 0;
    while (!signal.aborted) {
      this._set('connecting');
      let error: unknown = undefined;
      try {
        const response = await this._options.source.events(this._last, signal);
        this._set('open');
        failures = 0;
        this._options.onOpen?.(this._opened);
        this._opened = true;
        await this._read(response, signal);
      } catch (reason) {
        error = reason;
      }
      if (signal.aborted) {
        return;
      }
      this._set('waiting', error);
      const pause = pauses[Math.min(failures++, pauses.length - 1)] ?? 1000;
      await new Promise<void>(done => {
        const timer = setTimeout(done, pause * (0.8 + Math.random() * 0.4));
        const wake = (): void => {
          clearTimeout(timer);
          done();
        };
        this._wake = wake;
        signal.addEventListener('abort', wake, { once: true });
      });
      this._wake = null;
    }
  }

  private async _read(response: Response, signal: AbortSignal): Promise<void> {
    const reader = response.body?.getReader();
    if (reader === undefined) {
      return;
    }
    const decoder = new TextDecoder();
    const cutter = new EventCutter(data => this._take(data));
    try {
      while (!signal.aborted) {
        const { done, value } = await reader.read();
        if (done) {
          return;
        }
        cutter.feed(decoder.decode(value, { stream: true }));
      }
    } finally {
      await reader.cancel().catch(() => undefined);
    }
  }

  private _take(data: string): void {
    let event: FlowEvent;
    try {
      event = record('Event', JSON.parse(data));
    } catch (error) {
      console.warn('jupyter-flows: an event was not understood', error);
      return;
    }
    if (this._last !== null && event.id <= this._last) {
      return;
    }
    this._last = event.id;
    try {
      this._options.onEvent(event);
    } catch (error) {
      console.error('jupyter-flows: an event could not be shown', error);
    }
  }

  private _set(state: StreamState, error?: unknown): void {
    if (state !== this._state || error !== undefined) {
      this._state = state;
      this._options.onState?.(state, error);
    }
  }

  private _state: StreamState = 'closed';
  private _abort: AbortController | null = null;
  private _wake: (() => void) | null = null;
  private _last: number | null = null;
  private _opened = false;
}
