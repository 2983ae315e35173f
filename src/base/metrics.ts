/**
 * Counters for operators, in Prometheus' format. One registry a process, given as an argument.
 * The only place that knows prom-client.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

type Labels = Readonly<Record<string, string>>;
export type Samples = readonly (readonly [Labels, number])[];

export interface Metrics {
  /** Names begin with `clickstream_` and end in their unit; counters in `_total`. */
  counter(
    name: string,
    help: string,
    labels?: readonly string[],
  ): (by: number, labels?: Labels) => void;
  /** `read` is asked at each scrape; what it takes, the scrape takes. */
  gauge(
    name: string,
    help: string,
    read: () => number | Samples | Promise<number | Samples>,
    labels?: readonly string[],
  ): void;
  histogram(name: string, help: string, buckets: readonly number[]): (value: number) => void;
  /** The text of `GET /metrics`. */
  text(): Promise<string>;
  readonly contentType: string;
}

export function createMetrics(): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  return {
    counter(name, help, labels = []) {
      const counter = new Counter({ name, help, labelNames: [...labels], registers: [registry] });
      return (by, values) => (values === undefined ? counter.inc(by) : counter.inc(values, by));
    },
    gauge(name, help, read, labels = []) {
      new Gauge({
        name,
        help,
        labelNames: [...labels],
        registers: [registry],
        async collect() {
          const value = await read();
          this.reset();
          // It begins with a 0, which nobody has counted.
          if (labels.length === 0) this.remove({});
          if (typeof value === 'number') this.set(value);
          else for (const [values, number] of value) this.set(values, number);
        },
      });
    },
    histogram(name, help, buckets) {
      const histogram = new Histogram({ name, help, buckets: [...buckets], registers: [registry] });
      return (value) => histogram.observe(value);
    },
    text: () => registry.metrics(),
    contentType: registry.contentType,
  };
}
