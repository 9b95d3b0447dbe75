import { type NetworkNamespace, perNamespace } from "../../core/namespace.js";
import { later, type Micros, seconds } from "../../sim/time.js";
import type { Ipv6 } from "../../wire/ip.js";
import { IPV6_MIN_MTU } from "../../wire/ipv6.js";
import { bumpRouting } from "../generation.js";
import { ipv6Sysctls } from "./sysctls.js";

/** What was learned about the way to one destination. Mirrors struct rt6_exception. */
export interface PathException6 {
  readonly mtu: number | undefined;
  /** From a redirect. */
  readonly gateway: Ipv6 | undefined;
  readonly expires: Micros;
}

/** How many destinations are remembered; the oldest is forgotten. */
const MAX_EXCEPTIONS = 10_240;

/** Path MTUs and redirected gateways by destination. */
export class PathExceptions6 {
  readonly #ns: NetworkNamespace;
  readonly #byDestination = new Map<Ipv6, PathException6>();

  constructor(ns: NetworkNamespace) {
    this.#ns = ns;
  }

  get isEmpty(): boolean {
    return this.#byDestination.size === 0;
  }

  find(destination: Ipv6): PathException6 | undefined {
    const found = this.#byDestination.get(destination);
    return found !== undefined && found.expires > this.#ns.sim.queue.now ? found : undefined;
  }

  /** A router says that packets to `destination` may have `mtu` bytes. Mirrors net/ipv6/route.c:__ip6_rt_update_pmtu(). */
  learnMtu(destination: Ipv6, mtu: number, current: number): void {
    const believed = Math.max(mtu, IPV6_MIN_MTU);
    if (believed >= current) return;
    const lifetime = ipv6Sysctls(this.#ns).get("net.ipv6.route.mtu_expires");
    this.#set(destination, { mtu: believed, gateway: this.find(destination)?.gateway }, lifetime);
  }

  /** A router says that another one is nearer. Mirrors rt6_do_redirect(). */
  learnGateway(destination: Ipv6, gateway: Ipv6): void {
    this.#set(
      destination,
      { mtu: this.find(destination)?.mtu, gateway },
      Number.MAX_SAFE_INTEGER / 4_000_000,
    );
  }

  #set(destination: Ipv6, what: Omit<PathException6, "expires">, lifetime: number): void {
    this.#byDestination.delete(destination);
    const [oldest] = this.#byDestination.keys();
    if (oldest !== undefined && this.#byDestination.size >= MAX_EXCEPTIONS)
      this.#byDestination.delete(oldest);
    const expires = later(this.#ns.sim.queue.now, seconds(lifetime));
    this.#byDestination.set(destination, { ...what, expires });
    bumpRouting(this.#ns);
  }
}

export const pathExceptions6: (ns: NetworkNamespace) => PathExceptions6 = perNamespace(
  (ns) => new PathExceptions6(ns),
);
