// The entry in workerd: one request is one run.
import { bench } from 'relpos/bench';

export default {
  fetch: async (request) => {
    const { threads, precision, ...options } = JSON.parse(new URL(request.url).searchParams.get('options'));
    return Response.json(await bench({ threads, precision }, options));
  },
};
