import { versionOf } from '../program.mjs';
import { findingsOf } from './webpack.mjs';

export const name = 'rspack';
export const version = () => versionOf('@rspack/core');
export const findings = async (host) => findingsOf((await import('@rspack/core')).rspack, name, host);
