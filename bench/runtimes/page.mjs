// The entry in a page: puts `run(options)` among the globals.
import { bench } from 'relpos/bench';

globalThis.run = ({ threads, precision, ...options }) => bench({ threads, precision }, options);
