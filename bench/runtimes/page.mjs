// The entry in a page: puts `run(options)` among the globals.
import { bench } from 'relpos/bench';

globalThis.run = ({ threads, ...options }) => bench({ threads }, options);
