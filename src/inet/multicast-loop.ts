import { type NetworkNamespace, perNamespace } from "../core/namespace.js";
import type { SkBuff } from "../core/skbuff.js";

/** Packets to groups that do not come back to this host, as their socket asks. Mirrors inet->mc_loop, IP_MULTICAST_LOOP. */
export const notLoopedBack: (ns: NetworkNamespace) => WeakSet<SkBuff> = perNamespace(
  () => new WeakSet<SkBuff>(),
);
