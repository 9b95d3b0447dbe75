import { type Random, randomBetween, seededRandom } from "../../src/base/random.js";
import { type NetDevice, netifReceiveSkb } from "../../src/core/device.js";
import { newSkb, type Simulation } from "../../src/core/simulation.js";
import { ipPacket } from "../../src/inet/ip-local-out.js";
import { buildLab, runLabCommand } from "../../src/lab/build.js";
import { parseLab } from "../../src/lab/lab-file.js";
import type { ProxyConfig } from "../../src/kube/proxy/config.js";
import { renderNodeIptables } from "../../src/kube/proxy/node-rules.js";
import type { ProxyNode } from "../../src/kube/proxy/node.js";
import type { ProxyObjects } from "../../src/kube/proxy/objects.js";
import { serviceObjects, serviceState } from "../../src/kube/proxy/service-state.js";
import { later, seconds } from "../../src/sim/time.js";
import { runTool } from "../../src/tools/index.js";
import { withMacs } from "../../src/wire/frame.js";
import type { Ipv4 } from "../../src/wire/ip.js";
import { nodeA, plainConfig, service, slice } from "../kube/proxy/world.js";
import { now } from "./clock.js";

export const proxyNodeA: ProxyNode = nodeA;
export const serviceConfig: ProxyConfig = plainConfig;

/** Services default/svc-N at 10.96.0.0 + N with so many endpoints each, on ten nodes. */
export function manyServices(services: number, endpoints: number): ProxyObjects {
  const numbers = Array.from({ length: services }, (_, n) => n);
  return {
    services: numbers.map((n) => service(`svc-${n}`, { clusterIP: `10.96.${n >> 8}.${n & 255}` })),
    endpointSlices: numbers.map((n) =>
      slice(
        `svc-${n}`,
        Array.from({ length: endpoints }, (_, k) => ({
          addresses: [`10.${100 + k}.${n >> 8}.${n & 255}`],
          nodeName: `node-${String.fromCharCode(97 + k)}`,
        })),
      ),
    ),
  };
}

/** kube-proxy's rules for so many Services of two endpoints. */
function proxyRules(services: number): string {
  const state = serviceState(serviceObjects(manyServices(services, 2), 4), nodeA);
  return renderNodeIptables(state, nodeA, plainConfig).text;
}

const lab = `
lab: service-node
namespaces: [client, node, server]
links:
  - ["client:eth0", "node:eth1"]
  - ["node:eth0", "server:eth0"]
commands:
  - node: ip addr add 10.0.1.1/24 dev eth1
  - node: ip addr add 10.0.2.1/24 dev eth0
  - node: sysctl -qw net.ipv4.ip_forward=1
  - server: ip addr add 10.0.2.2/24 dev eth0
  - node: ip route add default via 10.0.2.2
`;

/** So many packets are on the wire at once. */
const BATCH = 64;

/** A node with kube-proxy's rules for so many Services of two endpoints, to which a client opens connections. */
export class ServiceNode {
  readonly sim: Simulation;
  readonly #services: number;
  readonly #random: Random = seededRandom(1);
  readonly #eth1: NetDevice;
  #opened = 0;
  #elapsed = 0;

  constructor(services: number) {
    this.#services = services;
    this.sim = buildLab(parseLab("service-node.yaml", lab), 1);
    runLabCommand(this.sim, {
      ns: "node",
      argv: ["iptables-restore", "--noflush"],
      stdin: proxyRules(services),
      stdinName: "kube-proxy.rules",
    });
    const eth1 = this.sim.namespaces.get("node")?.device("eth1");
    if (eth1 === undefined) throw new Error("no node");
    this.#eth1 = eth1;
    this.connect(1);
  }

  /** What `iptables-save` prints: each table once. nft restores that in a minute, and kube-proxy's own batches, with --noflush, in more than half an hour. */
  savedRules(): string {
    return runTool(this.sim, { ns: "node", argv: ["iptables-save"] }).stdout;
  }

  /** Milliseconds that connections took so far, without what is done between them: as the kernel's are timed. */
  readonly now = (): number => this.#elapsed;

  /**
   * SYNs from ever new ports to Services drawn at random: each makes a connection, walks the rules, is rewritten, confirmed and
   * sent. They come by 64, as those of the kernel's sender do. The table is emptied after them.
   */
  connect(times: number): void {
    const { sim } = this;
    const before = sim.packets.dropped;
    const began = now();
    for (let left = times; left > 0; left -= BATCH) {
      for (let n = 0; n < Math.min(left, BATCH); n++) this.#syn();
      sim.runUntilIdle(later(sim.queue.now, seconds(0.001)));
    }
    this.#elapsed += now() - began;
    runLabCommand(sim, { ns: "node", argv: ["conntrack", "-F"] });
    // The server is no router: what reaches it ends there.
    if (sim.packets.dropped - before !== times) throw new Error("connections were lost on the way");
  }

  #syn(): void {
    const n = ++this.#opened;
    const service = randomBetween(this.#random, 0, this.#services - 1);
    const frame = ipPacket(
      {
        source: (0x0a00_0102 + (Math.floor(n / 60_000) % 200)) as Ipv4,
        destination: (0x0a60_0000 + service) as Ipv4,
        protocol: 6,
        tos: 0,
        ttl: 64,
        id: 0,
        dontFragment: true,
      },
      {
        kind: "tcp",
        sourcePort: 1_024 + (n % 60_000),
        destinationPort: 80,
        sequence: n,
        acknowledgment: 0,
        flags: 0x02,
        window: 64_240,
        urgent: 0,
        options: new Uint8Array(0),
      },
      new Uint8Array(0),
    );
    const { mac } = this.#eth1;
    netifReceiveSkb(
      newSkb(this.#eth1.ns, withMacs(frame, frame.link.source, mac), "bench"),
      this.#eth1,
    );
  }
}
