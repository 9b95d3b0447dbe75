import { UdpSocket } from "../../inet/udp-socket.js";
import { microseconds, type Micros, seconds } from "../../sim/time.js";
import { decodeDns, encodeDns } from "../../wire/dns.js";
import type { DnsMessage } from "../../wire/dns-message.js";
import { IPV4_ANY, formatIp, parseIpv4 } from "../../wire/ip.js";
import { newQuery } from "./messages.js";
import { fqdn, isDomainName, isFqdn, labelsOf } from "./names.js";
import { formatResolvConf, type ResolvConf, usableNameservers } from "./resolv-conf.js";
import {
  addressesOf,
  isFound,
  type ResolveError,
  type ResolveRequest,
  type ResolveResult,
  type TriedName,
} from "./resolver.js";
import { queryTcp } from "./tcp-query.js";

/** How musl behaves, from the options of a resolv.conf. Mirrors musl src/network/resolvconf.c. */
interface MuslSettings {
  readonly ndots: number;
  readonly timeout: Micros;
  readonly attempts: number;
}

/** A line of resolv.conf that is longer is passed over. */
const maxLine = 255;

function muslSettings(conf: ResolvConf): MuslSettings {
  const value = (name: string, fallback: number, maximum: number): number => {
    const text = conf.options.findLast((option) => option.startsWith(`${name}:`));
    const number = Number.parseInt(text?.slice(name.length + 1) ?? "", 10);
    return Number.isNaN(number) ? fallback : Math.min(number, maximum);
  };
  return {
    ndots: value("ndots", 1, 15),
    timeout: seconds(value("timeout", 5, 60)),
    attempts: Math.max(value("attempts", 2, 10), 1),
  };
}

/** The names that musl tries, in order: with enough dots, or one at the end, the search list is not used at all. */
export function muslCandidateNames(name: string, conf: ResolvConf): string[] {
  if (isFqdn(name)) return [name];
  const asIs = fqdn(name);
  const dots = labelsOf(asIs).length - 1;
  const [line = ""] = formatResolvConf({ ...conf, nameservers: [], options: [] }).split("\n");
  if (dots >= muslSettings(conf).ndots || line.length + 1 > maxLine) return [asIs];
  const searched = conf.searches
    .filter((domain) => domain !== ".")
    .map((domain) => fqdn(`${name}.${domain}`));
  return [...searched.filter(isDomainName), asIs];
}

/**
 * Looks up a name as musl's getaddrinfo does: every type of every name goes to all nameservers at once, NXDOMAIN leads to
 * the next name, and anything else ends the search. Mirrors musl src/network/lookup_name.c and res_msend.c.
 */
export function resolveMusl(request: ResolveRequest, then: (result: ResolveResult) => void): void {
  new MuslWalk(request, then).next();
}

class MuslWalk {
  readonly #request: ResolveRequest;
  readonly #then: (result: ResolveResult) => void;
  readonly #names: string[];
  readonly #total: number;
  readonly #tried: TriedName[] = [];

  constructor(request: ResolveRequest, then: (result: ResolveResult) => void) {
    this.#request = request;
    this.#then = then;
    this.#names = isDomainName(fqdn(request.name))
      ? request.search === "none"
        ? [fqdn(request.name)]
        : muslCandidateNames(request.name, request.conf)
      : [];
    this.#total = this.#names.length;
  }

  next(): void {
    const name = this.#names.shift();
    if (name === undefined) return this.#end("NXDOMAIN", []);
    const attempt = [this.#total - this.#names.length, this.#total] as const;
    new MuslExchange(this.#request, name, attempt, (replies, queries) =>
      this.#judge(name, replies, queries),
    ).start();
  }

  /** Mirrors lookup_name.c:name_from_dns(): the first reply that is not NOERROR decides. */
  #judge(name: string, replies: readonly (DnsMessage | undefined)[], queries: number): void {
    const bad = replies.find((reply) => reply?.rcode !== "NOERROR");
    const messages = replies.filter((reply) => reply !== undefined);
    const failed = replies.includes(undefined);
    const outcome = failed
      ? "timeout"
      : bad !== undefined
        ? bad.rcode
        : messages.some(isFound)
          ? "NOERROR"
          : "NODATA";
    this.#tried.push({ name, outcome, queries });
    if (outcome === "NXDOMAIN") return this.next();
    if (outcome === "NOERROR") return this.#end(undefined, messages);
    this.#end(outcome === "timeout" || outcome === "NODATA" ? outcome : "SERVFAIL", []);
  }

  #end(error: ResolveError | undefined, messages: readonly DnsMessage[]): void {
    const found = messages.flatMap(addressesOf);
    const { ns, name, types } = this.#request;
    const asked = this.#tried.at(-1)?.name ?? name;
    ns.sim.trace?.({
      time: ns.sim.queue.now,
      ns: ns.name,
      kind: "resolver",
      name: asked,
      type: types?.[0] ?? "A",
      server: "",
      action: "done",
      rcode: error ?? "NOERROR",
      answers: found.map(({ address }) => address),
      attempt: [this.#total - this.#names.length, this.#total],
      port: undefined,
    });
    this.#then({
      addresses: found.map(({ address, family }) => ({ address, family })),
      records: messages.flatMap(({ answers }) => answers),
      name: error === undefined ? (found[0]?.owner ?? asked) : name,
      tried: this.#tried,
      error,
    });
  }
}

/** One question of a name: the message stays the same however often it is sent. */
interface Pending {
  readonly type: string;
  readonly id: number;
  readonly bytes: Uint8Array;
  reply: DnsMessage | undefined;
  /** Asked again over TCP, as its reply was truncated. */
  overTcp: boolean;
}

