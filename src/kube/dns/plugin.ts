import type { Place } from "../../base/errors.js";
import type { DnsMessage } from "../../wire/dns-message.js";
import type { Micros } from "../../sim/time.js";
import type { Controller } from "./controller.js";
import type { Files } from "./files.js";
import type { KubernetesView } from "./kubernetes-view.js";
import type { Upstream } from "./upstream.js";

/** Who asks. `address` is text, without brackets. */
export interface Client {
  readonly address: string;
  readonly port: number;
  readonly proto: "udp" | "tcp";
}

/** One query on its way through the chain. Plugins hand on changed copies. */
export interface Query {
  readonly message: DnsMessage;
  readonly client: Client;
  /** The address and port that the query came to; the address is empty when it does not matter. */
  readonly server: { readonly address: string; readonly port: number };
  /** How many lookups of the server itself led here; 0 for a client's query. */
  readonly depth: number;
  /** `NAME TYPE` as the client asked, whatever plugins made of it. */
  readonly asked: string;
  /** Labels as `kubernetes/service`; undefined while `metadata` is not loaded. */
  readonly metadata: ReadonlyMap<string, string> | undefined;
}

/**
 * What came of a query. The codes SERVFAIL, REFUSED, FORMERR and NOTIMP say that no reply was written and the caller
 * has to; with any other the written replies stand, even if there are none (the query was dropped).
 */
export interface Result {
  readonly rcode: string;
  readonly replies: readonly DnsMessage[];
  /** For `errors` to log. */
  readonly error?: string | undefined;
  /** Set when something that is not modelled decides: no reply is then certain. */
  readonly unknown?: string | undefined;
  /** The request as a plugin left it, when it changed what the reply's OPT record answers to. */
  readonly request?: DnsMessage | undefined;
}

/** What a plugin did with a query, in a word, and why: `answered`, `passed`, `miss`, `changed`. */
export interface Note {
  readonly action: string;
  readonly why: string;
}

/** How one plugin goes on with one query: it answers, or hands on and may change what comes back. */
export interface Walk {
  /** Hands the query to the next plugin. Without `then` its result is the result. May be called more than once. */
  next(query: Query, note: Note, then?: (result: Result) => void): void;
  /** Ends this plugin's part. The note is left out when nothing was done to what came back. */
  respond(result: Result, note?: Note): void;
  readonly last: boolean;
  /** The next handler, for plugins that chain with their own kind. */
  readonly nextHandler: Handler | undefined;
}

/** What plugins may use of the world. */
export interface DnsContext {
  now(): Micros;
  /** Seconds since 1970. */
  unixTime(): number;
  /** 0 ≤ value < 1. */
  random(): number;
  after(delay: Micros, label: string, action: () => void): void;
  readonly upstream: Upstream;
  readonly kubernetes: KubernetesView | undefined;
  readonly files: Files;
  /** The addresses of the server's own interfaces. */
  readonly localAddresses: readonly string[];
  readonly hostname: string;
  log(line: string): void;
  /** Asks the server from its own loopback address, over whatever lies between. */
  selfTest(name: string, type: string): void;
  /** Ends the process. */
  fatal(line: string): void;
  /** Asks the whole server, from the choice of the block on, as the client of `query`. */
  lookup(query: Query, name: string, type: string, then: (result: Result) => void): void;
}

/** The zone that a plugin can transfer, as records with the SOA first and last. */
export interface Transferable {
  transfer(zone: string, query: Query, context: DnsContext): TransferResult | undefined;
}

export interface TransferResult {
  readonly serial: number;
  readonly records: DnsMessage["answers"];
}

/** A plugin as one server block set it up. */
export interface Handler {
  readonly name: string;
  readonly place: Place;
  serve?(query: Query, walk: Walk, context: DnsContext): void;
  /** A block whose filter says no does not take the query. */
  filter?(query: Query, context: DnsContext): boolean;
  /** Values for `metadata`, by label. */
  metadata?(query: Query, context: DnsContext): Iterable<readonly [string, string]>;
  /** The search path of the client, for `autopath @NAME`. */
  autopath?(query: Query, context: DnsContext): readonly string[];
  transfer?: Transferable["transfer"];
  ready?(context: DnsContext): boolean;
  /** Counters by series, `coredns_dns_requests_total{…}`. */
  metrics?(): ReadonlyMap<string, number>;
  /** Called once when the server starts. */
  start?(context: DnsContext): void;
}

/** A directive of the Corefile. `setup` runs once a block over all its occurrences and throws a `UserError`. */
export interface Plugin {
  readonly name: string;
  setup(controller: Controller): Handler | readonly Handler[] | undefined;
}

export function definePlugin(plugin: Plugin): Plugin {
  return plugin;
}

/** Codes that mean "nothing was written yet". */
export function isUnwritten(rcode: string): boolean {
  return rcode === "SERVFAIL" || rcode === "REFUSED" || rcode === "FORMERR" || rcode === "NOTIMP";
}

export function written(reply: DnsMessage, rcode = "NOERROR"): Result {
  return { rcode, replies: [reply] };
}

export function unwritten(rcode: string, error?: string): Result {
  return { rcode, replies: [], error };
}

/** Nothing is sent: the client waits in vain. */
export const dropped: Result = { rcode: "NOERROR", replies: [] };

export function unknownResult(reason: string): Result {
  return { rcode: "SERVFAIL", replies: [], unknown: reason };
}

/** The result with its last reply changed; left as it is when there is none. */
export function mapReply(result: Result, change: (reply: DnsMessage) => DnsMessage): Result {
  return result.replies.length === 0 ? result : { ...result, replies: result.replies.map(change) };
}
