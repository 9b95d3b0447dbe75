import type { ConntrackRef } from "../../core/conntrack.js";
import type { IpAddress } from "../../wire/ip.js";
import type { Zone } from "./connection.js";
import type { ConntrackTable } from "./table.js";
import { ORIGINAL, invertTuple, quotedTuple } from "./tuple.js";

/** What an ICMP message of either family is to conntrack before tuples are looked at. */
export type IcmpVerdict =
  | SettledIcmp
  | { readonly kind: "query" }
  | { readonly kind: "invalid"; readonly why: string };

/** Nothing more has to be looked up. */
export type SettledIcmp =
  | { readonly kind: "untracked" }
  | { readonly kind: "related"; readonly ct: ConntrackRef };

export const QUERY: IcmpVerdict = { kind: "query" };

export function invalidIcmp(why: string): IcmpVerdict {
  return { kind: "invalid", why };
}

/** Finds the connection of the packet that an error to `outer` quotes. Mirrors nf_conntrack_inet_error(). */
export function judgeQuote(
  quote: Uint8Array,
  outer: IpAddress,
  table: ConntrackTable,
  zone: Zone,
): IcmpVerdict {
  const quoted = quotedTuple(quote);
  const inverse = quoted === undefined ? undefined : invertTuple(quoted);
  if (inverse === undefined) return invalidIcmp("the quoted packet is cut short");
  // The quoted packet went out, so it is the answer's tuple that the table knows it by.
  const found = table.find(inverse, zone);
  if (found === undefined) return invalidIcmp("the quoted packet belongs to no connection");
  if (outer !== found.tuple.destination)
    return invalidIcmp("outer daddr does not match the quoted packet's source");
  const info = found.direction === ORIGINAL ? "RELATED" : "RELATED_REPLY";
  return { kind: "related", ct: { entry: found.connection, info } };
}
