import type { Errno } from "../../core/errno.js";
import type { NetworkNamespace } from "../../core/namespace.js";
import { UdpSocket } from "../../inet/udp-socket.js";
import type { SocketOwner } from "../../inet/socket-owner.js";
import { seconds, type Micros } from "../../sim/time.js";
import { decodeDns, encodeDns } from "../../wire/dns.js";
import type { DnsMessage } from "../../wire/dns-message.js";
import { parseIpv4, type Ipv4 } from "../../wire/ip.js";
import { newQuery } from "./messages.js";
import { queryTcp } from "./tcp-query.js";
import { fqdn, isDomainName, isFqdn, labelsOf } from "./names.js";
import {
  resolverSettings,
  usableNameservers,
  type ResolvConf,
  type ResolverSettings,
} from "./resolv-conf.js";

export interface ResolveRequest {
  readonly ns: NetworkNamespace;
  readonly conf: ResolvConf;
  readonly name: string;
  /** What getaddrinfo asks for: both when left out. */
  readonly families?: readonly AddressType[] | undefined;
  readonly owner?: SocketOwner | undefined;
}

export type AddressType = "A" | "AAAA";

/** One candidate name and what came of it. */
export interface TriedName {
  readonly name: string;
  /** `NOERROR`, `NODATA`, `NXDOMAIN`, `SERVFAIL`, `REFUSED`, `timeout`, `ECONNREFUSED`. */
  readonly outcome: string;
  /** Queries that were sent for it. */
  readonly queries: number;
}

export type ResolveError = "NXDOMAIN" | "NODATA" | "SERVFAIL" | "timeout";

export interface ResolveResult {
  /** In the order of the replies: A before AAAA. */
  readonly addresses: readonly { readonly address: string; readonly family: 4 | 6 }[];
  /** The name that was found, CNAMEs followed; the name asked for when none was. */
  readonly name: string;
  readonly tried: readonly TriedName[];
  readonly error: ResolveError | undefined;
}

/**
 * Looks up a name as glibc's getaddrinfo does: search list, ndots, A and AAAA together on one socket, servers in turn.
 * Every query is a packet. `then` is called once. Mirrors glibc resolv/res_query.c and res_send.c.
 */
export function resolve(request: ResolveRequest, then: (result: ResolveResult) => void): void {
  new Walk(request, then).start();
}

/** The names that are tried, in order. Mirrors res_query.c:__res_context_search(). */
export function candidateNames(name: string, conf: ResolvConf): string[] {
  if (isFqdn(name)) return [name];
  const asIs = fqdn(name);
  const dots = labelsOf(asIs).length - 1;
  const searched = conf.searches.map((domain) =>
    domain === "." ? asIs : fqdn(`${name}.${domain}`),
  );
  const usable = searched.filter(isDomainName);
  const { ndots } = resolverSettings(conf);
  return dots >= ndots ? [asIs, ...usable] : [...usable, asIs];
}

type Outcome = DnsMessage | "timeout" | Errno;

class Walk {
  readonly #request: ResolveRequest;
  readonly #then: (result: ResolveResult) => void;
  readonly #settings: ResolverSettings;
  readonly #servers: readonly string[];
  readonly #types: readonly AddressType[];
  readonly #names: string[];
  readonly #total: number;
  readonly #tried: TriedName[] = [];
  #queries = 0;
  #sawNoData = false;
  #sawServfail = false;

  constructor(request: ResolveRequest, then: (result: ResolveResult) => void) {
    this.#request = request;
    this.#then = then;
    this.#settings = resolverSettings(request.conf);
    this.#servers = usableNameservers(request.conf);
    this.#types = request.families ?? ["A", "AAAA"];
    this.#names = candidateNames(request.name, request.conf);
    this.#total = this.#names.length;
  }

