import { randomBetween } from "../../base/random.js";
import type { NetDevice } from "../../core/device.js";
import { type NetworkNamespace, perNamespace } from "../../core/namespace.js";
import type { Timer } from "../../sim/event-queue.js";
import { microseconds, seconds } from "../../sim/time.js";
import { IPV6_ANY, solicitedNode } from "../../wire/ip.js";
import { ND_OPT_NONCE, type NdOption } from "../../wire/ndisc.js";
import { neighbourParms6 } from "../neighbour-parms.js";
import type { InterfaceAddress6 } from "./addresses.js";
import { devConf6, devConfs6 } from "./devconf.js";
import { sendSolicitation } from "./ndisc-output.js";

/** An address that is being asked about. Mirrors the dad_* fields of struct inet6_ifaddr. */
interface Asking {
  timer: Timer | undefined;
  left: number;
  readonly nonce: Uint8Array | undefined;
}

const askingIn: (ns: NetworkNamespace) => Map<InterfaceAddress6, Asking> = perNamespace(
  () => new Map<InterfaceAddress6, Asking>(),
);

/**
 * Asks the link whether somebody has the address already, and calls `done` when nobody answered: after a random time up to
 * `router_solicitation_delay`, and `retrans_time` for each question. Mirrors net/ipv6/addrconf.c:addrconf_dad_begin().
 */
export function beginDad(address: InterfaceAddress6, done: () => void): void {
  const { dev } = address;
  const { sim } = dev.ns;
  if (skips(address)) return complete(address, done);
  // Without a link nobody can be asked: the address waits.
  if (!dev.up || !dev.carrier) return;
  const { dad_transmits: left, enhanced_dad: enhanced } = devConf6(dev);
  const asking: Asking = {
    timer: undefined,
    left,
    nonce: enhanced === 0 ? undefined : randomBytes(dev.ns, 6),
  };
  askingIn(dev.ns).set(address, asking);
  const most = seconds(devConf6(dev).router_solicitation_delay);
  const delay = microseconds(Math.floor(sim.random() * most));
  asking.timer = sim.queue.after(delay, "duplicate address detection", () =>
    step(address, asking, done),
  );
}

/** Mirrors the conditions of addrconf_dad_begin(). */
function skips({ dev, noDad }: InterfaceAddress6): boolean {
  const off = devConfs6(dev.ns).all.accept_dad < 1 && devConf6(dev).accept_dad < 1;
  return dev.isLoopback || dev.noArp || noDad || off;
}

/** Mirrors addrconf_dad_work(). */
function step(address: InterfaceAddress6, asking: Asking, done: () => void): void {
  const { dev } = address;
  if (asking.left === 0) {
    askingIn(dev.ns).delete(address);
    return complete(address, done);
  }
  asking.left--;
  asking.timer = dev.ns.sim.queue.after(
    neighbourParms6(dev).retransTime,
    "duplicate address detection",
    () => step(address, asking, done),
  );
  sendSolicitation({
    dev,
    target: address.address,
    destination: solicitedNode(address.address),
    source: IPV6_ANY,
    nonce: asking.nonce,
    cause: undefined,
  });
}

/** Mirrors addrconf_dad_completed(). */
function complete(address: InterfaceAddress6, done: () => void): void {
  address.tentative = false;
  done();
}

/** The address goes, or is known to be taken: nothing more is asked. */
export function endDad(address: InterfaceAddress6): void {
  const all = askingIn(address.dev.ns);
  all.get(address)?.timer?.cancel();
  all.delete(address);
}

/** Somebody else has the address: it is never used. Mirrors addrconf_dad_failure(). */
export function failDad(address: InterfaceAddress6): void {
  endDad(address);
  address.dadFailed = true;
}

/** Whether a question is our own, come back to us. RFC 7527. */
export function isOwnNonce(address: InterfaceAddress6, options: readonly NdOption[]): boolean {
  const nonce = askingIn(address.dev.ns).get(address)?.nonce;
  const given = options.find(({ type }) => type === ND_OPT_NONCE)?.body;
  return (
    nonce !== undefined &&
    given?.length === nonce.length &&
    given.every((byte, index) => byte === nonce[index])
  );
}

function randomBytes(ns: NetDevice["ns"], count: number): Uint8Array {
  return Uint8Array.from({ length: count }, () => randomBetween(ns.sim.random, 0, 255));
}
