import { newSkb } from "../core/simulation.js";
import type { SkBuff } from "../core/skbuff.js";
import { NO_BYTES } from "../wire/frame.js";
import { IPPROTO_TCP } from "../wire/ipv4.js";
import { TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN } from "../wire/tcp.js";
import { ipLocalOut, ipPacket } from "./ip-local-out.js";
import { attachRoute } from "./route-entry.js";
import { isRoute, routeOutput } from "./route-output.js";
import { kernelSocket } from "./socket-owner.js";
import { ipv4Sysctls } from "./sysctls.js";
import { advance } from "./tcp-sequence.js";

/** Answers a segment that nobody wants, unless it is a reset itself. Mirrors net/ipv4/tcp_ipv4.c:tcp_v4_send_reset(). */
export function resetSegment(skb: SkBuff): void {
  const { network, transport, payload } = skb.frame;
  if (
    network?.kind !== "ipv4" ||
    transport?.kind !== "tcp" ||
    (transport.flags & TCP_RST) !== 0 ||
    skb.route?.type !== "local"
  )
    return;
  const { ns } = skb;
  const sysctls = ipv4Sysctls(ns);
  const mark = sysctls.get("net.ipv4.fwmark_reflect") === 0 ? 0 : skb.mark;
  const { source, destination, tos } = network;
  const ports = { sourcePort: transport.destinationPort, destinationPort: transport.sourcePort };
  const route = routeOutput(ns, {
    destination: source,
    source: destination,
    mark,
    tos,
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
    ttl: sysctls.get("net.ipv4.ip_default_ttl"),
    id: 0,
    dontFragment: true,
  };
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
  const reset = newSkb(ns, ipPacket(fields, header, NO_BYTES), "tcp reset", skb);
  reset.mark = mark;
  reset.socket = kernelSocket;
  attachRoute(reset, route, "output");
  ipLocalOut(reset);
}
