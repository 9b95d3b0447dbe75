import { type NetworkNamespace, perNamespace } from "../core/namespace.js";
import { later, type Micros, seconds } from "../sim/time.js";
import type { Ipv4 } from "../wire/ip.js";
import { bumpRouting } from "./generation.js";
import { ipv4Sysctls } from "./sysctls.js";

/** What was learned about the way to one destination. Mirrors struct fib_nh_exception. */
export interface PathException {
  readonly mtu: number | undefined;
  /** The path's MTU is too small to believe: DF is not set. */
  readonly mtuLocked: boolean;
  /** From a redirect. */
  readonly gateway: Ipv4 | undefined;
  readonly expires: Micros;
}

/** How many destinations are remembered; the oldest is forgotten. */
const MAX_EXCEPTIONS = 10_240;
const REDIRECT_SECONDS = 300;

/** Path MTUs and redirected gateways by destination. */
export class PathExceptions {
  readonly #ns: NetworkNamespace;
  readonly #byDestination = new Map<Ipv4, PathException>();

  constructor(ns: NetworkNamespace) {
    this.#ns = ns;
  }

  get isEmpty(): boolean {
    return this.#byDestination.size === 0;
  }

  find(destination: Ipv4): PathException | undefined {
    const found = this.#byDestination.get(destination);
    return found !== undefined && found.expires > this.#ns.sim.queue.now ? found : undefined;
  }

  /** A router says that packets to `destination` may have `mtu` bytes. Mirrors net/ipv4/route.c:__ip_rt_update_pmtu(). */
  learnMtu(destination: Ipv4, mtu: number, current: number): void {
    if (mtu >= current) return;
    const least = ipv4Sysctls(this.#ns).get("net.ipv4.route.min_pmtu");
    const locked = mtu < least;
    const lifetime = seconds(ipv4Sysctls(this.#ns).get("net.ipv4.route.mtu_expires"));
    this.#set(
      destination,
      {
        ...this.#rest(destination),
        mtu: locked ? Math.min(current, least) : mtu,
        mtuLocked: locked,
      },
      lifetime,
    );
  }

  /** A router says that another one is nearer. Mirrors __ip_do_redirect(). */
  learnGateway(destination: Ipv4, gateway: Ipv4): void {
    this.#set(destination, { ...this.#rest(destination), gateway }, seconds(REDIRECT_SECONDS));
  }

  #rest(destination: Ipv4): Omit<PathException, "expires"> {
    return this.find(destination) ?? { mtu: undefined, mtuLocked: false, gateway: undefined };
  }

  #set(destination: Ipv4, what: Omit<PathException, "expires">, lifetime: Micros): void {
    this.#byDestination.delete(destination);
    const [oldest] = this.#byDestination.keys();
    if (oldest !== undefined && this.#byDestination.size >= MAX_EXCEPTIONS)
      this.#byDestination.delete(oldest);
    this.#byDestination.set(destination, {
      ...what,
      expires: later(this.#ns.sim.queue.now, lifetime),
    });
    bumpRouting(this.#ns);
  }
}

export const pathExceptions: (ns: NetworkNamespace) => PathExceptions = perNamespace(
  (ns) => new PathExceptions(ns),
);
