import type { Simulation } from "../../core/simulation.js";
import { decodeDns, decodeDnsQuestion, encodeDns } from "../../wire/dns.js";
import { get16, get8 } from "../../wire/bytes.js";
import type { DnsMessage } from "../../wire/dns-message.js";
import { walkChain } from "./chain.js";
import type { Corefile } from "./corefile.js";
import type { Files } from "./files.js";
import type { KubernetesView } from "./kubernetes-view.js";
import { newQuery, questionOf, replyTo, sizeLimit } from "./messages.js";
import { microseconds } from "../../sim/time.js";
import { labelStarts } from "./names.js";
import {
  isUnwritten,
  unknownResult,
  unwritten,
  type Client,
  type DnsContext,
  type Query,
  type Result,
} from "./plugin.js";
import { scrub } from "./scrub.js";
import type { PluginEra } from "./order.js";
import { setUpBlocks, type ServerConfig } from "./server-blocks.js";
import { noUpstream, type Upstream } from "./upstream.js";

/** What a server runs in. */
export interface DnsServerOptions {
  readonly sim: Simulation;
  /** The name that trace events carry: the pod's namespace. */
  readonly name: string;
  readonly corefile: Corefile;
  readonly files?: Files | undefined;
  readonly env?: ReadonlyMap<string, string> | undefined;
  readonly upstream?: Upstream | undefined;
  readonly kubernetes?: KubernetesView | undefined;
  readonly localAddresses?: readonly string[] | undefined;
  readonly hostname?: string | undefined;
  /** Which release's order of plugins the chain has; the newest when left out. */
  readonly era?: PluginEra | undefined;
  /** The wall clock at the start of the run, in seconds since 1970; 2026-11-25 when left out. */
  readonly startTime?: number | undefined;
  log?(line: string): void;
  /** The process ends: `loop` found one. */
  fatal?(line: string): void;
}

/** What a client gets: usually one reply, none when the query was dropped, or nothing certain. */
export interface DnsAnswer {
  readonly replies: readonly { readonly message: DnsMessage; readonly compress: boolean }[];
  readonly unknown: string | undefined;
}

const defaultStart = 1_795_564_800;

/** Lookups of the server itself may nest this deep before they are answered SERVFAIL. */
const maxDepth = 24;

/** CoreDNS with one Corefile: a query in, a reply out, under simulated time. Mirrors core/dnsserver/server.go. */
export class DnsServer {
  readonly configs: readonly ServerConfig[];
  readonly #options: DnsServerOptions;
  readonly #zones = new Map<string, ServerConfig[]>();
  readonly #allClasses: boolean;
  readonly #context: DnsContext;

  constructor(options: DnsServerOptions) {
    this.#options = options;
    const { files, env } = options;
    this.configs = setUpBlocks(options.corefile, {
      files,
      env,
      era: options.era,
      log: (line) => options.log?.(line),
    });
    for (const config of this.configs) {
      for (const { scheme, zone, port } of config.served) {
        if (scheme !== "dns") continue;
        const key = `${zone} ${port}`;
        this.#zones.set(key, [...(this.#zones.get(key) ?? []), config]);
      }
    }
    const names = this.configs.flatMap((config) => config.handlers.map((handler) => handler.name));
    this.#allClasses = names.includes("chaos") || names.includes("forward");
    this.#context = this.#makeContext();
  }

