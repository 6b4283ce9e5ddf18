/** The Lambda handler as an ES module and as CommonJS, invoked as Lambda does: loaded once, one event after another, frozen in between. */
import { type ChildProcess, execFileSync, fork } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { writeSafetensors } from '../../src/safetensors/index.ts';
import { type Example, examples, expectValues, file, madeInput, tensor, wrongs } from './posts.ts';
import { makeProject } from './project.ts';

/** Loads the handler and answers events with its replies and the memories that were made so far. */
const LAMBDA = `
const { existsSync } = require('node:fs');
let memories = 0;
const { Memory } = WebAssembly;
WebAssembly.Memory = class extends Memory {
  constructor(limits) { super(limits); memories++; }
};
const [path, name] = process.argv[2].split('.'); // "folder/file.function", from the function's folder, as Lambda reads it.
const file = ['.mjs', '.cjs'].map((end) => process.cwd() + '/' + path + end).find(existsSync);
const loaded = file.endsWith('.cjs') ? Promise.resolve(require(file)) : import(file);
process.on('message', async (event) => {
  try {
    process.send({ reply: await (await loaded)[name](event), memories });
  } catch (error) {
    process.send({ error: String(error), memories });
  }
});
`;

interface Reply {
  readonly statusCode: number;
  readonly headers: Record<string, string>;
  readonly body: string;
  readonly isBase64Encoded?: boolean;
}

const HANDLERS = ['index.mjs', 'index.cjs'];
const folder = makeProject();
writeFileSync(join(folder, 'lambda.cjs'), LAMBDA);

/** A folder as Lambda unpacks the page's zip, with one of the two handlers, and nothing around it. */
function unpack(name: string): string {
  const task = realpathSync(mkdtempSync(join(tmpdir(), 'relpos-lambda-')));
  afterAll(() => rmSync(task, { recursive: true, force: true }));
  for (const path of ['aws-lambda', 'attend.mjs', 'node_modules']) cpSync(join(folder, path), join(task, path), { recursive: true });
  for (const other of HANDLERS) if (other !== name) rmSync(join(task, 'aws-lambda', other));
  return task;
}

// What Lambda starts its Node 20 and 22 with.
const FLAGS =
  process.versions.node.startsWith('20.') || process.versions.node.startsWith('22.') ? ['--no-experimental-require-module'] : [];

describe.each(HANDLERS)('%s', (name) => {
  const lambda: ChildProcess = fork(join(folder, 'lambda.cjs'), ['aws-lambda/index.handler'], { cwd: unpack(name), execArgv: FLAGS });
  afterAll(() => lambda.kill());
  const invoke = (event: object): Promise<{ reply: Reply; memories: number }> =>
    new Promise((resolve, reject) => {
      const settle = (message: { error?: string }): void => {
        if (message.error === undefined) resolve(message as Awaited<ReturnType<typeof invoke>>);
        else reject(new Error(message.error));
      };
      lambda.once('message', settle);
      lambda.send(event);
    });
  const event = (body: Uint8Array): object => ({ version: '2.0', body: Buffer.from(body).toString('base64'), isBase64Encoded: true });
  const expectReply = ({ reply }: { reply: Reply }, { expected }: Example): void => {
    expect([reply.statusCode, reply.isBase64Encoded, reply.headers['content-type']]).toEqual([200, true, 'application/octet-stream']);
    expectValues(Buffer.from(reply.body, 'base64'), expected);
  };

  test('ten invocations are answered by one engine', async () => {
    const made: number[] = [];
    for (const example of examples(10)) {
      const found = await invoke(event(example.body));
      expectReply(found, example);
      made.push(found.memories);
    }
    expect(new Set(made).size).toBe(1);
  });

  test('the input that make-input.mjs writes', async () => {
    execFileSync(process.execPath, ['make-input.mjs'], { cwd: folder });
    const made = madeInput(readFileSync(join(folder, 'in.safetensors')));
    expectReply(await invoke(event(made.body)), made);
  });

  test('an instance that was frozen goes on', async () => {
    const [example] = examples(1) as [Example];
    lambda.kill('SIGSTOP');
    setTimeout(() => lambda.kill('SIGCONT'), 1500);
    expectReply(await invoke(event(example.body)), example);
  });

  test('a body that is text', async () => {
    const [example] = examples(1) as [Example];
    expectReply(await invoke({ body: Buffer.from(example.body).toString('latin1'), isBase64Encoded: false }), example);
  });

  test.each([['no body', new Uint8Array(0), 400, 'got 0'] as const, ...wrongs()])('%s', async (_, body, status, says) => {
    const { reply } = await invoke(body.length ? event(body) : { requestContext: {} });
    expect(reply.body).toContain(says);
    expect(reply.statusCode).toBe(status);
  });

  test('a result that Lambda does not carry', async () => {
    const one = tensor([1, 1, 1, 1], 1);
    const body = writeSafetensors({ q: tensor([1, 1, 8192, 1], 1), k: one, v: tensor([1, 1, 1, 256], 1) });
    expect((await invoke(event(body))).reply).toMatchObject({ statusCode: 413, body: 'the result is longer than 4194304 bytes\n' });
    expect((await invoke(event(file([1, 1, 4, 4])))).reply.statusCode).toBe(200);
  });
});

test('`require` of the package, where Node allows it', async () => {
  writeFileSync(join(folder, 'required.cjs'), "process.send(typeof require('relpos').createEngine)");
  const child = fork(join(folder, 'required.cjs'));
  expect(await new Promise((resolve) => child.once('message', resolve))).toBe('function');
});
