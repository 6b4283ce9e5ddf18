// The entry in workerd: one request is one run.
import { bench } from 'relpos/bench';
import { argumentsOf } from './options.mjs';

export default {
  fetch: async (request) => Response.json(await bench(...argumentsOf(JSON.parse(new URL(request.url).searchParams.get('options'))))),
};
