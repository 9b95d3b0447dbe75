import { addressesOf } from "../inet/addresses.js";
import { isRoute, routeOutput } from "../inet/route.js";
import type { NetDevice } from "../core/device.js";
import type { Frame } from "../wire/frame.js";
import { IPV4_ANY, type Ipv4 } from "../wire/ip.js";
import type { Point } from "./replay-points.js";

/**
 * Whether a frame came in by a device or went out of it, where the capture does not say: by whose MAC address it
 * bears, then by who lives on which side of the device. Undefined when nothing tells.
 */
export function directionOf(
  frame: Frame,
  { device, netns }: Point,
  macsKnown: boolean,
): "in" | "out" | undefined {
  const own = new Set(
    [...netns.devices.values()].filter(({ isLoopback }) => !isLoopback).map(({ mac }) => mac),
  );
  if (own.has(frame.link.source)) return "out";
  if (own.has(frame.link.destination)) return "in";
  // Only a bridge sends out what others made.
  if (macsKnown && device.master === undefined && device.kind !== "bridge") return "in";
  const [from, to] = endsOf(frame);
  if (from === undefined || to === undefined) return undefined;
  const beyond = addressesBeyond(device);
  if (beyond.has(from) !== beyond.has(to)) return beyond.has(from) ? "in" : "out";
  const fromThere = liesBeyond(from, device);
  const toThere = liesBeyond(to, device);
  return fromThere === toThere ? undefined : fromThere ? "in" : "out";
}

function endsOf({ network }: Frame): readonly [Ipv4 | undefined, Ipv4 | undefined] {
  switch (network?.kind) {
    case "ipv4":
      return [network.source, network.destination];
    case "arp":
      return [network.senderIp, network.targetIp];
    default:
      return [undefined, undefined];
  }
}

/** Addresses of the namespace at the other end of a cable. */
function addressesBeyond(device: NetDevice): ReadonlySet<Ipv4> {
  const other = "peer" in device ? (device.peer as NetDevice | undefined) : undefined;
  if (other === undefined || other.ns === device.ns || other.master !== undefined) return new Set();
  return new Set(
    [...other.ns.devices.values()].flatMap((dev) => addressesOf(dev).map(({ local }) => local)),
  );
}

/** Whether the namespace sends to this address by the device, or by the bridge that it is a port of. */
function liesBeyond(address: Ipv4, device: NetDevice): boolean {
  if (address === IPV4_ANY) return false;
  const route = routeOutput(device.ns, { destination: address, mark: 0, tos: 0 });
  return isRoute(route) && (route.dev === device || route.dev === device.master);
}
