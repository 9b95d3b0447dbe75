import type { Errno, SendResult } from "../../core/errno.js";
import type { NetworkNamespace } from "../../core/namespace.js";
import { familyOf } from "../../inet/families.js";
import { UdpSocket } from "../../inet/udp-socket.js";
import type { SocketOwner } from "../../inet/socket-owner.js";
import { seconds, type Micros } from "../../sim/time.js";
import { decodeDns, encodeDns } from "../../wire/dns.js";
import type { DnsMessage, DnsRecord } from "../../wire/dns-message.js";
import { type IpAddress, parseIpv4, parseIpv6 } from "../../wire/ip.js";
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
  /** Asked together for each name: A and AAAA when left out, as getaddrinfo does. */
  readonly types?: readonly string[] | undefined;
  /** Which names are tried: with the search list, as glibc does when left out, or the name alone. */
  readonly search?: "list" | "none" | undefined;
  readonly owner?: SocketOwner | undefined;
}

/** One candidate name and what came of it. */
export interface TriedName {
  readonly name: string;
  /** `NOERROR`, `NODATA`, `NXDOMAIN`, `SERVFAIL`, `REFUSED`, `timeout`, `ECONNREFUSED`. */
  readonly outcome: string;
  /** Queries that were sent for it. */
  readonly queries: number;
}

/** `NXDOMAIN` and `NODATA` are final; `SERVFAIL` (also REFUSED and refused connections) and `timeout` are "try again". */
export type ResolveError = "NXDOMAIN" | "NODATA" | "SERVFAIL" | "timeout";

export interface ResolveResult {
  /** In the order of the replies: A before AAAA. */
  readonly addresses: readonly { readonly address: string; readonly family: 4 | 6 }[];
  /** The answer records of the name that was found, CNAMEs included. */
  readonly records: readonly DnsRecord[];
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

/** How the queries of one name are put to one server. */
type Way = "together" | "in turn" | "apart";

const nextWay: Readonly<Record<Way, Way | undefined>> = {
  together: "in turn",
  "in turn": "apart",
  apart: undefined,
};

/** One name asked of one server. */
interface Asked {
  readonly name: string;
  readonly server: string;
  readonly address: IpAddress;
  readonly wait: Micros;
}

/** Codes after which the next server is asked. */
const serverErrors: ReadonlySet<string> = new Set(["SERVFAIL", "NOTIMP", "REFUSED"]);

class Walk {
  readonly #request: ResolveRequest;
  readonly #then: (result: ResolveResult) => void;
  readonly #settings: ResolverSettings;
  readonly #servers: readonly string[];
  readonly #types: readonly string[];
  readonly #names: string[];
  /** The server that is asked first: `rotate` draws it. */
  readonly #turn: number;
  readonly #total: number;
  readonly #tried: TriedName[] = [];
  /** The sockets of the name that is asked for now, one for each server: later rounds use them again. */
  readonly #channels = new Map<string, Channel>();
  /** The message ids of that name: repeated queries are the same messages. */
  readonly #ids = new Map<string, number>();
  #queries = 0;
  #sawNoData = false;
  #sawServfail = false;

  constructor(request: ResolveRequest, then: (result: ResolveResult) => void) {
    this.#request = request;
    this.#then = then;
    this.#settings = resolverSettings(request.conf);
    this.#servers = usableNameservers(request.conf);
    this.#types = request.types ?? ["A", "AAAA"];
    this.#turn = this.#settings.rotate
      ? Math.floor(request.ns.sim.random() * this.#servers.length)
      : 0;
    this.#names =
      request.search === "none" ? [fqdn(request.name)] : candidateNames(request.name, request.conf);
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
    for (const type of this.#types)
      this.#ids.set(type, Math.floor(this.#request.ns.sim.random() * 65_536));
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
    return (index + this.#turn) % this.#servers.length;
  }

  /** Mirrors res_send.c:send_dg(): later servers are waited for longer, shared among them. */
  #wait(index: number): Micros {
    const { timeout } = this.#settings;
    const value = index === 0 ? timeout : Math.floor((timeout * 2 ** index) / this.#servers.length);
    return seconds(Math.max(value, 1));
  }

  #judge(name: string, attempt: number, index: number, replies: readonly Outcome[]): void {
    const messages = replies.filter((reply) => typeof reply !== "string");
    const good = messages.filter((reply) => !serverErrors.has(reply.rcode));
    if (good.some(isFound)) return this.#found(name, good);
    if (good.length === 0) {
      const failed = replies.find((reply) => typeof reply === "string");
      return this.#round(name, attempt, index + 1, messages[0]?.rcode ?? failed ?? "timeout");
    }
    const noData = good.some((reply) => reply.rcode === "NOERROR");
    if (noData) this.#sawNoData = true;
    this.#finishName(name, noData ? "NODATA" : (good[0]?.rcode ?? "NXDOMAIN"));
    this.#next();
  }

  #finishName(name: string, outcome: string): void {
    this.#tried.push({ name, outcome, queries: this.#queries });
    for (const channel of this.#channels.values()) channel.close();
    this.#channels.clear();
  }

  /** No server gave an answer. Only SERVFAIL goes on with the search list; else the name as it is comes last. */
  #failed(name: string, outcome: string): void {
    this.#finishName(name, outcome);
    this.#sawServfail ||= outcome === "SERVFAIL";
    if (outcome === "SERVFAIL") return this.#next();
    const asIs = fqdn(this.#request.name);
    const left = this.#names.includes(asIs);
    this.#names.length = 0;
    if (outcome === "ECONNREFUSED" || !left)
      return this.#end(outcome === "timeout" ? "timeout" : "SERVFAIL");
    this.#names.push(asIs);
    this.#next();
  }

  #found(name: string, messages: readonly DnsMessage[]): void {
    this.#finishName(name, "NOERROR");
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
    const records = messages.flatMap(({ answers }) => answers);
    this.#then({ addresses, records, name: canonical, tried: this.#tried, error: undefined });
  }

  #end(error: ResolveError): void {
    this.#tell(this.#request.name, this.#types[0] ?? "A", "", "done", error, []);
    const { name } = this.#request;
    this.#then({ addresses: [], records: [], name, tried: this.#tried, error });
  }

