import { readFileSync } from "node:fs";
import { describe } from "vitest";
import type { Simulation } from "../../src/core/simulation.js";
import { UdpSocket } from "../../src/inet/udp-socket.js";
import { buildLab } from "../../src/lab/build.js";
import { parseLab } from "../../src/lab/lab-file.js";
import { IPV4_ANY, parseIpv4 } from "../../src/wire/ip.js";
import { rate } from "./figures.js";

const file = "topologies/labs/clusterip-dnat.yaml";
const requests = 2_000;

/** client - node with kube-proxy's rules - server: a program that asks the Service's address again and again. */
class Asking {
  readonly sim: Simulation = buildLab(parseLab(file, readFileSync(file, "utf8")), 1);
  readonly #socket: UdpSocket;
  readonly #data = new TextEncoder().encode("hello");
  #answers = 0;

  constructor() {
    const client = this.sim.namespaces.get("client");
    const service = parseIpv4("10.96.0.10");
    if (client === undefined || service === undefined) throw new Error("another lab than expected");
    this.#socket = new UdpSocket(client);
    this.#socket.bind(IPV4_ANY, 40_002);
    this.#socket.connect(service, 53);
    this.#socket.onDatagram = () => {
      this.#answers++;
    };
    // Neighbours and the connection are known from here on.
    this.ask(1);
  }

  /** Each answer is waited for; every request and every answer crosses two wires and the node. */
  ask(times: number): void {
    for (let n = 0; n < times; n++) {
      const before = this.#answers;
      this.#socket.send(this.#data);
      while (this.#answers === before && this.sim.step()) continue;
      if (this.#answers === before) throw new Error("no answer");
    }
  }
}

const silent = new Asking();
const traced = new Asking();
let events = 0;
traced.sim.trace = () => {
  events++;
};
traced.ask(1);
const perRequest = events;

describe("packets of a known connection through client, node and server", () => {
  const count = { number: 2 * requests, what: "packets" };
  const runs = { runs: 10, warmup: 3 };
  rate("trace off", count, () => silent.ask(requests), { ...runs, budget: 60_000 });
  rate(
    `trace on, ${perRequest} events a request and its answer`,
    count,
    () => traced.ask(requests),
    {
      ...runs,
      budget: 20_000,
    },
  );
});
