// What the panel's worker does: it fetches the models, and reads a text with one of them.
import { transfer } from 'comlink';
import { createEngine, type Engine } from 'relpos';
import { createLayers, type Layers } from 'relpos/nn';
import { blockLosses } from './losses.ts';
import { makeModel } from './model.ts';
import { SCHEMES, type SchemeName } from './schemes.ts';

/** Lets the messages have their turn: a stop is one. Timers would wait 4 ms each time. */
function turn(): Promise<void> {
  const { port1, port2 } = new MessageChannel();
  return new Promise((resolve) => {
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(0);
  });
}

/** The bytes of a file of the page. */
async function fetchBytes(url: string): Promise<Uint8Array> {
  const answer = await fetch(url).catch(() => undefined);
  if (!answer?.ok) throw new Error(`${url} could not be fetched${answer ? `: ${answer.status}` : ''}.`);
  return new Uint8Array(await answer.arrayBuffer());
}

let started: Promise<{ engine: Engine; nn: Layers }> | undefined;
const files = new Map<string, Promise<Uint8Array>>();
let current = 0;
let last: Promise<unknown> = Promise.resolve();

/** A file of weights, fetched once; one that failed is tried again. */
function fileOf(url: string): Promise<Uint8Array> {
  const known = files.get(url) ?? fetchBytes(url);
  files.set(url, known);
  known.catch(() => files.delete(url));
  return known;
}

/** The engine, made once; one processor is left to the page. */
function layers(): Promise<{ engine: Engine; nn: Layers }> {
  started ??= start();
  started.catch(() => {
    started = undefined;
  });
  return started;
}

async function start(): Promise<{ engine: Engine; nn: Layers }> {
  const engine = await createEngine({ threads: Math.min(4, Math.max(1, navigator.hardwareConcurrency - 1)) });
  return { engine, nn: await createLayers(engine) };
}

export const api = {
  /**
   * Losses by block of 32 bytes, or undefined if it was stopped.
   *
   * @param folder where the models lie, ending in a slash
   */
  async evaluate(scheme: SchemeName, window: number, text: Uint8Array, folder: string): Promise<Float32Array | undefined> {
    const mine = ++current;
    const file = fileOf(`${folder}${SCHEMES[scheme].file}.safetensors`);
    const [{ engine, nn }, bytes] = await Promise.all([layers(), file, last.catch(() => {})]);
    const model = makeModel(engine, nn, scheme, bytes, window);
    const goOn = async (): Promise<boolean> => {
      await turn();
      return mine === current;
    };
    const work = blockLosses(model, window, text, goOn).finally(() => model.dispose());
    last = work;
    const losses = await work;
    return losses && transfer(losses, [losses.buffer]);
  },
  /** The threads that compute, once something was evaluated. */
  async threads(): Promise<number> {
    return (await started)?.engine.capabilities.threads ?? 0;
  },
  stop(): void {
    current++;
  },
};

export type Api = typeof api;
