// What Prometheus asks for: GET /metrics.
import { createServer, type Server } from 'node:http';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

/** Where metrics are served. */
export interface MetricsPlace {
  readonly port: number;
  readonly host: string;
}

/** Numbers of a worker or of a run, and the server that tells them. */
export class Metrics {
  readonly #registry = new Registry();
  #server: Server | undefined;

  constructor(role: 'embed' | 'work') {
    this.#registry.setDefaultLabels({ role });
    collectDefaultMetrics({ register: this.#registry });
  }

  counter(name: string, help: string): Counter {
    return new Counter({ name: `relpos_bulk_${name}`, help, registers: [this.#registry] });
  }

  gauge(name: string, help: string): Gauge {
    return new Gauge({ name: `relpos_bulk_${name}`, help, registers: [this.#registry] });
  }

  seconds(name: string, help: string): Histogram {
    const buckets = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
    return new Histogram({ name: `relpos_bulk_${name}`, help, buckets, registers: [this.#registry] });
  }

  /** Starts the server; resolves with its port. */
  async listen({ port, host }: MetricsPlace): Promise<number> {
    const server = createServer(async (request, response) => {
      if (request.method !== 'GET' || request.url !== '/metrics') {
        response.writeHead(404).end('GET /metrics is all there is\n');
        return;
      }
      response.setHeader('content-type', this.#registry.contentType);
      response.end(await this.#registry.metrics());
    });
    this.#server = server;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, host, resolve);
    });
    // Metrics alone keep no process alive.
    server.unref();
    const address = server.address();
    return typeof address === 'object' && address ? address.port : port;
  }

  close(): void {
    this.#server?.close();
    this.#server?.closeAllConnections();
  }
}
