// Mutations: one wrong line each, of the kind that a tired hand writes. `find` must stand exactly once in `file`; `suites` are the tests that
// must notice, those that are quickest to. A mutation that changes nothing (an equivalent one) does not belong here.
import { caches } from './caches.mjs';
import { calls } from './calls.mjs';
import { families } from './families.mjs';
import { hosts } from './hosts.mjs';
import { kernels } from './kernels.mjs';
import { layerMutants } from './layers.mjs';
import { linear } from './linear.mjs';
import { memory } from './memory.mjs';
import { models } from './models.mjs';
import { schemes } from './schemes.mjs';

/** In this order: what is built of the kernels is built anew only once after the last of theirs. */
export const mutants = [
  ...kernels,
  ...linear,
  ...layerMutants,
  ...memory,
  ...caches,
  ...calls,
  ...schemes,
  ...models,
  ...families,
  ...hosts,
];
