import type { HookState } from "../../../core/hooks.js";
import type { SkBuff } from "../../../core/skbuff.js";
import type { InetSocket } from "../../../inet/assigned-socket.js";
import { type MatchExtension, defineMatch } from "../extension.js";
import { flag } from "../options.js";
import { isWildcard, socketFor } from "../socket-of-packet.js";

interface SocketTest {
  readonly transparent: boolean;
  readonly noWildcard: boolean;
  readonly restoreMark: boolean;
}

const TRANSPARENT = flag("transparent");
const NOWILDCARD = flag("nowildcard");
const RESTORE = flag("restore-skmark");

/** `-m socket`: whether a socket here would get the packet; `--nowildcard` takes those bound to no address as well. */
export const socket: MatchExtension = defineMatch<SocketTest>({
  name: "socket",
  mirrors: "net/netfilter/xt_socket.c:socket_match()",
  fidelity: "exact",
  examples: ["", "--transparent --nowildcard --restore-skmark"],
  options: [TRANSPARENT, NOWILDCARD, RESTORE],
  only: { hooks: ["PREROUTING", "INPUT"] },
  defragments: true,
  parse: (args) => ({
    transparent: args.has(TRANSPARENT),
    noWildcard: args.has(NOWILDCARD),
    restoreMark: args.has(RESTORE),
  }),
  format: ({ transparent, noWildcard, restoreMark }) =>
    [
      ...(transparent ? ["--transparent"] : []),
      ...(noWildcard ? ["--nowildcard"] : []),
      ...(restoreMark ? ["--restore-skmark"] : []),
    ].join(" "),
  matches(params, skb, state) {
    const found = wanted(params, skb, state);
    if (found === undefined) return false;
    // A connection that is not open yet, or no more, has no mark of its own.
    const hasMark = found.kind !== "connection" || isFull(found);
    if (params.restoreMark && hasMark) skb.mark = found.socket.owner.mark ?? 0;
    return true;
  },
  why(params, skb, state) {
    const found = socketFor(skb, state);
    if (found === undefined) return "no socket is there for the packet";
    if (isWildcard(found) && !params.noWildcard) return "the socket is bound to no address";
    return "the socket is not transparent";
  },
});

function wanted(params: SocketTest, skb: SkBuff, state: HookState): InetSocket | undefined {
  const found = socketFor(skb, state);
  if (found === undefined || (isWildcard(found) && !params.noWildcard)) return undefined;
  return params.transparent && found.socket.owner.transparent !== true ? undefined : found;
}

/** Mirrors include/net/inet_sock.h:sk_fullsock(). */
function isFull({ socket: { state } }: Extract<InetSocket, { kind: "connection" }>): boolean {
  return state !== "SYN_RECV" && state !== "TIME_WAIT";
}
