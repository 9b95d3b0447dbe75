import { newSkb } from "../core/simulation.js";
import type { SkBuff } from "../core/skbuff.js";
import { NO_BYTES } from "../wire/frame.js";
import { IPPROTO_TCP } from "../wire/ipv4.js";
import { TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN } from "../wire/tcp.js";
import { familyOf } from "./families.js";
import { attachRoute } from "./route-entry.js";
import { isRoute } from "./route-output.js";
import { kernelSocket, type SocketOwner } from "./socket-owner.js";
import { advance } from "./tcp-sequence.js";

const INET_ECN_MASK = 3;

/**
 * Answers a segment that nobody wants, unless it is a reset itself. `owner` has the socket it was for, if there is one: a
 * transparent one answers from any address. Mirrors net/ipv4/tcp_ipv4.c:tcp_v4_send_reset().
 */
export function resetSegment(skb: SkBuff, owner: SocketOwner = {}): void {
  const { network, transport, payload } = skb.frame;
  if (
    network === undefined ||
    network.kind === "arp" ||
    transport?.kind !== "tcp" ||
    (transport.flags & TCP_RST) !== 0 ||
    skb.route?.type !== "local"
  )
    return;
  const { ns } = skb;
  const { source, destination } = network;
  const family = familyOf(source);
  const mark = (family.reflectsMark(ns) ? skb.mark : 0) || (owner.mark ?? 0);
  const tos = (network.kind === "ipv4" ? network.tos : network.trafficClass) & ~INET_ECN_MASK;
  const ports = { sourcePort: transport.destinationPort, destinationPort: transport.sourcePort };
  const route = family.route(ns, {
    destination: source,
    source: destination,
    mark,
    tos,
    anySource: owner.transparent,
    protocol: IPPROTO_TCP,
    ...ports,
  });
  if (!isRoute(route)) return;
  const answersAck = (transport.flags & TCP_ACK) !== 0;
  const length =
    payload.length +
    ((transport.flags & TCP_SYN) === 0 ? 0 : 1) +
    ((transport.flags & TCP_FIN) === 0 ? 0 : 1);
  const fields = {
    source: destination,
    destination: source,
    protocol: IPPROTO_TCP,
    tos,
    ttl: undefined,
    id: () => 0,
    dontFragment: "always",
  } as const;
  const header = {
    kind: "tcp",
    ...ports,
    sequence: answersAck ? transport.acknowledgment : 0,
    acknowledgment: answersAck ? 0 : advance(transport.sequence, length),
    flags: answersAck ? TCP_RST : TCP_RST | TCP_ACK,
    window: 0,
    urgent: 0,
    options: NO_BYTES,
  } as const;
  const reset = newSkb(ns, family.packet(route, fields, header, NO_BYTES, ns), "tcp reset", skb);
  reset.mark = mark;
  reset.socket = kernelSocket;
  attachRoute(reset, route, "output");
  family.localOut(reset);
}
