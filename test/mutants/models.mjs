// Mutations of what brings a model's files into memory, and of what makes text.
import { mutationsOf } from './make.mjs';

const source = mutationsOf('src/models');
const downloads = ['models/loader/downloads'];
const sources = ['models/loader/sources'];
const hostile = ['models/loader/hostile'];
const tokens = ['models/loader/tokenizer'];
const vocabulary = ['models/loader/vocabulary'];
const sampling = ['models/loader/sampling'];
const writing = ['models/loader/writing'];
const configs = ['models/loader/configs'];
const encoding = ['models/loader/encoding'];
const ending = ['models/ending'];
const together = ['models/together'];
const orders = ['models/orders'];

const files = [
  source(
    'a download goes on a byte too late',
    'source-resume.ts',
    'this.#at += wanted.length;',
    'this.#at += wanted.length + 1;',
    downloads,
  ),
  source('failures are never forgotten', 'source-resume.ts', 'this.#failures = 0;', '', downloads),
  source('what a server asks to wait is not waited', 'source-resume.ts', 'Math.max(asked, pause', 'Math.max(0, pause', downloads),
  source('a connection may stand still for ever', 'source-resume.ts', 'reject(late?.())', 'undefined', downloads),
  source('another version of a file is not noticed', 'source-http.ts', 'tag !== known.tag) throw', 'tag === known.tag) throw', downloads),
  source('a file of another length is not noticed', 'source-http.ts', 'size !== known.size) throw', 'size < known.size) throw', downloads),
  source('a server without ranges gives the wrong bytes', 'source-http.ts', 'return skipping(body, begin);', 'return body;', downloads),
  source('a page is taken for a file', 'source-http.ts', 'status === 200 && isPage', 'status === 201 && isPage', downloads),
  source(
    '403 is an error',
    'source-http.ts',
    'status === 404 || status === 410 || status === 403',
    'status === 404 || status === 410',
    downloads,
  ),
  source('requests go on after they are given up', 'source-http.ts', 'this.#controller.abort();', '', downloads),
  source('a reader that was closed tries again', 'source-resume.ts', 'this.#closed = true;', '', downloads),
  source('a query is lost', 'source-http.ts', "base.pathname += '/'", "base.search = ''", sources),
  source(
    'blobs are read from their beginning',
    'source-files.ts',
    'part(where, name, file, at, at + wanted)',
    'part(where, name, file, 0, wanted)',
    sources,
  ),
  source('a folder is read from its beginning', 'source-folder.ts', 'let at = begin;', 'let at = 0;', sources),
  source('names may lead out', 'source.ts', '!/^\\.+$|[. ]$/.test(part)', '!/^\\.$|[ ]$/.test(part)', hostile),
  source(
    'pieces are no whole panels',
    'weights.ts',
    'Math.floor(PIECE / (rowBytes * PANEL || 1)) * PANEL',
    'Math.floor(PIECE / (rowBytes || 1))',
    sources,
  ),
  source('pieces come in the order of the names', 'weights.ts', 'rank(a) - rank(b) || a.begin - b.begin', '0', sources),
  source('both buffers are one', 'weights.ts', 'const data = (buffers[n & 1]', 'const data = (buffers[0]', sources),
  source('files stay open after an error', 'weights.ts', 'await file.close();\n    if (error', 'if (error', hostile),
  source('files nest as they like', 'checkpoint.ts', 'if (fault) throw', 'if (false) throw', configs),
  source('a port that fetch may not ask is asked again', 'source-resume.ts', '\\bbad port\\b', '\\bno port\\b', downloads),
  source('an index may lack tensors', 'checkpoint.ts', 'file === name && !own.has(tensor)', 'file !== name && !own.has(tensor)', hostile),
];

