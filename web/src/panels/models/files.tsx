import { proxy } from 'comlink';
import { useId, useState } from 'preact/hooks';
import { Choice } from '../../ui/controls.tsx';
import { Progress, type Tell, useWork } from '../../ui/work.tsx';
import { addressOf, answered, api, type Chosen, keep, OWN } from './client.ts';
import type { ConfigReport } from './config.ts';
import { ConfigShown } from './config-shown.tsx';
import { type Dropped, type Found, filesOfDrop, filesOfList, sizeOf, tellApart } from './dropped.ts';
import type { FolderReport } from './folder.ts';
import type { PartProps } from './props.ts';
import type { Part } from './settings.ts';
import { filesOf, type ModelSource } from './sources.ts';
import type { TensorList } from './tensors.ts';
import { Tensors } from './tensors-shown.tsx';

/** A config has some kB. */
const LARGEST_CONFIG = 16 * 2 ** 20;

interface Report {
  readonly dropped: Dropped;
  readonly config?: ConfigReport;
  /** Why nothing is said of positions, where that is no failure of the whole. */
  readonly unclear?: string;
  readonly tensors?: { readonly name: string; readonly list: TensorList };
  readonly folder?: FolderReport;
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error)).replace(/\s+/g, ' ');

async function readConfig(name: string, file: Blob): Promise<ConfigReport> {
  if (file.size > LARGEST_CONFIG) throw new Error(`“${name}” has ${sizeOf(file.size)}: no config.json has so many.`);
  return api().describeConfig(await file.text());
}

/** Reads what was dropped, and throws what is wrong with it, in a sentence. */
async function read(dropped: Dropped): Promise<Report> {
  if (dropped.kind === 'config') return { dropped, config: await readConfig(dropped.name, dropped.file) };
  if (dropped.kind === 'tensors') {
    return { dropped, tensors: { name: dropped.name, list: await api().readTensorList(dropped.file) } };
  }
  const { files } = dropped;
  const folder = await api().inspectFolder(files);
  const [weights] = [...files].filter(([path]) => path.endsWith('.safetensors'));
  const list = weights && (await api().readTensorList(weights[1]));
  const config = files.get('config.json');
  const found = config && (await readConfig('config.json', config).catch(messageOf));
  return {
    dropped,
    folder,
    ...(weights && list && { tensors: { name: weights[0], list } }),
    ...(typeof found === 'string' ? { unclear: found } : found && { config: found }),
  };
}

/** Files of somebody's own: what they are, and models to use here. */
export function Files({ set, choose }: PartProps) {
  const id = useId();
  const [over, setOver] = useState(false);
  const [report, setReport] = useState<Report>();
  const { work, run, stop } = useWork();
  const take = (find: Promise<readonly Found[]>): void => {
    void run(async (signal) => {
      setReport(undefined);
      const dropped = tellApart(await find);
      const found = await answered(read(dropped));
      signal.throwIfAborted();
      setReport(found);
      return `“${dropped.name}” was read.`;
    });
  };
  const chosen = (event: { readonly currentTarget: HTMLInputElement }): void => {
    const list = filesOfList(event.currentTarget.files ?? []);
    // The same files can be chosen again.
    event.currentTarget.value = '';
    if (list.length) take(Promise.resolve(list));
  };
  return (
    <>
      {/* biome-ignore lint/a11y/noStaticElementInteractions: a place to drop files on; the fields in it do the same by keys */}
      <div
        class={`drop${over ? ' over' : ''}`}
        onDragOver={(event) => {
          event.preventDefault();
          setOver(true);
        }}
        onDragLeave={() => setOver(false)}
        onDrop={(event) => {
          event.preventDefault();
          setOver(false);
          if (event.dataTransfer) take(filesOfDrop(event.dataTransfer));
        }}
      >
        <p>
          Drop a <code>config.json</code>, a <code>.safetensors</code> file or the folder of a model here. It stays on this device.
        </p>
        <div class="row">
          <label for={`${id} file`}>Choose a file</label>
          <input id={`${id} file`} type="file" accept=".json,.safetensors,.gguf" onChange={chosen} />
        </div>
        <div class="row">
          <label for={`${id} folder`}>or the folder of a model</label>
          {/* @ts-expect-error Preact's types lack it; all browsers have it */}
          <input id={`${id} folder`} type="file" webkitdirectory onChange={chosen} />
        </div>
        <p>
          <button type="button" onClick={() => take(filesOf('story-llama', addressOf(OWN.decoder())))}>
            Take story-llama as an example
          </button>
        </p>
      </div>
      <p class="files-status" role={work.failed ? 'alert' : 'status'} data-busy={work.busy}>
        {work.busy ? 'Reading …' : work.text}{' '}
        {work.busy && (
          <button type="button" onClick={stop}>
            Stop
          </button>
        )}
      </p>
      {report?.folder && report.dropped.kind === 'folder' && (
        <Load report={report.folder} dropped={report.dropped} choose={choose} go={(part) => set({ part })} />
      )}
      {report?.config && <ConfigShown report={report.config} />}
      {report?.unclear && <p>Its positions: {report.unclear}</p>}
      {report?.tensors && <Tensors name={report.tensors.name} list={report.tensors.list} />}
    </>
  );
}

