import type { Micros } from "../sim/time.js";
import type { DnsRecord } from "../wire/dns-message.js";
import type { TraceEvent } from "./trace.js";

/** One lookup of a run: from its first query on, until the next lookup begins. */
export interface DigRound {
  /** When it was asked, from the start of the run. */
  readonly at: Micros;
  /** How long it took until the program had its answer. */
  readonly took: Micros;
  /** The answer's records, CNAMEs included. */
  readonly records: readonly DnsRecord[];
  /** The full name that ended the search. */
  readonly lastName: string;
  /** How many names were tried. */
  readonly tried: number;
  /** NXDOMAIN, NODATA, SERVFAIL, timeout; undefined when there is an answer. */
  readonly error: string | undefined;
  /** What came of the last name: a response code, an errno. */
  readonly outcome: string;
  /** What is missing for a certain answer. */
  readonly unknown: string | undefined;
  readonly events: readonly TraceEvent[];
}

/** A name looked up from a pod, once or several times: everything that outputs are made of. */
export interface DigRecording {
  /** As given with -w. */
  readonly world: string;
  readonly seed: number;
  /** Who asks, as the world calls it, and the namespace it asks in. */
  readonly from: string;
  readonly ns: string;
  readonly asked: string;
  readonly types: readonly string[];
  /** Whose rules the search list is walked by; `none` asks for the name alone. */
  readonly search: "glibc" | "musl" | "none";
  readonly nameservers: readonly string[];
  readonly searches: readonly string[];
  readonly options: readonly string[];
  readonly rounds: readonly DigRound[];
  /** What DNS servers logged, `POD: LINE`. */
  readonly log: readonly string[];
  /** Things to know that no event tells. */
  readonly notes: readonly string[];
}
