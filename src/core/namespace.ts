import { assert } from "../base/errors.js";
import type { NetDevice } from "./device.js";
import { Hooks } from "./hooks.js";
import type { Simulation } from "./simulation.js";
import type { SkBuff } from "./skbuff.js";
import { Sysctls } from "./sysctls.js";

/** What a device tells the namespace's subsystems. Mirrors the NETDEV_* notifier chain. */
export type DeviceNotice =
  | "register"
  | "unregister"
  | "up"
  | "down"
  | "carrier"
  | "address"
  | "mtu";

/** A subsystem that sets itself up in every new namespace. Mirrors struct pernet_operations. */
export interface PernetOperations {
  readonly name: string;
  init(ns: NetworkNamespace): void;
}

/** One network stack: its devices, hooks, protocol handlers and knobs. Made by `sim.createNamespace`. */
export class NetworkNamespace {
  readonly name: string;
  readonly sim: Simulation;
  readonly hooks: Hooks = new Hooks();
  /** Receivers by EtherType. Mirrors dev_add_pack(). */
  readonly protocols: Map<number, (skb: SkBuff) => void> = new Map();
  /** Devices by name, in order of creation. */
  readonly devices: Map<string, NetDevice> = new Map();
  readonly sysctls: Sysctls = new Sysctls();
  readonly #listeners: ((notice: DeviceNotice, dev: NetDevice) => void)[] = [];
  readonly #slots: unknown[] = [];
  readonly #taken = new Set<number>();
  #nextIfindex = 1;

  constructor(name: string, sim: Simulation) {
    this.name = name;
    this.sim = sim;
  }

  /** The device of that name. It is our bug when there is none. */
  device(name: string): NetDevice {
    const dev = this.devices.get(name);
    assert(dev !== undefined, `no device ${name} in ${this.name}`);
    return dev;
  }

  allocateIfindex(): number {
    while (this.#taken.has(this.#nextIfindex)) this.#nextIfindex++;
    return this.#nextIfindex++;
  }

  /** A device brought its index along: it is not given out again. */
  reserveIfindex(index: number): void {
    this.#taken.add(index);
  }

  /** Mirrors register_netdevice_notifier(). */
  onDeviceNotice(listener: (notice: DeviceNotice, dev: NetDevice) => void): void {
    this.#listeners.push(listener);
  }

  notify(notice: DeviceNotice, dev: NetDevice): void {
    for (const listener of this.#listeners) listener(notice, dev);
  }

  /** For `perNamespace` alone. */
  slot<T>(index: number, create: (ns: NetworkNamespace) => T): T {
    let value = this.#slots[index];
    if (value === undefined) {
      value = create(this);
      this.#slots[index] = value;
    }
    return value as T;
  }
}

let slots = 0;

/** State that every namespace has one of, made when first asked for. Mirrors net_generic(). */
export function perNamespace<T extends object>(
  create: (ns: NetworkNamespace) => T,
): (ns: NetworkNamespace) => T {
  const index = slots++;
  return (ns) => ns.slot(index, create);
}
