import type { NetDevice } from "../core/device.js";
import type { EventQueue } from "../sim/event-queue.js";
import { later, type Micros } from "../sim/time.js";
import {
  formatIp,
  formatMac,
  type IpAddress,
  isIpv4Multicast,
  isIpv6Multicast,
  type Mac,
  MAC_ZERO,
} from "../wire/ip.js";

/** One host that frames are sent to. Mirrors struct vxlan_rdst. */
export interface VxlanRemote {
  readonly address: IpAddress;
  readonly port: number;
  readonly vni: number;
  /** The underlay device that packets to it are routed by; undefined leaves it to the tables. */
  readonly dev: NetDevice | undefined;
}

/** How an entry lives: by hand for ever, by hand as `static`, or until nothing is heard of it. */
export type VxlanFdbState = "permanent" | "static" | "reachable";

/** Behind which hosts a MAC address is; 00:00:00:00:00:00 is every address without an entry. Mirrors struct vxlan_fdb. */
export interface VxlanFdbEntry {
  readonly mac: Mac;
  readonly state: VxlanFdbState;
  readonly remotes: readonly VxlanRemote[];
  /** It is a router, behind which others can be reached without it. Mirrors NTF_ROUTER. */
  readonly isRouter: boolean;
  readonly updated: Micros;
}

/** What learning from a received frame did. */
export type VxlanLearning = "known" | "new" | "moved" | "refused" | "full";

/** The forwarding database of one VXLAN device. Old entries go when somebody looks, not by a timer. Mirrors drivers/net/vxlan/vxlan_core.c. */
export class VxlanFdb {
  /** How long a learned entry lives without being heard of; 300 s as the kernel has it. */
  ageing: Micros;
  readonly #queue: EventQueue;
  readonly #most: number;
  readonly #entries = new Map<Mac, VxlanFdbEntry>();

  /** `most` is how many entries there may be, 0 for any number. */
  constructor(queue: EventQueue, ageing: Micros, most: number) {
    this.#queue = queue;
    this.ageing = ageing;
    this.#most = most;
  }

  /** Whether another address finds no place. Mirrors the limit of vxlan_fdb_create(). */
  get isFull(): boolean {
    return this.#most > 0 && this.list().length >= this.#most;
  }

  /** The hosts for a destination: its own entry, else the one for all. Mirrors the lookups of vxlan_xmit(). */
  remotesFor(mac: Mac): readonly VxlanRemote[] {
    return (this.get(mac) ?? this.get(MAC_ZERO))?.remotes ?? NO_REMOTES;
  }

  get(mac: Mac): VxlanFdbEntry | undefined {
    const entry = this.#entries.get(mac);
    if (entry === undefined || !this.#expired(entry)) return entry;
    this.#entries.delete(mac);
    return undefined;
  }

  set(mac: Mac, state: VxlanFdbState, remotes: readonly VxlanRemote[], isRouter = false): void {
    this.#entries.set(mac, { mac, state, remotes, isRouter, updated: this.#queue.now });
  }

  remove(mac: Mac): boolean {
    return this.#entries.delete(mac);
  }

  /** A frame from `mac` came from a host. A static entry for another host refuses it. Mirrors vxlan_snoop(). */
  learn(mac: Mac, remote: VxlanRemote): VxlanLearning {
    const entry = this.get(mac);
    const known = entry?.remotes[0];
    if (entry !== undefined && known?.address === remote.address) {
      this.#entries.set(mac, { ...entry, updated: this.#queue.now });
      return "known";
    }
    if (entry !== undefined && entry.state !== "reachable") return "refused";
    if (entry === undefined && this.isFull) return "full";
    this.set(mac, "reachable", [remote]);
    return entry === undefined ? "new" : "moved";
  }

  /** Forgets what was learned, when the device goes down. Mirrors vxlan_flush(). */
  flushLearned(): void {
    for (const entry of this.#entries.values())
      if (entry.state === "reachable" && entry.mac !== MAC_ZERO) this.#entries.delete(entry.mac);
  }

  /** Living entries, the newest first. Differs: the kernel lists them in the order of a random hash. */
  list(): readonly VxlanFdbEntry[] {
    return [...this.#entries.values()].filter((entry) => !this.#expired(entry)).toReversed();
  }

  #expired(entry: VxlanFdbEntry): boolean {
    return entry.state === "reachable" && later(entry.updated, this.ageing) <= this.#queue.now;
  }
}

const NO_REMOTES: readonly VxlanRemote[] = [];

export function isGroup(address: IpAddress | undefined): address is IpAddress {
  if (address === undefined) return false;
  return typeof address === "number" ? isIpv4Multicast(address) : isIpv6Multicast(address);
}

/** What an entry's own device sends to, which is not repeated in each line. */
export interface VxlanDefaults {
  readonly name: string;
  readonly port: number;
  readonly vni: number;
}

/** One line a host: `02:00:00:00:02:02 dev flannel.1 dst 192.168.10.12 self permanent`. */
export function formatVxlanFdbEntry(
  entry: VxlanFdbEntry,
  device: VxlanDefaults,
  showDevice = true,
): readonly string[] {
  const state = entry.state === "reachable" ? "" : entry.state;
  return entry.remotes.map((remote) => {
    const parts = [
      formatMac(entry.mac),
      ...(showDevice ? [`dev ${device.name}`] : []),
      `dst ${formatIp(remote.address)}`,
      ...(remote.port === device.port ? [] : [`port ${remote.port}`]),
      ...(remote.vni === device.vni ? [] : [`vni ${remote.vni}`]),
      ...(remote.dev === undefined ? [] : [`via ${remote.dev.name}`]),
      "self",
      ...(entry.isRouter ? ["router"] : []),
      state,
    ];
    return parts.join(" ");
  });
}
