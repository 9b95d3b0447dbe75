import type { DnsMessage, DnsRecord } from "../../../wire/dns-message.js";
import { netContains, parseCidr, parseIp, type IpNet } from "../address.js";
import type { Controller } from "../controller.js";
import { parseDuration } from "../go-values.js";
import { questionOf } from "../messages.js";
import { fqdn } from "../names.js";
import { definePlugin, mapReply, type DnsContext, type Handler, type Plugin } from "../plugin.js";

interface Settings {
  readonly weights: Weights | undefined;
  readonly prefer: readonly IpNet[];
}

/** The weight of each address, by name. */
type Weights = ReadonlyMap<string, ReadonlyMap<string, number>>;

/** `loadbalance [round_robin|weighted FILE] { reload DURATION  prefer CIDR… }`: shuffles the addresses of each reply. */
export const loadbalance: Plugin = definePlugin({
  name: "loadbalance",
  setup(c) {
    let settings: Settings = { weights: undefined, prefer: [] };
    let place = c.place();
    while (c.next()) {
      place = c.place();
      settings = directive(c);
    }
    return handler(place, settings);
  },
});

function directive(c: Controller): Settings {
  const [policy = "round_robin", file, more] = c.remainingArgs();
  if (policy !== "round_robin" && policy !== "weighted") throw c.plain(`unknown policy: ${policy}`);
  if (policy === "round_robin" && file !== undefined)
    throw c.err("unknown property for round_robin");
  if (policy === "weighted" && file === undefined) throw c.err("missing weight file argument");
  if (more !== undefined) throw c.err("unexpected argument(s)");
  const prefer: IpNet[] = [];
  let reload = true;
  while (c.nextBlock()) {
    const property = c.val();
    const args = c.remainingArgs();
    if (property === "prefer") prefer.push(...args.map((arg) => cidr(c, arg)));
    else if (property === "reload" && policy === "weighted") reload = reloads(c, args);
    else if (policy === "round_robin") throw c.err("unknown property for round_robin");
    else throw c.err(`unknown property '${property}'`, ["reload", "prefer"]);
  }
  if (file === undefined) return { weights: undefined, prefer };
  const text = c.readFile(file);
  if (text === undefined && !reload) {
    throw c.plain("weight file open error");
  }
  return { weights: readWeights(text ?? ""), prefer };
}

function reloads(c: Controller, args: readonly string[]): boolean {
  const [text, more] = args;
  if (text === undefined) throw c.err("reload duration value is missing");
  if (more !== undefined) throw c.err("unexpected argument");
  const value = parseDuration(text);
  if (typeof value !== "number") throw c.err(`invalid reload duration '${text}'`);
  if (value < 0) throw c.err(`invalid reload duration '${text}'`);
  return value > 0;
}

function cidr(c: Controller, text: string): IpNet {
  const net = parseCidr(text);
  if (net === undefined) throw c.err(`invalid CIDR '${text}'`);
  return net;
}

