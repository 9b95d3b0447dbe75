import { type NetworkNamespace, perNamespace } from "../core/namespace.js";
import type { SkBuff } from "../core/skbuff.js";
import type { IcmpErrorNotice } from "./protocols.js";

/** A program that waits for echo replies of one id. */
export interface EchoListener {
  /** True when it took the reply and ended it. */
  receive(skb: SkBuff): boolean;
  error(notice: IcmpErrorNotice): void;
}

/** The waiting programs of one namespace by echo id. Mirrors net/ipv4/ping.c:ping_table. */
export const pingSockets: (ns: NetworkNamespace) => Map<number, EchoListener> = perNamespace(
  () => new Map<number, EchoListener>(),
);

/** The same for IPv6. */
export const pingSockets6: (ns: NetworkNamespace) => Map<number, EchoListener> = perNamespace(
  () => new Map<number, EchoListener>(),
);
