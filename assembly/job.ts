// The parameter block of one attention call: the plan of docs/architecture.md as bytes. Written by src/attention/prepare.ts, read by the
// kernels. This file is in the subset that is AssemblyScript and TypeScript at once; the build copies it to the TypeScript side.
// All offsets and strides are in bytes; fields are 32 bits wide; a pointer of 0 means "not there".

// Element types.
export const F32: i32 = 0;
export const F16: i32 = 1;
export const BF16: i32 = 2;
export const I8: i32 = 3;
export const I32: i32 = 4;
export const Q8: i32 = 5; // a row is one f32 scale, then its channels as i8

// A tensor: pointer, element type, strides of batch, head, position (query or key) and channel.
export const T_PTR: i32 = 0;
export const T_TYPE: i32 = 4;
export const T_BATCH: i32 = 8;
export const T_HEAD: i32 = 12;
export const T_ROW: i32 = 16;
export const T_CHANNEL: i32 = 20;
export const T_SIZE: i32 = 24;

export const Q: i32 = 0;
export const K: i32 = 24;
export const V: i32 = 48;
export const OUT: i32 = 72;
export const LSE: i32 = 96; // f32 [B, H, L]
export const DIM_B: i32 = 100;
export const DIM_H: i32 = 104;
export const DIM_G: i32 = 108;
export const DIM_L: i32 = 112;
export const DIM_S: i32 = 116;
export const DIM_D: i32 = 120;
export const DIM_E: i32 = 124;

// q is multiplied by Q_SCALE = scale while it is packed. With a softcap c, Q_SCALE = scale/c and the score becomes CAP·tanh(score), CAP = c;
// CAP is 0 when there is none.
export const Q_SCALE: i32 = 128;
export const CAP: i32 = 132;

// Query i sees the keys i + FIRST ≤ j ≤ i + LAST (both signed), and of these those below KEY_LENGTHS[b] (i32 [B]).
export const FIRST: i32 = 136;
export const LAST: i32 = 140;
export const KEY_LENGTHS: i32 = 144;
export const SINKS: i32 = 148; // f32 [H]

// A tile is one (batch, key head, block of QUERIES queries).
export const QUERIES: i32 = 152;

// Rotation: a table row holds R/2 cosines, then R/2 sines; row i of the query table belongs to query i, row j of the key table to
// key j; the batch stride is 0 when all batch rows share positions. Channels START … START + R − 1 turn, the others pass.
export const ROTATE_Q: i32 = 160;
export const ROTATE_Q_BATCH: i32 = 164;
export const ROTATE_K: i32 = 168;
export const ROTATE_K_BATCH: i32 = 172;
export const ROTATE_DIM: i32 = 176;
export const ROTATE_START: i32 = 180;
export const ROTATE_PAIRS_IN: i32 = 184; // 1: pairs (2i, 2i+1); 0: halves (i, i + R/2)
export const ROTATE_PAIRS_OUT: i32 = 188;

// Biases, added after the softcap: BIAS_COUNT entries at BIASES.
export const BIAS_COUNT: i32 = 192;
export const BIASES: i32 = 196;

// Scratch of one thread, offsets from its base.
export const S_ROWS: i32 = 200; // per group of four rows: R_SIZE bytes
export const S_QUERIES: i32 = 204; // [rows/4][D][4] scaled, rotated queries
export const S_KEYS: i32 = 208; // [KEY_BLOCK/8][D][8] rotated keys
export const S_VALUES: i32 = 212; // [E'/8][KEY_BLOCK][8] values; E' is E rounded up to 8
export const S_OUT: i32 = 216; // [rows][E'] output before division
export const S_SCORES: i32 = 220; // [BAND][KEY_BLOCK] scores, then probabilities
export const S_LINE: i32 = 224; // 8 rows of D floats, for conversion and rotation

