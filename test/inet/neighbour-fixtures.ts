import { netifReceiveSkb } from "../../src/core/device.js";
import type { NetworkNamespace } from "../../src/core/namespace.js";
import { newSkb, type Simulation } from "../../src/core/simulation.js";
import type { TraceEvent } from "../../src/core/trace.js";
import { neighbours } from "../../src/inet/neighbour.js";
import { later, seconds } from "../../src/sim/time.js";
import { createLinux } from "../../src/tools/stack.js";
import { ARPOP_REPLY, ARPOP_REQUEST } from "../../src/wire/arp.js";
import { ETH_P_ARP } from "../../src/wire/ethernet.js";
import { type Frame, NO_BYTES } from "../../src/wire/frame.js";
import {
  formatIpv4,
  formatMac,
  type Ipv4,
  type Mac,
  parseIpv4,
  parseMac,
} from "../../src/wire/ip.js";
import { build, run } from "../tools/tool-fixtures.js";

/** `one` (e0, 10.0.0.1, 02:00:00:00:00:01) and `two` (e0, 10.0.0.2, 02:00:00:00:00:02) on one cable. */
export interface PairLab {
  readonly sim: Simulation;
  readonly one: NetworkNamespace;
  readonly two: NetworkNamespace;
  readonly events: TraceEvent[];
}

export function pairLab(): PairLab {
  const sim = createLinux({ seed: 1 });
  build(
    sim,
    `ip netns add one
    ip netns add two
    ip link add e0 netns one address 02:00:00:00:00:01 type veth peer name e0 netns two address 02:00:00:00:00:02
    one: ip link set lo up
    two: ip link set lo up
    one: ip addr add 10.0.0.1/24 dev e0
    two: ip addr add 10.0.0.2/24 dev e0
    one: ip link set e0 up
    two: ip link set e0 up`,
  );
  const events: TraceEvent[] = [];
  sim.trace = (event) => events.push(event);
  const [one, two] = [sim.namespaces.get("one"), sim.namespaces.get("two")];
  if (one === undefined || two === undefined) throw new Error("no namespaces");
  return { sim, one, two, events };
}

export function address(text: string): Ipv4 {
  const value = parseIpv4(text);
  if (value === undefined) throw new Error(`bad address ${text}`);
  return value;
}

export function mac(text: string): Mac {
  const value = parseMac(text);
  if (value === undefined) throw new Error(`bad MAC ${text}`);
  return value;
}

/** Sends a ping-shaped packet through the neighbour table of `ns`, as ip_finish_output2() does. */
export function wait(lab: { readonly sim: Simulation }, time: number): void {
  lab.sim.runUntilIdle(later(lab.sim.queue.now, seconds(time)));
}

/** `10.0.0.2 dev e0 lladdr … REACHABLE`, the whole table of a namespace. */
export function neigh(lab: { readonly sim: Simulation }, ns: string): string {
  return run(lab.sim, ns, "ip neigh show").stdout;
}

export function stateOf(ns: NetworkNamespace, text: string): string {
  return neighbours(ns).lookup(ns.device("e0"), address(text))?.state ?? "no entry";
}

export interface ArpFields {
  readonly operation?: number;
  readonly senderIp: string;
  readonly senderMac?: string;
  readonly targetIp: string;
  readonly targetMac?: string;
  readonly destination?: string;
}

/** Who-has, unless told otherwise, broadcast. */
export function arpFrame(fields: ArpFields): Frame {
  const senderMac = mac(fields.senderMac ?? "02:00:00:00:00:99");
  return {
    link: {
      source: senderMac,
      destination: mac(fields.destination ?? "ff:ff:ff:ff:ff:ff"),
      etherType: ETH_P_ARP,
    },
    network: {
      kind: "arp",
      operation: fields.operation ?? ARPOP_REQUEST,
      senderMac,
      senderIp: address(fields.senderIp),
      targetMac: mac(fields.targetMac ?? "00:00:00:00:00:00"),
      targetIp: address(fields.targetIp),
    },
    transport: undefined,
    payload: NO_BYTES,
  };
}

/** Lets an ARP message arrive at `dev` of `ns`. */
export function hear(ns: NetworkNamespace, dev: string, fields: ArpFields): void {
  const device = ns.device(dev);
  const skb = newSkb(ns, arpFrame(fields), "test");
  const { destination } = skb.frame.link;
  skb.packetType =
    destination === device.mac
      ? "HOST"
      : destination === mac("ff:ff:ff:ff:ff:ff")
        ? "BROADCAST"
        : "OTHERHOST";
  netifReceiveSkb(skb, device);
}

/** ARP messages sent, as `1.000000 e0 who-has 10.0.0.2 tell 10.0.0.1 to ff:ff:ff:ff:ff:ff`. */
export function arpSent(events: readonly TraceEvent[], ns: string): readonly string[] {
  return events.flatMap((event) => {
    if (
      event.kind !== "device" ||
      event.direction !== "tx" ||
      event.ns !== ns ||
      event.frame.network?.kind !== "arp"
    )
      return [];
    const { operation, senderIp, senderMac, targetIp } = event.frame.network;
    const text =
      operation === ARPOP_REPLY
        ? `${formatIpv4(senderIp)} is-at ${formatMac(senderMac)}`
        : `who-has ${formatIpv4(targetIp)} tell ${formatIpv4(senderIp)}`;
    return [
      `${event.time / 1e6} ${event.dev} ${text} to ${formatMac(event.frame.link.destination)}`,
    ];
  });
}
