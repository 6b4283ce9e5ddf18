// Where models come from: the page's own files, and files that somebody dropped.

/** The two models of the page. */
export type BuiltIn = 'encoder' | 'story-llama';

/** What each has; nothing else is asked for. */
const FILES: Readonly<Record<BuiltIn, readonly string[]>> = {
  encoder: ['config.json', 'modules.json', 'tokenizer.json', 'model.safetensors', '1_Pooling/config.json', '2_Dense/config.json'],
  'story-llama': ['config.json', 'generation_config.json', 'tokenizer.json', 'tokenizer_config.json', 'model.safetensors'],
};

/** A model to load: by its address, which ends in a slash, or by its files. */
export type ModelSource =
  | { readonly builtIn: BuiltIn; readonly address: string }
  | { readonly files: ReadonlyMap<string, Blob>; readonly weights: 'stored' | 'f32' | 'i8' | 'i4' };

/** Files of a model by their path in its folder. */
export type Files = ReadonlyMap<string, Blob>;

/** A fetch that asks for what there is: no host is asked for files that models may have and this one does not. */
export function fetchOf(name: BuiltIn, address: string): typeof fetch {
  const known = new Set(FILES[name].map((file) => new URL(file, address).href));
  return async (input, init) => {
    const url = typeof input === 'string' ? input : input instanceof URL ? input.href : input.url;
    return known.has(url) ? fetch(input, init) : new Response(null, { status: 404 });
  };
}

/** The files of one of the page's models, as somebody would drop them. @throws Error if one cannot be fetched */
export async function filesOf(name: BuiltIn, address: string): Promise<{ readonly path: string; readonly file: Blob }[]> {
  return Promise.all(
    FILES[name].map(async (path) => {
      const answer = await fetch(new URL(path, address)).catch(() => undefined);
      if (!answer?.ok) throw new Error(`${path} of ${name} could not be fetched${answer ? `: ${answer.status}` : ''}.`);
      return { path: `${name}/${path}`, file: await answer.blob() };
    }),
  );
}
