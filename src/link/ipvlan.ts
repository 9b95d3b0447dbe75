import { NetDevice, type RxResult } from "../core/device.js";
import { ACCEPT, type HookEntry } from "../core/hooks.js";
import { internet } from "../core/internet.js";
import { type DeviceNotice, type NetworkNamespace, perNamespace } from "../core/namespace.js";
import type { SkBuff } from "../core/skbuff.js";
import type { IpAddress } from "../wire/ip.js";
import { ipvlanAddress } from "./ipvlan-address.js";
import { ipvlanReceive } from "./ipvlan-receive.js";
import { ipvlanTransmit } from "./ipvlan-transmit.js";

/** Who looks up routes and neighbours: the child (l2), the namespace of the device below (l3), that one's hooks too (l3s). Mirrors enum ipvlan_mode. */
export const IPVLAN_MODES = ["l2", "l3", "l3s"] as const;
export type IpvlanMode = (typeof IPVLAN_MODES)[number];

/** Whether children talk to each other: directly, not at all, only by way of the wire. Mirrors IPVLAN_F_PRIVATE and IPVLAN_F_VEPA. */
export const IPVLAN_FLAGS = ["bridge", "private", "vepa"] as const;
export type IpvlanFlag = (typeof IPVLAN_FLAGS)[number];

export interface IpvlanOptions {
  readonly name: string;
  readonly ns: NetworkNamespace;
  readonly lower: NetDevice;
}

/** A device that shares another one's MAC address and is told from its siblings by IP address. Mirrors drivers/net/ipvlan. */
export class Ipvlan extends NetDevice {
  override readonly kind = "ipvlan";
  readonly lower: NetDevice;
  readonly port: IpvlanPort;
  /** Carrier went or came at least once: until then `ip link` shows the state UNKNOWN. */
  carrierChanged: boolean;

  constructor({ name, ns, lower }: IpvlanOptions) {
    super({ name, ns, mac: lower.mac, mtu: lower.mtu });
    this.lower = lower;
    this.port = ipvlanPorts(lower.ns).of(lower);
    this.carrierChanged = !this.carrier;
    this.devId = this.port.allocateDevId();
    this.port.join(this);
  }

  /** It has carrier while the device below has. Mirrors netif_stacked_transfer_operstate(). */
  override get carrier(): boolean {
    return this.lower.up && this.lower.carrier;
  }

  /** In the modes of layer 3 nobody asks for neighbours. Mirrors ipvlan_open(). */
  override setUp(up: boolean): void {
    if (this.up === up) return;
    if (up) this.noArp = this.port.mode !== "l2";
    super.setUp(up);
    this.port.addressesChanged();
  }

  /** Mirrors drivers/net/ipvlan/ipvlan_main.c:ipvlan_addr4_validator_event(). */
  override addressRefusal(address: IpAddress): string | undefined {
    return this.port.holds(address)
      ? "Error: Address already assigned to an ipvlan device."
      : undefined;
  }

  override addressesChanged(): void {
    this.port.addressesChanged();
  }

  override destroy(): void {
    super.destroy();
    ipvlanPorts(this.lower.ns).leave(this);
  }

  /** Mirrors drivers/net/ipvlan/ipvlan_core.c:ipvlan_queue_xmit(). */
  override transmit(skb: SkBuff): undefined {
    ipvlanTransmit(skb, this);
  }
}

