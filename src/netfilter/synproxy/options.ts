import type { Micros } from "../../sim/time.js";
import type { TcpOptions } from "../../inet/tcp-options.js";

/** What a SYNPROXY rule says of the server: only what is told here is offered to clients. Mirrors struct nf_synproxy_info. */
export interface SynproxyRule {
  readonly mss: number | undefined;
  readonly windowScale: number | undefined;
  readonly sackPermitted: boolean;
  readonly timestamp: boolean;
  readonly ecn: boolean;
}

/** The options of a segment, and whether its ends speak of congestion. Mirrors struct synproxy_options. */
export interface Offer {
  readonly options: TcpOptions;
  readonly ecn: boolean;
}

/** Low bits of a timestamp in which the client's options come back: its window scale, SACK, ECN. */
const COOKIE_BITS = 0x3f;
const NO_SCALE = 0xf;
const SACK_BIT = 1 << 4;
const ECN_BIT = 1 << 5;

/**
 * What the SYN-ACK offers: what the client and the rule both have. Without timestamps there is no place to keep the rest.
 * Mirrors the first half of nf_synproxy_core.c:synproxy_tg4() and synproxy_init_timestamp_cookie().
 */
export function offerToClient(client: Offer, rule: SynproxyRule, now: Micros): Offer {
  const { options } = client;
  const mss = options.mss === undefined ? undefined : rule.mss;
  if (options.timestamp === undefined || !rule.timestamp) return { options: { mss }, ecn: false };
  const scales = options.windowScale !== undefined && rule.windowScale !== undefined;
  const sackPermitted = options.sackPermitted === true && rule.sackPermitted;
  const ecn = client.ecn && rule.ecn;
  const milliseconds = Math.floor(now / 1000);
  const cookie =
    (scales ? (options.windowScale ?? NO_SCALE) : NO_SCALE) |
    (sackPermitted ? SACK_BIT : 0) |
    (ecn ? ECN_BIT : 0);
  const value = ((milliseconds & ~COOKIE_BITS) | cookie) >>> 0;
  return {
    options: {
      mss,
      windowScale: scales ? rule.windowScale : undefined,
      sackPermitted,
      timestamp: [value, options.timestamp[0]],
    },
    ecn,
  };
}

/** What the client had offered, as its ACK echoes it, for the server. Mirrors synproxy_check_timestamp_cookie(). */
export function offerToServer({ timestamp }: TcpOptions, mss: number): Offer {
  if (timestamp === undefined) return { options: { mss }, ecn: false };
  const [, echo] = timestamp;
  const scale = echo & NO_SCALE;
  return {
    options: {
      mss,
      windowScale: scale === NO_SCALE ? undefined : scale,
      sackPermitted: (echo & SACK_BIT) !== 0,
      timestamp,
    },
    ecn: (echo & ECN_BIT) !== 0,
  };
}
