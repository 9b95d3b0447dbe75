import { milliseconds, seconds, type Micros } from "../../../sim/time.js";
import { RCODES } from "../../../wire/dns-message.js";
import type { Controller } from "../controller.js";
import { parseUpstreams, type UpstreamAddress } from "../forward-upstreams.js";
import { duration, formatDuration, integer } from "../go-values.js";
import { newQuery, questionOf, replyTo } from "../messages.js";
import { fqdn, isDomainName, isInZone, normalizeZone } from "../names.js";
import {
  definePlugin,
  unknownResult,
  unwritten,
  written,
  type DnsContext,
  type Handler,
  type Plugin,
  type Query,
  type Walk,
} from "../plugin.js";
import type { UpstreamReply } from "../upstream.js";

interface Settings {
  from: string;
  upstreams: UpstreamAddress[];
  except: string[];
  forceTcp: boolean;
  preferUdp: boolean;
  policy: string;
  maxFails: number;
  maxAttempts: number | undefined;
  maxConcurrent: number;
  expire: Micros;
  maxAge: Micros;
  readTimeout: Micros;
  health: { interval: Micros; recursion: boolean; domain: string };
  next: Set<string>;
  nextOnNoData: boolean;
  failover: Set<string>;
  failfast: boolean;
  tlsServername: string;
}

/** `forward FROM TO… { … }`: asks other resolvers. Mirrors plugin/forward. */
export const forward: Plugin = definePlugin({
  name: "forward",
  setup(c) {
    const handlers: Handler[] = [];
    while (c.next()) {
      const place = c.place();
      handlers.push(new ForwardHandler(place, directive(c)));
    }
    return handlers;
  },
});

function directive(c: Controller): Settings {
  const settings = defaults();
  if (!c.nextArg()) throw c.argErr();
  const text = c.val();
  const zones = isDomainName(text) ? normalizeZone(text) : [];
  const [from] = zones;
  if (from === undefined) throw c.plain(`unable to normalize '${text}'`);
  if (zones.length > 1) {
    c.config.log(
      `[WARNING] plugin/forward: Unsupported CIDR notation: '${text}' expands to multiple zones. Using only '${from}'.`,
    );
  }
  settings.from = from;
  const to = c.remainingArgs();
  if (to.length === 0) throw c.argErr();
  settings.upstreams = parseUpstreams(c, to);
  while (c.nextBlock()) property(c, settings);
  if (settings.maxAge > 0 && settings.maxAge < settings.expire) {
    const [age, expire] = [settings.maxAge, settings.expire].map(formatDuration);
    throw c.plain(`max_age (${age}) must not be less than expire (${expire})`);
  }
  checkServernames(c, settings);
  return settings;
}

function defaults(): Settings {
  return {
    from: ".",
    upstreams: [],
    except: [],
    forceTcp: false,
    preferUdp: false,
    policy: "random",
    maxFails: 2,
    maxAttempts: undefined,
    maxConcurrent: 0,
    expire: seconds(10),
    maxAge: seconds(0),
    readTimeout: seconds(2),
    health: { interval: milliseconds(500), recursion: true, domain: "." },
    next: new Set(),
    nextOnNoData: false,
    failover: new Set(),
    failfast: false,
    tlsServername: "",
  };
}

function checkServernames(c: Controller, settings: Settings): void {
  const named = settings.upstreams.find((upstream) => upstream.servername !== "");
  if (named === undefined || settings.tlsServername === "") return;
  const proxy = `tls://${named.server}`;
  throw c.plain(
    `both forward ('${settings.tlsServername}') and proxy level ('${named.servername}') TLS servernames are set for upstream proxy '${proxy}'`,
  );
}

const properties = [
  "except",
  "force_tcp",
  "prefer_udp",
  "expire",
  "max_age",
  "max_idle_conns",
  "read_timeout",
  "max_fails",
  "max_connect_attempts",
  "tls",
  "tls_servername",
  "doh_method",
  "policy",
  "health_check",
  "max_concurrent",
  "next",
  "next_on_nodata",
  "failfast_all_unhealthy_upstreams",
  "failover",
  "source_address",
  "resolver",
];

