// A GGUF file as the folder of a model: config.json, the tokenizer and the weights are made of it; what lies beside it goes before what it says of
// texts, and for all other files.

import { broken } from './fault.ts';
import { type GgufHeader, Incomplete, readGguf } from './gguf-file.ts';
import { idsOf, modelOf } from './gguf-model.ts';
import { tokenizerConfigOf, tokenizerOf } from './gguf-tokenizer.ts';
import { ggufWeights } from './gguf-weights.ts';
import type { Loading, Missing, Source, SourceFile } from './source.ts';

/** Bytes of a header that are read first, and at most. */
const FIRST = 1 << 20;
const MOST = 1 << 28;

/** @throws RelposError `bad-checkpoint` if the file is none, or of a model that is not known */
export async function ggufSource(loading: Loading, beside: Source, name: string): Promise<Source> {
  const { where } = loading;
  const file = await beside.open(name);
  if ('missing' in file) throw broken(where, name, file.missing);
  const header = await headerOf(loading, name, file).finally(() => file.close());
  const model = modelOf(where, name, header);
  const made: Readonly<Record<string, () => unknown>> = {
    'tokenizer.json': () => tokenizerOf(where, name, header),
    'tokenizer_config.json': () => tokenizerConfigOf(header),
    'generation_config.json': () => idsOf(header.values),
  };
  const whole = async (asked: string, most: number): Promise<Uint8Array | Missing> => {
    if (asked === 'config.json') return json(model.config);
    const found = await beside.whole(asked, most);
    return 'missing' in found && Object.hasOwn(made, asked) ? json(made[asked]?.()) : found;
  };
  const open = async (asked: string): Promise<SourceFile | Missing> => {
    if (asked !== 'model.safetensors') return beside.open(asked);
    const again = await beside.open(name);
    if ('missing' in again) return again;
    try {
      return ggufWeights(where, name, again, header, model);
    } catch (error) {
      await again.close();
      throw error;
    }
  };
  return { name: beside.name, whole, open, weights: name, restate: (what) => model.restate(what) };
}

const json = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));

/** Reads as much of the file as its header takes. */
async function headerOf({ where }: Loading, name: string, file: SourceFile): Promise<GgufHeader> {
  const most = Math.min(MOST, file.size ?? MOST);
  let bytes = new Uint8Array(0);
  for (let wanted = Math.min(FIRST, most); ; wanted = Math.min(4 * wanted, most)) {
    const more = new Uint8Array(wanted);
    more.set(bytes);
    const reader = file.reader(bytes.length, wanted);
    try {
      await reader.fill(more.subarray(bytes.length));
    } finally {
      reader.close();
    }
    bytes = more;
    try {
      return readGguf(where, name, bytes);
    } catch (error) {
      if (!(error instanceof Incomplete)) throw error;
      if (wanted === most) throw broken(where, name, `its header does not end within ${most} bytes`);
    }
  }
}
