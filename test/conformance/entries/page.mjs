// The entry in a page: puts `findings(threads)` among the globals. The server maps `relpos` to the packed library's files.
import * as relpos from 'relpos';
import { readSafetensors } from 'relpos/safetensors';
import { conform } from './conform.mjs';

const names = await (await fetch('/golden/')).json();
const read = async (name) => [name, readSafetensors(new Uint8Array(await (await fetch(`/golden/${name}`)).arrayBuffer()))];
const golden = new Map(await Promise.all(names.map(read)));
globalThis.findings = (threads) => conform({ relpos, golden }, threads);
