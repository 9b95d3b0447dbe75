import type { DnsMessage, DnsRecord } from "../../../wire/dns-message.js";
import { formatIp, parseIp } from "../address.js";
import { addressRecords, noRecords, srvRecords, type BackendRecords } from "../backend-records.js";
import { KubernetesIndex } from "../kubernetes-index.js";
import {
  findRecords,
  findReverse,
  isDefaultNs,
  nsAddresses,
  parseName,
  spelledZone,
  type Found,
  type Item,
} from "../kubernetes-lookup.js";
import { parseKubernetes, type KubernetesOptions } from "../kubernetes-options.js";
import type { KubernetesView } from "../kubernetes-view.js";
import { transferKubernetes } from "../kubernetes-transfer.js";
import { questionOf, record, replyTo } from "../messages.js";
import { fqdn, longestZone } from "../names.js";
import {
  definePlugin,
  unknownResult,
  unwritten,
  written,
  type DnsContext,
  type Handler,
  type Note,
  type Plugin,
  type Query,
  type TransferResult,
  type Walk,
} from "../plugin.js";
import { searchList } from "../resolv-conf.js";

/** `kubernetes [ZONES…] { … }`: answers the names of services, endpoints and pods. Mirrors plugin/kubernetes. */
export const kubernetes: Plugin = definePlugin({
  name: "kubernetes",
  setup(c) {
    let handler: KubernetesHandler | undefined;
    while (c.next()) {
      if (handler !== undefined) throw c.once();
      const place = c.place();
      handler = new KubernetesHandler(place, parseKubernetes(c));
    }
    return handler;
  },
});

/** The answer to one question before it is written; `records` undefined is a name error. */
interface Answer {
  readonly records: BackendRecords | undefined;
  readonly why: string;
}

const schemaVersion = "1.1.0";

export class KubernetesHandler implements Handler {
  readonly name = "kubernetes";
  readonly place: Handler["place"];
  readonly options: KubernetesOptions;
  #index: KubernetesIndex | undefined;
  #indexed: KubernetesView | undefined;
  #arrays: readonly unknown[] = [];

  constructor(place: Handler["place"], options: KubernetesOptions) {
    this.place = place;
    this.options = options;
  }

  serve(query: Query, walk: Walk, context: DnsContext): void {
    const { name, type } = questionOf(query);
    const zone = spelledZone(this.options.zones, name);
    if (zone === undefined)
      return walk.next(query, { action: "passed", why: "the name is in none of its zones" });
    const view = context.kubernetes;
    if (view === undefined) {
      const why = "the world has no Kubernetes objects";
      return walk.respond(unknownResult(why), { action: "unknown", why });
    }
    if (type === "AXFR" || type === "IXFR") {
      return walk.respond(unwritten("REFUSED"), {
        action: "refused",
        why: "transfers are for the transfer plugin",
      });
    }
    this.#answer(query, zone, context, (answer) => this.#finish(query, zone, walk, view, answer));
  }

  ready(context: DnsContext): boolean {
    return context.kubernetes?.synced !== false;
  }

