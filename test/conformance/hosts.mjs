// The hosts the packed library is tried in. A host is an object:
//
//   name          as the table says it: `node24`, `firefox`
//   runtime       what `capabilities.runtime` must say there
//   missing()     what is not here, in words; undefined if all is
//   run(project)  tries the library of the project (project.mjs): a promise of { rows, checks, notes }
//
// A row is one engine in one context that has run all the cases:
//
//   { host, version, context, asked, expected: { threads, reason }, capabilities, hashes, failures, ms, frames }
//
//   version       of the program, as the program itself says it: `24.21.0`
//   context       where in the host: `isolated page`, `2025-09-01 nodejs_compat`
//   asked         threads asked for
//   expected      threads that must come of it and, where they are fewer, a regular expression for what the reason must say
//   capabilities, hashes, failures   what conform.ts finds
//   ms            the cases took so long
//   frames        in pages, during a long call: { perSecond, longestGapMs }
//
// `checks` (optional) are `{ name, error }` of what else must hold in that host; `error` says what is wrong, and is missing if nothing is.
// `notes` (optional) are lines that are printed below the table.
// judge.mjs judges the rows.
import { browserHosts } from './hosts/browsers.mjs';
import { commands } from './hosts/commands.mjs';
import { edgeRuntime } from './hosts/edge-runtime.mjs';
import { miniflare } from './hosts/miniflare.mjs';
import { workerd } from './hosts/workerd.mjs';

/** The first is the one whose bits the others must give. */
export const hosts = [...commands, workerd, miniflare, edgeRuntime, ...browserHosts];