  /** The ports that plain DNS is served on. */
  get ports(): readonly number[] {
    return [...new Set([...this.#zones.keys()].map((key) => Number(key.split(" ")[1])))];
  }

  /** Starts what plugins do by themselves: the self-test of `loop`. */
  start(): void {
    for (const config of this.configs)
      for (const handler of config.handlers) handler.start?.(this.#context);
  }

  /** The names of plugins that are not ready, as `ready` reports them. Empty when all are. */
  notReady(): readonly string[] {
    const handlers = this.configs.flatMap((config) => config.handlers);
    return [
      ...new Set(handlers.filter((h) => h.ready?.(this.#context) === false).map((h) => h.name)),
    ].toSorted();
  }

  /** The counters that `prometheus` keeps, in Prometheus's text format. Differs: the series of requests and replies only. */
  metrics(): string {
    const lines = this.configs
      .flatMap((config) => config.handlers.flatMap((handler) => [...(handler.metrics?.() ?? [])]))
      .map(([series, value]) => `${series} ${value}`)
      .toSorted();
    return lines.map((line) => `${line}\n`).join("");
  }

  /**
   * Answers bytes from the network. Unreadable messages get FORMERR, too short ones and replies nothing.
   * Mirrors miekg/dns server.go:serveDNS() and acceptfunc.go.
   */
  receive(
    bytes: Uint8Array,
    client: Client,
    respond: (replies: readonly Uint8Array[], unknown?: string) => void,
    port = 53,
  ): void {
    if (bytes.length < 12 || (get8(bytes, 2) & 0x80) !== 0) return respond([]);
    const opcode = (get8(bytes, 2) >> 3) & 15;
    if (opcode !== 0 && opcode !== 4) return respond([headerReply(bytes, "NOTIMP", opcode)]);
    const counts = [get16(bytes, 4), get16(bytes, 6), get16(bytes, 8), get16(bytes, 10)];
    const [questions = 0, answers = 0, authorities = 0, additionals = 0] = counts;
    if (questions !== 1 || answers > 1 || authorities > 1 || additionals > 2) {
      return respond([headerReply(bytes, "FORMERR", 0)]);
    }
    const message = decodeDns(bytes);
    if (!message.ok) return respond([headerReply(bytes, "FORMERR", 0, true)]);
    const answered = (answer: DnsAnswer): void => {
      respond(
        answer.replies.map((reply) => encodeDns(reply.message, { compress: reply.compress })),
        answer.unknown,
      );
    };
    this.ask(message.value, client, answered, port);
  }

  /** Answers a message. `respond` is called once, at once or later in simulated time. `port` is the one it came to. */
  ask(message: DnsMessage, client: Client, respond: (answer: DnsAnswer) => void, port = 53): void {
    const [question] = message.questions;
    const query: Query = {
      message,
      asked: `${question?.name ?? "."} ${question?.type ?? ""}`,
      client,
      server: { address: "", port },
      depth: 0,
      metadata: undefined,
    };
    this.#serve(query, (answer) => respond(answer));
  }

  #serve(query: Query, respond: (answer: DnsAnswer) => void): void {
    const none = new Set<number>();
    const refuse = (result: Result): void => respond(this.#finish(query, result, none));
    const question = questionOf(query);
    if (query.message.questions.length === 0) return refuse(unwritten("SERVFAIL"));
    if (question.class !== "IN" && !this.#allClasses) return refuse(unwritten("REFUSED"));
    if (query.message.edns !== undefined && query.message.edns.version !== 0)
      return respond(badVersion(query));
    const config = this.#choose(query);
    if (config === undefined || config.chain.length === 0) return refuse(unwritten("REFUSED"));
    const withMetadata = this.#collectMetadata(config, query);
    walkChain(config.chain, withMetadata, this.#context, this.#listener(), (result) => {
      respond(this.#finish(query, result, config.ednsCodes));
    });
  }

  /** The block for a name: the longest zone, then filters; DS queries go to the parent's. */
  #choose(query: Query): ServerConfig | undefined {
    const { name, type } = questionOf(query);
    const lower = name.toLowerCase();
    const { port } = query.server;
    let remembered: ServerConfig | undefined;
    for (const start of labelStarts(lower)) {
      const found = this.#pass(this.#zones.get(`${lower.slice(start)} ${port}`), query);
      if (found === undefined) continue;
      if (type !== "DS") return found;
      remembered = found;
    }
    return remembered ?? this.#pass(this.#zones.get(`. ${port}`), query);
  }

  #pass(candidates: readonly ServerConfig[] | undefined, query: Query): ServerConfig | undefined {
    return candidates?.find((config) => {
      if (config.chain.length === 0) return true;
      const filters = config.handlers.filter((handler) => handler.filter !== undefined);
      if (filters.length === 0) return true;
      const full = this.#collectMetadata(config, query);
      return filters.every((handler) => handler.filter?.(full, this.#context) === true);
    });
  }

  #collectMetadata(config: ServerConfig, query: Query): Query {
    if (!config.handlers.some((handler) => handler.name === "metadata")) return query;
    const values = new Map(query.metadata);
    for (const handler of config.handlers) {
      for (const [label, value] of handler.metadata?.(query, this.#context) ?? [])
        values.set(label, value);
    }
    return { ...query, metadata: values };
  }

  #finish(query: Query, result: Result, codes: ReadonlySet<number>): DnsAnswer {
    const request = result.request ?? query.message;
    const seen = { ...query, message: request };
    if (result.unknown !== undefined) return { replies: [], unknown: result.unknown };
    const replies = result.replies.map((reply) => scrub(seen, reply, codes));
    if (isUnwritten(result.rcode))
      replies.push(scrub(seen, replyTo(request, { rcode: result.rcode }), codes));
    return { replies, unknown: undefined };
  }

  #makeContext(): DnsContext {
    const { sim, upstream, kubernetes, files, localAddresses, hostname } = this.#options;
    return {
      now: () => sim.queue.now,
      unixTime: () =>
        (this.#options.startTime ?? defaultStart) + Math.floor(sim.queue.now / 1_000_000),
      random: () => sim.random(),
      after: (delay, label, action) => void sim.queue.after(delay, label, action),
      upstream: upstream ?? noUpstream,
      kubernetes,
      files: files ?? new Map<string, string>(),
      localAddresses: localAddresses ?? [],
      hostname: hostname ?? this.#options.name,
      log: (line) => this.#options.log?.(line),
      selfTest: (name, type) => this.#selfTest(name, type),
      fatal: (line) => this.#options.fatal?.(line),
      lookup: (query, name, type, then) => this.#lookup(query, name, type, then),
    };
  }

  /** Without a network of its own the server is its own way to itself; `serveDns` sends a packet instead. */
  #selfTest(name: string, type: string): void {
    const client = { address: "127.0.0.1", port: 40_000, proto: "udp" as const };
    const message = newQuery(name, type, { id: Math.floor(this.#options.sim.random() * 65_536) });
    this.#options.sim.queue.after(microseconds(0), "loop self-test", () =>
      this.ask(message, client, () => undefined),
    );
  }

  /** Mirrors plugin/pkg/upstream.Lookup(). */
  #lookup(query: Query, name: string, type: string, then: (result: Result) => void): void {
    if (query.depth >= maxDepth)
      return then(unwritten("SERVFAIL", "too many lookups within lookups"));
    const edns = {
      udpSize: sizeLimit(query),
      version: 0,
      do: query.message.edns?.do ?? false,
      options: [],
    };
    const message = newQuery(name, type, {
      id: Math.floor(this.#options.sim.random() * 65_536),
      edns,
    });
    this.#serve({ ...query, message, depth: query.depth + 1, metadata: undefined }, (answer) => {
      if (answer.unknown !== undefined) return then(unknownResult(answer.unknown));
      then({ rcode: "NOERROR", replies: answer.replies.slice(0, 1).map((reply) => reply.message) });
    });
  }

  #listener(): Parameters<typeof walkChain>[3] {
    const { sim, name } = this.#options;
    if (sim.trace === undefined) return undefined;
    return (event) => sim.trace?.({ ...event, time: sim.queue.now, ns: name, kind: "dns-plugin" });
  }
}

function badVersion(query: Query): DnsAnswer {
  const { edns } = query.message;
  const message = replyTo(query.message, {
    rcode: "BADVERS",
    edns: edns && { ...edns, version: 0, options: [] },
  });
  return { replies: [{ message, compress: false }], unknown: undefined };
}

/** A reply made of the header alone: the id and the RD, RA, AD and CD bits of the request. */
function headerReply(
  bytes: Uint8Array,
  rcode: string,
  opcode: number,
  withQuestion = false,
): Uint8Array {
  const flags = get16(bytes, 2);
  const question = withQuestion ? decodeDnsQuestion(bytes) : undefined;
  return encodeDns({
    ...replyTo(newQuery(".", "A", { id: get16(bytes, 0) })),
    opcode,
    rcode,
    rd: (flags & 0x0100) !== 0,
    ra: (flags & 0x0080) !== 0,
    ad: (flags & 0x0020) !== 0,
    cd: (flags & 0x0010) !== 0,
    questions: question === undefined ? [] : [question],
  });
}
