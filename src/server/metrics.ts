/** Upper ends of the classes of times, s. */
const CLASSES = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];

interface Times {
  counts: number[];
  sum: number;
  count: number;
}

/** A figure that is read when it is asked for. */
export interface Figure {
  name: string;
  help: string;
  type: "gauge" | "counter";
  value: () => number;
}

/** What happened to requests, as Prometheus reads it. */
export class Metrics {
  readonly #requests = new Map<string, number>();
  readonly #times = new Map<string, Times>();
  readonly #figures: readonly Figure[];

  constructor(figures: readonly Figure[]) {
    this.#figures = figures;
  }

  /** @param route one of the server's, not what a client made up: each is a line for ever */
  add(route: string, status: number, ms: number): void {
    const labels = `route="${route}",status="${status}"`;
    this.#requests.set(labels, (this.#requests.get(labels) ?? 0) + 1);
    if (status !== 200) return;
    const times = this.#times.get(route) ?? { counts: CLASSES.map(() => 0), sum: 0, count: 0 };
    this.#times.set(route, times);
    const seconds = ms / 1000;
    for (const [i, end] of CLASSES.entries()) if (seconds <= end) times.counts[i]++;
    times.sum += seconds;
    times.count++;
  }

  /** Text exposition format 0.0.4. */
  text(): string {
    const lines = ["# HELP sam2_requests_total Requests, by route and status.", "# TYPE sam2_requests_total counter"];
    for (const [labels, count] of this.#requests) lines.push(`sam2_requests_total{${labels}} ${count}`);
    lines.push("# HELP sam2_request_seconds Time of requests that were answered, from their head to the answer.");
    lines.push("# TYPE sam2_request_seconds histogram");
    for (const [route, { counts, sum, count }] of this.#times) {
      for (const [i, end] of CLASSES.entries()) {
        lines.push(`sam2_request_seconds_bucket{route="${route}",le="${end}"} ${counts[i]}`);
      }
      lines.push(`sam2_request_seconds_bucket{route="${route}",le="+Inf"} ${count}`);
      lines.push(`sam2_request_seconds_sum{route="${route}"} ${sum}`);
      lines.push(`sam2_request_seconds_count{route="${route}"} ${count}`);
    }
    for (const { name, help, type, value } of this.#figures) {
      lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, `${name} ${value()}`);
    }
    return `${lines.join("\n")}\n`;
  }
}
