import type { NetDevice } from "../../src/core/device.js";
import type { NetworkNamespace } from "../../src/core/namespace.js";
import { newSkb, Simulation } from "../../src/core/simulation.js";
import type { TraceEvent } from "../../src/core/trace.js";
import { addAddress } from "../../src/inet/addresses.js";
import { arp } from "../../src/inet/arp.js";
import { fib } from "../../src/inet/fib.js";
import { inet } from "../../src/inet/stack.js";
import { link, loopback } from "../../src/link/link.js";
import { createVethPair } from "../../src/link/veth.js";
import { later, seconds } from "../../src/sim/time.js";
import { ETH_P_IP } from "../../src/wire/ethernet.js";
import { formatFrame } from "../../src/wire/format-frame.js";
import { type Frame, NO_BYTES, type TransportHeader } from "../../src/wire/frame.js";
import { type Ipv4, parseIpv4, parseIpv4Prefix } from "../../src/wire/ip.js";
import type { Ipv4Header } from "../../src/wire/ipv4.js";

export function ip(text: string): Ipv4 {
  const address = parseIpv4(text);
  if (address === undefined) throw new Error(`not an address: ${text}`);
  return address;
}

export function simulation(seed = 1): Simulation {
  return new Simulation({ seed, pernet: [link, inet, arp, loopback] });
}

/** A namespace with `lo` up. */
export function host(sim: Simulation, name: string): NetworkNamespace {
  const ns = sim.createNamespace(name);
  ns.device("lo").setUp(true);
  return ns;
}

export function set(ns: NetworkNamespace, name: string, value: string | number): void {
  const sysctl = ns.sysctls.find(name);
  if (sysctl === undefined) throw new Error(`no sysctl ${name}`);
  sysctl.set(String(value));
}

/** Two ends with an address each, both up. */
export function cable(
  sim: Simulation,
  [a, aName, aAddress]: readonly [NetworkNamespace, string, string],
  [b, bName, bAddress]: readonly [NetworkNamespace, string, string],
): readonly [NetDevice, NetDevice] {
  const [left, right] = createVethPair(sim, { name: aName, ns: a }, { name: bName, ns: b });
  give(left, aAddress);
  give(right, bAddress);
  left.setUp(true);
  right.setUp(true);
  return [left, right];
}

export function give(dev: NetDevice, text: string): void {
  const prefix = parseIpv4Prefix(text);
  if (prefix === undefined) throw new Error(`not a prefix: ${text}`);
  const refused = addAddress(dev, { address: prefix.address, length: prefix.length });
  if (refused !== undefined) throw new Error(refused);
}

/** `via` and `dev` as in `ip route add`. */
export function route(
  ns: NetworkNamespace,
  destination: string,
  via: string | undefined,
  dev?: NetDevice,
): void {
  const prefix = parseIpv4Prefix(destination === "default" ? "0.0.0.0/0" : destination);
  if (prefix === undefined) throw new Error(`not a prefix: ${destination}`);
  const refused = fib(ns).add({
    prefix,
    nexthops: [{ gateway: via === undefined ? undefined : ip(via), dev }],
  });
  if (refused !== undefined) throw new Error(refused);
}

/** client 10.1.0.2 -- 10.1.0.1 router 10.2.0.1 -- 10.2.0.2 server; the router forwards. */
export interface RoutedLab {
  readonly sim: Simulation;
  readonly client: NetworkNamespace;
  readonly router: NetworkNamespace;
  readonly server: NetworkNamespace;
  readonly events: TraceEvent[];
}

export function routedLab(seed = 1): RoutedLab {
  const sim = simulation(seed);
  const client = host(sim, "client");
  const router = host(sim, "router");
  const server = host(sim, "server");
  cable(sim, [client, "c0", "10.1.0.2/24"], [router, "r0", "10.1.0.1/24"]);
  cable(sim, [router, "r1", "10.2.0.1/24"], [server, "s0", "10.2.0.2/24"]);
  route(client, "default", "10.1.0.1");
  route(server, "default", "10.2.0.1");
  set(router, "net.ipv4.ip_forward", 1);
  return { sim, client, router, server, events: listen(sim) };
}

export function listen(sim: Simulation): TraceEvent[] {
  const events: TraceEvent[] = [];
  sim.trace = (event) => events.push(event);
  return events;
}

export function run(sim: Simulation, time = 0.05): void {
  sim.runUntilIdle(later(sim.queue.now, seconds(time)));
}

/** The IP frames that a device received, one line each, without ARP. */
export function received(events: readonly TraceEvent[], dev: string): readonly string[] {
  return events
    .filter(
      (event) =>
        event.kind === "device" &&
        event.direction === "rx" &&
        event.dev === dev &&
        event.frame.network?.kind === "ipv4",
    )
    .map((event) => (event.kind === "device" ? formatFrame(event.frame) : ""));
}

export function drops(events: readonly TraceEvent[]): readonly string[] {
  return events.flatMap((event) =>
    event.kind === "dropped" ? [`${event.ns} ${event.reason} ${event.where}`] : [],
  );
}

/** A packet as a stranger's machine might send it. */
export function packet(
  fields: Partial<Ipv4Header>,
  transport: TransportHeader | undefined,
  payload: Uint8Array = NO_BYTES,
): Frame {
  return {
    link: {
      destination: 0 as Frame["link"]["destination"],
      source: 0 as Frame["link"]["source"],
      etherType: ETH_P_IP,
    },
    network: {
      kind: "ipv4",
      tos: 0,
      id: 1,
      dontFragment: false,
      moreFragments: false,
      fragmentOffset: 0,
      ttl: 64,
      protocol: 17,
      source: ip("10.1.0.2"),
      destination: ip("10.2.0.2"),
      options: NO_BYTES,
      ...fields,
    },
    transport,
    payload,
  };
}

/** Lets a packet arrive at a device as if it came over its wire, addressed to it. */
export function arrive(
  dev: NetDevice,
  frame: Frame,
  packetType: "HOST" | "BROADCAST" | "OTHERHOST" = "HOST",
): void {
  const skb = newSkb(dev.ns, frame, "test");
  skb.packetType = packetType;
  skb.dev = dev;
  skb.inDev = dev;
  dev.ns.protocols.get(ETH_P_IP)?.(skb);
}