function property(c: Controller, settings: Settings): void {
  const name = c.val();
  if (!properties.includes(name)) throw c.unknownProperty(properties);
  if (flag(c, settings, name)) return;
  const args = c.remainingArgs();
  if (name === "tls") {
    if (args.length > 3) throw c.argErr();
    return;
  }
  const [first] = args;
  if (first === undefined) throw c.argErr();
  switch (name) {
    case "except":
      settings.except.push(...args.flatMap(normalizeZone));
      return;
    case "policy":
      if (!["random", "round_robin", "sequential"].includes(first))
        throw c.err(`unknown policy '${first}'`);
      settings.policy = first;
      return;
    case "max_fails":
      settings.maxFails = integer(c, first, "ParseUint");
      return;
    case "max_connect_attempts":
      settings.maxAttempts = integer(c, first, "ParseUint");
      return;
    case "max_concurrent":
      settings.maxConcurrent = notNegative(c, name, integer(c, first));
      return;
    case "max_idle_conns":
      notNegative(c, name, integer(c, first));
      return;
    case "expire":
    case "max_age":
    case "read_timeout":
      return time(c, settings, name, first);
    case "health_check":
      return healthCheck(c, settings, args);
    case "next":
    case "failover":
      for (const code of args) settings[name].add(rcode(c, name, code));
      return;
    case "tls_servername":
      settings.tlsServername = first;
      return;
    default:
      return;
  }
}

function flag(c: Controller, settings: Settings, name: string): boolean {
  const flags: Record<string, () => void> = {
    force_tcp: () => (settings.forceTcp = true),
    prefer_udp: () => (settings.preferUdp = true),
    next_on_nodata: () => (settings.nextOnNoData = true),
    failfast_all_unhealthy_upstreams: () => (settings.failfast = true),
  };
  const set = flags[name];
  if (set === undefined) return false;
  if (c.nextArg()) throw c.argErr();
  set();
  return true;
}

function notNegative(c: Controller, name: string, value: number): number {
  if (value < 0) throw c.plain(`${name} can't be negative: ${value}`);
  return value;
}

function time(
  c: Controller,
  settings: Settings,
  name: "expire" | "max_age" | "read_timeout",
  text: string,
): void {
  const value = duration(c, text);
  if (name === "read_timeout") {
    if (value <= 0) throw c.plain(`read_timeout must be positive: ${formatDuration(value)}`);
    settings.readTimeout = value;
    return;
  }
  if (value < 0) throw c.plain(`${name} can't be negative: ${formatDuration(value)}`);
  if (name === "expire") settings.expire = value;
  else settings.maxAge = value;
}

function healthCheck(c: Controller, settings: Settings, args: readonly string[]): void {
  const interval = duration(c, args[0] ?? "");
  if (interval < 0) throw c.plain(`health_check can't be negative: ${formatDuration(interval)}`);
  settings.health.interval = interval;
  for (let at = 1; at < args.length; at++) {
    const option = args[at] ?? "";
    if (option === "no_rec") settings.health.recursion = false;
    else if (option === "domain") {
      const domain = args[++at];
      if (domain === undefined) throw c.argErr();
      if (!isDomainName(domain)) throw c.plain(`health_check: invalid domain name ${domain}`);
      settings.health.domain = fqdn(domain);
    } else throw c.plain(`health_check: unknown option ${option}`);
  }
}

function rcode(c: Controller, property: string, text: string): string {
  const upper = text.toUpperCase();
  if (!RCODES.has(upper)) throw c.plain(`${text} is not a valid rcode`);
  if (property === "failover" && upper === "NOERROR")
    throw c.plain("NoError cannot be used in failover");
  return upper;
}

interface Proxy extends UpstreamAddress {
  fails: number;
  probing: boolean;
}

