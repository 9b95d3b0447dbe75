import type { Micros } from "../../../sim/time.js";
import { seconds } from "../../../sim/time.js";
import { formatDnsDate } from "../../../wire/dns-rdata.js";
import type { DnsMessage } from "../../../wire/dns-message.js";
import {
  cacheDuration,
  classify,
  storeRefusal,
  type CacheClass,
  type CacheLimits,
} from "../cache-rules.js";
import { CacheStore, type CacheItem } from "../cache-store.js";
import type { Controller } from "../controller.js";
import { duration, integer, parseInteger } from "../go-values.js";
import { mapRecords, questionOf, replyTo } from "../messages.js";
import { longestZone, normalizeZone } from "../names.js";
import {
  definePlugin,
  mapReply,
  type DnsContext,
  type Handler,
  type Plugin,
  type Query,
  type Result,
  type Walk,
} from "../plugin.js";

interface Settings {
  zones: readonly string[];
  readonly success: { capacity: number; cap: number; min: number };
  readonly denial: { capacity: number; cap: number; min: number };
  servfail: Micros;
  prefetch:
    | { readonly amount: number; readonly period: Micros; readonly percent: number }
    | undefined;
  stale: Stale | undefined;
  preferPositive: boolean;
  readonly disabled: { success: readonly string[]; denial: readonly string[] };
  keepTtl: boolean;
}

interface Stale {
  readonly upTo: Micros;
  readonly verify: boolean;
  readonly verifyTimeout: Micros;
  readonly ttl: number;
  readonly recheck: Micros;
}

/** `cache [TTL] [ZONES…] { … }`: answers again what was answered before. Mirrors plugin/cache. */
export const cache: Plugin = definePlugin({
  name: "cache",
  setup(c) {
    let settings = defaults(c);
    let place = c.place();
    for (let count = 0; c.next(); count++) {
      if (count > 0) throw c.once();
      place = c.place();
      settings = directive(c);
    }
    return new CacheHandler(place, settings);
  },
});

function defaults(c: Controller): Settings {
  return {
    zones: c.config.zones,
    success: { capacity: 9984, cap: 3600, min: 5 },
    denial: { capacity: 9984, cap: 1800, min: 5 },
    servfail: seconds(5),
    prefetch: undefined,
    stale: undefined,
    preferPositive: false,
    disabled: { success: [], denial: [] },
    keepTtl: false,
  };
}

function directive(c: Controller): Settings {
  const settings = defaults(c);
  const args = c.remainingArgs();
  const ttl = parseInteger(args[0] ?? "");
  if (ttl !== undefined) {
    if (ttl <= 0) throw c.plain(`cache TTL can not be zero or negative: ${ttl}`);
    settings.success.cap = ttl;
    settings.denial.cap = ttl;
    args.shift();
  }
  settings.zones = c.zones(args);
  let policies = 0;
  while (c.nextBlock()) {
    if (c.val() === "serve_stale_policy" && ++policies > 1)
      throw c.plain("serve_stale_policy can only be specified once");
    property(c, settings);
  }
  if (settings.preferPositive && settings.stale === undefined)
    throw c.plain("serve_stale_policy requires serve_stale");
  return settings;
}

function property(c: Controller, settings: Settings): void {
  const name = c.val();
  switch (name) {
    case "success":
    case "denial":
      return limits(c, settings[name]);
    case "prefetch":
      settings.prefetch = prefetch(c);
      return;
    case "serve_stale":
      settings.stale = stale(c);
      return;
    case "serve_stale_policy": {
      const [policy, more] = c.remainingArgs();
      if (policy === undefined || more !== undefined) throw c.argErr();
      if (policy !== "prefer_positive") throw c.plain(`invalid serve_stale_policy: ${policy}`);
      settings.preferPositive = true;
      return;
    }
    case "servfail": {
      const [text, more] = c.remainingArgs();
      if (text === undefined || more !== undefined) throw c.argErr();
      settings.servfail = duration(c, text);
      if (settings.servfail < 0) throw c.plain("invalid negative ttl for servfail");
      if (settings.servfail > seconds(300))
        throw c.plain("caching SERVFAIL responses over 5 minutes is not permitted");
      return;
    }
    case "disable":
      return disable(c, settings);
    case "keepttl":
      if (c.remainingArgs().length > 0) throw c.argErr();
      settings.keepTtl = true;
      return;
    default:
      throw c.argErr();
  }
}

