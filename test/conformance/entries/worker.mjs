// The entry in workerd: a worker in the form of a module.
import { answer } from './service.mjs';

export default {
  async fetch(request) {
    try {
      return await answer(request);
    } catch (error) {
      return new Response(String(error.stack ?? error), { status: 500 });
    }
  },
};
