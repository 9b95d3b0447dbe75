import { IPCT_SEQADJ, IPCT_SYNPROXY, isOriginalDirection } from "../../core/conntrack.js";
import { deliver } from "../../core/drop.js";
import {
  ACCEPT,
  type HookEntry,
  type HookState,
  NF_IP_PRI_CONNTRACK_CONFIRM,
  type Verdict,
} from "../../core/hooks.js";
import type { NetworkNamespace } from "../../core/namespace.js";
import type { SkBuff } from "../../core/skbuff.js";
import { parseTcpOptions } from "../../inet/tcp-options.js";
import { get32, put32 } from "../../wire/bytes.js";
import { TCP_ACK, TCP_RST, TCP_SYN, type TcpHeader } from "../../wire/tcp.js";
import { type Connection, connectionOf } from "../conntrack/connection.js";
import type { SynproxyMemory } from "../conntrack/extensions.js";
import { startAdjusting } from "../conntrack/sequence-adjust.js";
import { TCP_CLOSE, TCP_SYN_RECV, TCP_SYN_SENT } from "../conntrack/tcp-states.js";
import { forEachOption } from "../conntrack/tcp-track.js";
import { ORIGINAL, REPLY } from "../conntrack/tuple.js";
import { callServer } from "./client.js";
import { sendSegment } from "./send.js";
import { synproxyState } from "./state.js";

type IpFamily = "ipv4" | "ipv6";

/** Rules of a family have a proxy: the first such ruleset brings its hooks. Mirrors nf_synproxy_ipv4_init(). */
export function requireSynproxy(ns: NetworkNamespace, family: IpFamily): void {
  if (synproxyState(ns).users[family]++ > 0) return;
  for (const entry of HOOKS) ns.hooks.register(family, entry);
}

/** The rules are gone. Mirrors nf_synproxy_ipv4_fini(). */
export function releaseSynproxy(ns: NetworkNamespace, family: IpFamily): void {
  const { users } = synproxyState(ns);
  if (users[family] === 0 || --users[family] > 0) return;
  for (const entry of HOOKS) ns.hooks.unregister(family, entry);
}

/** Right before conntrack confirms, and moves the sequence numbers. */
const priority = NF_IP_PRI_CONNTRACK_CONFIRM - 1;
const HOOKS: readonly HookEntry[] = [
  { name: "synproxy", hook: "INPUT", priority, run: meetConnection },
  { name: "synproxy", hook: "POSTROUTING", priority, run: meetConnection },
];

const DROP: Verdict = { kind: "drop", reason: "NETFILTER_DROP", where: "nf_hook_slow" };

/** Every segment of a proxy's connection. Mirrors nf_synproxy_core.c:ipv4_synproxy_hook() and ipv6_synproxy_hook(). */
function meetConnection(skb: SkBuff, state: HookState): Verdict {
  const entry = connectionOf(skb);
  const memory = entry?.ext?.synproxy;
  const { transport } = skb.frame;
  if (entry === undefined || memory === undefined || transport?.kind !== "tcp") return ACCEPT;
  // What this host sends to itself was met on its way out.
  if (skb.dev?.isLoopback === true && skb.inDev !== undefined) return ACCEPT;
  const flags = transport.flags & (TCP_SYN | TCP_ACK | TCP_RST);
  const isOriginal = skb.ct === undefined || isOriginalDirection(skb.ct.info);
  switch (entry.tcp?.state) {
    case TCP_CLOSE:
      if ((flags & TCP_RST) !== 0 && !isOriginal)
        startAdjusting(entry, REPLY, memory.initialSequence - transport.sequence + 1);
      else if ((flags & (TCP_SYN | TCP_ACK)) === TCP_SYN && isOriginal) {
        memory.timestampOffset = 0;
        synproxyState(state.ns).counters.conn_reopened++;
        return beforeAnswer(skb, state, entry, memory, transport);
      }
      break;
    case TCP_SYN_SENT:
      return beforeAnswer(skb, state, entry, memory, transport);
    case TCP_SYN_RECV:
      if ((flags & TCP_SYN) !== 0 && (flags & TCP_ACK) !== 0)
        return join(skb, state, entry, memory, transport);
      break;
    default:
      break;
  }
  moveTimestamp(skb, memory, transport, isOriginal);
  return ACCEPT;
}

