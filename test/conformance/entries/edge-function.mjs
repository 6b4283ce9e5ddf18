// The entry in Vercel's edge runtime: a function that listens for requests.
import { answer } from './service.mjs';

const failed = (error) => new Response(String(error.stack ?? error), { status: 500 });
addEventListener('fetch', (event) => event.respondWith(answer(event.request).catch(failed)));
