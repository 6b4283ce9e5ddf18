/** Channels of a head, of queries and keys as of values: DeepSeek's latent attention has 576. Scratch grows with it; nothing else does. */
export const WIDEST_HEAD = 1024;