// Rows of q and k are normalised before they are rotated, by the kind NORM (0: not), and multiplied by weights, f32 [D] of their head.
export const NORM: i32 = 228;
export const NORM_Q: i32 = 232; // weights of the queries
export const NORM_Q_HEAD: i32 = 236; // bytes from head to head, 0 if they share
export const NORM_EPSILON: i32 = 240; // f64
export const NORM_K: i32 = 248;
export const NORM_K_HEAD: i32 = 252;
export const NORM_L2: i32 = 1; // x / max(‖x‖, ε)
export const NORM_RMS: i32 = 2; // x / √(mean x² + ε)

// Query i counts as qᵢ + QUERY_BIAS[h] in the content score; f32 [H, D].
export const QUERY_BIAS: i32 = 256;
// Scores against tables of relative positions, added before the softcap: TERM_COUNT entries at TERMS.
export const TERM_COUNT: i32 = 260;
export const TERMS: i32 = 264;
// A table of values that are added to v by relative position: packed like V in blocks of KEY_BLOCK rows, chosen by an index map as in a
// term. WEIGHTS: [rows][VALUE_ROWS] probabilities summed by row of the table.
export const VALUE_TABLE: i32 = 268;
export const VALUE_HEAD: i32 = 272;
export const VALUE_ROWS: i32 = 276; // a multiple of KEY_BLOCK
export const VALUE_INDEX: i32 = 280;
export const VALUE_INDEX_ROW: i32 = 284;
export const VALUE_INDEX_BATCH: i32 = 288;
export const S_WEIGHTS: i32 = 292;

// Where query 0 of each batch row stands beyond its nominal position, i32 [B]: rows of a batch may be at different lengths.
export const QUERY_STARTS: i32 = 320;
// Keys and values in pages: the address of key j is PAGES_K[b·PAGES_BATCH + 4·(j >> PAGE_SHIFT)] plus its place in the page, by the strides
// of K and V.
export const PAGES_K: i32 = 324;
export const PAGES_V: i32 = 328;
export const PAGES_BATCH: i32 = 332;
export const PAGE_SHIFT: i32 = 336;
// Visible keys of each query as intervals: those MASK_ROWS[i] … MASK_ROWS[i + 1] − 1 (i32 [L + 1] at MASK_ROWS + b·MASK_BATCH) of the pairs
// from, to at MASK_PAIRS, ascending and apart.
export const MASK_ROWS: i32 = 340;
export const MASK_BATCH: i32 = 344;
export const MASK_PAIRS: i32 = 348;
// 1 if a bias may be −Infinity or a mask has holes: such keys are then marked as hidden, so that what stands behind them stays there.
export const MARK: i32 = 352;
// Splits of the keys as tiles of their own: SPLITS of them for a tile of `attend`, whose records lie at PARTS, PART_SIZE bytes a split.
// S_FOLD: scratch for the records of one tile, if a row may see more than one split.
export const S_FOLD: i32 = 356;
export const SPLITS: i32 = 360;
export const PARTS: i32 = 364;
export const PART_SIZE: i32 = 368;
export const JOB_SIZE: i32 = 384;

