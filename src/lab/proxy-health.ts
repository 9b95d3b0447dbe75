import type { Simulation } from "../core/simulation.js";
import type { TraceEvent } from "../core/trace.js";
import { listenTcp, type TcpListener } from "../inet/tcp-socket.js";
import {
  BAD_REQUEST,
  formatHttpAnswer,
  healthAnswer,
  healthCheckPorts,
  HEALTHZ_PORT,
  type ServerTime,
} from "../kube/proxy/health.js";
import type { Cluster } from "../kube/cluster.js";
import { type Micros, microseconds } from "../sim/time.js";
import { formatIp, type IpAddress, IPV4_ANY } from "../wire/ip.js";
import type { NodeRecord } from "./recorded/node-record.js";

/** How long a program takes to answer. */
const ANSWER_TIME: Micros = microseconds(1);
/** A request is asked for in one segment; of a longer one no more is kept. */
const LONGEST_REQUEST = 8_192;

/** The servers by which kube-proxy answers load balancers, on the nodes that are built. */
export class ProxyHealth {
  readonly #sim: Simulation;
  readonly #records: ReadonlyMap<string, NodeRecord>;
  readonly #listening = new Map<string, TcpListener>();
  #cluster: Cluster;

  constructor(sim: Simulation, cluster: Cluster, records: ReadonlyMap<string, NodeRecord>) {
    this.#sim = sim;
    this.#cluster = cluster;
    this.#records = records;
    this.show(cluster);
  }

  /** Answers by the cluster as it is now: ports of Services come and go. */
  show(cluster: Cluster): void {
    this.#cluster = cluster;
    const ports = [HEALTHZ_PORT, ...healthCheckPorts(cluster).keys()];
    const wanted = new Set<string>();
    for (const { name } of cluster.nodes) {
      const ns = this.#sim.namespaces.get(name);
      if (ns === undefined) continue;
      for (const port of ports.filter((one) => this.#isOpen(name, one))) {
        const key = `${name} ${port}`;
        wanted.add(key);
        if (this.#listening.has(key)) continue;
        const listening = this.#listen(name, port);
        if (listening !== undefined) this.#listening.set(key, listening);
      }
    }
    for (const [key, listening] of this.#listening) {
      if (wanted.has(key)) continue;
      listening.close();
      this.#listening.delete(key);
    }
  }

  /** A node's own list of sockets says which ports are open. */
  #isOpen(node: string, port: number): boolean {
    const sockets = this.#records.get(node)?.sockets;
    return (
      sockets === undefined ||
      sockets.some((socket) => socket.protocol === "tcp" && socket.port === port)
    );
  }

  #listen(node: string, port: number): TcpListener | undefined {
    const ns = this.#sim.namespaces.get(node);
    if (ns === undefined) return undefined;
    const listening = listenTcp(ns, { address: IPV4_ANY, port }, (connection) => {
      let asked = "";
      connection.onData = (data) => {
        asked = (asked + new TextDecoder("latin1").decode(data)).slice(0, LONGEST_REQUEST);
        this.#sim.queue.after(ANSWER_TIME, `kube-proxy on ${node} answers`, () => {
          const { text, closes } = this.#answer(node, port, asked);
          if (text !== "") asked = "";
          connection.send(new TextEncoder().encode(text));
          if (closes) connection.close();
        });
      };
      connection.onClose = () =>
        void this.#sim.queue.after(ANSWER_TIME, `kube-proxy on ${node} closes`, () =>
          connection.close(),
        );
    });
    return typeof listening === "string" ? undefined : listening;
  }

  /** Nothing until the request is whole. */
  #answer(
    node: string,
    port: number,
    asked: string,
  ): { readonly text: string; readonly closes: boolean } {
    const [, method = "", path = ""] = /^([A-Z]+) (\S+) HTTP\/1\.[01]\r?\n/.exec(asked) ?? [];
    if (method === "") return { text: BAD_REQUEST, closes: true };
    if (!/\r?\n\r?\n/.test(asked)) return { text: "", closes: false };
    const time = timeOf(this.#sim.queue.now);
    const answer = healthAnswer(this.#cluster, node, port, path.replace(/\?.*$/s, ""), time);
    const closes = /^connection:\s*close\s*$/im.test(asked);
    return { text: answer === undefined ? "" : formatHttpAnswer(answer, method, time), closes };
  }
}

/** What a load balancer asks on a health check port; undefined for what is none. */
export function healthRequest(
  cluster: Cluster,
  protocol: string,
  address: IpAddress,
  port: number,
): Uint8Array | undefined {
  const isNode = cluster.nodes.some((node) => node.address === address);
  const isPort = port === HEALTHZ_PORT || healthCheckPorts(cluster).has(port);
  if (protocol !== "tcp" || !isNode || !isPort) return undefined;
  const host = `${formatIp(address)}:${port}`;
  return new TextEncoder().encode(
    `GET /healthz HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`,
  );
}

/** What a health check port answered, as its asker got it. Reads the trace. */
export function healthNotes(events: readonly TraceEvent[], asker: string): readonly string[] {
  for (const event of events) {
    if (event.ns !== asker || !("frame" in event) || event.frame.transport?.kind !== "tcp")
      continue;
    const text = new TextDecoder("latin1").decode(event.frame.payload);
    const [, status] = /^HTTP\/1\.1 (.*)\r\n/.exec(text) ?? [];
    if (status === undefined) continue;
    const body = text.slice(text.indexOf("\r\n\r\n") + 4).replaceAll(/\s+/g, " ");
    return [`kube-proxy answers HTTP ${status}: ${body}`];
  }
  return [];
}

const DAYS = ["Wed", "Thu", "Fri", "Sat", "Sun", "Mon", "Tue"] as const;

/** The simulation has no date: it begins with 2025, on a Wednesday, and lasts for less than a month. */
function timeOf(now: Micros): ServerTime {
  const seconds = Math.floor(now / 1_000_000);
  const two = (value: number): string => String(value).padStart(2, "0");
  const day = Math.floor(seconds / 86_400);
  const clock = [Math.floor(seconds / 3_600) % 24, Math.floor(seconds / 60) % 60, seconds % 60];
  const time = clock.map(two).join(":");
  return {
    text: `2025-01-${two(day + 1)} ${time}`,
    http: `${DAYS[day % 7] ?? "Wed"}, ${two(day + 1)} Jan 2025 ${time} GMT`,
  };
}
