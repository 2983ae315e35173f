/**
 * Counters for operators, in Prometheus' format. One registry a process, given as an argument.
 * The only place that knows prom-client.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

type Labels = Readonly<Record<string, string>>;

export interface Metrics {
  /** Names begin with `clickstream_` and end in their unit; counters in `_total`. */
  counter(
    name: string,
    help: string,
    labels?: readonly string[],
  ): (by: number, labels?: Labels) => void;
  gauge(
    name: string,
    help: string,
    read: () => number | readonly (readonly [Labels, number])[],
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
    gauge(name, help, read) {
      const first = read();
      const labelNames = typeof first === 'number' ? [] : Object.keys(first[0]?.[0] ?? {});
      new Gauge({
        name,
        help,
        labelNames,
        registers: [registry],
        collect() {
          const value = read();
          this.reset();
          if (typeof value === 'number') this.set(value);
          else for (const [labels, number] of value) this.set(labels, number);
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