// A term entry: s(i, j) += SCALE·(qᵢ + BIAS[h])·table[ρ(i, j)] (query kinds) or SCALE·kⱼ·table[ρ(i, j)] (key kind).
//   QUERY_OFFSET  the packed table [rows/8][D][8] has one row per offset: row j − i − FIRST
//   QUERY_INDEX   the packed table has few rows; row = INDEX[b·INDEX_BATCH + i·INDEX_ROW + 4j] (i32)
//   KEY_OFFSET    as QUERY_OFFSET, but packed like queries, [rows/4][D][4]
export const QUERY_OFFSET: i32 = 0;
export const QUERY_INDEX: i32 = 1;
export const KEY_OFFSET: i32 = 2;
export const E_KIND: i32 = 0;
export const E_TABLE: i32 = 4;
export const E_HEAD: i32 = 8; // bytes from query head to query head of the table
export const E_ROWS: i32 = 12; // packed rows, a multiple of 8
export const E_FIRST: i32 = 16;
export const E_BIAS: i32 = 20; // f32 [H, D]
export const E_SCALE: i32 = 24; // in the unit of the content score, see Q_SCALE
export const E_INDEX: i32 = 28;
export const E_INDEX_ROW: i32 = 32;
export const E_INDEX_BATCH: i32 = 36;
// Scratch: the term's own packed queries; its scores, [4][SCORES_ROW] of one group (QUERY_OFFSET), [rows][ROWS] of the tile (QUERY_INDEX),
// or [heads][KEY_BLOCK/8][WINDOW][8] of one key block (KEY_OFFSET).
export const E_QUERIES: i32 = 40;
export const E_SCORES: i32 = 44;
export const E_WINDOW: i32 = 48;
// As in a bias entry, for QUERY_INDEX: the index is ROWS[i] + index[j], or MAP of that.
export const E_SUM_ROWS: i32 = 52;
export const E_SUM_BATCH: i32 = 56;
export const E_MAP: i32 = 60;
export const E_SIZE: i32 = 64;

// A bias entry. Without an index map: bias(i, j) = coefficient · row[j], row = ptr + b·BATCH + h·HEAD + i·ROW: a table over the
// offset j − i has ROW = −4 (its pointer stands at offset 0; negative strides go by the query's position, others by its number), a dense
// tensor has its own strides. With an index map:
// bias(i, j) = coefficient · table[index[j]], table = ptr + b·BATCH + h·HEAD, index = INDEX + b·INDEX_BATCH + i·INDEX_ROW (i32).
// With ROWS (i32 [L] at ROWS + b·ROWS_BATCH) the index is the sum ROWS[i] + index[j], and with MAP (i32) it is MAP[ROWS[i] + index[j]].
// With CURVE: bias(i, j) = coefficient · Σ_u c·max(0, w·x + b), x = FACTORS[i] · row[j], over UNITS triples (w, b, c) at CURVE + h·CURVE_HEAD.
// GATE, if there, is f32 [B, H, L] and multiplies the row.
export const A_PTR: i32 = 0;
export const A_BATCH: i32 = 4;
export const A_HEAD: i32 = 8;
export const A_ROW: i32 = 12;
export const A_INDEX: i32 = 16;
export const A_INDEX_ROW: i32 = 20;
export const A_GATE: i32 = 24;
export const A_COEFFICIENT: i32 = 28;
export const A_INDEX_BATCH: i32 = 32;
export const A_ROWS: i32 = 36;
export const A_ROWS_BATCH: i32 = 40;
export const A_MAP: i32 = 44;
export const A_CURVE: i32 = 48;
export const A_CURVE_HEAD: i32 = 52;
export const A_UNITS: i32 = 56;
export const A_FACTORS: i32 = 60; // f32 [L]
// What in the row hides its key, whatever the score, the gate, and the entries after it: HIDE_ZEROS, the row is bytes, and those that are 0;
// HIDE_INFINITE, it is floats, or entries of a table, and those that are −Infinity.
export const A_HIDE: i32 = 64;
export const HIDE_ZEROS: i32 = 1;
export const HIDE_INFINITE: i32 = 2;
export const A_SIZE: i32 = 80;

// What a tile knows of its rows, four by four (a group): one 16-byte vector per field, lane = row.
export const R_QUERY: i32 = 0; // i
export const R_HEAD: i32 = 16; // h
export const R_LOW: i32 = 32; // first visible key
export const R_HIGH: i32 = 48; // one past the last visible key
export const R_MAX: i32 = 64; // running maximum m
export const R_SUM: i32 = 80; // running sum of exp(s − m)
export const R_SCALE: i32 = 96; // exp(m before − m after) of the present block
export const R_FROM: i32 = 112; // keys of the present block that some row of the group sees: from … to − 1; from is a multiple of 8
export const R_TO: i32 = 116;
export const R_ALL_FROM: i32 = 120; // … and keys that all of its live rows see
export const R_ALL_TO: i32 = 124;
export const R_POSITION: i32 = 128; // i plus its batch row's start
export const R_CURSOR: i32 = 144; // with a mask: the first interval that ends beyond the present block
export const R_FIRST: i32 = 160; // with a mask: R_LOW and R_HIGH without it; these two are then of the present block
export const R_LAST: i32 = 176;
export const R_SIZE: i32 = 192;

