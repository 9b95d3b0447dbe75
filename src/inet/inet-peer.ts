import { type NetworkNamespace, perNamespace } from "../core/namespace.js";
import { type Micros, milliseconds, seconds } from "../sim/time.js";
import type { IpAddress } from "../wire/ip.js";

/** What is remembered of a remote address for rate limits. Mirrors struct inet_peer. */
export interface InetPeer {
  /** Earned time that messages are paid with, in microseconds. */
  tokens: number;
  last: Micros;
  redirects: number;
}

/** How many addresses are remembered; the one that was made first is forgotten. */
const MAX_PEERS = 65_664;
const BURST_FACTOR = 6;
const ROUTE_ERROR_COST = seconds(1);
const ROUTE_ERROR_BURST = 5 * ROUTE_ERROR_COST;
const REDIRECT_NUMBER = 9;
const REDIRECT_LOAD = milliseconds(20);
const REDIRECT_SILENCE = REDIRECT_LOAD * 1024;

/** The peers of one namespace. */
export class InetPeers {
  readonly #ns: NetworkNamespace;
  readonly #peers = new Map<IpAddress, InetPeer>();

  constructor(ns: NetworkNamespace) {
    this.#ns = ns;
  }

  /** One message of `cost` from a bucket of six. All types of errors share it. Mirrors inet_peer_xrlim_allow(). */
  allowError(address: IpAddress, cost: Micros): boolean {
    const peer = this.#peer(address);
    return this.#pay(peer, cost, cost * BURST_FACTOR);
  }

  /** The extra limit of routing errors, out of the same bucket. Mirrors net/ipv4/route.c:ip_error(). */
  allowRouteError(address: IpAddress): boolean {
    return this.#pay(this.#peer(address), ROUTE_ERROR_COST, ROUTE_ERROR_BURST);
  }

  /** At most nine redirects, each twice as late as the one before, until 20.48 s of silence. Mirrors ip_rt_send_redirect(). */
  allowRedirect(address: IpAddress): boolean {
    const peer = this.#peer(address);
    const { now } = this.#ns.sim.queue;
    if (now > peer.last + REDIRECT_SILENCE) {
      peer.tokens = 0;
      peer.redirects = 0;
    }
    if (peer.redirects >= REDIRECT_NUMBER) {
      peer.last = now;
      return false;
    }
    return peer.redirects === 0 || now > peer.last + REDIRECT_LOAD * 2 ** peer.redirects;
  }

  redirected(address: IpAddress): void {
    const peer = this.#peer(address);
    peer.last = this.#ns.sim.queue.now;
    peer.redirects++;
  }

  #pay(peer: InetPeer, cost: number, burst: number): boolean {
    const { now } = this.#ns.sim.queue;
    peer.tokens = Math.min(peer.tokens + (now - peer.last), burst);
    peer.last = now;
    if (peer.tokens < cost) return false;
    peer.tokens -= cost;
    return true;
  }

  #peer(address: IpAddress): InetPeer {
    let peer = this.#peers.get(address);
    if (peer === undefined) {
      const [oldest] = this.#peers.keys();
      if (oldest !== undefined && this.#peers.size >= MAX_PEERS) this.#peers.delete(oldest);
      // As if it had last been heard of a minute ago.
      peer = { tokens: 0, last: (this.#ns.sim.queue.now - seconds(60)) as Micros, redirects: 0 };
      this.#peers.set(address, peer);
    }
    return peer;
  }
}

export const inetPeers: (ns: NetworkNamespace) => InetPeers = perNamespace(
  (ns) => new InetPeers(ns),
);