/** One device that ipvlans are on top of; mode and flag are its own, the last word counts. Mirrors struct ipvl_port. */
export class IpvlanPort {
  readonly lower: NetDevice;
  /** The newest first, as the kernel lists them. */
  children: readonly Ipvlan[] = [];
  flag: IpvlanFlag = "bridge";
  #mode: IpvlanMode = "l3";
  #byAddress: ReadonlyMap<IpAddress, Ipvlan> | undefined;
  #nextDevId = 1;
  readonly #inputHook: HookEntry = {
    name: "ipvlan",
    hook: "INPUT",
    priority: 2_147_483_647,
    run: (skb) => this.#enterChild(skb),
  };

  constructor(lower: NetDevice) {
    this.lower = lower;
    lower.rxHandler = (skb): RxResult => ipvlanReceive(skb, this);
  }

  get mode(): IpvlanMode {
    return this.#mode;
  }

  /** Mirrors drivers/net/ipvlan/ipvlan_main.c:ipvlan_set_port_mode(). */
  setMode(mode: IpvlanMode): void {
    if (mode === this.#mode) return;
    if (this.#mode === "l3s") this.#leaveRouting();
    this.#mode = mode;
    if (mode === "l3s") this.#joinRouting();
    for (const child of this.children) child.noArp = mode !== "l2";
  }

  join(child: Ipvlan): void {
    this.children = [child, ...this.children];
  }

  leave(child: Ipvlan): void {
    this.children = this.children.filter((other) => other !== child);
    this.addressesChanged();
    if (this.children.length > 0) return;
    this.setMode("l3");
    this.lower.rxHandler = undefined;
  }

  allocateDevId(): number {
    return this.#nextDevId++;
  }

  /** The child that is up and has the address. Mirrors ipvlan_ht_addr_lookup(). */
  find(address: IpAddress | undefined): Ipvlan | undefined {
    this.#byAddress ??= new Map(
      this.children
        .filter(({ up }) => up)
        .flatMap((child) => addressesOf(child).map((held) => [held, child] as const)),
    );
    return address === undefined ? undefined : this.#byAddress.get(address);
  }

  /** Whether a child has the address, up or not. Mirrors ipvlan_addr_busy(). */
  holds(address: IpAddress): boolean {
    return this.children.some((child) => addressesOf(child).includes(address));
  }

  addressesChanged(): void {
    this.#byAddress = undefined;
  }

  /** Packets are routed as the child that has their destination would. Mirrors ipvlan_l3s_register(). */
  #joinRouting(): void {
    const { hooks } = this.lower.ns;
    this.lower.l3Receive = (skb) => this.find(ipvlanAddress(skb.frame, "destination"));
    for (const family of ["ipv4", "ipv6"] as const) hooks.register(family, this.#inputHook);
  }

  #leaveRouting(): void {
    const { hooks } = this.lower.ns;
    this.lower.l3Receive = undefined;
    for (const family of ["ipv4", "ipv6"] as const) hooks.unregister(family, this.#inputHook);
  }

  /** After the namespace's own INPUT the packet goes on inside the child's. Mirrors ipvlan_nf_input(). */
  #enterChild(skb: SkBuff): typeof ACCEPT {
    if (skb.dev !== this.lower) return ACCEPT;
    const child = this.find(ipvlanAddress(skb.frame, "destination"));
    if (child === undefined) return ACCEPT;
    child.counters.rxPackets++;
    skb.dev = child;
    skb.inDev = child;
    skb.ns = child.ns;
    return ACCEPT;
  }
}

function addressesOf(child: Ipvlan): readonly IpAddress[] {
  return internet(child.ns).addressesOf(child);
}

/** The devices of one namespace that have ipvlans on top. */
export class IpvlanPorts {
  readonly #ports = new Map<NetDevice, IpvlanPort>();

  /** The port on a device, made when it is the first. */
  of(lower: NetDevice): IpvlanPort {
    const port = this.#ports.get(lower) ?? new IpvlanPort(lower);
    this.#ports.set(lower, port);
    return port;
  }

  find(lower: NetDevice): IpvlanPort | undefined {
    return this.#ports.get(lower);
  }

  /** A child goes; the last one takes the port with it. */
  leave(child: Ipvlan): void {
    const port = this.#ports.get(child.lower);
    port?.leave(child);
    if (port?.children.length === 0) this.#ports.delete(child.lower);
  }

  /** Mirrors drivers/net/ipvlan/ipvlan_main.c:ipvlan_device_event(). */
  lowerChanged(notice: DeviceNotice, lower: NetDevice): void {
    for (const child of this.#ports.get(lower)?.children ?? []) {
      if (notice === "unregister") child.destroy();
      else if (notice === "up" || notice === "down" || notice === "carrier") {
        child.carrierChanged = true;
        if (child.up) child.ns.notify("carrier", child);
      } else if (notice === "address") {
        child.mac = lower.mac;
        child.ns.notify("address", child);
      } else if (notice === "mtu") {
        child.mtu = lower.mtu;
        child.ns.notify("mtu", child);
      }
    }
  }
}

export const ipvlanPorts: (ns: NetworkNamespace) => IpvlanPorts = perNamespace(
  () => new IpvlanPorts(),
);
