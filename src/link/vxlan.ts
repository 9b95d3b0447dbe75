import { randomBetween } from "../base/random.js";
import { NetDevice } from "../core/device.js";
import type { Errno } from "../core/errno.js";
import { type NetworkNamespace, perNamespace } from "../core/namespace.js";
import type { SkBuff } from "../core/skbuff.js";
import { type TunnelPort, udpTunnels } from "../core/udp-tunnel.js";
import { internet } from "../core/internet.js";
import { seconds } from "../sim/time.js";
import type { IpAddress, Mac } from "../wire/ip.js";
import { vxlanReceive } from "./vxlan-receive.js";
import { isGroup, VxlanFdb } from "./vxlan-fdb.js";
import { vxlanHeadroom, vxlanTransmit } from "./vxlan-transmit.js";

/** What a VXLAN device is told when it is made. Mirrors struct vxlan_config. */
export interface VxlanSettings {
  readonly vni: number;
  /** Where packets are sent to and received, 4789 or 8472. */
  readonly port: number;
  readonly local: IpAddress | undefined;
  /** Of the hosts that carry it. */
  readonly family: "ipv4" | "ipv6";
  /** The device packets leave by; it decides the MTU and, for the first remote, the route. */
  readonly lower: NetDevice | undefined;
  /** Where everything goes that no entry says more of: a host, or a group that all are in. */
  readonly remote: IpAddress | undefined;
  readonly learning: boolean;
  /** Answers what is known of neighbours, instead of carrying the question. */
  readonly proxy: boolean;
  /** Sends to a neighbour behind a router at once. */
  readonly rsc: boolean;
  /** User space is told of what was not found: seen in `ip -d link` alone. */
  readonly l2miss: boolean;
  readonly l3miss: boolean;
  /** How many entries there may be; 0 for as many as come. */
  readonly maxAddresses: number;
  /** 0: the namespace's default; "inherit": that of the inner packet. */
  readonly ttl: number | "inherit";
  /** "inherit": that of the inner packet. */
  readonly tos: number | "inherit";
  readonly df: "unset" | "set" | "inherit";
  readonly checksum: boolean;
  /** The range of source ports, both 0 for the namespace's own. */
  readonly sourcePorts: readonly [number, number];
}

export interface VxlanOptions {
  readonly name: string;
  readonly ns: NetworkNamespace;
  readonly mac: Mac;
  readonly settings: VxlanSettings;
}

/** An Ethernet that is carried between hosts in UDP. Mirrors drivers/net/vxlan. */
export class Vxlan extends NetDevice {
  override readonly kind = "vxlan";
  readonly settings: VxlanSettings;
  /** Where the outer packets live: the namespace the device was made in, also after it moves. */
  readonly underlay: NetworkNamespace;
  readonly fdb: VxlanFdb;
  /** What source ports are hashed with; two machines have different ones. */
  readonly hashKey: number;

  constructor({ name, ns, mac, settings }: VxlanOptions) {
    const headroom = vxlanHeadroom(settings.family);
    super({ name, ns, mac, mtu: (settings.lower?.mtu ?? 1500 + headroom) - headroom });
    this.settings = settings;
    this.underlay = ns;
    this.fdb = new VxlanFdb(ns.sim.queue, seconds(300), settings.maxAddresses);
    this.hashKey = flowHash(ns).key;
    vxlanPorts(ns).devices.add(this);
  }

  /** What a device over another one can carry at most; anything without one. */
  get maxMtu(): number | undefined {
    const { lower, family } = this.settings;
    return lower === undefined ? undefined : lower.mtu - vxlanHeadroom(family);
  }

  /** Opens the UDP port with the first device that needs it. Mirrors vxlan_open(); ask `openRefusal` before. */
  override setUp(up: boolean): void {
    if (this.up === up) return;
    const ports = vxlanPorts(this.underlay);
    if (up) ports.join(this);
    else ports.leave(this);
    super.setUp(up);
    if (!up) this.fdb.flushLearned();
  }

  /** Why the device cannot come up: somebody else has its port. */
  openRefusal(): Errno | undefined {
    return vxlanPorts(this.underlay).open(this);
  }

