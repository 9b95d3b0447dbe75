import { jhash2 } from "../base/jhash.js";
import { type NetworkNamespace, perNamespace } from "../core/namespace.js";
import { type IpAddress, ipv6Words, isAnyAddress } from "../wire/ip.js";
import type { SocketOwner } from "./socket-owner.js";

/** A socket as bind() looks at it. */
export interface Bound {
  readonly address: IpAddress;
  readonly owner: SocketOwner;
}

/** The two ends of a packet that comes in. */
export interface Flow {
  readonly local: IpAddress;
  readonly localPort: number;
  readonly remote: IpAddress;
  readonly remotePort: number;
}

/**
 * Whether two sockets cannot have one port. Differs: those of IPv6 are IPV6_V6ONLY, so the families do not meet. Mirrors
 * net/ipv4/inet_connection_sock.c:inet_bind_conflict() and net/ipv4/udp.c:udp_lib_lport_inuse() without SO_REUSEADDR.
 */
export function clashes(a: Bound, b: Bound): boolean {
  if (typeof a.address !== typeof b.address) return false;
  if (!isAnyAddress(a.address) && !isAnyAddress(b.address) && a.address !== b.address) return false;
  const [one, other] = [a.owner.boundDevice, b.owner.boundDevice];
  if (one !== undefined && other !== undefined && one !== other) return false;
  return !mayShare(a.owner, b.owner);
}

/** SO_REUSEPORT is for programs of one user, and all of them have to ask for it. */
function mayShare(a: SocketOwner, b: SocketOwner): boolean {
  return a.reusePort === true && b.reusePort === true && (a.uid ?? 0) === (b.uid ?? 0);
}

/** Whether two sockets are in one group: what comes for one may be given to the other. Mirrors inet_reuseport_add_sock(). */
function isGroup(a: Bound, b: Bound): boolean {
  return (
    a.address === b.address &&
    a.owner.boundDevice === b.owner.boundDevice &&
    mayShare(a.owner, b.owner)
  );
}

/**
 * The socket of `found`'s group that gets a flow's packets: always the same one while the group stays as it is. Differs: the hash is
 * not the kernel's, whose key is random. Mirrors net/core/sock_reuseport.c:reuseport_select_sock().
 */
export function chooseOfGroup<S extends Bound>(
  ns: NetworkNamespace,
  found: S,
  bound: readonly S[],
  flow: Flow,
): S {
  if (found.owner.reusePort !== true) return found;
  const group = bound.filter((other) => isGroup(found, other));
  const { local, localPort, remote, remotePort } = flow;
  const words = [...wordsOf(local), ...wordsOf(remote), localPort * 0x1_0000 + remotePort];
  const draw = jhash2(words, keyOf(ns).key) / 0x1_0000_0000;
  return group[Math.floor(draw * group.length)] ?? found;
}

function wordsOf(address: IpAddress): readonly number[] {
  return typeof address === "number" ? [address] : ipv6Words(address);
}

/** Chosen when the first group is asked. */
const keyOf: (ns: NetworkNamespace) => { readonly key: number } = perNamespace((ns) => ({
  key: Math.floor(ns.sim.random() * 0x1_0000_0000) >>> 0,
}));
