// The entry where a host answers requests. One engine, made by the first request and kept for the others, as serverless code does:
//
//   /conform?threads=2         the findings of conform.ts as JSON
//   /call?kind=plain&seed=3    the hash of what that call of calls.mjs gives on the kept engine; `&wait=1` answers only when the body has come
//   /left                      what the calls came to that their requests left alone, and the bytes in use
import * as relpos from 'relpos';
import { int16Kernels } from 'relpos/int16';
import * as loaders from 'relpos/models';
import { createLayers } from 'relpos/nn';
import { readSafetensors } from 'relpos/safetensors';
import { calls } from './calls.mjs';
import { conform } from './conform.mjs';
import { goldens } from './goldens.mjs';
import { sourceOf } from './stores.mjs';

let engine;
const kept = () => {
  engine ??= relpos.createEngine({ threads: 2, logger: { warn() {} } });
  return engine;
};

/** Calls that requests did not wait for: how many began and ended, and with what. Plain data, since promises belong to their request. */
const left = { begun: 0, hashes: {} };

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Does not wait for the call. */
function leave(seed) {
  left.begun++;
  kept()
    .then((engine) => calls.plain({ relpos, engine, seed, pause }))
    .then(
      (hash) => {
        left.hashes[`${seed} ${left.begun}`] = hash;
      },
      (error) => {
        left.hashes[`${seed} ${left.begun}`] = String(error);
      },
    );
  return 'left';
}

export async function answer(request) {
  const { pathname, searchParams } = new URL(request.url);
  const number = (name) => Number(searchParams.get(name));
  if (pathname === '/conform') {
    const golden = new Map(Object.entries(goldens).map(([name, bytes]) => [name, readSafetensors(bytes)]));
    return Response.json(await conform({ relpos, createLayers, loaders, sourceOf, golden, int16: int16Kernels }, number('threads')));
  }
  if (pathname === '/left') return Response.json({ ...left, used: (await kept()).memoryUsage().used });
  if (pathname !== '/call') return new Response('there is no such path', { status: 404 });
  const kind = searchParams.get('kind');
  if (kind === 'left') return new Response(leave(number('seed')));
  if (searchParams.get('wait')) await request.text();
  const { signal } = request;
  return new Response(await calls[kind]({ relpos, engine: await kept(), seed: number('seed'), pause, signal }));
}
