import type { EventQueue } from "../sim/event-queue.js";
import { formatIp, formatMac, type IpAddress, type Mac } from "../wire/ip.js";
import type { BridgePort } from "./bridge-port.js";
import { KernelTimer } from "./kernel-timer.js";

/** A group of one VLAN (0 while the bridge does not filter): an IP address, or a MAC address for other protocols. Mirrors struct br_ip. */
export interface MdbGroup {
  readonly address: IpAddress | undefined;
  readonly mac: Mac | undefined;
  readonly vid: number;
}

/** A port behind which somebody is in a group. Mirrors struct net_bridge_port_group. */
export interface PortGroup {
  readonly port: BridgePort;
  readonly permanent: boolean;
  /** Typed by somebody. */
  readonly byUser: boolean;
  readonly timer: KernelTimer;
}

/** A group that somebody is in. Mirrors struct net_bridge_mdb_entry. */
export interface MdbEntry {
  readonly group: MdbGroup;
  /** The bridge's own host is in it. */
  hostJoined: boolean;
  readonly hostTimer: KernelTimer;
  /** The newest port first. */
  ports: readonly PortGroup[];
}

/** The groups that a bridge has heard of. Mirrors br->mdb_list. */
export class MulticastDb {
  readonly #queue: EventQueue;
  readonly #entries = new Map<string, MdbEntry>();

  constructor(queue: EventQueue) {
    this.#queue = queue;
  }

  get isEmpty(): boolean {
    return this.#entries.size === 0;
  }

  find(group: MdbGroup): MdbEntry | undefined {
    return this.#entries.get(keyOf(group));
  }

  /** The newest first. */
  list(): readonly MdbEntry[] {
    return [...this.#entries.values()].toReversed();
  }

  /** The entry of a group, made when it is the first to want it. Mirrors br_multicast_new_group(). */
  of(group: MdbGroup): MdbEntry {
    const known = this.find(group);
    if (known !== undefined) return known;
    const entry: MdbEntry = {
      group,
      hostJoined: false,
      hostTimer: new KernelTimer(this.#queue, `group ${formatGroup(group)}`, () => {
        this.leaveHost(entry);
      }),
      ports: [],
    };
    this.#entries.set(keyOf(group), entry);
    return entry;
  }

  /** Mirrors br_multicast_new_port_group(). */
  addPort(
    entry: MdbEntry,
    port: BridgePort,
    { permanent = false, byUser = false }: { permanent?: boolean; byUser?: boolean },
  ): PortGroup {
    const label = `group ${formatGroup(entry.group)} of ${port.dev.name}`;
    const timer = new KernelTimer(this.#queue, label, () => this.removePort(entry, port));
    const added: PortGroup = { port, permanent, byUser, timer };
    entry.ports = [...entry.ports, added].toSorted((a, b) => b.port.number - a.port.number);
    return added;
  }

  removePort(entry: MdbEntry, port: BridgePort): void {
    for (const gone of entry.ports) if (gone.port === port) gone.timer.stop();
    entry.ports = entry.ports.filter((other) => other.port !== port);
    this.#forgetEmpty(entry);
  }

  leaveHost(entry: MdbEntry): void {
    entry.hostJoined = false;
    entry.hostTimer.stop();
    this.#forgetEmpty(entry);
  }

  /** What was learned of a port goes with it; what somebody typed as permanent only when `all`. */
  flushPort(port: BridgePort, all: boolean): void {
    for (const entry of this.#entries.values())
      if (entry.ports.some((one) => one.port === port && (all || !one.permanent)))
        this.removePort(entry, port);
  }

  #forgetEmpty(entry: MdbEntry): void {
    if (entry.ports.length === 0 && !entry.hostJoined) this.#entries.delete(keyOf(entry.group));
  }
}

export function formatGroup({ address, mac }: MdbGroup): string {
  return address === undefined ? formatMac(mac ?? (0 as Mac)) : formatIp(address);
}

function keyOf({ address, mac, vid }: MdbGroup): string {
  return `${typeof address} ${address ?? mac} ${vid}`;
}
