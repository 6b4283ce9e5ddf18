import { attend } from './attend.js';

console.log(JSON.stringify(await attend()));