/** The server has not answered yet: its SYN tells what the client counts from, and the client may ask again. */
function beforeAnswer(
  skb: SkBuff,
  { ns }: HookState,
  entry: Connection,
  memory: SynproxyMemory,
  header: TcpHeader,
): Verdict {
  const options = parseTcpOptions(header.options);
  const isOriginal = skb.ct === undefined || isOriginalDirection(skb.ct.info);
  if ((header.flags & (TCP_SYN | TCP_ACK)) === TCP_ACK && isOriginal) {
    // A keepalive has the number before the next one.
    if (callServer(ns, skb, header, options, header.sequence + 1))
      synproxyState(ns).counters.cookie_retrans++;
    return DROP;
  }
  memory.initialSequence = header.acknowledgment;
  if (options.timestamp !== undefined) memory.initialTimestamp = options.timestamp[1];
  entry.events |= IPCT_SYNPROXY;
  moveTimestamp(skb, memory, header, isOriginal);
  return ACCEPT;
}

/** The server's SYN-ACK ends here: the proxy answers it, and opens the client's window. */
function join(
  skb: SkBuff,
  { ns }: HookState,
  entry: Connection,
  memory: SynproxyMemory,
  header: TcpHeader,
): Verdict {
  const { windowScale = 0, timestamp } = parseTcpOptions(header.options);
  if (timestamp !== undefined) {
    memory.timestampOffset = (timestamp[0] - memory.initialTimestamp) >>> 0;
    entry.events |= IPCT_SYNPROXY;
  }
  sendSegment(ns, skb, {
    way: "back",
    flags: TCP_ACK,
    sequence: header.acknowledgment,
    acknowledgment: header.sequence + 1,
    window: entry.tcp?.side(ORIGINAL).maxWindow ?? 0,
    options: timestamp === undefined ? {} : { timestamp: [timestamp[1], timestamp[0]] },
    ct: undefined,
  });
  startAdjusting(entry, REPLY, memory.initialSequence - header.sequence);
  entry.events |= IPCT_SEQADJ;
  sendSegment(ns, skb, {
    way: "on",
    flags: TCP_ACK,
    sequence: header.sequence + 1,
    acknowledgment: header.acknowledgment,
    window: header.window >>> windowScale,
    options: timestamp === undefined ? {} : { timestamp },
    ct: skb.ct === undefined ? undefined : { ...skb.ct, info: "ESTABLISHED_REPLY" },
  });
  deliver(skb, "SYNPROXY");
  return { kind: "stolen", by: "synproxy" };
}

/** The client's clock is the proxy's, from the SYN-ACK on. Mirrors synproxy_tstamp_adjust(). */
function moveTimestamp(
  skb: SkBuff,
  { timestampOffset }: SynproxyMemory,
  header: TcpHeader,
  isOriginal: boolean,
): void {
  if (timestampOffset === 0) return;
  let moved: Uint8Array | undefined;
  forEachOption(header.options, (kind, at, length) => {
    if (kind !== TIMESTAMP || length !== 10 || moved !== undefined) return;
    moved = header.options.slice();
    const place = isOriginal ? at + 6 : at + 2;
    const by = isOriginal ? timestampOffset : -timestampOffset;
    put32(moved, place, (get32(moved, place) + by) >>> 0);
  });
  if (moved !== undefined) skb.frame = { ...skb.frame, transport: { ...header, options: moved } };
}

/** RFC 7323 §3.2. */
const TIMESTAMP = 8;
