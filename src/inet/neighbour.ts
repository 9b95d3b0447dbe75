import { devQueueXmit, type NetDevice } from "../core/device.js";
import { drop } from "../core/drop.js";
import type { SendResult } from "../core/errno.js";
import { type NetworkNamespace, perNamespace } from "../core/namespace.js";
import type { SkBuff } from "../core/skbuff.js";
import { later, seconds } from "../sim/time.js";
import { ETH_P_IP } from "../wire/ethernet.js";
import { formatIp, formatMac, type IpAddress, type Ipv4, type Ipv6, type Mac } from "../wire/ip.js";
import { Neighbour, type NeighbourOps } from "./neighbour-entry.js";

/** More entries than this, permanent ones aside, are not made. Differs: the kernel counts over all namespaces. */
const GC_THRESH3 = 1_024;

/** What the table asks ARP or neighbour discovery. */
export interface NeighbourTableOps<A extends IpAddress = Ipv4> extends NeighbourOps<A> {
  /** The MAC that an address has without asking: of a group, a broadcast, any on lo; undefined when it must be asked for. */
  fixedMac(dev: NetDevice, address: A): Mac | undefined;
  /** This host stands in for an address on a device from now on, or no longer. */
  followProxy?(dev: NetDevice, address: A, stands: boolean): void;
  /** The address an entry is kept under. */
  keyOf(dev: NetDevice, address: A): A;
}

/** The neighbours of one namespace. Mirrors struct neigh_table. */
export class NeighbourTable<A extends IpAddress = Ipv4> {
  /** Set by ARP when the namespace is made. */
  ops: NeighbourTableOps<A> | undefined;
  readonly #entries = new Map<NetDevice, Map<A, Neighbour<A>>>();
  readonly #proxies = new Map<NetDevice, Set<A>>();
  /** Entries that count against the limit. */
  #size = 0;

  lookup(dev: NetDevice, address: A): Neighbour<A> | undefined {
    return this.#entries.get(dev)?.get(this.#keyOf(dev, address));
  }

  /** The entry, made when there is none; undefined when the table is full. Mirrors net/core/neighbour.c:__neigh_create(). */
  obtain(dev: NetDevice, address: A): Neighbour<A> | undefined {
    const known = this.lookup(dev, address);
    if (known !== undefined) return known;
    if (this.ops === undefined) throw new Error("neighbours are not set up in this namespace");
    if (this.#size >= GC_THRESH3) this.#collect();
    if (this.#size >= GC_THRESH3) return undefined;
    const key = this.#keyOf(dev, address);
    const neighbour = new Neighbour<A>(dev, key, this.ops);
    const fixed = this.ops.fixedMac(dev, key);
    if (fixed !== undefined) neighbour.update(fixed, "NOARP", {});
    let ofDevice = this.#entries.get(dev);
    if (ofDevice === undefined) this.#entries.set(dev, (ofDevice = new Map()));
    ofDevice.set(key, neighbour);
    this.#size++;
    return neighbour;
  }

  remove(neighbour: Neighbour<A>): void {
    neighbour.purge();
    if (this.#entries.get(neighbour.dev)?.delete(neighbour.address) === true) this.#size--;
  }

  /** Forgets the neighbours of a device. Mirrors net/core/neighbour.c:neigh_flush_dev(). */
  flushDevice(dev: NetDevice, keepPermanent: boolean): void {
    for (const neighbour of [...(this.#entries.get(dev)?.values() ?? [])]) {
      if (!keepPermanent || neighbour.state !== "PERMANENT") this.remove(neighbour);
    }
    if (!keepPermanent) this.#proxies.delete(dev);
  }

  /** All entries, device by device in order of their making. */
  list(): readonly Neighbour<A>[] {
    return [...this.#entries.values()].flatMap((ofDevice) => [...ofDevice.values()]);
  }

  /** `ip neigh add proxy`. */
  addProxy(dev: NetDevice, address: A): void {
    const known = this.#proxies.get(dev) ?? new Set();
    if (!known.has(address)) this.ops?.followProxy?.(dev, address, true);
    this.#proxies.set(dev, known.add(address));
  }

  removeProxy(dev: NetDevice, address: A): boolean {
    const stood = this.#proxies.get(dev)?.delete(address) === true;
    if (stood) this.ops?.followProxy?.(dev, address, false);
    return stood;
  }

  hasProxy(dev: NetDevice, address: A): boolean {
    return this.#proxies.get(dev)?.has(address) === true;
  }

  listProxies(): readonly { readonly dev: NetDevice; readonly address: A }[] {
    return [...this.#proxies].flatMap(([dev, addresses]) =>
      [...addresses].map((address) => ({ dev, address })),
    );
  }

  #keyOf(dev: NetDevice, address: A): A {
    return this.ops === undefined ? address : this.ops.keyOf(dev, address);
  }

  /** Mirrors net/core/neighbour.c:neigh_forced_gc(). */
  #collect(): void {
    for (const neighbour of this.list()) {
      const { state } = neighbour;
      if (state === "PERMANENT" || neighbour.waiting > 0) continue;
      const old = later(neighbour.updated, seconds(5)) < neighbour.dev.ns.sim.queue.now;
      if (state === "FAILED" || state === "NOARP" || old) this.remove(neighbour);
    }
  }
}

export const neighbours: (ns: NetworkNamespace) => NeighbourTable = perNamespace(
  () => new NeighbourTable(),
);

/** Those that neighbour discovery knows. Mirrors nd_tbl. */
export const neighbours6: (ns: NetworkNamespace) => NeighbourTable<Ipv6> = perNamespace(
  () => new NeighbourTable<Ipv6>(),
);

/** Sends an IP packet to its next hop on `dev`. Mirrors net/ipv4/ip_output.c:ip_finish_output2(). */
export function neighOutput(skb: SkBuff, dev: NetDevice, nexthop: Ipv4): SendResult {
  skb.dev = dev;
  const neighbour = neighbours(dev.ns).obtain(dev, nexthop);
  if (neighbour === undefined) {
    drop(skb, "NEIGH_CREATEFAIL", "ip_finish_output2");
    return "ENOBUFS";
  }
  return sendToNeighbour(skb, neighbour, ETH_P_IP);
}

/** Sends a packet to a neighbour, now or when it has answered. */
export function sendToNeighbour<A extends IpAddress>(
  skb: SkBuff,
  neighbour: Neighbour<A>,
  etherType: number,
): SendResult {
  const { dev } = neighbour;
  let result: SendResult;
  neighbour.output(skb, (packet, mac) => {
    packet.frame = {
      ...packet.frame,
      link: { source: dev.mac, destination: mac, etherType },
    };
    result = devQueueXmit(packet, dev);
  });
  return result;
}

/** TCP heard from its peer, so the next hop is there. Mirrors net/ipv4/route.c:ipv4_confirm_neigh(). */
export function confirmNeighbour(dev: NetDevice, address: Ipv4): void {
  neighbours(dev.ns).lookup(dev, address)?.confirm();
}

/** `10.0.0.2 dev e0 lladdr 02:00:00:00:00:02 REACHABLE`, as `ip neigh show` prints it, trailing blank included. */
export function formatNeighbour<A extends IpAddress>(
  neighbour: Neighbour<A>,
  showDevice = true,
): string {
  const { dev, address, mac, state } = neighbour;
  const lladdr = mac === undefined || !neighbour.isValid ? "" : `lladdr ${formatMac(mac)} `;
  const router = neighbour.isRouter ? "router " : "";
  return `${formatIp(address)} ${showDevice ? `dev ${dev.name} ` : ""}${lladdr}${router}${state} `;
}