/**
 * Every type of one name, put to all servers. What is not answered is sent again after timeout / attempts; SERVFAIL is sent
 * again at once, twice for each question and round; other codes are not heard. Mirrors res_msend.c:__res_msend_rc().
 */
class MuslExchange {
  readonly #request: ResolveRequest;
  readonly #name: string;
  readonly #attempt: readonly [number, number];
  readonly #then: (replies: readonly (DnsMessage | undefined)[], queries: number) => void;
  readonly #socket: UdpSocket;
  readonly #servers: readonly string[];
  readonly #pending: readonly Pending[];
  readonly #settings: MuslSettings;
  #retries = 0;
  #rounds = 0;
  #queries = 0;
  #done = false;

  constructor(
    request: ResolveRequest,
    name: string,
    attempt: readonly [number, number],
    then: (replies: readonly (DnsMessage | undefined)[], queries: number) => void,
  ) {
    this.#request = request;
    this.#name = name;
    this.#attempt = attempt;
    this.#then = then;
    this.#settings = muslSettings(request.conf);
    this.#servers = usableNameservers(request.conf);
    this.#socket = new UdpSocket(request.ns, request.owner);
    this.#pending = (request.types ?? ["A", "AAAA"]).map((type) => {
      const id = Math.floor(request.ns.sim.random() * 65_536);
      const bytes = encodeDns(newQuery(name, type, { id }));
      return { type, id, bytes, reply: undefined, overTcp: false };
    });
  }

  start(): void {
    const { queue } = this.#request.ns.sim;
    this.#socket.bind(IPV4_ANY, 0);
    this.#socket.onDatagram = ({ data, source, sourcePort }) => {
      const server = formatIp(source);
      if (sourcePort === 53 && this.#servers.includes(server)) this.#receive(data, server);
    };
    queue.after(this.#settings.timeout, `musl gives up ${this.#name}`, () => this.#finish());
    this.#round();
  }

  #round(): void {
    if (this.#done) return;
    this.#retries = 2 * this.#pending.length;
    for (const pending of this.#pending)
      if (pending.reply === undefined && !pending.overTcp)
        for (const server of this.#servers) this.#send(pending, server);
    const { timeout, attempts } = this.#settings;
    const again = microseconds(Math.floor(timeout / attempts));
    const { queue } = this.#request.ns.sim;
    if (this.#queriesLeft())
      queue.after(again, `musl asks ${this.#name} again`, () => this.#again());
  }

  /** The last interval only waits. */
  #again(): void {
    if (++this.#rounds < this.#settings.attempts) this.#round();
  }

  #queriesLeft(): boolean {
    return this.#pending.some(({ reply }) => reply === undefined);
  }

  #send({ type, bytes }: Pending, server: string): void {
    const address = parseIpv4(server);
    if (address === undefined) return;
    this.#queries++;
    this.#tell(type, server, "ask", undefined, []);
    this.#socket.sendTo(bytes, address, 53);
  }

  #receive(data: Uint8Array, server: string): void {
    const message = decodeDns(data);
    if (!message.ok || !message.value.qr || this.#done) return;
    const reply = message.value;
    const pending = this.#pending.find(({ id }) => id === reply.id);
    if (pending === undefined || pending.reply !== undefined) return;
    if (reply.rcode === "SERVFAIL" && this.#retries > 0) {
      this.#retries--;
      return this.#send(pending, server);
    }
    if (reply.rcode !== "NOERROR" && reply.rcode !== "NXDOMAIN") return;
    if (reply.tc) return this.#overTcp(pending, server);
    this.#accept(pending, server, reply);
  }

  #accept(pending: Pending, server: string, reply: DnsMessage): void {
    pending.reply = reply;
    const answers = reply.answers.map((record) => record.data);
    this.#tell(pending.type, server, "answer", reply.rcode, answers);
    if (!this.#queriesLeft()) this.#finish();
  }

  /** Mirrors res_msend.c:start_tcp(), as musl 1.2.4 and later do. */
  #overTcp(pending: Pending, server: string): void {
    const address = parseIpv4(server);
    if (address === undefined || pending.overTcp) return;
    pending.overTcp = true;
    const { ns, owner } = this.#request;
    const query = { ns, owner, address, port: 53, messages: [pending.bytes] };
    this.#queries++;
    this.#tell(pending.type, server, "ask", undefined, [], true);
    queryTcp({ ...query, timeout: this.#settings.timeout }, ({ replies: [data] }) => {
      const message = data === undefined ? undefined : decodeDns(data);
      if (!this.#done && message?.ok === true) this.#accept(pending, server, message.value);
    });
  }

  #finish(): void {
    if (this.#done) return;
    this.#done = true;
    this.#socket.close();
    for (const { type, reply } of this.#pending)
      if (reply === undefined) this.#tell(type, this.#servers[0] ?? "", "timeout", undefined, []);
    this.#then(
      this.#pending.map(({ reply }) => reply),
      this.#queries,
    );
  }

  #tell(
    type: string,
    server: string,
    action: "ask" | "answer" | "timeout",
    rcode: string | undefined,
    answers: readonly string[],
    overTcp = false,
  ): void {
    const { ns } = this.#request;
    ns.sim.trace?.({
      time: ns.sim.queue.now,
      ns: ns.name,
      kind: "resolver",
      name: this.#name,
      type,
      server,
      action,
      rcode,
      answers,
      attempt: this.#attempt,
      port: overTcp ? undefined : this.#socket.localPort,
    });
  }
}