  /** Asks one server for every type. When only some replies came in time, it is asked again in the next way. */
  #exchange(
    name: string,
    server: string,
    wait: Micros,
    then: (outcomes: readonly Outcome[]) => void,
  ): void {
    const address = parseIpv4(server) ?? parseIpv6(server);
    if (address === undefined) return then(this.#types.map(() => "ENETUNREACH" as const));
    const asked: Asked = { name, server, address, wait };
    if (this.#settings.useTcp) return this.#exchangeTcp(asked, then);
    this.#ask(asked, this.#settings.singleRequest ? "in turn" : "together", then);
  }

  /**
   * `together`: A and AAAA at once on one socket; `in turn`: the second when the first was answered; `apart`: in turn and
   * a socket each. Mirrors the RES_SNGLKUP and RES_SNGLKUPREOP fallbacks of res_send.c:send_dg().
   */
  #ask(asked: Asked, way: Way, then: (outcomes: readonly Outcome[]) => void): void {
    const outcomes = new Map<string, Outcome>();
    const left = [...this.#types];
    const done = (): void => {
      const answered = [...outcomes.values()].filter(
        (outcome) => typeof outcome !== "string",
      ).length;
      const again = nextWay[way];
      const partly = answered > 0 && answered < this.#types.length;
      if (partly && again !== undefined && [...outcomes.values()].includes("timeout"))
        return this.#ask(asked, again, then);
      then(this.#types.map((type) => outcomes.get(type) ?? "timeout"));
    };
    const step = (types: readonly string[]): void => {
      const channel = this.#channel(asked, way === "apart");
      if (typeof channel === "string") return then(this.#types.map(() => channel));
      this.#await(channel, asked, types, (results) => {
        if (results === "truncated") return this.#exchangeTcp(asked, then);
        for (const [type, outcome] of results) outcomes.set(type, outcome);
        const next = left.shift();
        if (
          next === undefined ||
          [...results.values()].some((outcome) => typeof outcome === "string")
        )
          return done();
        step([next]);
      });
    };
    step(way === "together" ? left.splice(0) : left.splice(0, 1));
  }

  /** The socket for a server, opened when there is none yet or a fresh one is wanted. */
  #channel(asked: Asked, fresh: boolean): Channel | Errno {
    const known = this.#channels.get(asked.server);
    if (known !== undefined && !fresh) return known;
    known?.close();
    const channel = new Channel(this.#request.ns, this.#request.owner, asked.address);
    const errno = channel.connect(asked.address);
    if (errno !== undefined) return errno;
    this.#channels.set(asked.server, channel);
    return channel;
  }

  /** Sends one query for each type and waits for the replies. */
  #await(
    channel: Channel,
    asked: Asked,
    types: readonly string[],
    then: (results: ReadonlyMap<string, Outcome> | "truncated") => void,
  ): void {
    const { ns } = this.#request;
    const { name, server } = asked;
    const { port } = channel;
    const results = new Map<string, Outcome>();
    const pending = new Map(types.map((type) => [type, this.#ids.get(type) ?? 0]));
    let done = false;
    const finish = (rest: "timeout" | Errno, truncated = false): void => {
      if (done) return;
      done = true;
      timer.cancel();
      channel.ignore();
      for (const type of truncated ? [] : pending.keys()) {
        results.set(type, rest);
        this.#tell(name, type, server, "timeout", rest === "timeout" ? undefined : rest, [], port);
      }
      then(truncated ? "truncated" : results);
    };
    const timer = ns.sim.queue.after(asked.wait, `dns answer for ${name}`, () => finish("timeout"));
    for (const type of types) {
      this.#queries++;
      this.#tell(name, type, server, "ask", undefined, [], port);
      const sent = channel.send(this.#query(name, type));
      if (sent !== undefined) return finish(sent);
    }
    channel.listen(finish, (data) => {
      const reply = done ? undefined : this.#match(data, name, pending);
      if (reply === undefined) return;
      if (reply.message.tc) return finish("timeout", true);
      results.set(reply.type, reply.message);
      pending.delete(reply.type);
      const answers = reply.message.answers.map((record) => record.data);
      this.#tell(name, reply.type, server, "answer", reply.message.rcode, answers, port);
      if (pending.size === 0) finish("timeout");
    });
  }

  #query(name: string, type: string): Uint8Array {
    const edns = this.#settings.edns0
      ? { udpSize: 1200, version: 0, do: false, options: [] }
      : undefined;
    return encodeDns(newQuery(name, type, { id: this.#ids.get(type) ?? 0, edns }));
  }

  /** A truncated reply: all is asked again over TCP, of the same server. Mirrors res_send.c:send_vc(). */
  #exchangeTcp(asked: Asked, then: (outcomes: readonly Outcome[]) => void): void {
    const { ns, owner } = this.#request;
    const { name, server, address, wait: timeout } = asked;
    const pending = new Map(this.#ids);
    const messages = this.#types.map((type) => {
      this.#queries++;
      this.#tell(name, type, server, "ask", undefined, []);
      return this.#query(name, type);
    });
    queryTcp({ ns, owner, address, port: 53, messages, timeout }, ({ replies, failure }) => {
      const outcomes = new Map<string, Outcome>();
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
    pending: ReadonlyMap<string, number>,
  ): { readonly type: string; readonly message: DnsMessage } | undefined {
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

/** A UDP socket to one server. What comes while nobody waits is kept until somebody does. */
class Channel {
  readonly #socket: UdpSocket;
  readonly #inbox: Uint8Array[] = [];
  #error: Errno | undefined;
  #onError: ((errno: Errno) => void) | undefined;
  #onData: ((data: Uint8Array) => void) | undefined;

  constructor(ns: NetworkNamespace, owner: SocketOwner | undefined, server: IpAddress) {
    this.#socket = new UdpSocket(ns, owner, familyOf(server));
    this.#socket.onDatagram = ({ data }) => {
      if (this.#onData === undefined) this.#inbox.push(data);
      else this.#onData(data);
    };
    this.#socket.onError = (errno) => {
      if (this.#onError === undefined) this.#error = errno;
      else this.#onError(errno);
    };
  }

  get port(): number {
    return this.#socket.localPort;
  }

  connect(address: IpAddress): Errno | undefined {
    return this.#socket.connect(address, 53);
  }

  send(data: Uint8Array): SendResult {
    return this.#socket.send(data);
  }

  /** Tells what is kept and what comes from now on, until `ignore`. */
  listen(onError: (errno: Errno) => void, onData: (data: Uint8Array) => void): void {
    this.#onError = onError;
    this.#onData = onData;
    for (const data of this.#inbox.splice(0)) onData(data);
    const error = this.#error;
    this.#error = undefined;
    if (error !== undefined) this.#onError?.(error);
  }

  ignore(): void {
    this.#onError = undefined;
    this.#onData = undefined;
  }

  close(): void {
    this.#socket.close();
  }
}

/** Whether a reply ends the search: an address was found, or any record of another type. */
export function isFound(message: DnsMessage): boolean {
  const type = message.questions[0]?.type;
  if (type === "A" || type === "AAAA") return addressesOf(message).length > 0;
  return message.answers.length > 0;
}

/** The addresses that an answer leads to, CNAMEs followed from the question. */
export function addressesOf(
  message: DnsMessage,
): { readonly address: string; readonly family: 4 | 6; readonly owner: string }[] {
  const [question] = message.questions;
  if (question?.type !== "A" && question?.type !== "AAAA") return [];
  let owner = question.name;
  for (let steps = 0; steps <= message.answers.length; steps++) {
    const here = message.answers.filter(
      (record) => record.name.toLowerCase() === owner.toLowerCase(),
    );
    const found = here.filter((record) => record.type === question.type);
    if (found.length > 0) {
      const family = question.type === "A" ? 4 : 6;
      return found.map((record) => ({ address: record.data, family, owner }));
    }
    const cname = here.find((record) => record.type === "CNAME");
    if (cname === undefined) return [];
    owner = cname.data;
  }
  return [];
}
