/** The commands that run models: what they print and write, what they refuse. */
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { run } from '../../src/cli/main.ts';
import { loadEncoder } from '../../src/models/index.ts';
import { readSafetensors } from '../../src/safetensors/index.ts';
import { checkpoint } from '../models/checkpoints.ts';
import { BERT_CONFIG, WORD_PIECES } from '../models/loader/vocabularies.ts';

const STORY = fileURLToPath(new URL('../../examples/models/story-llama', import.meta.url));
const FIX = fileURLToPath(new URL('../../examples/models/fix-t5', import.meta.url));
const [first] = JSON.parse(readFileSync(`${STORY}/reference.json`, 'utf8')).cases as { prompt: string; text: string }[] as [
  { prompt: string; text: string },
];
const [fix] = JSON.parse(readFileSync(`${FIX}/reference.json`, 'utf8')).cases as { input: string; text: string }[] as [
  { input: string; text: string },
];

const folder = mkdtempSync(join(tmpdir(), 'relpos-cli-models-'));
const bert = join(folder, 'bert');
beforeAll(() => {
  cpSync(checkpoint('bert').folder, bert, { recursive: true });
  writeFileSync(join(bert, 'tokenizer.json'), JSON.stringify(WORD_PIECES));
  writeFileSync(join(bert, 'tokenizer_config.json'), JSON.stringify(BERT_CONFIG));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Runs a command line. */
async function cli(argv: readonly string[], stdin = '', signal = new AbortController().signal) {
  let [out, err] = ['', ''];
  async function* input(): AsyncGenerator<Uint8Array> {
    // In pieces that cut characters.
    const bytes = new TextEncoder().encode(stdin);
    for (let at = 0; at < bytes.length; at += 3) yield bytes.subarray(at, at + 3);
  }
  const io = {
    stdout: (text: string) => {
      out += text;
    },
    stderr: (text: string) => {
      err += text;
    },
    stdin: input,
    isTTY: false,
    signal,
  };
  const code = await run(argv, io);
  return { code, out, err };
}

describe('generate', () => {
  test('prints what the model writes', async () => {
    const { code, out, err } = await cli(['generate', STORY, '--prompt', first.prompt, '--max-tokens', '64', '--threads', '1']);
    expect({ code, out, err }).toEqual({ code: 0, out: `${first.text}\n`, err: '' });
  });

  test('takes the prompt from standard input, and says all in JSON', async () => {
    const { code, out } = await cli(['generate', STORY, '-p', '-', '--max-tokens', '8', '--json', '--stop', 'strength,'], first.prompt);
    expect(code).toBe(0);
    const stopped = first.text.indexOf('strength,');
    const { text, reason, tokens } = JSON.parse(out);
    expect([text, reason]).toEqual([first.text.slice(0, stopped), 'stop']);
    expect(tokens).toBeLessThan(8);
  });

  test('draws the same for the same seed', async () => {
    const draw = (seed: string) =>
      cli(['generate', STORY, '-p', 'And', '--max-tokens', '20', '--temperature', '1', '--top-p', '0.9', '--seed', seed]);
    const [a, b, c] = [await draw('1'), await draw('1'), await draw('2')];
    expect(a.out).toBe(b.out);
    expect(a.out).not.toBe(c.out);
  });

  test('writes by an encoder-decoder', async () => {
    expect(await cli(['generate', FIX, '-p', fix.input])).toEqual({ code: 0, out: `${fix.text}\n`, err: '' });
  });

  test.each([
    [[], 'relpos: generate expected the folder or the URL of a model; see relpos generate --help\n'],
    [[STORY], 'relpos: generate expected --prompt <text>; see relpos generate --help\n'],
    [[STORY, 'x', '-p', 'y'], 'relpos: generate expected one model, got "x" too\n'],
    [[STORY, '-p', 'y', '--system', 's'], 'relpos: --system needs --chat\n'],
    [[STORY, '-p', 'y', '--top-p', '2'], 'relpos: generate: "topP" expected a number in 0 … 1, not 0, got 2\n'],
    [[STORY, '-p', 'y', '--weights', 'i7'], 'relpos: --weights expected one of f32, f16, bf16, i8, i4, got "i7"\n'],
    [[STORY, '-p', 'y', '--max-memory', '1M'], 'relpos: loadDecoder: the model takes'],
    [[STORY, '-p', 'y', '--chat'], 'relpos: generate: "chat_template.jinja": the checkpoint has no chat template "default"\n'],
    [[FIX, '-p', 'y', '--chat'], 'relpos: --chat expected a decoder, got t5, an encoder-decoder\n'],
    [['/nowhere', '-p', 'y'], 'relpos: inspect: "model" expected a folder, got "/nowhere": there is no such folder\n'],
  ])('%j is refused with exit code 2', async (argv, message) => {
    const { code, out, err } = await cli(['generate', ...argv]);
    expect([code, out]).toEqual([2, '']);
    expect(err).toContain(message);
    expect(err.trimEnd()).not.toContain('\n');
  });

  test('an interrupt ends it', async () => {
    const { code, err } = await cli(['generate', STORY, '-p', 'y'], '', AbortSignal.abort());
    expect([code, err]).toEqual([130, 'relpos: interrupted\n']);
  });
});

describe('embed', () => {
  const TEXTS = ['the cat sat', 'a mat on a mat', 'the "cat"'];

  async function vectors(): Promise<Float32Array[]> {
    using encoder = await loadEncoder(bert, { threads: 1 });
    return await encoder.embed(TEXTS); // Before the model is gone.
  }

  test('prints lines of JSON that give every number back', async () => {
    const { code, out } = await cli(['embed', bert, ...TEXTS]);
    expect(code).toBe(0);
    const lines = out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { text: string; vector: number[] });
    expect(lines.map(({ text }) => text)).toEqual(TEXTS);
    expect(lines.map(({ vector }) => Float32Array.from(vector))).toEqual(await vectors());
  });

  test('writes a safetensors file of the lines of a file, after the texts that are named', async () => {
    const [lines, output] = [join(folder, 'lines.txt'), join(folder, 'out.safetensors')];
    writeFileSync(lines, `${TEXTS.slice(1).join('\r\n')}\n`);
    expect(await cli(['embed', bert, TEXTS[0] as string, '-i', lines, '-o', output])).toEqual({ code: 0, out: '', err: '' });
    const { tensors, metadata } = readSafetensors(readFileSync(output));
    const { shape, data } = tensors.get('embeddings') as { shape: readonly number[]; data: Uint8Array };
    const expected = await vectors();
    expect(shape).toEqual([3, expected[0]?.length]);
    expect(new Float32Array(data.slice().buffer)).toEqual(Float32Array.from(expected.flatMap((vector) => [...vector])));
    expect(JSON.parse(metadata.texts as string)).toEqual(TEXTS);
  });

  test('reads standard input, and prints a table of cosines', async () => {
    const { code, out } = await cli(['embed', bert, '-i', '-', '--format', 'table'], `${TEXTS[0]}\n${TEXTS[1]}\n${TEXTS[0]}`);
    expect(code).toBe(0);
    const [head, one, two, three] = out.split('\n') as [string, string, string, string];
    expect(head.trim().split(/ +/)).toEqual(['1', '2', '3']);
    const numbers = (line: string): string[] => line.trim().split(/ {2,}/).slice(1);
    expect(numbers(one)[0]).toBe('1.000');
    expect(numbers(one)[2]).toBe('1.000');
    expect(numbers(one)[1]).toBe(numbers(two)[0]);
    expect(numbers(three)).toEqual(numbers(one));
  });

  test.each([
    [[bert], 'relpos: embed expected texts, or -i <file>; see relpos embed --help\n'],
    [[bert, 'a', '--format', 'safetensors'], 'relpos: --format safetensors needs -o <file>\n'],
    [[bert, 'a', '--prompt', 'query'], 'relpos: embed: "prompt" expected one of none, got "query"\n'],
    [[bert, '-i', join(folder, 'none.txt')], 'no such file'],
    [[STORY, 'a'], 'expected an encoder, got llama, a decoder: use relpos generate\n'],
    [[bert, 'a', '--max-length', '1'], 'relpos: embed: "maxLength" expected at least the 2 tokens that frame a text, got 1\n'],
    [['http://127.0.0.1:99999/', 'a'], 'relpos: loadEncoder: "model" expected a URL, got "http://127.0.0.1:99999/"\n'],
  ])('%j is refused with exit code 2', async (argv, message) => {
    const { code, out, err } = await cli(['embed', ...argv]);
    expect([code, out]).toEqual([2, '']);
    expect(err).toContain(message);
  });
});

test('more tokens than a model takes are no error, and are told', async () => {
  const less = (option: string, asked: number, most: number): string =>
    `relpos: ${option} ${asked} is more than the ${most} tokens of a text that the model takes\n`;
  const plain = await cli(['embed', bert, 'the cat sat']);
  const { longest } = JSON.parse((await cli(['inspect', bert, '--json'])).out) as { longest: number };
  for (const option of ['--context', '--max-length']) {
    expect(await cli(['embed', bert, 'the cat sat', option, `${longest}`])).toEqual(plain);
    expect(await cli(['embed', bert, 'the cat sat', option, '9999'])).toEqual({ ...plain, err: less(option, 9999, longest) });
  }
  const said = await cli(['generate', STORY, '-p', first.prompt, '--max-tokens', '4', '--context', '257']);
  expect([said.code, said.err]).toEqual([0, less('--context', 257, 256)]);
  expect((await cli(['inspect', STORY, '--context', '300'])).err).toBe(less('--context', 300, 256));
});

describe('inspect', () => {
  test('says what a model is, and what it takes', async () => {
    const { code, out } = await cli(['inspect', STORY]);
    expect(code).toBe(0);
    expect(out).toContain('model       llama (family llama), a decoder\n');
    expect(out).toContain('5 layers; 8 heads over 2 of 20; MLP 432 gated, silu; norm: rms, before');
    expect(out).toContain('Memory for texts of 256 tokens:\n');
  });

  test('the same as JSON, and for another context', async () => {
    const facts = async (...more: string[]) => JSON.parse((await cli(['inspect', STORY, '--json', ...more])).out);
    const [whole, half] = [await facts(), await facts('--context', '128')];
    expect(whole).toMatchObject({
      family: 'llama',
      kind: 'decoder',
      width: 160,
      vocabulary: 1024,
      longest: 256,
      storedAs: 'f16',
      context: 256,
    });
    expect(half.memory.i8.cache).toBeLessThan(whole.memory.i8.cache * 0.6);
    expect(half.memory.i8.weights).toBe(whole.memory.i8.weights);
    expect((await facts('--context', '9999')).context).toBe(256);
  });

  test('of a model of images: what it takes, and its stages', async () => {
    const { folder: swin } = checkpoint('swin');
    const { code, out } = await cli(['inspect', swin]);
    expect(code).toBe(0);
    expect(out).toContain('model    swin (family swin), a model of images\n');
    expect(out).toContain('image    32 × 32 pixels of 3 channels, in patches of 2 × 2\n');
    expect(out).toContain(
      'stage 2  8 × 8 cells of 24, windows of 4 × 4; 2 layers; 2 heads of 12; MLP 48, gelu; norm: layer, before; positions: swin\n',
    );
    expect(out).toContain('labels   cat, dog, fox, owl, toad\n');
    expect(out).toContain('Memory for an image at a time:\n');
    const facts = JSON.parse((await cli(['inspect', swin, '--json'])).out);
    expect(facts).toMatchObject({
      kind: 'images',
      modelType: 'swin',
      image: [32, 32],
      width: 48,
      storedAs: 'f16',
      context: 0,
      packed: false,
    });
    expect(facts.stages.map(({ grid }: { grid: unknown }) => grid)).toEqual([
      [16, 16],
      [8, 8],
      [4, 4],
    ]);
    expect(facts.memory.i8.weights).toBeLessThan(facts.memory.f32.weights / 2);
  });

  test('refuses what no family fits, with what is missing', async () => {
    const odd = join(folder, 'odd');
    mkdirSync(odd);
    const { folder: from, config } = checkpoint('bert');
    writeFileSync(join(odd, 'config.json'), JSON.stringify({ ...config, model_type: 'mamba' }));
    writeFileSync(join(odd, 'model.safetensors'), readFileSync(`${from}model.safetensors`));
    const { code, err } = await cli(['inspect', odd]);
    expect(code).toBe(2);
    expect(err).toMatch(/^relpos: inspect: config\.json: "model_type" expected one of .*got "mamba"\n$/);
  });
});

describe('pack', () => {
  test('writes a folder that other commands take in place of the model', async () => {
    const to = join(folder, 'story-i8');
    const { code, out, err } = await cli(['pack', STORY, '-o', to, '--weights', 'i8', '--threads', '1']);
    expect({ code, out, err }).toEqual({ code: 0, out: `${to}: 5 files, 1.58 MiB, weights in i8\n`, err: '' });
    const generate = async (model: string, ...more: string[]) =>
      (await cli(['generate', model, '-p', 'And', '--max-tokens', '12', ...more])).out;
    expect(await generate(to)).toBe(await generate(STORY, '--weights', 'i8'));
    const inspected = await cli(['inspect', to]);
    expect(inspected.out).toContain('32 tensors, 1.52 MiB, packed in i8');
    expect(inspected.out).not.toContain('bf16');
    expect(JSON.parse((await cli(['inspect', to, '--json'])).out)).toMatchObject({ packed: true, storedAs: 'i8' });
  });

  test('says the files in JSON, and splits them', async () => {
    const to = join(folder, 'bert-i4');
    const { code, out } = await cli(['pack', bert, '--output', to, '--weights', 'i4', '--shard-size', '8K', '--json']);
    expect(code).toBe(0);
    const { weights, files, bytes } = JSON.parse(out);
    expect(weights).toBe('i4');
    expect(files.map(({ name }: { name: string }) => name)).toContain('model.safetensors.index.json');
    expect(bytes).toBe(files.reduce((sum: number, file: { bytes: number }) => sum + file.bytes, 0));
    const embed = async (...argv: string[]) => (await cli(['embed', ...argv, 'hello world'])).out;
    expect(await embed(to)).toBe(await embed(bert, '--weights', 'i4'));
  });

  test('replaces a model only when it is told to, and refuses what is wrong in one line', async () => {
    const to = join(folder, 'story-i8');
    for (const [argv, message] of [
      [['pack', STORY], 'pack expected -o <folder>, where the packed model goes'],
      [['pack'], 'pack expected the folder or the URL of a model'],
      [['pack', STORY, bert, '-o', to], 'pack expected one model'],
      [['pack', STORY, '-o', to], 'it has "config.json" in it; with "force" the model there is replaced'],
      [['pack', to, '-o', join(folder, 'again')], 'expected a checkpoint, got one that is packed as i8 already'],
      [['pack', STORY, '-o', to, '--weights', 'i5'], '--weights expected one of f32, f16, bf16, i8, i4'],
      [['pack', STORY, '-o', to, '--shard-size', 'x'], '--shard-size expected bytes such as 512M or 2G'],
      [['pack', STORY, '-o', to, '--shard-size', '1.5'], '--shard-size expected bytes such as 512M or 2G, got "1.5"'],
      [['generate', to, '-p', 'x', '--weights', 'i4'], 'leave "weights" out'],
    ] as const) {
      const { code, out, err } = await cli(argv);
      expect({ code, out }).toEqual({ code: 2, out: '' });
      expect(err).toContain(message);
      expect(err.split('\n')).toHaveLength(2);
    }
    expect((await cli(['pack', STORY, '-o', to, '--weights', 'i4', '--force', '--json'])).code).toBe(0);
    expect(JSON.parse((await cli(['inspect', to, '--json'])).out)).toMatchObject({ storedAs: 'i4' });
  });

  test('an interrupt leaves nothing', async () => {
    const to = join(folder, 'interrupted');
    expect(await cli(['pack', STORY, '-o', to], '', AbortSignal.abort())).toMatchObject({
      code: 130,
      out: '',
      err: 'relpos: interrupted\n',
    });
    expect(readdirSync(folder).filter((name) => name.startsWith('.relpos') || name === 'interrupted')).toEqual([]);
  });
});