  /** The objects of the view, indexed; made again when the view's lists are others. */
  index(view: KubernetesView): KubernetesIndex {
    const arrays = [
      view.namespaces,
      view.services,
      view.endpointSlices,
      view.pods,
      view.serviceImports,
    ];
    const unchanged =
      this.#indexed === view && arrays.every((list, at) => list === this.#arrays[at]);
    if (unchanged && this.#index !== undefined) return this.#index;
    const { labels, namespaceLabels, noEndpoints } = this.options;
    this.#indexed = view;
    this.#arrays = arrays;
    this.#index = new KubernetesIndex(view, {
      labels,
      namespaceLabels: namespaceLabels ?? [],
      endpoints: !noEndpoints,
    });
    return this.#index;
  }

  soa(zone: string, serial: number): DnsRecord {
    const { ttl } = this.options;
    const data = `ns.dns.${zone} hostmaster.${zone} ${serial} 7200 1800 86400 ${ttl}`;
    return record(zone, "SOA", Math.min(ttl, 300), data);
  }

  /** The addresses of this server that are no loopback addresses; when it has only those, they. */
  localIps(context: DnsContext): readonly string[] {
    return context.localAddresses;
  }

  metadata(query: Query, context: DnsContext): Iterable<readonly [string, string]> {
    const result: (readonly [string, string])[] = [];
    const view = context.kubernetes;
    const pod =
      view !== undefined && this.options.pods === "verified"
        ? this.index(view).podsWithIp(query.client.address)[0]
        : undefined;
    if (pod !== undefined) {
      result.push(
        ["kubernetes/client-namespace", pod.namespace],
        ["kubernetes/client-pod-name", pod.name],
      );
      for (const [label, value] of Object.entries(pod.labels))
        result.push([`kubernetes/client-label/${label}`, value]);
    }
    const lower = questionOf(query).name.toLowerCase();
    const zone = longestZone(this.options.zones, lower);
    if (zone === undefined) return result;
    const parsed = parseName(lower, zone, this.options);
    if (parsed === undefined) return [...result, ["kubernetes/parse-error", "invalid query name"]];
    result.push(
      ["kubernetes/port-name", parsed.port],
      ["kubernetes/protocol", parsed.protocol],
      ["kubernetes/endpoint", parsed.endpoint],
      ["kubernetes/service", parsed.service],
      ["kubernetes/namespace", parsed.namespace],
      ["kubernetes/kind", parsed.kind],
    );
    if (this.options.multicluster.length > 0) result.push(["kubernetes/cluster", parsed.cluster]);
    if (this.options.zonal) result.push(["kubernetes/zone", parsed.topology?.zone ?? ""]);
    return result;
  }

  /** Mirrors plugin/kubernetes/autopath.go. */
  autopath(query: Query, context: DnsContext): readonly string[] {
    const zone = longestZone(this.options.zones, questionOf(query).name);
    const view = context.kubernetes;
    if (zone === undefined || view === undefined || this.options.pods !== "verified") return [];
    const pod = this.index(view).podsWithIp(query.client.address)[0];
    if (pod === undefined) return [];
    const own = searchList(context.files.get("/etc/resolv.conf") ?? "").map(fqdn);
    const cluster =
      zone === "."
        ? [`${pod.namespace}.svc.`, "svc.", "."]
        : [`${pod.namespace}.svc.${zone}`, `svc.${zone}`, zone];
    return [...cluster, ...own, ""];
  }

  transfer(zone: string, _query: Query, context: DnsContext): TransferResult | undefined {
    const view = context.kubernetes;
    if (view === undefined || !this.options.zones.includes(zone)) return undefined;
    return transferKubernetes(zone, this, view, context);
  }

  #answer(query: Query, zone: string, context: DnsContext, then: (answer: Answer) => void): void {
    const { name, type } = questionOf(query);
    const lower = name.toLowerCase();
    const find = (asked: string, wanted: string): Found =>
      this.#items(asked, wanted, zone, context);
    const chase = { query, zone, context, find };
    const done = (why: string) => (records: BackendRecords | undefined) => then({ records, why });
    switch (type) {
      case "A":
      case "AAAA":
        return addressRecords(chase, name, type, [], done(find(name, type).why));
      case "TXT":
        return then(this.#text(lower, name, zone, find));
      case "CNAME":
        return then(named(name, find(name, type), (item) => (isName(item) ? "CNAME" : undefined)));
      case "PTR":
        return then(pointers(name, this.#reverse(lower, zone, context)));
      case "MX":
        return then(emptyOr(find(name, type)));
      case "SRV":
        return this.#services(query, find(name, type), context, then);
      case "SOA":
        return then(this.#soaAnswer(name, zone, context));
      default:
        if (type === "NS" && lower === zone) return then(this.#nameServers(name, zone, context));
        addressRecords(chase, name, "A", [], (records) => {
          then({
            records: records && { ...noRecords, unknown: records.unknown },
            why: `no ${type} records here: ${find(name, "A").why}`,
          });
        });
    }
  }

  /** What a name stands for; `ns.dns.<zone>` is the server itself. */
  #items(name: string, type: string, zone: string, context: DnsContext): Found {
    const view = context.kubernetes;
    if (view === undefined) return { items: undefined, why: "" };
    const index = this.index(view);
    if (isDefaultNs(name.toLowerCase(), zone)) {
      const family = type === "A" ? 4 : type === "AAAA" ? 6 : undefined;
      const own = nsAddresses(zone, this.localIps(context), index, this.options);
      const items = own
        .filter((entry) => parseIp(entry.ip)?.family === family)
        .map((entry) => ({ host: entry.ip, port: 0, key: name, ttl: this.options.ttl }));
      return { items, why: "the server's own name" };
    }
    return findRecords(name, zone, index, this.options);
  }

  #reverse(lower: string, zone: string, context: DnsContext): Found {
    const view = context.kubernetes;
    return view === undefined
      ? { items: undefined, why: "" }
      : findReverse(lower, zone, this.index(view), this.options);
  }

  #text(
    lower: string,
    name: string,
    zone: string,
    find: (name: string, type: string) => Found,
  ): Answer {
    if (lower === `dns-version.${zone.toLowerCase()}`) {
      const answers = [record(name, "TXT", 28_800, `"${schemaVersion}"`)];
      return { records: { ...noRecords, answers }, why: "the version of the DNS specification" };
    }
    const found = find(name, "TXT");
    const { items } = found;
    const exists =
      items !== undefined &&
      (items.length > 0 || parseName(lower, zone, this.options)?.topology !== undefined);
    return { records: exists ? noRecords : undefined, why: found.why };
  }

  #services(query: Query, found: Found, context: DnsContext, then: (answer: Answer) => void): void {
    if (found.items === undefined) return then({ records: undefined, why: found.why });
    const items = found.items.filter((item) => !isName(item));
    srvRecords(query, questionOf(query).name, items, context, (records) =>
      then({ records, why: found.why }),
    );
  }

  #soaAnswer(name: string, zone: string, context: DnsContext): Answer {
    if (name !== zone) return { records: noRecords, why: "only the zone itself has a SOA record" };
    const answers = [this.soa(zone, context.kubernetes?.serial ?? 0)];
    return { records: { ...noRecords, answers }, why: "the zone's own record" };
  }

  #nameServers(name: string, zone: string, context: DnsContext): Answer {
    const view = context.kubernetes;
    if (view === undefined) return { records: undefined, why: "" };
    const { ttl } = this.options;
    const own = nsAddresses(zone, this.localIps(context), this.index(view), this.options);
    const targets = [...new Set(own.map((entry) => entry.name))];
    const answers = targets.map((target) => record(name, "NS", ttl, target));
    const additionals = own.map((entry) => addressRecord(entry.name, entry.ip, ttl));
    return {
      records: { ...noRecords, answers, additionals },
      why: "the services that lead to this server",
    };
  }

  #finish(query: Query, zone: string, walk: Walk, view: KubernetesView, answer: Answer): void {
    const { records, why } = answer;
    const { name } = questionOf(query);
    if (records?.unknown !== undefined) {
      return walk.respond(unknownResult(records.unknown), {
        action: "unknown",
        why: records.unknown,
      });
    }
    const soa = this.soa(zone, view.serial);
    const reply = (fields: Partial<DnsMessage>, note: Note): void =>
      walk.respond(written(replyTo(query.message, { aa: true, ...fields })), note);
    if (records === undefined) {
      const falls = longestZone(this.options.fallthrough ?? [], name);
      if (falls !== undefined)
        return walk.next(query, { action: "passed", why: `${why}; fallthrough ${falls}` });
      if (!view.synced) {
        return reply(
          { rcode: "SERVFAIL", authorities: [soa] },
          { action: "answered", why: "not synced with the API server" },
        );
      }
      return reply(
        { rcode: "NXDOMAIN", authorities: [soa] },
        { action: "answered", why: `NXDOMAIN: ${why}` },
      );
    }
    if (records.answers.length === 0) {
      return reply(
        { authorities: [soa] },
        { action: "answered", why: `NOERROR without records: ${why}` },
      );
    }
    const { answers, additionals, truncated } = records;
    reply({ answers, additionals, tc: truncated }, { action: "answered", why });
  }
}

