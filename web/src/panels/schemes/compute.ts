import { transfer } from 'comlink';
import { createEngine } from 'relpos';
import { PictureMaker, type Pictures } from './pictures.ts';
import type { Request } from './request.ts';

/** Pictures and how long they took. */
export interface Answer {
  readonly request: Request;
  readonly pictures: readonly Pictures[];
  readonly ms: number;
}

let started: Promise<PictureMaker> | undefined;

export const api = {
  async compute(request: Request): Promise<Answer> {
    started ??= createEngine({ threads: 1 }).then((engine) => new PictureMaker(engine));
    const maker = await started.catch((error: unknown) => {
      started = undefined;
      throw error;
    });
    const began = performance.now();
    const pictures = maker.make(request);
    const ms = performance.now() - began;
    const buffers = pictures.flatMap(({ scores, probabilities, added, curve }) =>
      [scores, probabilities, added, curve].map(({ buffer }) => buffer),
    );
    return transfer({ request, pictures, ms }, buffers);
  },
};

export type Api = typeof api;
