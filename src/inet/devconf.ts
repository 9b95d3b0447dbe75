import type { NetDevice } from "../core/device.js";
import { type NetworkNamespace, perNamespace } from "../core/namespace.js";
import { type Sysctl, numberSysctl } from "../core/sysctls.js";
import { bumpRouting } from "./generation.js";

/** The knobs of `net.ipv4.conf.<dev>` and what a fresh namespace has in `default`. Mirrors net/ipv4/devinet.c:ipv4_devconf_dflt. */
const DEFAULTS = {
  accept_local: 0,
  accept_redirects: 1,
  accept_source_route: 1,
  arp_accept: 0,
  arp_announce: 0,
  arp_evict_nocarrier: 1,
  arp_filter: 0,
  arp_ignore: 0,
  arp_notify: 0,
  bc_forwarding: 0,
  disable_policy: 0,
  disable_xfrm: 0,
  drop_gratuitous_arp: 0,
  drop_unicast_in_l2_multicast: 0,
  force_igmp_version: 0,
  forwarding: 0,
  igmpv2_unsolicited_report_interval: 10_000,
  igmpv3_unsolicited_report_interval: 1_000,
  ignore_routes_with_linkdown: 0,
  log_martians: 0,
  medium_id: 0,
  promote_secondaries: 0,
  proxy_arp: 0,
  proxy_arp_pvlan: 0,
  route_localnet: 0,
  rp_filter: 0,
  secure_redirects: 1,
  send_redirects: 1,
  shared_media: 1,
  src_valid_mark: 0,
};

export type DevConfName = keyof typeof DEFAULTS;

/** The values of one device, of `all` or of `default`. */
export type DevConf = Record<DevConfName, number>;

const NAMES = Object.keys(DEFAULTS) as readonly DevConfName[];

/** The per-device knobs of one namespace. */
export class DevConfs {
  readonly all: DevConf = { ...DEFAULTS, accept_source_route: 0 };
  readonly default: DevConf = { ...DEFAULTS };
  readonly #ns: NetworkNamespace;
  readonly #byIfindex: (DevConf | undefined)[] = [];

  constructor(ns: NetworkNamespace) {
    this.#ns = ns;
    this.#define("all", this.all);
    this.#define("default", this.default);
    ns.sysctls.define("net.ipv4.ip_forward", this.#forwarding("all", this.all));
  }

  /** The values of a device; made from `default` when first asked for. Mirrors inetdev_init(). */
  of(dev: NetDevice): DevConf {
    let conf = this.#byIfindex[dev.ifindex];
    if (conf === undefined) {
      conf = { ...this.default };
      if (dev.isLoopback) conf.disable_policy = conf.disable_xfrm = 1;
      this.#byIfindex[dev.ifindex] = conf;
      this.#define(dev.name, conf);
    }
    return conf;
  }

  forget(dev: NetDevice): void {
    this.#byIfindex[dev.ifindex] = undefined;
    this.#ns.sysctls.removeFolder(folder(dev.name));
  }

  #define(scope: string, conf: DevConf): void {
    this.#ns.sysctls.defineFolder(folder(scope), NAMES, (name) =>
      name === "forwarding" ? this.#forwarding(scope, conf) : this.#knob(conf, name),
    );
  }

  #knob(conf: DevConf, name: DevConfName): Sysctl {
    return numberSysctl(
      () => conf[name],
      (value) => {
        conf[name] = value;
        bumpRouting(this.#ns);
      },
      -2_147_483_648,
    );
  }

  /**
   * `all` (and `net.ipv4.ip_forward`, the same knob) overwrites every device and `default`, and turns redirects the other way.
   * Mirrors net/ipv4/devinet.c:devinet_sysctl_forward() and inet_forward_change().
   */
  #forwarding(scope: string, conf: DevConf): Sysctl {
    const plain = this.#knob(conf, "forwarding");
    if (scope !== "all") return plain;
    return {
      get: () => plain.get(),
      set: (text) => {
        const before = conf.forwarding;
        plain.set(text);
        if (conf.forwarding === before) return;
        conf.accept_redirects = conf.forwarding === 0 ? 1 : 0;
        for (const other of [this.default, ...this.#byIfindex]) {
          if (other !== undefined) other.forwarding = conf.forwarding;
        }
      },
    };
  }
}

/** A device name with a dot stands with a slash in a dotted sysctl name, as sysctl(8) has it. */
function folder(scope: string): string {
  return `net.ipv4.conf.${scope.replaceAll(".", "/")}`;
}

export const devConfs: (ns: NetworkNamespace) => DevConfs = perNamespace((ns) => new DevConfs(ns));

/** The device's own values, for knobs where `all` has no say: `forwarding`, `ignore_routes_with_linkdown`. */
export function devConf(dev: NetDevice): DevConf {
  return devConfs(dev.ns).of(dev);
}

/** Mirrors IN_DEV_ORCONF(): `all` or the device. */
export function confOr(dev: NetDevice, name: DevConfName): boolean {
  const confs = devConfs(dev.ns);
  return confs.all[name] !== 0 || confs.of(dev)[name] !== 0;
}

/** Mirrors IN_DEV_ANDCONF(): `all` and the device. */
export function confAnd(dev: NetDevice, name: DevConfName): boolean {
  const confs = devConfs(dev.ns);
  return confs.all[name] !== 0 && confs.of(dev)[name] !== 0;
}

/** Mirrors IN_DEV_MAXCONF(): the larger of `all` and the device. */
export function confMax(dev: NetDevice, name: DevConfName): number {
  const confs = devConfs(dev.ns);
  return Math.max(confs.all[name], confs.of(dev)[name]);
}

/** Whether packets that come in by this device may be forwarded. Mirrors IN_DEV_FORWARD(). */
export function isForwarding(dev: NetDevice): boolean {
  return devConf(dev).forwarding !== 0;
}

/** Mirrors IN_DEV_RX_REDIRECTS(): `all` and the device on a router, `all` or the device on a host. */
export function acceptsRedirects(dev: NetDevice): boolean {
  return isForwarding(dev) ? confAnd(dev, "accept_redirects") : confOr(dev, "accept_redirects");
}