/** One query's way through the upstreams. */
interface Attempt {
  readonly query: Query;
  readonly walk: Walk;
  readonly context: DnsContext;
  readonly list: readonly Proxy[];
  readonly begun: Micros;
  at: number;
  seenDown: number;
  failures: number;
  failovers: number;
  error: string | undefined;
  tried: string[];
}

/** A query is given up after this time. */
const defaultTimeout = seconds(5);

class ForwardHandler implements Handler {
  readonly name = "forward";
  readonly place: Handler["place"];
  readonly #settings: Settings;
  readonly #proxies: readonly Proxy[];
  #round = 0;
  #concurrent = 0;

  constructor(place: Handler["place"], settings: Settings) {
    this.place = place;
    this.#settings = settings;
    this.#proxies = settings.upstreams.map((upstream) => ({
      ...upstream,
      fails: 0,
      probing: false,
    }));
  }

  serve(query: Query, walk: Walk, context: DnsContext): void {
    const { name } = questionOf(query);
    const { from, except, maxConcurrent } = this.#settings;
    if (!isInZone(name, from))
      return walk.next(query, { action: "passed", why: `the name is not in ${from}` });
    const spared = except.find((zone) => isInZone(name, zone));
    if (spared !== undefined && name.toLowerCase() !== from) {
      return walk.next(query, { action: "passed", why: `the name is excepted by ${spared}` });
    }
    if (maxConcurrent > 0 && this.#concurrent >= maxConcurrent) {
      const error = `concurrent queries exceeded maximum ${maxConcurrent}`;
      return walk.respond(unwritten("REFUSED", error), { action: "refused", why: error });
    }
    this.#concurrent++;
    this.#attempt({
      query,
      walk: this.#counted(walk),
      context,
      list: this.#order(context),
      begun: context.now(),
      at: 0,
      seenDown: 0,
      failures: 0,
      failovers: 0,
      error: undefined,
      tried: [],
    });
  }

  /** The walk that takes the query out of the count when it is over. */
  #counted(walk: Walk): Walk {
    return {
      ...walk,
      next: (query, note, then) => {
        this.#concurrent--;
        walk.next(query, note, then);
      },
      respond: (result, note) => {
        this.#concurrent--;
        walk.respond(result, note);
      },
    };
  }

  #order(context: DnsContext): readonly Proxy[] {
    const { policy } = this.#settings;
    const list = [...this.#proxies];
    if (policy === "sequential" || list.length < 2) return list;
    if (policy === "round_robin") {
      const head = ++this.#round % list.length;
      return [...list.splice(head, 1), ...list];
    }
    const shuffled: Proxy[] = [];
    while (list.length > 0)
      shuffled.push(...list.splice(Math.floor(context.random() * list.length), 1));
    return shuffled;
  }

  #attempt(attempt: Attempt): void {
    const proxy = this.#pick(attempt);
    if (proxy === undefined) return this.#fail(attempt);
    const { query, context } = attempt;
    if (proxy.scheme !== "dns") {
      const why = `${proxy.scheme} upstreams are not modelled (${proxy.server})`;
      return attempt.walk.respond(unknownResult(why), { action: "unknown", why });
    }
    const { forceTcp, preferUdp } = this.#settings;
    const proto = forceTcp ? "tcp" : preferUdp ? "udp" : query.client.proto;
    this.#exchange(attempt, proxy, proto);
    void context;
  }

  /** The next upstream worth a try; undefined when the time or the attempts are used up. */
  #pick(attempt: Attempt): Proxy | undefined {
    const { list, context } = attempt;
    const { maxAttempts, maxFails, failfast } = this.#settings;
    const limit = maxAttempts ?? 2 * list.length;
    for (;;) {
      if (context.now() - attempt.begun >= defaultTimeout) return undefined;
      if (limit > 0 && attempt.failures >= limit) return undefined;
      if (attempt.at >= list.length) {
        attempt.at = 0;
        attempt.seenDown = 0;
      }
      const proxy = list[attempt.at++];
      if (proxy === undefined) return undefined;
      if (maxFails === 0 || proxy.fails <= maxFails) return proxy;
      if (++attempt.seenDown < list.length) continue;
      return failfast ? undefined : list[Math.floor(context.random() * list.length)];
    }
  }

  #exchange(attempt: Attempt, proxy: Proxy, proto: "udp" | "tcp"): void {
    const { query, context } = attempt;
    const message = { ...query.message, id: Math.floor(context.random() * 65_536) };
    attempt.tried.push(`${proxy.server} over ${proto}`);
    context.upstream.exchange(
      { server: proxy.server, proto, message, timeout: this.#settings.readTimeout },
      (reply) => {
        this.#answered(attempt, proxy, proto, reply);
      },
    );
  }

  #answered(attempt: Attempt, proxy: Proxy, proto: "udp" | "tcp", reply: UpstreamReply): void {
    const { query, walk, context } = attempt;
    if (reply.kind === "unknown") {
      return walk.respond(unknownResult(reply.reason), { action: "unknown", why: reply.reason });
    }
    if (reply.kind === "error") {
      attempt.error = reply.text;
      attempt.failures++;
      if (this.#settings.maxFails > 0) this.#healthcheck(proxy, context);
      return this.#attempt(attempt);
    }
    const { message } = reply;
    if (message.tc && proto === "udp" && this.#settings.preferUdp)
      return this.#exchange(attempt, proxy, "tcp");
    const asked = questionOf(query);
    const [got] = message.questions;
    const same =
      got?.name.toLowerCase() === asked.name.toLowerCase() &&
      got.type === asked.type &&
      got.class === asked.class;
    if (!message.qr || !same) {
      const why = `${proxy.server} answered another question`;
      return walk.respond(written(replyTo(query.message, { rcode: "FORMERR" })), {
        action: "answered",
        why,
      });
    }
    if (this.#settings.failover.has(message.rcode) && ++attempt.failovers < attempt.list.length) {
      return this.#attempt(attempt);
    }
    const noData =
      message.rcode === "NOERROR" && message.answers.length === 0 && this.#settings.nextOnNoData;
    if (
      (this.#settings.next.has(message.rcode) || noData) &&
      walk.nextHandler?.name === "forward"
    ) {
      return walk.next(query, {
        action: "passed",
        why: `${proxy.server} answered ${message.rcode}`,
      });
    }
    const why = `${attempt.tried.join(", then ")}: ${message.rcode}`;
    walk.respond(written({ ...message, id: query.message.id }), { action: "answered", why });
  }

  #fail(attempt: Attempt): void {
    const error = attempt.error ?? "no healthy proxies";
    const tried = attempt.tried.length === 0 ? "" : ` after ${attempt.tried.join(", ")}`;
    attempt.walk.respond(unwritten("SERVFAIL", error), {
      action: "failed",
      why: `${error}${tried}`,
    });
  }

  /** Asks an upstream that failed until it answers. Mirrors plugin/pkg/proxy/health.go. */
  #healthcheck(proxy: Proxy, context: DnsContext): void {
    if (proxy.probing || this.#settings.health.interval === 0) return;
    proxy.probing = true;
    const { domain, recursion, interval } = this.#settings.health;
    const probe = (rounds: number): void => {
      const id = Math.floor(context.random() * 65_536);
      const message = newQuery(domain, "NS", { id, rd: recursion });
      const request = { server: proxy.server, proto: "udp" as const, message, timeout: seconds(1) };
      context.upstream.exchange(request, (reply) => {
        if (reply.kind === "reply" || reply.kind === "unknown" || rounds >= maxProbes) {
          proxy.fails = reply.kind === "reply" ? 0 : proxy.fails;
          proxy.probing = false;
          return;
        }
        proxy.fails++;
        context.after(interval, "forward health check", () => probe(rounds + 1));
      });
    };
    probe(1);
  }
}

/** Differs: the real one probes as long as it runs; here the event queue must come to rest. */
const maxProbes = 10;
