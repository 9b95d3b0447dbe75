import type { NetDevice } from "../../core/device.js";
import { type NetworkNamespace, perNamespace } from "../../core/namespace.js";
import { type Sysctl, numberSysctl } from "../../core/sysctls.js";
import { bumpRouting } from "../generation.js";

/**
 * The knobs of `net.ipv6.conf.<dev>` and what a fresh namespace has in `default`. Mirrors net/ipv6/addrconf.c:ipv6_devconf_dflt.
 * Differs: IPv6 starts switched off (`disable_ipv6` 1), so that a network of IPv4 alone has no IPv6 in it.
 */
const DEFAULTS = {
  accept_dad: 1,
  accept_ra: 1,
  accept_ra_defrtr: 1,
  accept_ra_from_local: 0,
  accept_ra_min_hop_limit: 1,
  accept_ra_min_lft: 0,
  accept_ra_mtu: 1,
  accept_ra_pinfo: 1,
  accept_ra_rtr_pref: 1,
  accept_redirects: 1,
  accept_source_route: 0,
  accept_untracked_na: 0,
  addr_gen_mode: 0,
  autoconf: 1,
  dad_transmits: 1,
  disable_ipv6: 1,
  drop_unicast_in_l2_multicast: 0,
  drop_unsolicited_na: 0,
  enhanced_dad: 1,
  force_forwarding: 0,
  force_mld_version: 0,
  force_tllao: 0,
  forwarding: 0,
  hop_limit: 64,
  ignore_routes_with_linkdown: 0,
  keep_addr_on_down: 0,
  max_addresses: 16,
  mldv1_unsolicited_report_interval: 10_000,
  mldv2_unsolicited_report_interval: 1000,
  mtu: 1280,
  ndisc_evict_nocarrier: 1,
  ndisc_notify: 0,
  ndisc_tclass: 0,
  proxy_ndp: 0,
  ra_defrtr_metric: 1024,
  router_solicitation_delay: 1,
  router_solicitation_interval: 4,
  router_solicitation_max_interval: 3600,
  router_solicitations: -1,
  seg6_enabled: 0,
  suppress_frag_ndisc: 1,
  use_oif_addrs_only: 0,
  use_tempaddr: 0,
};

export type DevConf6Name = keyof typeof DEFAULTS;
export type DevConf6 = Record<DevConf6Name, number>;

const NAMES = Object.keys(DEFAULTS) as readonly DevConf6Name[];

/** What may be written, where it is not any number. */
const BOUNDS: Partial<Record<DevConf6Name, readonly [low: number, high: number]>> = {
  hop_limit: [1, 255],
  addr_gen_mode: [0, 1],
  disable_ipv6: [0, 1],
  ndisc_tclass: [0, 255],
  dad_transmits: [0, 1000],
  router_solicitations: [-1, 1000],
  router_solicitation_interval: [0, 100_000],
  router_solicitation_delay: [0, 100_000],
};

/** Who is told that a knob with consequences was turned on a device: `forwarding` and `disable_ipv6`. */
type Listener = (dev: NetDevice, name: DevConf6Name) => void;

/** The per-device knobs of one namespace. */
export class DevConfs6 {
  readonly all: DevConf6 = { ...DEFAULTS, accept_dad: 0 };
  readonly default: DevConf6 = { ...DEFAULTS };
  /** Set by the address floor. */
  onChange: Listener = () => undefined;
  readonly #ns: NetworkNamespace;
  readonly #devices = new Map<NetDevice, DevConf6>();

  constructor(ns: NetworkNamespace) {
    this.#ns = ns;
    this.#define("all", this.all, undefined);
    this.#define("default", this.default, undefined);
  }

  /** The values of a device; made from `default` when first asked for. Mirrors ipv6_add_dev(). */
  of(dev: NetDevice): DevConf6 {
    let conf = this.#devices.get(dev);
    if (conf === undefined) {
      conf = { ...this.default, mtu: dev.mtu };
      this.#devices.set(dev, conf);
      this.#define(dev.name, conf, dev);
    }
    return conf;
  }

  forget(dev: NetDevice): void {
    this.#devices.delete(dev);
    this.#ns.sysctls.removeFolder(folder(dev.name));
  }

  #define(scope: string, conf: DevConf6, dev: NetDevice | undefined): void {
    this.#ns.sysctls.defineFolder(folder(scope), NAMES, (name) =>
      this.#knob(scope, conf, name, dev),
    );
  }

  #knob(scope: string, conf: DevConf6, name: DevConf6Name, dev: NetDevice | undefined): Sysctl {
    const [low, high] = BOUNDS[name] ?? [-2_147_483_648, 2_147_483_647];
    const turn = (value: number): void => {
      if (name === "mtu" && dev !== undefined && (value < 1280 || value > dev.mtu))
        throw new RangeError("Invalid argument");
      const before = conf[name];
      conf[name] = value;
      if (scope === "all" && SPREADING.has(name)) this.#spread(name, value);
      else if (dev !== undefined && before !== value) this.onChange(dev, name);
      bumpRouting(this.#ns);
    };
    return numberSysctl(() => conf[name], turn, low, high);
  }

  /** `all.forwarding` and `all.disable_ipv6` overwrite `default` and every device. Mirrors addrconf_fixup_forwarding(). */
  #spread(name: DevConf6Name, value: number): void {
    this.default[name] = value;
    for (const [dev, conf] of this.#devices) {
      if (conf[name] === value) continue;
      conf[name] = value;
      this.onChange(dev, name);
    }
  }
}

const SPREADING: ReadonlySet<DevConf6Name> = new Set(["forwarding", "disable_ipv6"]);

/** A device name with a dot stands with a slash in a dotted sysctl name, as sysctl(8) has it. */
function folder(scope: string): string {
  return `net.ipv6.conf.${scope.replaceAll(".", "/")}`;
}

export const devConfs6: (ns: NetworkNamespace) => DevConfs6 = perNamespace(
  (ns) => new DevConfs6(ns),
);

export function devConf6(dev: NetDevice): DevConf6 {
  return devConfs6(dev.ns).of(dev);
}

/** Whether the device speaks IPv6 at all. */
export function hasIpv6(dev: NetDevice): boolean {
  return devConf6(dev).disable_ipv6 === 0;
}

/** Whether packets that come in by this device may be forwarded: `all` decides. Mirrors the first lines of ip6_forward(). */
export function isForwarding6(dev: NetDevice): boolean {
  return devConfs6(dev.ns).all.forwarding !== 0 || devConf6(dev).force_forwarding !== 0;
}
