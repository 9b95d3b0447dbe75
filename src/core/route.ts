import type { IpAddress } from "../wire/ip.js";
import type { NetDevice } from "./device.js";
import type { Errno, SendResult } from "./errno.js";
import type { SkBuff } from "./skbuff.js";

/** Types of FIB entries. Mirrors enum rtn_type. */
export type RouteType =
  | "unicast"
  | "local"
  | "broadcast"
  | "multicast"
  | "blackhole"
  | "unreachable"
  | "prohibit"
  | "throw";

/** What a lookup found, attached to a packet. Mirrors struct rtable and struct dst_entry. */
export interface Route {
  readonly type: RouteType;
  /** The device packets leave by; `lo` for local destinations. */
  readonly dev: NetDevice;
  readonly gateway: IpAddress | undefined;
  /** The source address this route prefers for local packets. */
  readonly source: IpAddress | undefined;
  readonly mtu: number;
  /** Set for routes whose packets fail: what the sender's system call returns. */
  readonly error: Errno | undefined;
  /** Send an ICMP redirect to the sender (RTCF_DOREDIRECT). */
  readonly redirect: boolean;
  /** The realms of the destination and, above them, of the source. Mirrors dst->tclassid. */
  readonly realms?: number | undefined;
  /** No lookup found it: it lets IP hooks ask a bridged frame for a device and an MTU. Mirrors DST_FAKE_RTABLE, of which rt_is_input_route() is false. */
  readonly isPlaceholder?: boolean;
  /** The FIB entry that decided, as `ip route` prints it, for the trace. */
  readonly text: string;
  /** What happens to a received packet: local delivery, forwarding, an error. Mirrors dst_input(). */
  readonly input: (skb: SkBuff) => void;
  /** What happens to a packet on its way out. Mirrors dst_output(). */
  readonly output: (skb: SkBuff) => SendResult;
}