export function addressRecord(name: string, ip: string, ttl: number): DnsRecord {
  const parsed = parseIp(ip);
  if (parsed === undefined) return record(name, "A", ttl, ip);
  return record(name, parsed.family === 4 ? "A" : "AAAA", ttl, formatIp(parsed));
}

function isName(item: Item): boolean {
  return parseIp(item.host) === undefined;
}

function named(name: string, found: Found, typeOf: (item: Item) => string | undefined): Answer {
  if (found.items === undefined) return { records: undefined, why: found.why };
  const [first] = found.items;
  const type = first === undefined ? undefined : typeOf(first);
  const answers =
    first === undefined || type === undefined
      ? []
      : [record(name, type, first.ttl, fqdn(first.host))];
  return { records: { ...noRecords, answers }, why: found.why };
}

function pointers(name: string, found: Found): Answer {
  if (found.items === undefined) return { records: undefined, why: found.why };
  const hosts = new Map(found.items.map((item) => [item.host, item]));
  const answers = [...hosts.values()].map((item) => record(name, "PTR", item.ttl, fqdn(item.host)));
  return { records: { ...noRecords, answers }, why: found.why };
}

function emptyOr(found: Found): Answer {
  return { records: found.items === undefined ? undefined : noRecords, why: found.why };
}
