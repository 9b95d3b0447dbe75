import type { Tuple } from "../../core/conntrack.js";
import type { Micros } from "../../sim/time.js";
import type { Expectation, ExpectationEvent } from "./expectations.js";
import { formatTuple, writtenOut } from "./text.js";

/** One line of `conntrack -L expect`. Mirrors __snprintf_expect_default(). */
export function formatExpectation(
  { expires, tuple, master, helper }: Expectation,
  now: Micros,
): string {
  const left = Math.max(0, Math.floor((expires - now) / 1_000_000));
  return [
    String(left),
    `proto=${tuple.protocol}`,
    formatTuple(tuple),
    formatMask(tuple),
    formatTuple(master.original).replace("src=", "master-src=").replace(" dst=", " master-dst="),
    "class=0",
    `helper=${helper.name}`,
  ].join(" ");
}

/** The source port may be any, all else counts. */
function formatMask({ source }: Tuple): string {
  const all =
    typeof source === "number" ? "255.255.255.255" : "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
  return `mask-src=${all} mask-dst=${all} sport=0 dport=65535`;
}

/** One line of `conntrack -E expect`. */
export function formatExpectationEvent({ type, at, expectation }: ExpectationEvent): string {
  return `${`[${type}]`.padStart(9)} ${formatExpectation(expectation, at)}`;
}

/** One line of `/proc/net/nf_conntrack_expect`. Mirrors net/netfilter/nf_conntrack_expect.c:exp_seq_show(). */
export function formatProcExpectation(
  { expires, tuple, helper }: Expectation,
  now: Micros,
): string {
  const left = Math.floor((expires - now) / 1_000_000);
  const family = typeof tuple.source === "number" ? 2 : 10;
  return `${left} l3proto = ${family} proto=${tuple.protocol} ${formatTuple(tuple, writtenOut)} ${helper.name}`;
}