function limits(c: Controller, target: Settings["success"]): void {
  const args = c.remainingArgs();
  const [capacity, cap, min] = args;
  if (capacity === undefined) throw c.argErr();
  target.capacity = integer(c, capacity);
  if (cap === undefined) return;
  target.cap = integer(c, cap);
  if (target.cap <= 0) throw c.plain(`cache TTL can not be zero or negative: ${target.cap}`);
  if (min === undefined) return;
  target.min = integer(c, min);
  if (target.min < 0) throw c.plain(`cache min TTL can not be negative: ${target.min}`);
}

function prefetch(c: Controller): Settings["prefetch"] {
  const args = c.remainingArgs();
  const [amountText, periodText, percentText] = args;
  if (amountText === undefined || args.length > 3) throw c.argErr();
  const amount = integer(c, amountText);
  if (amount < 0) throw c.plain(`prefetch amount should be positive: ${amount}`);
  const period = periodText === undefined ? seconds(60) : duration(c, periodText);
  if (percentText === undefined) return { amount, period, percent: 10 };
  if (!percentText.endsWith("%")) {
    throw c.plain(
      `last character of percentage should be \`%\`, but is: '${percentText.at(-1) ?? ""}'`,
    );
  }
  const percent = integer(c, percentText.slice(0, -1));
  if (percent < 10 || percent > 90)
    throw c.plain(`percentage should fall in range [10, 90]: ${percent}`);
  return { amount, period, percent };
}

function stale(c: Controller): Stale {
  const args = c.remainingArgs();
  if (args.length > 5) throw c.argErr();
  const [upToText, mode = "immediate", ...rest] = args;
  const upTo = upToText === undefined ? seconds(3600) : duration(c, upToText);
  if (upTo < 0) throw c.plain("invalid negative duration for serve_stale");
  if (!["immediate", "verify"].includes(mode.toLowerCase())) {
    throw c.plain(`invalid value for serve_stale refresh mode: ${mode}`);
  }
  const verify = mode.toLowerCase() === "verify";
  const times = rest.map((text) => duration(c, text));
  const verifyTimeout = verify ? (times.shift() ?? seconds(0)) : seconds(0);
  if (verifyTimeout < 0) throw c.plain("invalid negative timeout for serve_stale verify");
  const [ttl = seconds(0), recheck = seconds(0), extra] = times;
  if (extra !== undefined) throw c.argErr();
  if (ttl < 0 || recheck < 0) throw c.plain("invalid negative duration for serve_stale");
  if (ttl % 1_000_000 !== 0)
    throw c.plain("serve_stale response TTL must be a whole number of seconds");
  return { upTo, verify, verifyTimeout, ttl: ttl / 1_000_000, recheck };
}

function disable(c: Controller, settings: Settings): void {
  const [kind, ...zones] = c.remainingArgs();
  if (kind === undefined) throw c.argErr();
  if (kind !== "success" && kind !== "denial")
    throw c.plain('cache type for disable must be "success" or "denial"');
  settings.disabled[kind] = zones.length === 0 ? ["."] : zones.flatMap(normalizeZone);
}

class CacheHandler implements Handler {
  readonly name = "cache";
  readonly place: Handler["place"];
  readonly #settings: Settings;
  readonly #success: CacheStore;
  readonly #denial: CacheStore;

  constructor(place: Handler["place"], settings: Settings) {
    this.place = place;
    this.#settings = settings;
    this.#success = new CacheStore(settings.success.capacity);
    this.#denial = new CacheStore(settings.denial.capacity);
  }

