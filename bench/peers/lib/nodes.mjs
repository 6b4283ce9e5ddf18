import process from 'node:process';
import { installed } from '../../../test/conformance/install.mjs';

/** The program of a major version of Node: the one that runs this, or one that test/runtimes has. It may not be there. */
export const nodeOf = (major) => (process.versions.node.startsWith(`${major}.`) ? process.execPath : installed(`node${major}/bin/node`));