const packs = ['models/packed'];
const packed = [
  source(
    'what projects embeddings is of integers',
    'packed-stack.ts',
    'packing.linear([projection], FLOATS)',
    'packing.linear([projection])',
    packs,
  ),
  source('what projects rare tokens is of integers', 'packed-stack.ts', 'packing.linear([own], FLOATS)', 'packing.linear([own])', packs),
  source(
    'pieces of packed tensors all go to their beginning',
    'packed-weights.ts',
    'start(place.info.name) + begin - place.begin',
    'start(place.info.name)',
    packs,
  ),
  source('packed tensors are not compared', 'packed-weights.ts', 'shapeText(found.shape) === shapeText(shape)', 'true', packs),
  source('types of packed tensors are not compared', 'packed-weights.ts', 'found.dtype === dtype &&', '', packs),
  source('any version of packed files is read', 'packed-weights.ts', 'version !== VERSION', 'version === undefined', packs),
  source('packed weights are loaded in another type', 'packed-weights.ts', 'asked !== undefined && asked !== known', 'false', packs),
  source('packed shapes may be anything', 'packed-weights.ts', '!isShape(shape)', 'false', packs),
  source('packed tensors of one name are one', 'packed-format.ts', 'taken.add(name);', '', packs),
  source('what is packed is packed again', 'pack.ts', 'if (opened.packed) throw', 'if (!opened) throw', packs),
  source('shards are larger than they may be', 'pack.ts', 'last && room >= 0', 'last && room >= -most', packs),
  source('a target that failed keeps its folder', 'pack.ts', 'await target.drop();', '', packs),
  source('modules are left behind', 'pack.ts', '...moduleFiles(await checkpoint.json(MODULES)), ', '', packs),
  source('the weights of an older model stay', 'pack-target.ts', 'name === CONFIG || WEIGHTS.test(name)', 'name === CONFIG', packs),
  source('a folder with files is overwritten', 'pack-target.ts', 'there !== undefined && !force', 'false', packs),
  source('a model is packed over itself', 'pack-target.ts', '=== path) bad(', "=== '') bad(", packs),
];

const ggufs = ['models/gguf'];
const gguf = [
  source('nibbles of Q4_0 are neighbours', 'gguf-blocks.ts', 'to[32 * n + 16 + i] =', 'to[32 * n + (i ^ 1)] =', ggufs),
  source(
    'bytes of Q8_0 have no sign',
    'gguf-blocks.ts',
    '(((from[at + 2 + i] as number) << 24) >> 24)',
    '(from[at + 2 + i] as number)',
    ggufs,
  ),
  source('f16 scales below 2^-14 are 0', 'gguf-blocks.ts', 'if (exponent === 0) return', 'if (exponent === 0) return 0 *', ggufs),
  source('upper bits of Q6_K are all the first', 'gguf-blocks.ts', '>> (2 * quarter)', '>> 0', ggufs),
  source('rows of heads stay pairs', 'gguf-weights.ts', 'tensor.paired ?', 'tensor.name === tensor.shape.join() ?', ggufs),
  source('a cut file is taken', 'gguf-weights.ts', 'size !== undefined &&', 'size === undefined &&', ggufs),
  source('numbers of f32 are taken as they are', 'gguf-model.ts', 'Number((value as number).toPrecision(7))', 'Number(value)', ggufs),
  source('the shortest pieces are joined first', 'gguf-tokenizer.ts', 'b.score - a.score ||', 'a.score - b.score ||', ggufs),
  source('user tokens are special', 'gguf-tokenizer.ts', 'type !== CONTROL &&', 'type === CONTROL &&', ggufs),
];

