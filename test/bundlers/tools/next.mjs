// Next: a client's page, a route in Node, a route in the edge runtime.
import { ISOLATION, strict } from '../browser.mjs';
import { findingsAt } from '../pages.mjs';
import { root, run, start, tool, versionOf } from '../program.mjs';

export const name = 'next';
export const version = () => versionOf('next');

const pairs = (headers) => Object.entries(headers).map(([key, value]) => ({ key, value }));
// Next puts scripts of its own into each page, under a policy it asks for nonces; the workers are what is tried here.
const HEADERS = [
  { source: '/(.*)', headers: pairs(ISOLATION) },
  { source: '/strict', headers: pairs(strict("'unsafe-inline'")) },
];

const client = (module) => `'use client';
import { useEffect } from 'react';
export default function Page() {
  useEffect(() => void import('../../${module}'), []);
  return null;
}
`;
const route = (options) => `import { attend } from '../../attend.js';
${options}
export const GET = async () => Response.json(await attend());
`;

const FILES = {
  'next.config.mjs': `export default {
  turbopack: { root: ${JSON.stringify(root)} },
  outputFileTracingRoot: ${JSON.stringify(root)},
  headers: async () => (${JSON.stringify(HEADERS)}),
};
`,
  'worker.js': "export const worker = () => new Worker(new URL('relpos/worker', import.meta.url), { type: 'module' });\n",
  'blank.js': 'globalThis.result = null;\n',
  'app/layout.js': 'export default function Layout({ children }) { return <html lang="en"><body>{children}</body></html>; }\n',
  'app/blank/page.js': client('blank.js'),
  'app/page/page.js': client('page.js'),
  'app/strict/page.js': client('strict.js'),
  'app/node/route.js': route("export const dynamic = 'force-dynamic';"),
  'app/edge/route.js': route("export const runtime = 'edge';"),
};
const PATHS = { blank: '/blank', page: '/page', relaxed: '/page?precision=relaxed', strict: '/strict' };

async function answer(url) {
  const response = await fetch(url, { signal: AbortSignal.timeout(60_000) });
  if (!response.ok) throw new Error(`${url} answers ${response.status}: ${await response.text()}`);
  return response.json();
}

export async function findings({ make, browser }) {
  const folder = make(name, FILES);
  await run(tool('next'), ['build'], folder);
  const { url, stop } = await start(tool('next'), ['start', '-p', '0', '-H', '127.0.0.1'], folder);
  try {
    return [
      ...(await findingsAt(url, browser, PATHS)),
      { way: 'route in Node', threads: 2, result: await answer(`${url}/node`) },
      { way: 'route in the edge runtime', threads: 1, result: await answer(`${url}/edge`) },
    ];
  } finally {
    await stop();
  }
}