  serve(query: Query, walk: Walk, context: DnsContext): void {
    const { name } = questionOf(query);
    if (longestZone(this.#settings.zones, name) === undefined) {
      return walk.next(query, { action: "passed", why: "the name is in none of its zones" });
    }
    const item = this.#find(query, context);
    if (item === undefined) return this.#miss(query, walk, context, "miss");
    const left = secondsLeft(item, context);
    if (left > 0) {
      this.#prefetch(item, query, walk, context, left);
      const why = `${item.kind} item of ${item.ttl} s, ${left} s left`;
      const ttl = this.#settings.keepTtl ? item.ttl : left;
      return walk.respond(this.#serveItem(item, query, ttl), { action: "hit", why });
    }
    this.#serveStale(item, query, walk, context);
  }

  /** The usable item: denial before success, but not a cached SERVFAIL before an answer. */
  #find(query: Query, context: DnsContext): CacheItem | undefined {
    const denial = this.#usable(this.#denial.get(query), context);
    const success = this.#usable(this.#success.get(query), context);
    if (success !== undefined && this.#settings.preferPositive && success.answers.length > 0)
      return success;
    if (denial?.rcode === "SERVFAIL" && success !== undefined) return success;
    return denial ?? success;
  }

  #usable(item: CacheItem | undefined, context: DnsContext): CacheItem | undefined {
    if (item === undefined) return undefined;
    if (secondsLeft(item, context) > 0) return item;
    const { stale: rule } = this.#settings;
    return rule !== undefined && context.now() - expiry(item) < rule.upTo ? item : undefined;
  }

  #miss(query: Query, walk: Walk, context: DnsContext, action: string): void {
    const { name, type, class: klass } = questionOf(query);
    const why = `nothing kept for ${name.toLowerCase()} ${klass} ${type}`;
    walk.next(this.#downstream(query), { action, why }, (result) => {
      const stored = this.#store(query, result, context);
      walk.respond(
        stored.result,
        stored.note === "" ? undefined : { action: stored.action, why: stored.note },
      );
    });
  }

  #downstream(query: Query): Query {
    return { ...query, message: { ...query.message, ad: true } };
  }

  #store(
    query: Query,
    result: Result,
    context: DnsContext,
  ): { result: Result; action: string; note: string } {
    const [reply] = result.replies;
    if (reply === undefined) return { result, action: "not stored", note: "no reply was written" };
    const { name, type, class: klass } = questionOf(query);
    const asked = reply.questions[0];
    const mismatch =
      asked?.name.toLowerCase() !== name.toLowerCase() ||
      asked.type !== type ||
      asked.class !== klass;
    const kind = classify(reply, type, formatDnsDate(context.unixTime()));
    const refusal = mismatch ? "the reply's question is another" : storeRefusal(reply, kind);
    const clamp = this.#clamp();
    const ttl = cacheDuration(reply, kind, clamp);
    let note = refusal;
    if (refusal === undefined) {
      const denial = isDenial(kind);
      const zones = denial ? this.#settings.disabled.denial : this.#settings.disabled.success;
      if (longestZone(zones, name) !== undefined)
        note = `storing ${denial ? "denials" : "answers"} is disabled for the name`;
      else if (ttl <= 0) note = "its time to live is 0";
      else this.#keep(query, reply, kind, ttl, context);
    }
    const changed = mapReply(result, (message) =>
      withTtl(message, refusal === undefined ? ttl : undefined, query),
    );
    const action = note === undefined ? "stored" : "not stored";
    return {
      result: changed,
      action,
      note: note ?? `in ${isDenial(kind) ? "denial" : "success"} for ${ttl} s`,
    };
  }

  #clamp(): CacheLimits {
    const { success, denial, servfail } = this.#settings;
    return { success, denial, servfail: servfail / 1_000_000 };
  }

  #keep(query: Query, reply: DnsMessage, kind: CacheClass, ttl: number, context: DnsContext): void {
    const { name, type, class: klass } = questionOf(query);
    const denial = isDenial(kind);
    const item: CacheItem = {
      name: name.toLowerCase(),
      type,
      class: klass,
      kind: denial ? "denial" : "success",
      rcode: reply.rcode,
      ad: reply.ad,
      ra: reply.ra,
      answers: reply.answers,
      authorities: reply.authorities,
      additionals: reply.additionals,
      ttl,
      stored: context.now(),
      hits: 0,
      lastHit: context.now(),
      refreshing: false,
      checked: undefined,
    };
    const previous = denial ? this.#denial.get(query) : this.#success.get(query);
    if (previous !== undefined) {
      item.hits = previous.hits;
      item.lastHit = previous.lastHit;
    }
    if (denial) this.#denial.set(query, item, () => context.random());
    else {
      this.#success.set(query, item, () => context.random());
      this.#denial.delete(query);
    }
  }

  #serveItem(item: CacheItem, query: Query, ttl: number): Result {
    const wantsAd = query.message.ad || query.message.edns?.do === true;
    const { rcode, ra, answers, authorities, additionals } = item;
    const sections = { answers, authorities, additionals };
    const reply = replyTo(query.message, {
      aa: true,
      ra,
      rcode,
      ad: item.ad && wantsAd,
      ...sections,
    });
    return { rcode: "NOERROR", replies: [mapRecords(reply, (record) => ({ ...record, ttl }))] };
  }

  #prefetch(item: CacheItem, query: Query, walk: Walk, context: DnsContext, left: number): void {
    const rule = this.#settings.prefetch;
    if (rule === undefined || rule.amount === 0) return;
    item.hits = context.now() - item.lastHit > rule.period ? 1 : item.hits + 1;
    item.lastHit = context.now();
    if (item.hits < rule.amount || left > Math.ceil((rule.percent / 100) * item.ttl)) return;
    this.#refresh(item, query, walk, context, "prefetch");
  }

  /** Asks below in the background, as nobody's client. Only a good answer replaces the item. */
  #refresh(item: CacheItem, query: Query, walk: Walk, context: DnsContext, action: string): void {
    if (item.refreshing) return;
    item.refreshing = true;
    item.checked = context.now();
    const client = { address: "", port: 0, proto: "tcp" as const };
    const background = { ...this.#downstream(query), client };
    walk.next(background, { action, why: "asks again in the background" }, (result) => {
      item.refreshing = false;
      if (isFresh(result)) this.#store(query, result, context);
    });
  }

  #serveStale(item: CacheItem, query: Query, walk: Walk, context: DnsContext): void {
    const rule = this.#settings.stale;
    if (rule === undefined) return this.#miss(query, walk, context, "miss");
    const wait = item.checked !== undefined && context.now() - item.checked < rule.recheck;
    const late = Math.floor((context.now() - expiry(item)) / 1_000_000);
    const note = { action: "stale", why: `item expired ${late} s ago` };
    const serve = (): void => walk.respond(this.#serveItem(item, query, rule.ttl), note);
    if (wait) return serve();
    if (!rule.verify) {
      serve();
      return this.#refresh(item, query, walk, context, "refresh");
    }
    this.#verify(item, query, walk, context, rule, serve);
  }

  #verify(
    item: CacheItem,
    query: Query,
    walk: Walk,
    context: DnsContext,
    rule: Stale,
    serve: () => void,
  ): void {
    let done = false;
    item.checked = context.now();
    walk.next(
      this.#downstream(query),
      { action: "verify", why: "the item has expired" },
      (result) => {
        const fresh = isFresh(result);
        const stored = fresh ? this.#store(query, result, context) : undefined;
        if (done) return;
        done = true;
        if (stored !== undefined)
          walk.respond(stored.result, { action: stored.action, why: stored.note });
        else if (result.unknown === undefined) serve();
        else walk.respond(result);
      },
    );
    if (done || rule.verifyTimeout === 0) return;
    context.after(rule.verifyTimeout, "cache verify timeout", () => {
      if (done) return;
      done = true;
      serve();
    });
  }
}

function isDenial(kind: CacheClass): boolean {
  return kind === "NXDOMAIN" || kind === "NODATA" || kind === "SERVERERROR";
}

function isFresh(result: Result): boolean {
  const [reply] = result.replies;
  return (
    reply !== undefined && !reply.tc && (reply.rcode === "NOERROR" || reply.rcode === "NXDOMAIN")
  );
}

function expiry(item: CacheItem): number {
  return item.stored + item.ttl * 1_000_000;
}

function secondsLeft(item: CacheItem, context: DnsContext): number {
  return item.ttl - Math.floor((context.now() - item.stored) / 1_000_000);
}

/** What the client of a miss gets: every TTL is the time the reply is kept, AD only for who asked. */
function withTtl(message: DnsMessage, ttl: number | undefined, query: Query): DnsMessage {
  const wantsAd = query.message.ad || query.message.edns?.do === true;
  const reply = {
    ...message,
    ad: message.ad && wantsAd,
    edns: ttl === undefined ? message.edns : undefined,
  };
  return ttl === undefined ? reply : mapRecords(reply, (record) => ({ ...record, ttl }));
}
