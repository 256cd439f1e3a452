/** One client and one event stream for the whole page; panels and pictures listen to its signals. */

import { Signal, type ISignal } from '@lumino/signaling';

import { FlowsClient, FlowsFailure } from './client';
import type { FlowEvent } from './records';
import { EventStream, type StreamState } from './stream';

export type Connection = { state: StreamState; error: FlowsFailure | null };

export class FlowsFeed {
  constructor(readonly client: FlowsClient) {
    this._stream = new EventStream({
      source: client,
      pauses: [500, 1000, 2000, 5000, 15_000, 60_000],
      onEvent: event => this._event.emit(event),
      onOpen: again => {
        this._set({ state: 'open', error: null });
        this._opened.emit(again);
      },
      onState: (state, error) => {
        if (state !== 'open') {
          const failure = error instanceof FlowsFailure ? error : null;
          this._set({ state, error: state === 'waiting' ? failure : this._connection.error });
        }
      }
    });
  }

  /** Each event of the server, in order. */
  get event(): ISignal<this, FlowEvent> {
    return this._event;
  }

  /** The stream came, or came back: read lists again. */
  get opened(): ISignal<this, boolean> {
    return this._opened;
  }

  get connectionChanged(): ISignal<this, Connection> {
    return this._changed;
  }

  get connection(): Connection {
    return this._connection;
  }

  start(): void {
    this._stream.start();
  }

  hurry(): void {
    this._stream.hurry();
  }

  dispose(): void {
    this._stream.stop();
    Signal.clearData(this);
  }

  private _set(connection: Connection): void {
    this._connection = connection;
    this._changed.emit(connection);
  }

  private readonly _stream: EventStream;
  private readonly _event = new Signal<this, FlowEvent>(this);
  private readonly _opened = new Signal<this, boolean>(this);
  private readonly _changed = new Signal<this, Connection>(this);
  private _connection: Connection = { state: 'closed', error: null };
}
