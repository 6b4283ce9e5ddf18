// The entry in a page: puts `run(options)` among the globals.
import { bench } from 'relpos/bench';
import { argumentsOf } from './options.mjs';

globalThis.run = (options) => bench(...argumentsOf(options));
