import { ServerConnection } from '@jupyterlab/services';
import { describe, expect, it } from 'vitest';

import { FlowsClient, FlowsFailure } from '../src/client';

/** A client whose server answers with these, in turn; the addresses asked for are kept. */
function clientOf(...answers: (Response | Error)[]): { client: FlowsClient; asked: Request[] } {
  const asked: Request[] = [];
  const settings = ServerConnection.makeSettings({
    baseUrl: 'http://127.0.0.1:1/user/x/',
    token: 'secret',
    fetch: ((request: Request) => {
      asked.push(request);
      const next = answers.shift()!;
      return next instanceof Error ? Promise.reject(next) : Promise.resolve(next);
    }) as typeof fetch
  });
  return { client: new FlowsClient(settings), asked };
}
const json = (value: unknown, status = 200): Response => new Response(JSON.stringify(value), { status });
const failure = async (answer: Response | Error): Promise<FlowsFailure> =>
  clientOf(answer)
    .client.version()
    .then(() => Promise.reject(new Error('it answered')), (error: unknown) => error as FlowsFailure);
const flow = (id: string): object => ({ id, name: id, project: 'default', version: 1, paused: false });

describe('FlowsClient', () => {
  it('asks below the base URL, with the token and without arguments of its own', async () => {
    const { client, asked } = clientOf(json({ version: '1' }));
    await client.version();
    expect(asked[0]!.url).toBe('http://127.0.0.1:1/user/x/flows/api/v1/version');
    expect(asked[0]!.headers.get('Authorization')).toBe('token secret');
  });

  it('reads all pages of flows', async () => {
    const { client, asked } = clientOf(json({ flows: [flow('a')], next: 'a b' }), json({ flows: [flow('c')], next: null }));
    expect((await client.flows()).map(item => item.id)).toEqual(['a', 'c']);
    expect(new URL(asked[1]!.url).searchParams.get('after')).toBe('a b');
  });

  it('quotes what stands in an address', async () => {
    const { client, asked } = clientOf(json({ ...flow('a') }));
    await client.pause('team/etl', true);
    expect(asked[0]!.url).toContain('/flows/team%2Fetl/pause');
    expect(asked[0]!.method).toBe('POST');
  });

  it('passes on what the server says against it', async () => {
    const error = await failure(json({ code: 'not_found', message: "no flow is named 'x'" }, 404));
    expect([error.kind, error.code, error.message]).toEqual(['refused', 'not_found', "no flow is named 'x'"]);
  });

  it('tells a server without our part from one that does not answer', async () => {
    expect((await failure(new Response('<html>', { status: 404 }))).kind).toBe('missing');
    expect((await failure(new TypeError('Failed to fetch'))).kind).toBe('unreachable');
    expect((await failure(new Response('', { status: 502 }))).kind).toBe('unreachable');
    expect((await failure(json({ code: 'unavailable', message: 'is starting' }, 503))).kind).toBe('unreachable');
  });

  it('does not believe an answer of the wrong shape', async () => {
    await expect(clientOf(json({ version: 3 })).client.version()).rejects.toThrow('VersionInfo.version is number');
    await expect(clientOf(new Response('hello')).client.version()).rejects.toThrow('not JSON');
  });
});