  start(): void {
    if (!isDomainName(fqdn(this.#request.name))) return this.#end("NXDOMAIN");
    this.#next();
  }

  #next(): void {
    const name = this.#names.shift();
    if (name === undefined)
      return this.#end(this.#sawServfail ? "SERVFAIL" : this.#sawNoData ? "NODATA" : "NXDOMAIN");
    this.#queries = 0;
    this.#round(name, 0, 0, "timeout");
  }

  /** Asks one server. After the last server the next round begins; after the last round `last` is the outcome. */
  #round(name: string, attempt: number, index: number, last: string): void {
    if (index >= this.#servers.length) return this.#round(name, attempt + 1, 0, last);
    if (attempt >= this.#settings.attempts) return this.#failed(name, last);
    const server = this.#servers[this.#rotated(index)] ?? "";
    this.#exchange(name, server, this.#wait(index), (replies) =>
      this.#judge(name, attempt, index, replies),
    );
  }

  #rotated(index: number): number {
    if (!this.#settings.rotate) return index;
    const turn = Math.floor(this.#request.ns.sim.random() * this.#servers.length);
    return (index + turn) % this.#servers.length;
  }

  /** Mirrors res_send.c:send_dg(): later servers are waited for longer, shared among them. */
  #wait(index: number): Micros {
    const { timeout } = this.#settings;
    const value = index === 0 ? timeout : Math.floor((timeout * 2 ** index) / this.#servers.length);
    return seconds(Math.max(value, 1));
  }

  #judge(name: string, attempt: number, index: number, replies: readonly Outcome[]): void {
    const messages = replies.filter((reply) => typeof reply !== "string");
    if (messages.some((reply) => reply.rcode === "NOERROR" && addressesOf(reply).length > 0)) {
      return this.#found(name, messages);
    }
    const bad = messages.find((reply) => ["SERVFAIL", "NOTIMP", "REFUSED"].includes(reply.rcode));
    if (bad !== undefined) return this.#afterServerError(name, attempt, index, bad.rcode);
    const failed = replies.find((reply) => typeof reply === "string");
    if (failed !== undefined) return this.#round(name, attempt, index + 1, failed);
    const noData = messages.some((reply) => reply.rcode === "NOERROR");
    if (noData) this.#sawNoData = true;
    this.#tried.push({
      name,
      outcome: noData ? "NODATA" : (messages[0]?.rcode ?? "NXDOMAIN"),
      queries: this.#queries,
    });
    this.#next();
  }

  /** A server that cannot answer: the next one is asked; when all could not, the round is not repeated. */
  #afterServerError(name: string, attempt: number, index: number, rcode: string): void {
    if (index + 1 < this.#servers.length) return this.#round(name, attempt, index + 1, rcode);
    this.#failed(name, rcode);
  }

  /** No server gave an answer. Only SERVFAIL goes on with the search list; else the name as it is comes last. */
  #failed(name: string, outcome: string): void {
    this.#tried.push({ name, outcome, queries: this.#queries });
    this.#sawServfail ||= outcome === "SERVFAIL";
    if (outcome === "SERVFAIL") return this.#next();
    const asIs = fqdn(this.#request.name);
    const left = this.#names.includes(asIs);
    this.#names.length = 0;
    if (outcome === "ECONNREFUSED" || !left) return this.#end("timeout");
    this.#names.push(asIs);
    this.#next();
  }

