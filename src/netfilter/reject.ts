import { attachRelated } from "../core/conntrack.js";
import { drop } from "../core/drop.js";
import type { HookState, Verdict } from "../core/hooks.js";
import { newSkb } from "../core/simulation.js";
import type { SkBuff } from "../core/skbuff.js";
import { icmpSend } from "../inet/icmp.js";
import { ipLocalOut, ipPacket } from "../inet/ip-local-out.js";
import { ipRouteMeHarder } from "../inet/ip-output.js";
import { ipv4Sysctls } from "../inet/sysctls.js";
import { pseudoHeaderSum } from "../wire/checksum.js";
import { type Frame, NO_BYTES } from "../wire/frame.js";
import { IPPROTO_TCP, IPPROTO_UDP } from "../wire/ipv4.js";
import { TCP_RST } from "../wire/tcp.js";
import { sendReset6, sendUnreachable6 } from "./reject6.js";
import { mayBeWhole } from "./reject-checksum.js";
import { answerByPort, closeConnection, resetHeader } from "./reset.js";

/** What a rejected packet's sender is told. */
export type RejectWith =
  | { readonly kind: "icmp"; readonly type: number; readonly code: number }
  | { readonly kind: "tcp-reset" };

const DROP: Verdict = { kind: "drop", reason: "NETFILTER_DROP", where: "nf_hook_slow" };

/**
 * Answers a packet as `REJECT` does; the packet itself is dropped. An ICMP type is of the packet's family. Mirrors
 * net/ipv4/netfilter/ipt_REJECT.c:reject_tg() and net/ipv6/netfilter/ip6t_REJECT.c:reject_tg6().
 */
export function rejectPacket(skb: SkBuff, state: HookState, how: RejectWith): Verdict {
  if (skb.frame.network?.kind === "ipv6") {
    if (how.kind === "tcp-reset") sendReset6(skb, state);
    else sendUnreachable6(skb, state, how.type, how.code);
  } else if (how.kind === "tcp-reset") sendReset(skb, state);
  else sendUnreachable(skb, how.type, how.code);
  return DROP;
}

/** Mirrors net/ipv4/netfilter/nf_reject_ipv4.c:nf_send_unreach(). */
function sendUnreachable(skb: SkBuff, type: number, code: number): void {
  if (!isChecksumRight(skb.frame)) return;
  icmpSend(skb, type, code);
}

/** Whether the packet's checksum can be believed. Mirrors net/netfilter/utils.c:nf_ip_checksum(). */
function isChecksumRight({ network, transport, payload }: Frame): boolean {
  if (network?.kind !== "ipv4" || network.fragmentOffset !== 0) return false;
  if (transport !== undefined) return transport.checksumError === undefined;
  const { source, destination, protocol } = network;
  const hasPseudo = protocol === IPPROTO_TCP || protocol === IPPROTO_UDP;
  const pseudo = hasPseudo ? pseudoHeaderSum(source, destination, protocol, payload.length) : 0;
  return mayBeWhole(protocol, payload, pseudo);
}

/** Mirrors net/ipv4/netfilter/nf_reject_ipv4.c:nf_send_reset(). */
function sendReset(skb: SkBuff, state: HookState): void {
  const { network, transport, payload } = skb.frame;
  if (network?.kind !== "ipv4" || network.fragmentOffset !== 0 || transport?.kind !== "tcp") return;
  if ((transport.flags & TCP_RST) !== 0 || transport.checksumError !== undefined) return;
  const { route, ns } = skb;
  if (route?.type === "broadcast" || route?.type === "multicast") return;
  const fields = {
    source: network.destination,
    destination: network.source,
    protocol: IPPROTO_TCP,
    tos: 0,
    ttl: ipv4Sysctls(ns).get("net.ipv4.ip_default_ttl"),
    id: 0,
    dontFragment: true,
  };
  const answer = newSkb(
    state.ns,
    ipPacket(fields, resetHeader(transport, payload.length), NO_BYTES),
    "REJECT",
    skb,
  );
  if (ipv4Sysctls(ns).get("net.ipv4.fwmark_reflect") !== 0) answer.mark = skb.mark;
  if (ipRouteMeHarder(answer) !== undefined) return drop(answer, "NOT_SPECIFIED", "nf_send_reset");
  attachRelated(answer, skb);
  closeConnection(skb);
  const port = skb.bridge?.physicalIn;
  return port === undefined ? void ipLocalOut(answer) : answerByPort(answer, skb, port);
}
