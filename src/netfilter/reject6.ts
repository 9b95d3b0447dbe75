import { attachRelated } from "../core/conntrack.js";
import { drop } from "../core/drop.js";
import type { HookState } from "../core/hooks.js";
import { newSkb } from "../core/simulation.js";
import type { SkBuff } from "../core/skbuff.js";
import { route6Actions } from "../inet/ipv6/actions.js";
import { hopLimitOf, icmp6Send } from "../inet/ipv6/icmp.js";
import { ip6Packet } from "../inet/ipv6/packet.js";
import { isRoute6, type Route6, routeOutput6 } from "../inet/ipv6/route.js";
import { ipv6Sysctls } from "../inet/ipv6/sysctls.js";
import { attachRoute, loopbackOf } from "../inet/route-entry.js";
import { pseudoHeaderSum6 } from "../wire/checksum.js";
import { type Frame, NO_BYTES, type TransportHeader } from "../wire/frame.js";
import { isUnicastIpv6 } from "../wire/ip.js";
import { IPPROTO_TCP } from "../wire/ipv4.js";
import type { Ipv6Header } from "../wire/ipv6.js";
import { TCP_RST } from "../wire/tcp.js";
import { upperHeaderOf } from "./ipv6-headers.js";
import { mayBeWhole } from "./reject-checksum.js";
import { answerByPort, closeConnection, resetHeader } from "./reset.js";

/** Mirrors net/ipv6/netfilter/nf_reject_ipv6.c:nf_send_unreach6(). */
export function sendUnreachable6(skb: SkBuff, state: HookState, type: number, code: number): void {
  if (!isChecksumRight(skb.frame)) return;
  if (state.hook === "OUTPUT") skb.dev ??= loopbackOf(state.ns);
  icmp6Send(skb, type, code);
}

/** Whether the packet's checksum can be believed. Mirrors reject6_csum_ok(). */
function isChecksumRight(frame: Frame): boolean {
  const { network, transport } = frame;
  if (network?.kind !== "ipv6") return false;
  if (transport !== undefined) return transport.checksumError === undefined;
  const upper = upperHeaderOf(frame, network, false);
  if (upper === undefined || upper.fragmentOffset !== 0 || upper.payload.length === 0) return false;
  const { protocol, payload } = upper;
  const { source, destination } = network;
  const pseudo = pseudoHeaderSum6(source, destination, protocol, payload.length);
  return mayBeWhole(protocol, payload, pseudo);
}

/** Mirrors net/ipv6/netfilter/nf_reject_ipv6.c:nf_send_reset6(). */
export function sendReset6(skb: SkBuff, state: HookState): void {
  const { network, transport, payload } = skb.frame;
  if (network?.kind !== "ipv6" || transport?.kind !== "tcp") return;
  if (!isUnicastIpv6(network.source) || !isUnicastIpv6(network.destination)) return;
  if ((transport.flags & TCP_RST) !== 0 || transport.checksumError !== undefined) return;
  const { ns } = state;
  const mark = ipv6Sysctls(ns).get("net.ipv6.fwmark_reflect") === 0 ? 0 : skb.mark;
  const route = routeOutput6(ns, {
    destination: network.source,
    source: network.destination,
    mark,
    tos: 0,
    protocol: IPPROTO_TCP,
    sourcePort: transport.destinationPort,
    destinationPort: transport.sourcePort,
  });
  if (!isRoute6(route)) return;
  const answer = newSkb(
    ns,
    resetFrame(network, route, resetHeader(transport, payload.length)),
    "REJECT",
    skb,
  );
  answer.mark = mark;
  attachRoute(answer, route, "output");
  attachRelated(answer, skb);
  closeConnection(skb);
  if (skb.bridge === undefined) return void route6Actions(ns).localOut(answer);
  const port = skb.bridge.physicalIn;
  if (port === undefined) return drop(answer, "NOT_SPECIFIED", "nf_send_reset6");
  answerByPort(answer, skb, port);
}

function resetFrame(to: Ipv6Header, route: Route6, transport: TransportHeader): Frame {
  const fields = {
    source: to.destination,
    destination: to.source,
    protocol: IPPROTO_TCP,
    trafficClass: 0,
    flowLabel: 0,
    hopLimit: hopLimitOf(route),
  };
  return ip6Packet(fields, transport, NO_BYTES);
}
