import type { DnsRecord } from "../../wire/dns-message.js";
import { canonicalIp, parseIp } from "./address.js";
import type { Found, Item } from "./kubernetes-lookup.js";
import { record } from "./messages.js";
import { fqdn, isInZone } from "./names.js";
import type { DnsContext, Query } from "./plugin.js";

/** Records made from items, for the plugins that find services. Mirrors plugin/backend_lookup.go. */
export interface BackendRecords {
  readonly answers: readonly DnsRecord[];
  readonly additionals: readonly DnsRecord[];
  readonly truncated: boolean;
  readonly unknown: string | undefined;
}

export type FindItems = (name: string, type: string) => Found;

interface Chase {
  readonly query: Query;
  readonly zone: string;
  readonly context: DnsContext;
  readonly find: FindItems;
}

export const noRecords: BackendRecords = {
  answers: [],
  additionals: [],
  truncated: false,
  unknown: undefined,
};

/** CNAMEs that are followed in one answer. */
const maxCnames = 10;

/**
 * The address records of a name. A name as item becomes a CNAME and is followed: inside the zone by `find`, outside by
 * the whole server. `then` is given undefined when the name does not exist.
 */
export function addressRecords(
  chase: Chase,
  name: string,
  type: string,
  previous: readonly DnsRecord[],
  then: (records: BackendRecords | undefined) => void,
): void {
  const found = chase.find(name, type);
  if (found.items === undefined) return then(undefined);
  const family = type === "A" ? 4 : 6;
  const seen = new Set<string>();
  let result = noRecords;
  const items = [...found.items];
  next();

  function next(): void {
    for (let item = items.shift(); item !== undefined; item = items.shift()) {
      const ip = parseIp(item.host);
      if (ip === undefined) return follow(chase, item, name, type, previous, add);
      if (ip.family !== family || seen.has(item.host)) continue;
      seen.add(item.host);
      result = { ...result, answers: [...result.answers, record(name, type, item.ttl, item.host)] };
    }
    then(result);
  }

  function add(more: BackendRecords): void {
    result = {
      answers: [...result.answers, ...more.answers],
      additionals: [],
      truncated: result.truncated || more.truncated,
      unknown: result.unknown ?? more.unknown,
    };
    next();
  }
}

function follow(
  chase: Chase,
  item: Item,
  name: string,
  type: string,
  previous: readonly DnsRecord[],
  then: (records: BackendRecords) => void,
): void {
  const target = fqdn(item.host);
  const cname = record(name, "CNAME", item.ttl, target);
  const known = previous.some((other) => other.name === cname.name && other.data === cname.data);
  if (isInZone(target, name) || previous.length > maxCnames || known) return then(noRecords);
  if (isInZone(target, chase.zone)) {
    return addressRecords(chase, target, type, [...previous, cname], (records) => {
      if (records === undefined || records.answers.length === 0)
        return then({
          ...noRecords,
          truncated: records?.truncated ?? false,
          unknown: records?.unknown,
        });
      then({ ...records, answers: [cname, ...records.answers] });
    });
  }
  chase.context.lookup(chase.query, target, type, (result) => {
    const [reply] = result.replies;
    if (result.unknown !== undefined || reply === undefined)
      return then({ ...noRecords, unknown: result.unknown });
    then({ ...noRecords, answers: [cname, ...reply.answers], truncated: reply.tc });
  });
}

/** SRV records and the addresses of their targets. Items that are names are resolved by the server. */
export function srvRecords(
  query: Query,
  name: string,
  items: readonly Item[],
  context: DnsContext,
  then: (records: BackendRecords) => void,
): void {
  const weight = Math.max(1, Math.floor((100 / (items.length * 100)) * 100));
  const answers: DnsRecord[] = [];
  const additionals: DnsRecord[] = [];
  const seen = new Set<string>();
  const addOnce = (list: DnsRecord[], key: string, item: DnsRecord): void => {
    if (seen.has(key)) return;
    seen.add(key);
    list.push(item);
  };
  const targets: string[] = [];
  for (const item of items) {
    if (item.port === -1) continue;
    const ip = parseIp(item.host);
    const target = ip === undefined ? fqdn(item.host) : item.key;
    addOnce(
      answers,
      `${target} ${item.port}`,
      record(name, "SRV", item.ttl, `0 ${weight} ${item.port} ${target}`),
    );
    if (ip === undefined) {
      if (!targets.includes(target)) targets.push(target);
      continue;
    }
    const type = ip.family === 4 ? "A" : "AAAA";
    addOnce(
      additionals,
      `${target} ${item.host}`,
      record(target, type, item.ttl, canonicalIp(item.host) ?? item.host),
    );
  }
  let unknown: string | undefined;
  const lookups = targets.flatMap((target) => [`A ${target}`, `AAAA ${target}`]);
  next();

  function next(): void {
    const lookup = lookups.shift();
    if (lookup === undefined) return then({ answers, additionals, truncated: false, unknown });
    const [type = "A", target = "."] = lookup.split(" ");
    context.lookup(query, target, type, (result) => {
      unknown ??= result.unknown;
      additionals.push(...(result.replies[0]?.answers ?? []));
      next();
    });
  }
}
