// Runs the task of `relpos attend`, times it and compares what comes.

import { shapeText } from '../arguments/check.ts';
import { registry } from '../encodings/registry.ts';
import type { Engine } from '../engine.ts';
import { createEngine } from '../entries/inlined.ts';
import type { Tensor } from '../memory/tensor.ts';
import type { Encoding } from '../plan/plan.ts';
import type { SafeTensor } from '../safetensors/index.ts';
import type { Expected, Task } from './attend-task.ts';
import { type EncodingRequest, resolveTensors } from './case.ts';
import { type CliIo, InputError, progressLine, SILENT } from './io.ts';
import { compare, type Difference } from './report.ts';
import { download, floats, maskTensor, table, upload } from './tensors.ts';
import { quote } from './text.ts';
import { timed } from './timing.ts';

/** A difference, and what it may be. */
export interface Judged extends Difference {
  /** Of the largest value, as `relative` is. */
  readonly tolerance: number;
  readonly within: boolean;
}

/** What came out. */
export interface Outcome {
  readonly out: SafeTensor;
  readonly lse: SafeTensor;
  /** Milliseconds of the first run, which found nothing compiled. */
  readonly first: number;
  /** Milliseconds of the runs after it. */
  readonly times: readonly number[];
  readonly difference: Judged | undefined;
  readonly capabilities: Engine['capabilities'];
}

/** Runs the task on an engine of its own. */
export async function compute(task: Task, io: CliIo): Promise<Outcome> {
  const { threads, precision, maxMemory } = task;
  const engine = await createEngine({ threads, precision, logger: SILENT, ...(maxMemory === undefined ? {} : { maxMemory }) });
  try {
    const [q, k, v] = [task.inputs.q, task.inputs.k, task.inputs.v].map((tensor) => upload(engine, tensor)) as [Tensor, Tensor, Tensor];
    const tables = new Map<string, Tensor | Int32Array>();
    const lookup = (name: string): Tensor | Int32Array => {
      const found = tables.get(name) ?? table(engine, task.file.tensors, name);
      tables.set(name, found);
      return found;
    };
    const encoding = task.job.encodings.map((request) => makeEncoding(request, lookup));
    const attention = attentionOptions(engine, task, lookup);
    const progress = progressLine(io, 'attend');
    const runs = 1 + (task.repeat ?? 0);
    const once = async (run: number): Promise<{ out: Tensor; lse: Tensor; time: number }> => {
      io.signal.throwIfAborted();
      const started = performance.now();
      const result = await engine.attentionPartial(q, k, v, {
        ...attention,
        encoding,
        signal: io.signal,
        onProgress: ({ done, total }) => progress.update(Math.min(run, runs - 1) * total + done, runs * total),
      });
      return { ...result, time: performance.now() - started };
    };
    const again = async (run: number): Promise<number> => {
      const { out, lse, time } = await once(run);
      for (const tensor of [out, lse]) tensor.dispose();
      return time;
    };
    try {
      const { out, lse, time: first } = await once(0);
      const times: number[] = [];
      for (let run = 1; run <= (task.repeat ?? 0); run++) times.push(await again(run));
      if (task.repeat === undefined && (first < WARM_BUDGET || task.operations < WARM_OPERATIONS))
        times.push(...(await timed(WARM_BUDGET, io.signal, async () => void (await again(1)))));
      const downloaded = download(out);
      const difference = task.expected && differenceFrom(engine, task, task.expected, downloaded);
      return { out: downloaded.tensor, lse: download(lse).tensor, first, times, difference, capabilities: engine.capabilities };
    } finally {
      progress.clear();
    }
  } finally {
    engine.dispose();
  }
}

/** Milliseconds to time warm runs in, and what a run may take to be run again. */
const WARM_BUDGET = 100;
/** Operations that take about as long once they are compiled: that a first run of them took longer says nothing of the work. */
const WARM_OPERATIONS = 2e9;

/** The options of attention, tensors in place of their names; a mask is a tensor whatever its type. */
function attentionOptions(engine: Engine, { file, job }: Task, lookup: (name: string) => unknown): object {
  const { mask, keyPadding, ...rest } = job.attention;
  const options: Record<string, unknown> = resolveTensors(rest, lookup) as Record<string, unknown>;
  const masked = (value: unknown, padding: boolean): unknown =>
    resolveTensors(value, (name) => maskTensor(engine, file.tensors, name, padding));
  if (mask !== undefined) options.mask = masked(mask, false);
  if (keyPadding === undefined) return options;
  if (typeof keyPadding !== 'string' || !keyPadding.startsWith('@'))
    throw new InputError('"keyPadding" expected "@" and the name of a tensor');
  return { ...options, mask: [...(options.mask === undefined ? [] : [options.mask].flat()), masked(keyPadding, true)] };
}

/** An encoding from its request; its constructor checks the options. */
function makeEncoding(request: EncodingRequest, lookup: (name: string) => unknown): Encoding {
  const entry = registry.find(({ name }) => name === request.name);
  if (entry === undefined) {
    throw new InputError(`unknown encoding ${quote(request.name)}; known are ${registry.map(({ name }) => name).join(', ')}`);
  }
  const options = resolveTensors(request.options, lookup);
  if (request.arguments === undefined) return entry.make(options);
  const make = entry.make as (options: unknown, more: unknown) => Encoding;
  return make(options, resolveTensors(request.arguments, lookup));
}

/** Of the largest value, by the type of what is expected: two units in the last place of 16-bit floats, some rounding of f32. */
const TOLERANCES: Readonly<Record<string, number>> = { F16: 2 ** -9, BF16: 2 ** -6 };

/** What a precision may be off by, of the largest value: f32 as it rounds, int16 at most three times the part of the root mean square in docs/numerics.md. */
const ROUNDING: Readonly<Record<Task['precision'], number>> = { reproducible: 1e-5, int16: 1e-3, relaxed: 1e-5 };

function differenceFrom(engine: Engine, { file, precision }: Task, expected: Expected, out: ReturnType<typeof download>): Judged {
  const { name, tensor } = expected;
  if (String(tensor.shape) !== String(out.tensor.shape)) {
    const shapes = [out.tensor.shape, tensor.shape].map((shape) => shapeText(shape));
    throw new InputError(`--expected: tensor ${quote(name)} expected the shape of out, ${shapes[0]}, got ${shapes[1]}`);
  }
  const difference = compare(out.values, floats(engine, tensor));
  // What the file says of its own error is in units of the output.
  const own = difference.relative && 2 * Number(file.metadata.naive_error ?? 0) * (difference.relative / difference.largest);
  const tolerance = expected.tolerance ?? Math.max(ROUNDING[precision], TOLERANCES[tensor.dtype] ?? 0, Number.isFinite(own) ? own : 0);
  return { ...difference, tolerance, within: difference.relative <= tolerance };
}
