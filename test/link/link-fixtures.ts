import { newSkb, Simulation } from "../../src/core/simulation.js";
import type { NetworkNamespace } from "../../src/core/namespace.js";
import { deliver } from "../../src/core/drop.js";
import { devQueueXmit } from "../../src/core/device.js";
import type { SkBuff } from "../../src/core/skbuff.js";
import type { TraceEvent } from "../../src/core/trace.js";
import { BridgeDevice } from "../../src/link/bridge.js";
import { link, loopback } from "../../src/link/link.js";
import { createVethPair, type Veth } from "../../src/link/veth.js";
import type { Frame } from "../../src/wire/frame.js";
import { type Mac, parseMac } from "../../src/wire/ip.js";

/** An EtherType nobody speaks, so that only the link floor has a say. */
export const TEST_TYPE = 0x88b5;

export function linkSimulation(): Simulation {
  return new Simulation({ seed: 1, pernet: [link, loopback] });
}

export function mac(text: string): Mac {
  const value = parseMac(text);
  if (value === undefined) throw new Error(`bad MAC ${text}`);
  return value;
}

export function testFrame(source: string, destination: string, length = 46): Frame {
  return {
    link: { source: mac(source), destination: mac(destination), etherType: TEST_TYPE },
    network: undefined,
    transport: undefined,
    payload: new Uint8Array(length),
  };
}

export interface Seen {
  readonly dev: string;
  readonly skb: SkBuff;
}

/** Collects what every device of a namespace hands to its protocols. */
export function listen(ns: NetworkNamespace): Seen[] {
  const seen: Seen[] = [];
  ns.protocols.set(TEST_TYPE, (skb) => {
    seen.push({ dev: skb.dev?.name ?? "", skb });
    deliver(skb, "test");
  });
  return seen;
}

export interface BridgeLab {
  readonly sim: Simulation;
  readonly ns: NetworkNamespace;
  readonly bridge: BridgeDevice;
  /** The ends that hosts would have: `e1` is the other end of port `p1`. */
  readonly ends: readonly Veth[];
  readonly seen: readonly Seen[];
  readonly events: TraceEvent[];
}

/** A bridge with ports p1..pn (02:00:00:00:01:0n), their other ends e1..en (02:00:00:00:02:0n) in the same namespace. */
export function bridgeLab(ports: number): BridgeLab {
  const sim = linkSimulation();
  const ns = sim.createNamespace("node");
  const bridge = new BridgeDevice({ name: "br0", ns });
  bridge.register();
  bridge.setUp(true);
  const ends = Array.from({ length: ports }, (_, index) => {
    const number = (index + 1).toString(16).padStart(2, "0");
    const [port, end] = createVethPair(
      sim,
      { name: `p${index + 1}`, ns, mac: mac(`02:00:00:00:01:${number}`) },
      { name: `e${index + 1}`, ns, mac: mac(`02:00:00:00:02:${number}`) },
    );
    bridge.addPort(port);
    port.setUp(true);
    end.setUp(true);
    return end;
  });
  const events: TraceEvent[] = [];
  sim.trace = (event) => events.push(event);
  return { sim, ns, bridge, ends, seen: listen(ns), events };
}

/** Sends a frame out of a device and lets it arrive. */
export function send(lab: BridgeLab, dev: string, frame: Frame): SkBuff {
  const skb = newSkb(lab.ns, frame, "test");
  devQueueXmit(skb, lab.ns.device(dev));
  lab.sim.runUntilIdle();
  return skb;
}

export function drops(lab: { readonly events: readonly TraceEvent[] }): readonly string[] {
  return lab.events.flatMap((event) =>
    event.kind === "dropped" ? [`${event.reason} ${event.where}`] : [],
  );
}
