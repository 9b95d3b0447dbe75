import type { NetDevice } from "../core/device.js";
import { type NetworkNamespace, perNamespace } from "../core/namespace.js";
import { numberSysctl } from "../core/sysctls.js";
import { type Micros, milliseconds, seconds } from "../sim/time.js";

/** The knobs of `net.ipv4.neigh.<dev>` and the values of a fresh namespace. Mirrors net/ipv4/arp.c:arp_tbl and net/ipv6/ndisc.c:nd_tbl. */
const DEFAULTS = {
  app_solicit: 0,
  base_reachable_time_ms: 30_000,
  /** Seconds. */
  delay_first_probe_time: 5,
  /** Seconds. */
  gc_stale_time: 60,
  /** Hundredths of a second. */
  locktime: 100,
  mcast_resolicit: 0,
  mcast_solicit: 3,
  /** Hundredths of a second. */
  proxy_delay: 80,
  proxy_qlen: 64,
  retrans_time_ms: 1_000,
  ucast_solicit: 3,
  unres_qlen_bytes: 212_992,
};

export type NeighbourKnob = keyof typeof DEFAULTS;
const NAMES = Object.keys(DEFAULTS) as readonly NeighbourKnob[];

/** How neighbours of one device are resolved. Mirrors struct neigh_parms. */
export class NeighbourParms {
  readonly values: Record<NeighbourKnob, number>;
  readonly #random: () => number;
  #reachable: { readonly base: number; readonly time: Micros } | undefined;

  constructor(values: Readonly<Record<NeighbourKnob, number>>, random: () => number) {
    this.values = { ...values };
    this.#random = random;
  }

  /**
   * How long a confirmation counts: a random time of half to one and a half of base_reachable_time.
   * Differs: drawn once for a base value, where the kernel draws again every 300 s.
   */
  get reachableTime(): Micros {
    const base = this.values.base_reachable_time_ms;
    if (this.#reachable?.base !== base) {
      this.#reachable = { base, time: milliseconds(base / 2 + this.#random() * base) };
    }
    return this.#reachable.time;
  }

  get delayProbeTime(): Micros {
    return seconds(this.values.delay_first_probe_time);
  }

  /** At least a hundredth of a second, as the kernel has it. */
  get retransTime(): Micros {
    return milliseconds(Math.max(this.values.retrans_time_ms, 10));
  }

  get lockTime(): Micros {
    return milliseconds(this.values.locktime * 10);
  }

  get proxyDelay(): Micros {
    return milliseconds(this.values.proxy_delay * 10);
  }
}

/** The parameters of every device of one namespace. */
class AllParms {
  readonly #ns: NetworkNamespace;
  readonly #default: NeighbourParms;
  readonly #byDevice = new Map<NetDevice, NeighbourParms>();
  readonly #family: "ipv4" | "ipv6";

  constructor(ns: NetworkNamespace, family: "ipv4" | "ipv6") {
    this.#ns = ns;
    this.#family = family;
    const values = family === "ipv4" ? DEFAULTS : { ...DEFAULTS, locktime: 0 };
    this.#default = new NeighbourParms(values, ns.sim.random);
  }

  of(dev: NetDevice): NeighbourParms {
    let parms = this.#byDevice.get(dev);
    if (parms === undefined) {
      parms = new NeighbourParms(this.#default.values, this.#ns.sim.random);
      this.#byDevice.set(dev, parms);
      this.#define(dev.name, parms);
    }
    return parms;
  }

  forget(dev: NetDevice): void {
    if (!this.#byDevice.delete(dev)) return;
    this.#ns.sysctls.removeFolder(folder(this.#family, dev.name));
  }

  #define(scope: string, { values }: NeighbourParms): void {
    this.#ns.sysctls.defineFolder(folder(this.#family, scope), NAMES, (name) => {
      const set = (value: number): void => {
        values[name] = value;
      };
      return numberSysctl(() => values[name], set);
    });
  }
}

/** A device name with a dot stands with a slash in a dotted sysctl name, as sysctl(8) has it. */
function folder(family: string, scope: string): string {
  return `net.${family}.neigh.${scope.replaceAll(".", "/")}`;
}

const allParms: (ns: NetworkNamespace) => AllParms = perNamespace((ns) => new AllParms(ns, "ipv4"));
const allParms6: (ns: NetworkNamespace) => AllParms = perNamespace(
  (ns) => new AllParms(ns, "ipv6"),
);

export function neighbourParms(dev: NetDevice): NeighbourParms {
  return allParms(dev.ns).of(dev);
}

/** Of neighbour discovery. */
export function neighbourParms6(dev: NetDevice): NeighbourParms {
  return allParms6(dev.ns).of(dev);
}

export function forgetNeighbourParms(dev: NetDevice, ns: NetworkNamespace): void {
  allParms(ns).forget(dev);
  allParms6(ns).forget(dev);
}