const texts = [
  source('half a character is given', 'text-stream.ts', 'all.endsWith(INCOMPLETE) || ', '', tokens),
  source('the window has no tokens before it', 'text-stream.ts', 'this.#ids = this.#ids.slice(this.#given);', 'this.#ids = [];', tokens),
  source('what is apart in memory is read as one', 'packed-weights.ts', ' && last.pointer + last.piece.length === pointer', '', [
    'models/packed',
  ]),
  source('a token that is there twice has both ids', 'vocabulary.ts', ' || ids.size !== count', '', vocabulary),
  source('an id that is there twice is the first one of it', 'vocabulary.ts', ' || tokens[id] !== undefined', '', vocabulary),
  source('an id is octal', 'vocabulary.ts', '(digits > 1 && text.charCodeAt(first) === ZERO) || ', '', vocabulary),
  source('any object called so is the vocabulary', 'tokenizer-file.ts', ' || file.model.vocab !== MARK', '', vocabulary),
  source('added tokens are forgotten', 'tokenizer.ts', 'ids.set(token, id);', '', vocabulary),
  source('added tokens have no text', 'tokenizer.ts', 'tokens[Number(id)] = model.vocab[Number(id)] as string;', ';', vocabulary),
  source('the longer text is not cut first', 'tokenizer.ts', 'Math.min(first, second, half)', 'half', tokens),
  source(
    'of two that are as long the first has the odd token',
    'tokenizer.ts',
    'return first > second ?',
    'return first >= second ?',
    tokens,
  ),
  source('the second text is of the first type', 'tokenizer.ts', 'type: type ?? text }', 'type: 0 }', [
    ...tokens,
    'models/loader/encoding',
  ]),
  source('top-k has no ties', 'sampling.ts', 'if (values[token] === least) kept.push(token);', '', sampling),
  source('top-p stops a token late', 'sampling.ts', '(n === 0 || sum < wanted)', '(n < 2 || sum < wanted)', sampling),
  source(
    'min-p is of the sum',
    'sampling.ts',
    'Math.fround(Math.fround(minP) * (scores.values[best] as number))',
    'Math.fround(minP)',
    sampling,
  ),
  source('a penalty makes negative scores larger', 'sampling.ts', 'score < 0 ? score * factor', 'score < 0 ? score / factor', sampling),
  source('the step does not count', 'sampling.ts', 'this.#step++;', '', sampling),
  source('random numbers have a round less', 'random.ts', 'const ROUNDS = 20;', 'const ROUNDS = 19;', sampling),
  source('half of the seed is lost', 'random.ts', 'Math.floor(seed / 4294967296)', '0', sampling),
  source('of two stop strings the first that begins counts', 'stop.ts', 'end < found.end ||', 'begin < found.begin ||', sampling),
  source(
    'a stop string over two pieces is missed',
    'stop.ts',
    'this.#held = text.slice(text.length - held);',
    "this.#held = '';",
    sampling,
  ),
  source(
    'the last token is computed though nobody wants it',
    'generation.ts',
    'this.#chosen < maxTokens ? text',
    'this.#chosen <= maxTokens ? text',
    writing,
  ),
  source('a full context loses its first token', 'generation.ts', 'tokens.splice(1,', 'tokens.splice(0,', writing),
  source('what is broken off goes on', 'writer.ts', 'await pieces.return([]);', '', ending),
  source('a model goes while it works', 'lifetime.ts', 'if (this.#running === 0) this', 'this', ending),
  source('a text that is left in the middle stays', 'sequences.ts', 'for (const sequence of this.#all) sequence.dispose();', '', ending),
  source(
    'texts of one run are at the positions of the first',
    'decoder-run.ts',
    '({ text: { length }, ids: own }) =>',
    '({ ids: own }, _, [{ text: { length } }]) =>',
    together,
  ),
  source(
    'the rows of a text begin a row late',
    'decoder-run.ts',
    'before.first + before.rows : 0',
    'before.first + before.rows : 1',
    together,
  ),
  source(
    'the last row of a text is the first of the next',
    'decoder-run.ts',
    'span.first + span.rows - 1)',
    'span.first + span.rows)',
    together,
  ),
  source('a text stays prepared for the row that it had', 'text-attention.ts', 'this.#place?.row !== first', '!this.#place', together),
  source('runs of a prompt write over scores of others', 'sequences.ts', 'group !== groups.at(-1)', 'false', together),
  source('a run has more rows than there is room for', 'sequences.ts', 'rows + length > CHUNK ||', 'rows > CHUNK ||', together),
  source('rows of zeros have no room', 'session.ts', 'capacity: capacity + (stack.memory ?? 0),', 'capacity,', together),
  source(
    'a row whose logits are not wanted ends those before it',
    'scoring.ts',
    'row = Math.max(end, row + 1);',
    'row = Math.max(end + 1, row + 1);',
    together,
  ),
  source('a session goes while it runs', 'session.ts', 'if (!this.#running) this.#release();', 'this.#release();', ['models/runner']),
  source(
    'more tokens than positions',
    'decoder-model.ts',
    "checkFits(where, 'ids', tokens, {},",
    "checkFits(where, 'ids', [], {},",
    ending,
  ),
  source(
    'a full session ends in silence',
    'decoder-session.ts',
    "checkFits('generate', 'session', this.#tokens,",
    "checkFits('generate', 'session', [],",
    writing,
  ),
  source('an object without elements is a prompt', 'decoder-model.ts', 'Number.isInteger(length) && length >= 0', 'true', writing),
  source(
    'a chat names the wrong call',
    'decoder-model.ts',
    'templates.render(where, prompt)',
    "templates.render('loadDecoder', prompt)",
    writing,
  ),
  source('any number starts a text', 'seq2seq-model.ts', 'if (isToken(start, vocabulary)) return start;', 'return start;', writing),
  source('a text is longer than it may be', 'tokenizer.ts', 'if (!(maxLength >= framing)) throw', 'if (false) throw', tokens),
  source(
    'room for a pair is that for one text',
    'encoder-model.ts',
    'tokenizer.encode(lower(text), options, where)',
    'tokenizer.encode(lower(text), options)',
    encoding,
  ),
  source('the map of newer folders counts', 'tokenizer.ts', "'added_tokens_decoder' in config ? {} :", 'false ? {} :', tokens),
  source('a norm may divide by nothing', 'config.ts', 'return scaleFactor(where, key, value);', 'return value as number;', configs),
  source('labels go by their order', 'config.ts', 'names[n] ?? `LABEL', 'Object.values(names)[n] ?? `LABEL', configs),
  source(
    'a window may have no keys',
    'config.ts',
    'integer(where, key, value, least, most)',
    'integer(where, key, value, least - 1, most)',
    configs,
  ),
  source('any layer type is taken', 'families/parts.ts', 'if (!types.includes(said as string)) throw', 'if (false) throw', configs),
  source(
    'widths of heads come from a key that the class has not',
    'config.ts',
    'if (keys && (fallback',
    "if ((keys ??= 'head_dim') && (fallback",
    configs,
  ),
  source('a session keeps no memory', 'decoder-session.ts', 'this.#sequence.dispose();', '', writing),
];