  /** The device of this host at the other end, when that is this host too. */
  findLocal(vni: number, port: number): Vxlan | undefined {
    return vxlanPorts(this.underlay).find(this.settings.family, vni, port);
  }

  override destroy(): void {
    super.destroy();
    vxlanPorts(this.underlay).devices.delete(this);
  }

  /** Mirrors drivers/net/vxlan/vxlan_core.c:vxlan_xmit(). */
  override transmit(skb: SkBuff): undefined {
    vxlanTransmit(skb, this);
  }
}

const flowHash: (ns: NetworkNamespace) => { readonly key: number } = perNamespace((ns) => ({
  key: randomBetween(ns.sim.random, 0, 0xffff_ffff),
}));

/** The VXLAN devices of one namespace and the UDP ports that they share. Mirrors struct vxlan_net and struct vxlan_sock. */
export class VxlanPorts {
  readonly devices: Set<Vxlan> = new Set();
  readonly #ns: NetworkNamespace;
  readonly #open = new Map<string, { readonly port: TunnelPort; readonly users: Set<Vxlan> }>();

  constructor(ns: NetworkNamespace) {
    this.#ns = ns;
  }

  open(dev: Vxlan): Errno | undefined {
    const { family, port: number } = dev.settings;
    const shared = this.#open.get(keyOf(family, number));
    if (shared !== undefined) {
      shared.users.add(dev);
      return undefined;
    }
    const users = new Set([dev]);
    const port = udpTunnels(this.#ns).open(family, number, (skb) =>
      vxlanReceive(skb, (vni) => [...users].find((user) => user.settings.vni === vni)),
    );
    if (typeof port === "string") return port;
    this.#open.set(keyOf(family, number), { port, users });
    return undefined;
  }

  /** Opens the port and joins the group, if no other device has. Mirrors vxlan_multicast_join(). */
  join(dev: Vxlan): void {
    const isFirst = !this.#sharesGroup(dev);
    if (this.open(dev) !== undefined) return;
    const { remote, lower } = dev.settings;
    if (isFirst && lower !== undefined && isGroup(remote))
      internet(this.#ns).joinGroup(lower, remote);
  }

  /** Mirrors vxlan_multicast_leave(). */
  leave(dev: Vxlan): void {
    const { remote, lower } = dev.settings;
    this.close(dev);
    if (lower !== undefined && isGroup(remote) && !this.#sharesGroup(dev))
      internet(this.#ns).leaveGroup(lower, remote);
  }

  /** Whether another device that is up is in the same group by the same socket. Mirrors vxlan_group_used(). */
  #sharesGroup(dev: Vxlan): boolean {
    const { family, port, remote, lower } = dev.settings;
    const users = this.#open.get(keyOf(family, port))?.users ?? [];
    return [...users].some(
      ({ settings, up }) =>
        up && settings.remote === remote && settings.lower === lower && settings !== dev.settings,
    );
  }

  close(dev: Vxlan): void {
    const key = keyOf(dev.settings.family, dev.settings.port);
    const shared = this.#open.get(key);
    if (shared?.users.delete(dev) !== true || shared.users.size > 0) return;
    shared.port.close();
    this.#open.delete(key);
  }

  /** The device that receives on this host for that network and port. Mirrors vxlan_find_vni(). */
  find(family: "ipv4" | "ipv6", vni: number, port: number): Vxlan | undefined {
    const users = this.#open.get(keyOf(family, port))?.users ?? [];
    return [...users].find(({ settings }) => settings.vni === vni);
  }

  /** A lower device goes, and the VXLAN devices over it with it. Mirrors vxlan_handle_lowerdev_unregister(). */
  lowerGone(dev: NetDevice): void {
    for (const device of this.devices) if (device.settings.lower === dev) device.destroy();
  }
}

/** One socket for each family and port. */
function keyOf(family: "ipv4" | "ipv6", port: number): string {
  return `${family} ${port}`;
}

export const vxlanPorts: (ns: NetworkNamespace) => VxlanPorts = perNamespace(
  (ns) => new VxlanPorts(ns),
);
