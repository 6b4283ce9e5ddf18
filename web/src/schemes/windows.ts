// Schemes of image windows and of pages.
import { bucketTable } from './biases.ts';
import { fallOf, MADE_UP, type NumberParam, numberOf, roughOf, type SchemeDescription, SEED, type Values } from './description.ts';
import { ofBuckets } from './numbers.ts';
import { made, type Written } from './written.ts';

const WINDOW = [fallOf(0.3), roughOf(0.1), SEED];
const LOOK = 'Tokens are cells of a window, row by row: blocks of one row length, and within each the same fall to the sides.';
const MLP = 'The network is made up: it gives −w·(|y| + |x|) of what it sees.';

const windowTable = (values: Values, distances: Written, heads: number): Written =>
  made('biasTable', distances, heads, numberOf(values, 'fall'), numberOf(values, 'rough'), numberOf(values, 'seed'));

/** −w·(|y| + |x|) as a network: hidden units for the positive parts of y, −y, x and −x. */
const network = (heads: number, w: number): { readonly [key: string]: Written } => ({
  weight1: made('cycle', 128, [1, 0, -1, 0, 0, 1, 0, -1]),
  bias1: made('filled', 64, 0),
  weight2: made('filled', 64 * heads, -w / 16),
});

const WEIGHT: NumberParam = { key: 'w', letter: 'w', label: 'weight of the network', least: 0, most: 8, step: 0.05, default: 1 };

export const windows: readonly SchemeDescription[] = [
  {
    name: 'swin',
    title: 'Swin',
    group: 'windows and pages',
    bias: true,
    form: 'square',
    look: LOOK,
    tables: MADE_UP,
    params: WINDOW,
    make: (values, { H, side }) => [{ windowSize: side, table: windowTable(values, made('ofWindow', side, 0), H) }],
  },
  {
    name: 'swinV2',
    title: 'Swin v2',
    group: 'windows and pages',
    bias: true,
    form: 'square',
    look: 'The score is a cosine, times τ, and the bias is at most 16: content and position cannot drown one another.',
    tables: MLP,
    scale: () => 1,
    params: [
      { key: 'tau', letter: 'ln τ', label: 'logarithm of the cosine’s factor', least: 0, most: 4.6, step: 0.1, default: 2.3 },
      WEIGHT,
      { key: 'trained', label: 'side of the window in training', least: 2, most: 16, step: 1, default: 8 },
    ],
    make: (values, { H, side }) => [
      {
        windowSize: side,
        pretrainedWindowSize: numberOf(values, 'trained'),
        logitScale: made('filled', H, numberOf(values, 'tau')),
        ...network(H, numberOf(values, 'w')),
      },
    ],
  },
  {
    name: 'relPosMlp',
    title: 'Swin v2 CR, MLP of the window',
    group: 'windows and pages',
    bias: true,
    form: 'square',
    look: 'As Swin, but a network makes the table from logarithms of the steps: near cells differ more than far ones.',
    tables: MLP,
    params: [WEIGHT],
    make: (values, { H, side }) => [{ windowSize: side, ...network(H, numberOf(values, 'w')), bias2: made('filled', H, 0) }],
  },
  {
    name: 'maxvit',
    title: 'MaxViT, CoAtNet',
    group: 'windows and pages',
    bias: true,
    form: 'square',
    look: `${LOOK} The table is Swin’s turned round.`,
    tables: MADE_UP,
    params: WINDOW,
    make: (values, { H, side }) => [{ windowSize: side, table: made('turned', windowTable(values, made('ofWindow', side, 0), H), H) }],
  },
  {
    name: 'levit',
    title: 'LeViT',
    group: 'windows and pages',
    bias: true,
    form: 'square',
    look: `${LOOK} Left and right, above and below are the same here.`,
    tables: MADE_UP,
    params: WINDOW,
    make: (values, { H, side }) => [
      { resolution: side, attentionBiases: made('turned', windowTable(values, made('ofCells', side), H), H) },
    ],
  },
  {
    name: 'beit',
    title: 'BEiT',
    group: 'windows and pages',
    bias: true,
    form: 'class',
    look: `${LOOK} Token 0 is the class token: its row and column have numbers of their own.`,
    tables: MADE_UP,
    params: WINDOW,
    make: (values, { H, side }) => [{ windowSize: side, table: windowTable(values, made('ofWindow', side, 3), H) }],
  },
  {
    name: 'decomposed',
    title: 'SAM, MViTv2 (per axis)',
    group: 'windows and pages',
    form: 'square',
    look: 'Rows and columns of the image have a table each, met by the query: what is added is a sum of a fall by rows and one by columns.',
    tables: 'Learned vectors belong to a checkpoint; these are made up: they fall with the steps where queries are ones.',
    params: [fallOf(0.3), roughOf(0.2), SEED],
    make: (values, { D, side }) => {
      // The terms are not scaled: 1/√D is in the vectors.
      const [fall, rough, seed] = ['fall', 'rough', 'seed'].map((key) => numberOf(values, key)) as [number, number, number];
      const size = Math.sqrt(D);
      const table = (more: number): Written =>
        made('vectorTable', made('ofRows', 2 * side - 1, side - 1), D, D, fall / size, rough / size, seed + more);
      return [{ querySize: [side, side], relPosH: table(0), relPosW: table(1) }];
    },
  },
  {
    name: 'layoutLMv3',
    title: 'LayoutLMv3 (pages)',
    group: 'windows and pages',
    bias: true,
    look: 'Words stand in lines on a page: near in the text, near across the page and near down the page each add, so columns of the page show.',
    tables: MADE_UP,
    params: [
      { key: 'perLine', label: 'words of a line', least: 2, most: 32, step: 1, default: 12 },
      { ...fallOf(0.6, 2) },
      roughOf(0.2),
      SEED,
    ],
    make: (values, { H, S }) => [
      {
        heads: H,
        relPosBins: 32,
        maxRelPos: 128,
        rel2dPosBins: 64,
        maxRel2dPos: 256,
        relPosBias: bucketTable(values, 32, H, true),
        relPosXBias: bucketTable(values, 64, H, true),
        relPosYBias: bucketTable(values, 64, H, true),
        bbox: made('linesOfWords', S, numberOf(values, 'perLine')),
      },
    ],
  },
  {
    name: 'cpmAnt',
    title: 'CPM-Ant (segments)',
    group: 'windows and pages',
    bias: true,
    look: 'Distances count within a segment alone; between segments each pair of kinds has one number: flat blocks beside the diagonal’s.',
    tables: MADE_UP,
    params: [
      { key: 'first', label: 'tokens of the first segment', least: 0, most: 256, step: 1, default: 64 },
      { key: 'reach', label: 'distance of the last bucket', least: 33, most: 2048, step: 1, logarithmic: true, default: 128 },
      fallOf(0.3),
      roughOf(0.15),
      SEED,
    ],
    make: (values, { H, S }) => [
      {
        heads: H,
        positionBiasNumBuckets: 64,
        positionBiasMaxDistance: numberOf(values, 'reach'),
        segmentTypes: 2,
        table: windowTable(values, [...ofBuckets(64, true), 0, 4, 8, 0], H),
        segments: made('twoSegments', S, numberOf(values, 'first')),
      },
    ],
  },
];
