import { afterEach, describe, expect, it } from 'vitest';

import { BadAnswer, record, records } from '../src/records';
import { EventCutter, EventStream, type StreamOptions } from '../src/stream';

const event = (id: number): string =>
  `id: ${id}\ndata: ${JSON.stringify({ id, at: '2026-01-01T00:00:00Z', body: { type: 'flow_changed' } })}\n\n`;

/** A body that is given piece by piece, and ends. */
const answer = (...pieces: string[]): Response =>
  new Response(
    new ReadableStream<Uint8Array>({
      start(controller) {
        pieces.forEach(piece => controller.enqueue(new TextEncoder().encode(piece)));
        controller.close();
      }
    })
  );

const open: EventStream[] = [];
function stream(options: Partial<StreamOptions> & Pick<StreamOptions, 'source'>): EventStream {
  const made = new EventStream({ onEvent: () => {}, pauses: [1], ...options });
  open.push(made);
  made.start();
  return made;
}
afterEach(() => open.splice(0).forEach(made => made.stop()));

describe('EventCutter', () => {
  it('cuts at blank lines, however the pieces fall', () => {
    const taken: string[] = [];
    const cutter = new EventCutter((data, id) => taken.push(`${id}=${data}`));
    for (const letter of 'id: 7\r\ndata: a\r\ndata: b\r\n\r\n: keep-alive\n\nid: 8\ndata:c\n\n') {
      cutter.feed(letter);
    }
    expect(taken).toEqual(['7=a\nb', '8=c']);
  });
});

describe('EventStream', () => {
  it('resumes after the last event it saw, and gives each once', async () => {
    const asked: (number | null)[] = [];
    const answers = [answer(event(1), event(2)), answer(event(2) + event(3))];
    const seen: number[] = [];
    await new Promise<void>(done => {
      stream({
        source: {
          events: after => {
            asked.push(after);
            const next = answers.shift();
            return next ? Promise.resolve(next) : new Promise(() => done());
          }
        },
        onEvent: item => seen.push(item.id)
      });
    });
    expect(seen).toEqual([1, 2, 3]);
    expect(asked).toEqual([null, 2, 3]);
  });

  it('tries again after a failure, and says when it is back', async () => {
    const states: string[] = [];
    const opened: boolean[] = [];
    let calls = 0;
    await new Promise<void>(done => {
      stream({
        source: {
          events: () => {
            calls++;
            return calls === 1
              ? Promise.reject(new Error('no route'))
              : calls === 4
                ? new Promise(() => done())
                : Promise.resolve(answer(event(calls)));
          }
        },
        onOpen: again => opened.push(again),
        onState: state => states.push(state)
      });
    });
    expect(states.slice(0, 4)).toEqual(['connecting', 'waiting', 'connecting', 'open']);
    expect(opened).toEqual([false, true]);
  });

  it('goes on after an event that makes no sense', async () => {
    const seen: number[] = [];
    await new Promise<void>(done => {
      stream({
        source: { events: () => Promise.resolve(answer('data: {}\n\ndata: nonsense\n\n', event(5))) },
        onEvent: item => {
          seen.push(item.id);
          done();
        }
      });
    });
    expect(seen).toEqual([5]);
  });
});

describe('records', () => {
  it('names the field that is wrong', () => {
    expect(() => record('VersionInfo', { version: 1 })).toThrow('VersionInfo.version is number, not string');
    expect(() => record('VersionInfo', null)).toThrow(BadAnswer);
    expect(() => records('AgentRecord', { agents: {} }, 'agents')).toThrow('agents is not a list');
    expect(record('VersionInfo', { version: '1', more: 2 }).version).toBe('1');
  });
});