const families = ['models/families'];
const runner = ['models/runner'];
const vision = ['models/vision'];

const whole = [
  source('heads of a fused projection lie side by side', 'tensors.ts', 'first: first + n * step', 'first: first + n * count', families),
  source(
    'a stored matrix is not transposed',
    'tensors.ts',
    'const stored = form.stored ?? (transposed ?',
    'const stored = form.stored ?? (false ?',
    families,
  ),
  source(
    'the first position of RoBERTa is that of the padding',
    'families/bert.ts',
    '(tokens.pad as number) + 1',
    'tokens.pad as number',
    families,
  ),
  source('a token runs on the blocks of another run', 'token-run.ts', 'latest === this &&', '', ['models/token-run']),
  source('attention that was planned anew is not run', 'token-run.ts', 'changed = true;', '', ['models/token-run']),
  source('rows of an embedder are continued', 'embedder.ts', "kind: 'encoder', encoder:", "kind: 'decoder', encoder:", [
    'models/loader/embedders',
  ]),
  source('what sees both ways sees what came before', 'families/llama.ts', ": !config.flag('is_causal', true)", ': false', [
    'models/loader/embedders',
  ]),
  source('a window has a key too many', 'families/parts.ts', 'Math.min(keys - 1, FARTHEST)', 'Math.min(keys, FARTHEST)', families),
  source('positions of packed texts go on', 'encoder.ts', 'lists.positions[next] = n;', 'lists.positions[next] = next;', runner),
  source(
    'of a long text, weights of keys beyond a head width are those of the first ones',
    'attention-map.ts',
    'unit[(first + n) * width + n] = 1',
    'unit[n * width + n] = 1',
    ['models/attention-map'],
  ),
  source('a text is looked at beyond what the model takes', 'attention-map.ts', 'length > maxLength', 'length > 9 * maxLength', [
    'models/attention-map',
  ]),
  source('weights of heads lie between one another', 'attention-map.ts', '[keys, rows * keys, 1]', '[keys * heads, keys, 1]', [
    'models/attention-map',
  ]),
  source(
    'a sub-layer is not added to the stream',
    'layer-program.ts',
    'through(linear, rows, from, sum, x)',
    'through(linear, rows, from, sum)',
    runner,
  ),
  source(
    'the rows of q are normed as those of k',
    'layer-program.ts',
    'normed(this.#keyNorm, rows, keys, keys)',
    'normed(this.#keyNorm, rows, qkv, qkv)',
    runner,
  ),
  source('a window is not shifted', 'vision.ts', 'Math.floor(cell / window) + shift)', 'Math.floor(cell / window))', vision),
];

