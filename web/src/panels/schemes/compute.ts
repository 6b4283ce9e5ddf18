import { expose, transfer } from 'comlink';
import { createEngine, type Engine } from 'relpos';
import { type Pictures, picturesOf } from './pictures.ts';
import type { Request } from './request.ts';

/** Pictures and how long they took. */
export interface Answer {
  readonly request: Request;
  readonly pictures: readonly Pictures[];
  readonly ms: number;
}

let started: Promise<Engine> | undefined;

const api = {
  async compute(request: Request): Promise<Answer> {
    started ??= createEngine({ threads: 1 });
    const engine = await started;
    const began = performance.now();
    const pictures = picturesOf(engine, request);
    const ms = performance.now() - began;
    const buffers = pictures.flatMap((one) => Object.values(one).map(({ buffer }) => buffer));
    return transfer({ request, pictures, ms }, buffers);
  },
};

export type Api = typeof api;

expose(api);
