// The entry in Node, Deno and Bun: `server-side.mjs <runtime> <folder of golden files> <threads,threads,…>` prints findings as JSON. It lies in
// a project that has the packed library installed, beside the bundle of conform.ts.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import * as relpos from 'relpos';
import * as loaders from 'relpos/models';
import { createLayers } from 'relpos/nn';
import { readSafetensors } from 'relpos/safetensors';
import { conform } from './conform.mjs';

const [, , claimed, folder, threads] = process.argv;

// Before anything else: is this the runtime that the row of results will claim?
const actual = globalThis.Bun ? 'bun' : globalThis.Deno ? 'deno' : 'node';
if (!claimed.startsWith(actual)) throw new Error(`this is ${actual}, not ${claimed}`);
const major = process.versions.node.split('.')[0];
if (actual === 'node' && claimed !== `node${major}`) throw new Error(`this is Node ${major}, not ${claimed}`);

const files = readdirSync(folder).filter((name) => name.endsWith('.safetensors'));
const golden = new Map(files.map((name) => [name, readSafetensors(new Uint8Array(readFileSync(join(folder, name))))]));
/** A path, and as good an address of it. */
const sourceOf = (name) =>
  name.length % 2 ? new URL(`models/${name}/`, import.meta.url) : fileURLToPath(new URL(`models/${name}`, import.meta.url));
const rows = [];
for (const count of threads.split(',')) rows.push(await conform({ relpos, createLayers, loaders, sourceOf, golden }, Number(count)));
console.log(JSON.stringify(rows));