/** Lines `name`, then `ADDRESS WEIGHT`. A bad line makes the whole file void. */
function readWeights(text: string): Weights {
  const result = new Map<string, Map<string, number>>();
  let current: Map<string, number> | undefined;
  for (const line of text.split("\n")) {
    const words = line.replace(/#.*/, "").trim().split(/\s+/);
    if (words[0] === "" || words[0] === undefined) continue;
    if (words.length === 1) {
      current = new Map();
      result.set(fqdn(words[0]).toLowerCase(), current);
      continue;
    }
    const weight = Number(words[1]);
    if (current === undefined || parseIp(words[0]) === undefined || !(weight >= 1 && weight <= 255))
      return new Map();
    current.set(words[0], weight);
  }
  return result;
}

function handler(place: Handler["place"], settings: Settings): Handler {
  return {
    name: "loadbalance",
    place,
    serve(query, walk, context) {
      const { type } = questionOf(query);
      walk.next(query, { action: "passed", why: "shuffles addresses that come back" }, (result) => {
        if (type === "AXFR" || type === "IXFR") return walk.respond(result);
        const balanced = mapReply(result, (reply) => balance(reply, type, settings, context));
        const before = result.replies[0]?.answers ?? [];
        const after = balanced.replies[0]?.answers ?? [];
        if (!before.some((record, index) => record !== after[index])) return walk.respond(balanced);
        walk.respond(balanced, {
          action: "changed",
          why: `order ${shown(before)} became ${shown(after)}`,
        });
      });
    },
  };
}

function shown(records: readonly DnsRecord[]): string {
  return records.map((record) => record.data).join(", ");
}

function balance(
  reply: DnsMessage,
  type: string,
  settings: Settings,
  context: DnsContext,
): DnsMessage {
  if (reply.rcode !== "NOERROR") return reply;
  const { weights, prefer } = settings;
  if (weights !== undefined) {
    if (type !== "A" && type !== "AAAA" && type !== "SRV") return reply;
    const weigh = (list: readonly DnsRecord[]): readonly DnsRecord[] =>
      weighted(list, weights, context);
    return { ...reply, answers: weigh(reply.answers), additionals: weigh(reply.additionals) };
  }
  const answers = preferred(shuffled(reply.answers, context), prefer);
  const additionals = preferred(shuffled(reply.additionals, context), prefer);
  return { ...reply, answers, authorities: shuffled(reply.authorities, context), additionals };
}

/** CNAMEs, then other types, then the addresses shuffled, then MX shuffled. Mirrors loadbalance.go:roundRobin(). */
function shuffled(records: readonly DnsRecord[], context: DnsContext): readonly DnsRecord[] {
  if (records.length < 2) return records;
  const { cnames, addresses, mx, rest } = grouped(records);
  return [...cnames, ...rest, ...shuffle(addresses, context), ...shuffle(mx, context)];
}

interface Groups {
  readonly cnames: DnsRecord[];
  readonly addresses: DnsRecord[];
  readonly mx: DnsRecord[];
  readonly rest: DnsRecord[];
}

function grouped(records: readonly DnsRecord[]): Groups {
  const groups: Groups = { cnames: [], addresses: [], mx: [], rest: [] };
  for (const record of records) {
    if (record.type === "CNAME") groups.cnames.push(record);
    else if (record.type === "A" || record.type === "AAAA") groups.addresses.push(record);
    else if (record.type === "MX") groups.mx.push(record);
    else groups.rest.push(record);
  }
  return groups;
}

function shuffle(records: DnsRecord[], context: DnsContext): DnsRecord[] {
  const list = [...records];
  const steps = list.length === 2 ? 1 : list.length;
  for (let at = 0; at < steps; at++)
    swap(list, at, at + Math.floor(context.random() * (list.length - at)));
  return list;
}

function swap(list: DnsRecord[], a: number, b: number): void {
  const first = list[a];
  const second = list[b];
  if (first === undefined || second === undefined) return;
  list[a] = second;
  list[b] = first;
}

/** Only the first address is drawn, by weight; those without one weigh 1. */
function weighted(
  records: readonly DnsRecord[],
  weights: Weights,
  context: DnsContext,
): readonly DnsRecord[] {
  if (records.length < 2) return records;
  const { cnames, addresses, mx, rest } = grouped(records);
  const table = weights.get(addresses[0]?.name.toLowerCase() ?? "");
  if (addresses.length > 1 && table !== undefined) {
    const list = addresses.map((record) => table.get(record.data) ?? 1);
    let left = Math.floor(context.random() * list.reduce((sum, weight) => sum + weight, 0));
    const chosen = list.findIndex((weight) => (left -= weight) < 0);
    swap(addresses, 0, Math.max(0, chosen));
  }
  return [...cnames, ...rest, ...addresses, ...mx];
}

/** Addresses inside the first preferred block come first, and so on; order is kept within. */
function preferred(records: readonly DnsRecord[], nets: readonly IpNet[]): readonly DnsRecord[] {
  if (nets.length === 0 || records.length < 2) return records;
  const { cnames, addresses, mx, rest } = grouped(records);
  const rank = (record: DnsRecord): number => {
    const ip = parseIp(record.data);
    const index = ip === undefined ? -1 : nets.findIndex((net) => netContains(net, ip));
    return index < 0 ? nets.length : index;
  };
  return [...cnames, ...addresses.toSorted((a, b) => rank(a) - rank(b)), ...mx, ...rest];
}
