import type { Capture } from "../wire/capture.js";
import type { Ipv4 } from "../wire/ip.js";
import { capturedFrame } from "./replay-frame.js";
import type { PointRule } from "./replay-points.js";
import type { CapturedEnd, CapturedEnds } from "./replay-world.js";

/** Packets that are looked at before a world is built for them. */
const MOST_PACKETS = 200_000;

/** Who speaks in a capture, and where it listened. */
export function endsIn(capture: Capture, rules: readonly PointRule[]): CapturedEnds {
  const namespaces = new Set(rules.map(({ ns }) => ns));
  for (const { name } of capture.interfaces) {
    const [, ns] = /^(.+)[/:][^/:]+$/.exec(name ?? "") ?? [];
    if (ns !== undefined) namespaces.add(ns);
  }
  const sources = new Set<Ipv4>();
  const destinations = new Map<string, CapturedEnd>();
  for (const packet of capture.packets.slice(0, MOST_PACKETS)) {
    const read = capturedFrame(capture, packet);
    const frame = read.ok && read.value.frame.ok ? read.value.frame.value : undefined;
    if (frame?.network?.kind !== "ipv4") continue;
    const { source, destination } = frame.network;
    const { transport } = frame;
    const port =
      transport !== undefined && "destinationPort" in transport ? transport.destinationPort : 0;
    sources.add(source);
    destinations.set(`${destination}:${port}`, { address: destination, port });
  }
  return { namespaces, sources, destinations: [...destinations.values()] };
}