interface LoadProps {
  readonly report: FolderReport;
  readonly dropped: Dropped & { readonly kind: 'folder' };
  readonly choose: PartProps['choose'];
  readonly go: (part: Part) => void;
}

type Weights = Extract<ModelSource, { readonly files: unknown }>['weights'];

const WEIGHTS: readonly (readonly [Weights, string])[] = [
  ['stored', 'as stored'],
  ['f32', 'f32'],
  ['i8', 'i8'],
  ['i4', 'i4'],
];

/** Loads a folder, and offers what can be done with the model. */
function Load({ report, dropped, choose, go }: LoadProps) {
  const [weights, setWeights] = useState<Weights>('stored');
  const [kind, setKind] = useState<'encoder' | 'decoder'>();
  const { work, run, stop } = useWork();
  const load = (): void => {
    void run(async (signal: AbortSignal, tell: Tell) => {
      setKind(undefined);
      const worker = api();
      signal.addEventListener('abort', () => {
        void worker.stop('encoder');
        void worker.stop('decoder');
      });
      tell(`Loading ${dropped.name} …`);
      const progress = proxy((loaded: number, total: number) =>
        tell(`Loading ${dropped.name}: ${sizeOf(loaded)} of ${sizeOf(total)}`, total ? loaded / total : undefined),
      );
      const model: Chosen = { title: dropped.name, source: { files: dropped.files, weights } };
      const found = await answered(worker.openAny(model.source, progress));
      signal.throwIfAborted();
      keep(model, found);
      choose({ [found.kind]: model });
      setKind(found.kind);
      return `“${dropped.name}” is loaded: ${found.info.family}, ${found.kind === 'encoder' ? 'which reads texts' : 'which continues texts'}.`;
    });
  };
  const sizes = report.memory.map(([name, bytes]) => `${sizeOf(bytes)} with weights of ${name}`).join(', ');
  return (
    <section class="load" aria-label="The model">
      <p>
        Its weights are {sizeOf(report.stored)}. In memory it takes {sizes}.
      </p>
      <div class="row">
        <Choice label="Weights in memory" value={weights} options={WEIGHTS} onChange={setWeights} />
        <button type="button" class="first" onClick={load} disabled={work.busy}>
          Load this model
        </button>
      </div>
      {work.text !== '' && <Progress work={work} stop={stop} label={`Loading ${dropped.name}`} />}
      {kind === 'encoder' && (
        <p class="row">
          <button type="button" onClick={() => go('sentences')}>
            Compare sentences with it
          </button>
          <button type="button" onClick={() => go('words')}>
            See where its words look
          </button>
        </p>
      )}
      {kind === 'decoder' && (
        <p class="row">
          <button type="button" onClick={() => go('story')}>
            Continue a text with it
          </button>
        </p>
      )}
    </section>
  );
}
