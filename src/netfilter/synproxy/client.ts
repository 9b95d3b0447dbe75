import type { NetworkNamespace } from "../../core/namespace.js";
import type { SkBuff } from "../../core/skbuff.js";
import { type CookieFlow, mssOfSynCookie, synCookie } from "../../inet/syn-cookies.js";
import { parseTcpOptions, type TcpOptions } from "../../inet/tcp-options.js";
import type { Frame } from "../../wire/frame.js";
import {
  TCP_ACK,
  TCP_CWR,
  TCP_ECE,
  TCP_FIN,
  TCP_RST,
  TCP_SYN,
  type TcpHeader,
} from "../../wire/tcp.js";
import { offerToClient, offerToServer, type SynproxyRule } from "./options.js";
import { sendSegment } from "./send.js";
import { synproxyState } from "./state.js";

/** What the proxy makes of a client's segment: it takes it, refuses it, or has no business with it. */
export type ClientResult = "taken" | "refused" | "not mine";

/**
 * A segment of a client that no connection is known for.
 *
 *   client            proxy             server
 *     │──── SYN ───────▶│                  │      answered with a cookie and no window
 *     │◀─ SYN, ACK ─────│                  │
 *     │──── ACK ───────▶│───── SYN ───────▶│      the cookie is right: now the server is called
 *     │                 │◀── SYN, ACK ─────│      hook.ts from here on
 *     │◀─── ACK ────────│───── ACK ───────▶│      the window opens; sequence numbers are moved
 *
 * Mirrors net/ipv4/netfilter/ipt_SYNPROXY.c:synproxy_tg4() and net/ipv6/netfilter/ip6t_SYNPROXY.c:synproxy_tg6().
 */
export function meetClient(ns: NetworkNamespace, skb: SkBuff, rule: SynproxyRule): ClientResult {
  const { transport } = skb.frame;
  if (transport?.kind !== "tcp" || transport.checksumError !== undefined) return "refused";
  const kind = transport.flags & (TCP_SYN | TCP_ACK | TCP_FIN | TCP_RST);
  if (kind === TCP_SYN) {
    answerSyn(ns, skb, transport, rule);
    return "taken";
  }
  if (kind !== TCP_ACK) return "not mine";
  const options = parseTcpOptions(transport.options);
  return callServer(ns, skb, transport, options, transport.sequence) ? "taken" : "refused";
}

/** Mirrors synproxy_send_client_synack(). */
function answerSyn(ns: NetworkNamespace, skb: SkBuff, header: TcpHeader, rule: SynproxyRule): void {
  const flow = flowOf(skb.frame);
  if (flow === undefined) return;
  synproxyState(ns).counters.syn_received++;
  const options = parseTcpOptions(header.options);
  const ecn = (header.flags & TCP_ECE) !== 0 && (header.flags & TCP_CWR) !== 0;
  const offer = offerToClient({ options, ecn }, rule, ns.sim.queue.now);
  sendSegment(ns, skb, {
    way: "back",
    flags: TCP_SYN | TCP_ACK | (offer.ecn ? TCP_ECE : 0),
    sequence: synCookie(ns, flow, header.sequence, options.mss ?? 0),
    acknowledgment: header.sequence + 1,
    // Nothing may come before the server has said how much it takes.
    window: 0,
    options: offer.options,
    ct: skb.ct?.entry === undefined ? undefined : { ...skb.ct, info: "ESTABLISHED_REPLY" },
  });
}

/**
 * The client answered a cookie: the server gets a SYN from `sequence` - 1 in its name. False when it is no cookie of this
 * host's. Mirrors synproxy_recv_client_ack() and synproxy_send_server_syn().
 */
export function callServer(
  ns: NetworkNamespace,
  skb: SkBuff,
  header: TcpHeader,
  options: TcpOptions,
  sequence: number,
): boolean {
  const { counters, template } = synproxyState(ns);
  const flow = flowOf(skb.frame);
  const cookie = (header.acknowledgment - 1) >>> 0;
  const mss = flow === undefined ? undefined : mssOfSynCookie(ns, flow, header.sequence, cookie);
  if (mss === undefined) {
    counters.cookie_invalid++;
    return false;
  }
  counters.cookie_valid++;
  const offer = offerToServer(options, mss);
  sendSegment(ns, skb, {
    way: "on",
    flags: TCP_SYN | (offer.ecn ? TCP_ECE | TCP_CWR : 0),
    sequence: sequence - 1,
    // Without ACK it means nothing to the server: it tells the hook what the client counts from.
    acknowledgment: cookie,
    window: header.window,
    options: offer.options,
    ct: template,
  });
  return true;
}

function flowOf({ network, transport }: Frame): CookieFlow | undefined {
  if (network === undefined || network.kind === "arp" || transport?.kind !== "tcp")
    return undefined;
  const { source, destination } = network;
  const { sourcePort, destinationPort } = transport;
  return { source, destination, sourcePort, destinationPort };
}