const turns = [
  source(
    'a text begins in the middle of a run',
    'decoder-model.ts',
    'const sequence = await alone(driver, () => driver.sequence(room));\n    return',
    'const sequence = await driver.sequence(room);\n    return',
    together,
  ),
  source(
    'one of several texts begins in the middle of a run',
    'decoder-model.ts',
    'const sequence = await alone(driver, () => driver.sequence(room));\n        sequences',
    'const sequence = await driver.sequence(room);\n        sequences',
    together,
  ),
  source(
    'what was disposed of is not said by the name of the call',
    'writer.ts',
    'return this.#disposed && error',
    'return !error && error',
    ending,
  ),
  source(
    'a model that was disposed of has a cache that was',
    'sequences.ts',
    "if (this.#disposed) throw new RelposError('disposed', 'the model was disposed');",
    '',
    ending,
  ),
];

const room = [
  source('what earlier runs left stays when memory runs out', 'leftovers.ts', 'this.drop();\n    return work();', 'return work();', orders),
  source('what has no room together is not run in parts', 'leftovers.ts', 'if (list.length < 2 ||', 'if (list.length ||', orders),
  source('rows of earlier texts stay', 'encoder.ts', 'this.workspace.dispose();\n    this.#beside?.drop();', '', orders),
  source(
    'heads keep the rows of earlier texts',
    'text-reader.ts',
    'for (const one of owned) if (one) this.#leftovers.add(() => one.drop());',
    '',
    orders,
  ),
  source(
    'a text lies among what others left',
    'runner.ts',
    'if (!decoder.texts) {\n      // It',
    'if (decoder.texts < 0) {\n      // It',
    orders,
  ),
  source('what runs of one token hold stays', 'session.ts', 'this.#spare();\n    this.#decoder.leftovers.drop();', '', orders),
  source(
    'what an encoder takes lies before what stays of it',
    'session.ts',
    'const memories = answered ? memoriesFor(decoder, answered.tokens, scope) : [];\n      await answered?.rows((rows) => rememberRows(decoder, memories, rows, signal));',
    'let memories: ReturnType<typeof memoriesFor> = [];\n      await answered?.rows((rows) => rememberRows(decoder, (memories = memoriesFor(decoder, answered.tokens, scope)), rows, signal));',
    orders,
  ),
  source(
    'memory of a run of one token is not given back',
    'session.ts',
    'if (this.#held) this.#decoder.layers.context.arena.free(this.#held.at);',
    '',
    orders,
  ),
];

export const models = [...files, ...packed, ...gguf, ...texts, ...whole, ...turns, ...room];
