import type { NetDevice } from "../core/device.js";
import type { Simulation } from "../core/simulation.js";
import { addressesOf } from "../inet/addresses.js";
import { withMacs, type Frame } from "../wire/frame.js";
import {
  IPV4_ANY,
  type Ipv4,
  isIpv4Multicast,
  isMulticastMac,
  MAC_BROADCAST,
  type Mac,
  prefixContains,
} from "../wire/ip.js";
import type { Point } from "./replay-points.js";

/** The MAC addresses of a world, and who has them: those of a capture mean nothing in a world that was made from objects. */
export class Macs {
  readonly #known = new Set<Mac>();
  readonly #byAddress = new Map<Ipv4, NetDevice>();

  constructor(sim: Simulation) {
    for (const ns of sim.namespaces.values()) {
      for (const dev of ns.devices.values()) {
        if (!dev.isLoopback) this.#known.add(dev.mac);
        for (const { local } of addressesOf(dev)) this.#byAddress.set(local, dev);
      }
    }
  }

  /** Whether a frame was captured among these MAC addresses. */
  knows({ link }: Frame): boolean {
    return this.#known.has(link.source) || this.#known.has(link.destination);
  }

  /** The frame with the MAC addresses that it has in this world when it comes in by `point`. */
  received(frame: Frame, point: Point): Frame {
    const { device } = point;
    const { network } = frame;
    if (network?.kind === "arp") {
      const sender = this.#macAt(device, network.senderIp);
      const target = network.operation === 1 ? network.targetMac : layer3(device).mac;
      const destination = network.operation === 1 ? MAC_BROADCAST : target;
      return withMacs(
        { ...frame, network: { ...network, senderMac: sender, targetMac: target } },
        sender,
        destination,
      );
    }
    if (network?.kind !== "ipv4") return frame;
    return withMacs(
      frame,
      this.#macAt(device, network.source),
      this.#destination(frame, device, network.destination),
    );
  }

  #destination({ link }: Frame, device: NetDevice, address: Ipv4): Mac {
    if (link.destination !== 0 && isMulticastMac(link.destination)) return link.destination;
    if (isIpv4Multicast(address)) return MAC_BROADCAST;
    const top = layer3(device);
    const attached = addressesOf(top).some(
      ({ local, length }) =>
        local !== address && length < 32 && prefixContains({ address: local, length }, address),
    );
    const holder = this.#byAddress.get(address);
    if (!attached || holder?.ns === top.ns) return top.mac;
    return holder?.mac ?? madeUp(address);
  }

  /** The MAC address that a sender has on the segment of `device`: its own, or that of whoever forwarded for it. */
  #macAt(device: NetDevice, address: Ipv4): Mac {
    const top = layer3(device);
    const attached = addressesOf(top).some(({ local, length }) =>
      prefixContains({ address: local, length }, address),
    );
    const holder = this.#byAddress.get(address);
    return attached && holder !== undefined && holder.ns !== top.ns
      ? holder.mac
      : madeUp(attached ? address : IPV4_ANY);
  }
}

/** The device whose addresses are those of the segment: the bridge of a port. */
function layer3(device: NetDevice): NetDevice {
  return device.master ?? device;
}

/** A locally administered address for somebody whom the world does not know. */
function madeUp(address: Ipv4): Mac {
  return (0x0200_0000_0000 + address) as Mac;
}