  #found(name: string, messages: readonly DnsMessage[]): void {
    this.#tried.push({ name, outcome: "NOERROR", queries: this.#queries });
    const found = messages.flatMap(addressesOf);
    const canonical = found[0]?.owner ?? name;
    const addresses = found.map(({ address, family }) => ({ address, family }));
    this.#tell(
      name,
      this.#types[0] ?? "A",
      "",
      "done",
      "NOERROR",
      addresses.map((entry) => entry.address),
    );
    this.#then({ addresses, name: canonical, tried: this.#tried, error: undefined });
  }

  #end(error: ResolveError): void {
    this.#tell(this.#request.name, this.#types[0] ?? "A", "", "done", error, []);
    this.#then({ addresses: [], name: this.#request.name, tried: this.#tried, error });
  }

  /**
   * One socket, one query for each type, all sent before the first reply is waited for.
   * Differs: when one reply came and the other timed out, glibc asks both again one after the other.
   */
  #exchange(
    name: string,
    server: string,
    wait: Micros,
    then: (outcomes: readonly Outcome[]) => void,
  ): void {
    const { ns, owner } = this.#request;
    const outcomes = new Map<AddressType, Outcome>();
    const address = parseIpv4(server);
    if (address === undefined) return then(this.#types.map(() => "ENETUNREACH" as const));
    if (this.#settings.useTcp) return this.#exchangeTcp(name, server, address, wait, then);
    const socket = new UdpSocket(ns, owner);
    const errno = socket.connect(address, 53);
    if (errno !== undefined) return then(this.#types.map(() => errno));
    const pending = new Map<AddressType, number>();
    let done = false;
    const finish = (rest: "timeout" | Errno): void => {
      if (done) return;
      done = true;
      timer.cancel();
      socket.close();
      for (const type of pending.keys()) {
        outcomes.set(type, rest);
        this.#tell(
          name,
          type,
          server,
          "timeout",
          rest === "timeout" ? undefined : rest,
          [],
          socket.localPort,
        );
      }
      pending.clear();
      then(this.#types.map((type) => outcomes.get(type) ?? "timeout"));
    };
    const timer = ns.sim.queue.after(wait, `dns answer for ${name}`, () => finish("timeout"));
    const overTcp = (): void => {
      if (done) return;
      done = true;
      timer.cancel();
      socket.close();
      this.#exchangeTcp(name, server, address, wait, then);
    };
    socket.onError = (error) => finish(error);
    socket.onDatagram = ({ data }) => {
      const reply = this.#match(data, name, pending);
      if (reply === undefined) return;
      if (reply.message.tc) return overTcp();
      outcomes.set(reply.type, reply.message);
      const answers = reply.message.answers.map((record) => record.data);
      this.#tell(
        name,
        reply.type,
        server,
        "answer",
        reply.message.rcode,
        answers,
        socket.localPort,
      );
      pending.delete(reply.type);
      if (pending.size === 0) finish("timeout");
    };
    for (const type of this.#types) {
      const id = Math.floor(ns.sim.random() * 65_536);
      pending.set(type, id);
      this.#queries++;
      this.#tell(name, type, server, "ask", undefined, [], socket.localPort);
      const edns = this.#settings.edns0
        ? { udpSize: 1200, version: 0, do: false, options: [] }
        : undefined;
      const sent = socket.send(encodeDns(newQuery(name, type, { id, edns })));
      if (typeof sent === "string") return finish(sent);
    }
  }

  /** A truncated reply: all is asked again over TCP, of the same server. Mirrors res_send.c:send_vc(). */
  #exchangeTcp(
    name: string,
    server: string,
    address: Ipv4,
    timeout: Micros,
    then: (outcomes: readonly Outcome[]) => void,
  ): void {
    const { ns, owner } = this.#request;
    const pending = new Map<AddressType, number>();
    const messages = this.#types.map((type) => {
      const id = Math.floor(ns.sim.random() * 65_536);
      pending.set(type, id);
      this.#queries++;
      this.#tell(name, type, server, "ask", undefined, []);
      return encodeDns(newQuery(name, type, { id }));
    });
    queryTcp({ ns, owner, address, port: 53, messages, timeout }, ({ replies, failure }) => {
      const outcomes = new Map<AddressType, Outcome>();
      for (const data of replies) {
        const reply = this.#match(data, name, pending);
        if (reply === undefined) continue;
        outcomes.set(reply.type, reply.message);
        const answers = reply.message.answers.map((record) => record.data);
        this.#tell(name, reply.type, server, "answer", reply.message.rcode, answers);
      }
      const rest: Outcome = failure === undefined || failure === "closed" ? "timeout" : failure;
      then(this.#types.map((type) => outcomes.get(type) ?? rest));
    });
  }

  /** The reply to one of the pending queries: same id, same question. */
  #match(
    data: Uint8Array,
    name: string,
    pending: ReadonlyMap<AddressType, number>,
  ): { readonly type: AddressType; readonly message: DnsMessage } | undefined {
    const message = decodeDns(data);
    if (!message.ok || !message.value.qr) return undefined;
    const [question] = message.value.questions;
    for (const [type, id] of pending) {
      if (message.value.id !== id || question?.type !== type) continue;
      if (question.name.toLowerCase() === name.toLowerCase())
        return { type, message: message.value };
    }
    return undefined;
  }

  /** The one place that tells what the resolver does. */
  #tell(
    name: string,
    type: string,
    server: string,
    action: "ask" | "answer" | "timeout" | "done",
    rcode: string | undefined,
    answers: readonly string[],
    port?: number,
  ): void {
    const { ns } = this.#request;
    const attempt = [this.#total - this.#names.length, this.#total] as const;
    const at = { time: ns.sim.queue.now, ns: ns.name };
    ns.sim.trace?.({
      ...at,
      kind: "resolver",
      name,
      type,
      server,
      action,
      rcode,
      answers,
      attempt,
      port,
    });
  }
}

/** The addresses that an answer leads to, CNAMEs followed from the question. */
function addressesOf(
  message: DnsMessage,
): { readonly address: string; readonly family: 4 | 6; readonly owner: string }[] {
  const [question] = message.questions;
  let owner = question?.name ?? ".";
  for (let steps = 0; steps <= message.answers.length; steps++) {
    const here = message.answers.filter(
      (record) => record.name.toLowerCase() === owner.toLowerCase(),
    );
    const found = here.filter((record) => record.type === question?.type);
    if (found.length > 0) {
      const family = question?.type === "A" ? 4 : 6;
      return found.map((record) => ({ address: record.data, family, owner }));
    }
    const cname = here.find((record) => record.type === "CNAME");
    if (cname === undefined) return [];
    owner = cname.data;
  }
  return [];
}
