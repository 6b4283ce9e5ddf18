// What runs in every context of a browser, in pages and in workers: the cases on the packed library.
import * as relpos from 'relpos';
import * as loaders from 'relpos/models';
import { createLayers } from 'relpos/nn';
import { readSafetensors } from 'relpos/safetensors';
import { conform } from './conform.mjs';

/** The golden files, fetched once. */
let goldens;

async function fetchGoldens() {
  const names = await (await fetch('/golden/')).json();
  const read = async (name) => [name, readSafetensors(new Uint8Array(await (await fetch(`/golden/${name}`)).arrayBuffer()))];
  return new Map(await Promise.all(names.map(read)));
}

/** Relative to the page, or to the worker's script. */
const sourceOf = (name) => `/models/${name}`;

export async function findings(threads, options = {}) {
  goldens ??= fetchGoldens();
  return conform({ relpos, createLayers, loaders, sourceOf, golden: await goldens, options }, threads);
}