// Rows that meet a key block together: scores of a band stay in L1, a key panel and a value column are read once for all its groups.
export const BAND: i32 = 16;
// Keys of a block: 192 is 2 to 3 % faster than 96 or 128 at D = 128. A constant, so that the rows of a band's scores lie at immediate offsets; part of the contract on bits.
export const KEY_BLOCK: i32 = 192;
// Keys of a split, at whose end a row's state is folded into that of the keys before: see fold.ts. A multiple of KEY_BLOCK, and part of the
// contract on bits.
export const SPLIT: i32 = 768;
// Bytes from row to row of a band's scores: 192 keys, and room for the 208 offsets that four rows meet.
export const SCORES_ROW: i32 = 832;

// The parameter block of attendRows: batch rows at different lengths, a job for each.
export const ROWS_TILES: i32 = 0; // tiles of a batch row
export const ROWS_JOBS: i32 = 4; // [B] pointers

// The parameter block of attendMany: jobs of `attend` one after another.
export const MANY_COUNT: i32 = 0;
export const MANY_STARTS: i32 = 4; // i32 [COUNT]: tiles before those of each job
export const MANY_JOBS: i32 = 8; // [COUNT] pointers
export const MANY_SIZE: i32 = 12;

// The parameter block of rotaryTable.
export const W_TABLE: i32 = 0; // f32 [rows][R/2 cosines, R/2 sines]
export const W_ROWS: i32 = 4;
export const W_PAIRS: i32 = 8; // R/2
export const W_AXES: i32 = 12;
export const W_POSITIONS: i32 = 16; // f64 [axes][rows]
export const W_FREQUENCIES: i32 = 20; // f64 [axes][R/2], rad per position
export const W_FACTOR: i32 = 24; // f64, multiplies cosine and sine
export const W_SINE: i32 = 32; // f64, 1 or −1 (the inverse rotation)
export const W_TILE: i32 = 40; // rows of a tile
export const W_GROWTH: i32 = 44; // f64 [axes][R/2], logarithm per position by which a pair grows
export const W_GROW: i32 = 48; // f64, 1 (grows) or −1 (shrinks)
export const W_CENTER: i32 = 56; // f64, the position at which nothing has grown
export const W_SIZE: i32 = 64;

// The parameter block of merge. A state is two tensors, T_SIZE each: the output and its log-sum-exp, whose channel stride is unused.
export const M_OUT: i32 = 0; // a tensor
export const M_LSE: i32 = 24; // f32 [B, H, L]
export const M_COUNT: i32 = 28;
export const M_STATES: i32 = 32; // [COUNT] states of M_STATE bytes
export const M_SINKS: i32 = 36; // f32 [H]
export const M_H: i32 = 40;
export const M_L: i32 = 44;
export const M_E: i32 = 48;
export const M_TILE: i32 = 52; // queries of a tile
// Scratch of one thread, offsets from its base.
export const M_WEIGHTS: i32 = 56; // f64 [COUNT]: those of the states that are not empty
export const M_ROWS: i32 = 60; // usize [COUNT]: where their rows lie as contiguous f32
export const M_RESULT: i32 = 64; // f32 [E'], E' is E rounded up to 8
export const M_LINES: i32 = 68; // f32 [COUNT][E'], for the states that are stored otherwise
export const M_SIZE: i32 = 72;
export const M_STATE: i32 = 48;
