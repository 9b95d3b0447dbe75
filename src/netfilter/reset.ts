import { devQueueXmit, type NetDevice } from "../core/device.js";
import type { SkBuff } from "../core/skbuff.js";
import { NO_BYTES } from "../wire/frame.js";
import { TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN, type TcpHeader } from "../wire/tcp.js";
import { connectionOf } from "./conntrack/connection.js";
import { TCP_CLOSE } from "./conntrack/tcp-states.js";

/*
 * What resets of both families have in common: those that REJECT sends.
 */

/** Sequence and acknowledgement as an endpoint without the connection would send them. RFC 9293 §3.10.7.1. */
export function resetHeader(to: TcpHeader, payloadLength: number): TcpHeader {
  const acknowledges = (to.flags & TCP_ACK) !== 0;
  const length =
    payloadLength + ((to.flags & TCP_SYN) === 0 ? 0 : 1) + ((to.flags & TCP_FIN) === 0 ? 0 : 1);
  return {
    kind: "tcp",
    sourcePort: to.destinationPort,
    destinationPort: to.sourcePort,
    sequence: acknowledges ? to.acknowledgment : 0,
    acknowledgment: acknowledges ? 0 : (to.sequence + length) >>> 0,
    flags: acknowledges ? TCP_RST : TCP_RST | TCP_ACK,
    window: 0,
    urgent: 0,
    options: NO_BYTES,
  };
}

/** The connection is over, whatever its ends think. Mirrors nf_ct_set_closing(). */
export function closeConnection(skb: SkBuff): void {
  const entry = connectionOf(skb);
  if (entry?.tcp !== undefined) entry.tcp.state = TCP_CLOSE;
}

/** What came in by a bridge port is answered there, in the name of whom it was sent to, past OUTPUT and POSTROUTING. */
export function answerByPort(answer: SkBuff, to: SkBuff, port: NetDevice): void {
  const { source, destination, etherType } = to.frame.link;
  answer.frame = { ...answer.frame, link: { source: destination, destination: source, etherType } };
  devQueueXmit(answer, port);
}
