import type { HookState } from "../../../core/hooks.js";
import type { SkBuff } from "../../../core/skbuff.js";
import { TCP_ACK, TCP_SYN } from "../../../wire/tcp.js";
import { type MatchExtension, defineMatch } from "../extension.js";
import { option } from "../options.js";
import { establishedFor, flowOfFrame } from "../socket-of-packet.js";
import { formatTest, type Negatable, string, u32 } from "../values.js";

interface Cgroup {
  readonly classid: Negatable<number> | undefined;
  readonly path: Negatable<string> | undefined;
}

const CLASSID = option("cgroup", u32, { not: true });
const PATH = option("path", string(1, 511), { not: true });

/** `-m cgroup`: the control group of the packet's socket. Sockets here are in the root group and have no class. */
export const cgroup: MatchExtension = defineMatch<Cgroup>({
  name: "cgroup",
  mirrors: "net/netfilter/xt_cgroup.c:cgroup_mt_v2()",
  fidelity: "exact",
  examples: ["--cgroup 1048577", "! --cgroup 5", '--path "/"'],
  options: [PATH, CLASSID],
  only: { hooks: ["INPUT", "OUTPUT", "POSTROUTING"] },
  parse: (args) => ({ classid: args.get(CLASSID), path: args.get(PATH) }),
  format: ({ classid, path }) =>
    [
      ...formatTest("path", path, (text) => `"${text}"`),
      ...formatTest("cgroup", classid, String),
    ].join(" "),
  // The only group that exists everywhere is the root.
  refuses: ({ classid, path }) =>
    (classid === undefined) === (path === undefined) || (path !== undefined && path.value !== "/")
      ? "Invalid argument"
      : undefined,
  matches: ({ classid, path }, skb, state) => {
    if (!hasSocket(skb, state)) return false;
    if (path !== undefined) return !path.invert;
    return classid !== undefined && (classid.value === 0) !== classid.invert;
  },
  why: (_, skb, state) =>
    hasSocket(skb, state) ? "the socket has no class" : "packet has no socket",
});

/**
 * Whether the kernel has a whole socket at hand: the sender's, or on the way in that of an open connection, which is looked
 * up before the route. A SYN-ACK is of a connection that is not one yet. Mirrors net/ipv4/ip_input.c:ip_rcv_finish_core().
 */
function hasSocket(skb: SkBuff, state: HookState): boolean {
  if (state.hook === "INPUT") return hasEarlySocket(skb, state);
  const { transport } = skb.frame;
  const isSynAck =
    transport?.kind === "tcp" && (transport.flags & (TCP_SYN | TCP_ACK)) === (TCP_SYN | TCP_ACK);
  return skb.socket !== undefined && !isSynAck;
}

function hasEarlySocket(skb: SkBuff, state: HookState): boolean {
  const { transport } = skb.frame;
  // What comes by loopback has its route already.
  if (state.in?.isLoopback === true) return false;
  if (skb.packetType !== "HOST" || (transport?.kind !== "tcp" && transport?.kind !== "udp"))
    return false;
  const flow = flowOfFrame(skb.frame);
  const found = flow === undefined ? undefined : establishedFor(flow, state);
  if (found?.kind !== "connection") return found !== undefined;
  return found.socket.state !== "SYN_RECV" && found.socket.state !== "TIME_WAIT";
}
