import { deliver } from "../core/drop.js";
import type { SkBuff } from "../core/skbuff.js";
import type { TcpHeader } from "../wire/tcp.js";
import type { TcpConnection } from "./tcp-connection.js";
import type { TcpOptions } from "./tcp-options.js";

/** A segment with what is asked of it again and again. */
export interface Received {
  readonly skb: SkBuff;
  readonly header: TcpHeader;
  readonly options: TcpOptions;
  readonly data: Uint8Array;
  /** Behind its last byte; SYN and FIN count. */
  readonly end: number;
}

/** Ends a segment that was used. */
export function deliverTo(connection: TcpConnection, skb: SkBuff): void {
  deliver(
    skb,
    skb.ns.sim.trace === undefined ? "socket tcp" : `socket tcp/${connection.localPort}`,
  );
}
