/** relpos itself, as built into dist/. */
import { readFileSync } from 'node:fs';
import * as library from '../../../dist/index.js';
import { relposPeer } from '../lib/relpos.mjs';

const version = () => JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')).version;

export const createPeer = ({ threads, precision = 'reproducible' }) => relposPeer(library, version(), { threads, precision });
