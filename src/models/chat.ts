// Chats as one text: the checkpoint's own template, by way of `@huggingface/jinja`, which is an optional package.

import { RelposError } from '../arguments/errors.ts';
import { quote } from '../cli/text.ts';
import type { Checkpoint } from './checkpoint.ts';
import { broken, reasonOf } from './fault.ts';
import type { Tokenizer } from './tokenizer.ts';

/** What is said, and who says it: `system`, `user`, `assistant` or what the template knows. */
export interface ChatMessage {
  readonly role: string;
  readonly content: unknown;
  readonly [key: string]: unknown;
}

/** What is used of `@huggingface/jinja`. */
export interface Jinja {
  readonly Template: new (source: string) => { render(values: Record<string, unknown>): string };
}

export interface ChatOptions {
  /** Whether the text ends where the assistant begins. Default true. */
  readonly generationPrompt?: boolean | undefined;
  /** Which template, if the checkpoint has several. Default `default`. */
  readonly template?: string | undefined;
  /** Other values that the template knows, such as `{ enable_thinking: false }` or `{ tools: […] }`. */
  readonly values?: Readonly<Record<string, unknown>> | undefined;
}

/** The templates of a checkpoint. */
export class ChatTemplates {
  readonly #sources: ReadonlyMap<string, string>;
  readonly #special: Readonly<Record<string, string>>;
  readonly #jinja: Jinja | undefined;

  /** @internal */
  constructor(sources: ReadonlyMap<string, string>, special: Readonly<Record<string, string>>, jinja: Jinja | undefined) {
    this.#sources = sources;
    this.#special = special;
    this.#jinja = jinja;
  }

  /** What they are called. */
  get names(): readonly string[] {
    return [...this.#sources.keys()];
  }

  /**
   * The text of a chat. It has the special tokens that the model wants: encode it without others.
   *
   * @param where the call that errors name
   * @throws RelposError `bad-checkpoint` if there is no such template, or it fails; `missing-package` without `@huggingface/jinja`
   */
  async render(
    where: string,
    messages: readonly ChatMessage[],
    { generationPrompt = true, template = 'default', values }: ChatOptions = {},
  ): Promise<string> {
    const source = this.#sources.get(template);
    if (source === undefined) {
      const known = this.names.length > 0 ? `; it has ${this.names.map(quote).join(', ')}` : '';
      throw broken(where, 'chat_template.jinja', `the checkpoint has no chat template ${quote(template)}${known}`);
    }
    const { Template } = this.#jinja ?? (await loadJinja(where));
    try {
      const all = { ...this.#special, ...values, messages, add_generation_prompt: generationPrompt };
      return new Template(source).render(all);
    } catch (cause) {
      throw broken(where, 'chat_template.jinja', `the template fails: ${reasonOf(cause)}`, cause);
    }
  }
}

/** By a name that no bundler follows: the package may be missing. */
async function loadJinja(where: string): Promise<Jinja> {
  const name = '@huggingface/jinja';
  try {
    return (await import(/* @vite-ignore */ /* webpackIgnore: true */ name)) as Jinja;
  } catch (cause) {
    const message = `${where}: chat templates need the package ${name} (${reasonOf(cause)}): npm install ${name}, or give it as "jinja"`;
    throw new RelposError('missing-package', message, { cause });
  }
}

/** The templates of a checkpoint: chat_template.jinja and those beside it, or what tokenizer_config.json has. */
export async function loadChatTemplates(checkpoint: Checkpoint, tokenizer: Tokenizer, jinja?: Jinja): Promise<ChatTemplates> {
  const sources = templatesOf(tokenizer.config.chat_template);
  const own = await checkpoint.text('chat_template.jinja');
  if (own !== undefined) sources.set('default', own);
  const special = Object.entries(tokenizer.special).map(([role, { token }]) => [`${role}_token`, token]);
  return new ChatTemplates(sources, Object.fromEntries(special), jinja);
}

/** One template, or a list of some with names. */
function templatesOf(given: unknown): Map<string, string> {
  if (typeof given === 'string') return new Map([['default', given]]);
  const list: readonly { readonly name?: unknown; readonly template?: unknown }[] = Array.isArray(given) ? given : [];
  const named = list.filter((one) => typeof one?.name === 'string' && typeof one.template === 'string');
  return new Map(named.map(({ name, template }) => [name as string, template as string]));
}
