import type { DnsMessage, DnsRecord } from "../../../wire/dns-message.js";
import { addressOfReverse, formatIp, parseIp } from "../address.js";
import { addressRecords, noRecords, srvRecords, type BackendRecords } from "../backend-records.js";
import type { Controller } from "../controller.js";
import { integer } from "../go-values.js";
import type { DnsService, KubernetesIndex } from "../kubernetes-index.js";
import {
  endpointName,
  isExposed,
  nsAddresses,
  spelledZone,
  type Found,
  type Item,
} from "../kubernetes-lookup.js";
import type { KubernetesView } from "../kubernetes-view.js";
import { questionOf, record, replyTo } from "../messages.js";
import { labelsOf, longestZone } from "../names.js";
import {
  definePlugin,
  unknownResult,
  written,
  type DnsContext,
  type Handler,
  type Plugin,
  type Query,
  type TransferResult,
  type Walk,
} from "../plugin.js";
import { addressRecord, KubernetesHandler } from "./kubernetes.js";

interface Settings {
  zones: readonly string[];
  apex: string;
  ttl: number;
  headless: boolean;
  fallthrough: readonly string[] | undefined;
}

/** `k8s_external [ZONE…] { apex NAME  ttl S  headless  fallthrough … }`: names of Services with external addresses. */
export const k8sExternal: Plugin = definePlugin({
  name: "k8s_external",
  setup(c) {
    const settings: Settings = {
      zones: [],
      apex: "dns",
      ttl: 5,
      headless: false,
      fallthrough: undefined,
    };
    let place = c.place();
    while (c.next()) {
      place = c.place();
      settings.zones = c.zones(c.remainingArgs());
      while (c.nextBlock()) property(c, settings);
    }
    const { handlers, afterSetup } = c.config;
    const find = (): KubernetesHandler | undefined =>
      handlers.find((handler) => handler instanceof KubernetesHandler);
    afterSetup.push(() => {
      if (find() === undefined) throw c.plain("plugin/k8s_external: kubernetes plugin not loaded");
    });
    return new ExternalHandler(place, settings, find);
  },
});

function property(c: Controller, settings: Settings): void {
  const name = c.val();
  const args = c.remainingArgs();
  const [first] = args;
  switch (name) {
    case "apex":
      if (first === undefined) throw c.argErr();
      settings.apex = first;
      return;
    case "ttl":
      if (first === undefined) throw c.argErr();
      settings.ttl = integer(c, first);
      if (settings.ttl < 0 || settings.ttl > 3600)
        throw c.err(`ttl must be in range [0, 3600]: ${settings.ttl}`);
      return;
    case "headless":
      settings.headless = true;
      return;
    case "fallthrough":
      settings.fallthrough = c.fallthrough(args);
      return;
    default:
      throw c.unknownProperty(["apex", "ttl", "headless", "fallthrough"]);
  }
}

/** What one query works with. */
interface Scene {
  readonly query: Query;
  readonly context: DnsContext;
  readonly kubernetes: KubernetesHandler;
  readonly view: KubernetesView;
  readonly index: KubernetesIndex;
  readonly zone: string;
}

class ExternalHandler implements Handler {
  readonly name = "k8s_external";
  readonly place: Handler["place"];
  readonly #settings: Settings;
  readonly #find: () => KubernetesHandler | undefined;

  constructor(
    place: Handler["place"],
    settings: Settings,
    find: () => KubernetesHandler | undefined,
  ) {
    this.place = place;
    this.#settings = settings;
    this.#find = find;
  }

  serve(query: Query, walk: Walk, context: DnsContext): void {
    const { name } = questionOf(query);
    const zone = spelledZone(this.#settings.zones, name);
    if (zone === undefined)
      return walk.next(query, { action: "passed", why: "the name is in none of its zones" });
    const view = context.kubernetes;
    const kubernetes = this.#find();
    if (view === undefined || kubernetes === undefined) {
      const why = "the world has no Kubernetes objects";
      return walk.respond(unknownResult(why), { action: "unknown", why });
    }
    const scene: Scene = { query, context, kubernetes, view, index: kubernetes.index(view), zone };
    const apex = this.#apex(scene);
    if (apex !== undefined)
      return walk.respond(written(apex), { action: "answered", why: "a name of the zone itself" });
    const found = this.#items(scene, name.toLowerCase());
    this.#records(scene, found, (records) => this.#finish(scene, walk, found, records));
  }

  transfer(zone: string, _query: Query, context: DnsContext): TransferResult | undefined {
    const view = context.kubernetes;
    const kubernetes = this.#find();
    if (view === undefined || kubernetes === undefined || !this.#settings.zones.includes(zone))
      return undefined;
    const index = kubernetes.index(view);
    const soa = this.#soa(zone, view.serial);
    const records = index.services
      .filter((service) => isExposed(service.namespace, index, kubernetes.options))
      .flatMap((service) =>
        service.externalIps.map((ip) =>
          addressRecord(`${service.name}.${service.namespace}.${zone}`, ip, this.#settings.ttl),
        ),
      );
    return { serial: view.serial, records: [soa, ...records, soa] };
  }

  #soa(zone: string, serial: number): DnsRecord {
    const { apex, ttl } = this.#settings;
    return record(
      zone,
      "SOA",
      ttl,
      `ns1.${apex}.${zone} hostmaster.${apex}.${zone} ${serial} 7200 1800 86400 ${ttl}`,
    );
  }

  /** The zone, `dns.<zone>` and what is below it. Undefined for other names. Mirrors plugin/k8s_external/apex.go. */
  #apex(scene: Scene): DnsMessage | undefined {
    const { query, zone, view } = scene;
    const { name, type } = questionOf(query);
    const lower = name.toLowerCase();
    const origin = zone.toLowerCase();
    const base = `${this.#settings.apex}.${origin}`;
    const soa = this.#soa(zone, view.serial);
    const reply = (fields: Partial<DnsMessage>): DnsMessage =>
      replyTo(query.message, { aa: true, ...fields });
    if (lower === origin) {
      if (type === "SOA") return reply({ answers: [soa] });
      if (type !== "NS") return reply({ authorities: [soa] });
      const server = `ns1.${this.#settings.apex}.${zone}`;
      const answers = [record(name, "NS", this.#settings.ttl, server)];
      return reply({ answers, additionals: this.#own(scene, server, undefined) });
    }
    if (lower === base) return reply({ authorities: [soa] });
    if (!lower.endsWith(`.${base}`)) return undefined;
    if (lower !== `ns1.${base}`) return reply({ rcode: "NXDOMAIN", authorities: [soa] });
    const answers = type === "A" || type === "AAAA" ? this.#own(scene, name, type) : [];
    return answers.length === 0 ? reply({ authorities: [soa] }) : reply({ answers });
  }

  /** The external addresses of CoreDNS's own services. */
  #own(
    { context, kubernetes, index, zone }: Scene,
    owner: string,
    type: string | undefined,
  ): DnsRecord[] {
    const { headless, ttl } = this.#settings;
    const own = nsAddresses(zone, kubernetes.localIps(context), index, kubernetes.options, {
      headless,
    });
    const records = own.map((entry) => addressRecord(owner, entry.ip, ttl));
    return type === undefined ? records : records.filter((item) => item.type === type);
  }

  /** What a name stands for. Mirrors plugin/kubernetes/external.go:External(). */
  #items(scene: Scene, lower: string): Found {
    const { zone, index, kubernetes, query } = scene;
    if (questionOf(query).type === "PTR") {
      const reverse = addressOfReverse(lower);
      if (reverse !== undefined) return this.#reverse(scene, formatIp(reverse));
    }
    const labels = labelsOf(lower).slice(0, labelsOf(lower).length - labelsOf(zone).length);
    const namespace = labels.pop() ?? "";
    const name = labels.pop();
    if (!isExposed(namespace, index, kubernetes.options))
      return { items: undefined, why: `no exposed namespace "${namespace}"` };
    if (name === undefined) return { items: [], why: `the name of namespace "${namespace}"` };
    const [first = "", second = "", more] = labels;
    if (more !== undefined) return { items: undefined, why: "more labels than a service has" };
    const endpoint = labels.length === 1 ? first : "";
    const port = labels.length === 2 ? first.replace(/^_/, "") : "";
    const protocol = labels.length === 2 ? second.replace(/^_/, "") : "";
    const services = index.servicesNamed(name, namespace);
    const wanted: Wanted = { endpoint, port, protocol };
    const items = services.flatMap((service) => this.#itemsOf(scene, service, wanted));
    const why =
      services.length === 0
        ? `no service "${name}" in namespace "${namespace}"`
        : `${items.length} external addresses`;
    return { items: items.length === 0 ? undefined : items, why };
  }

  #itemsOf({ zone, index, kubernetes }: Scene, service: DnsService, wanted: Wanted): Item[] {
    const key = `${service.name}.${service.namespace}.${zone}`;
    const { ttl } = kubernetes.options;
    if (this.#settings.headless && service.headless && service.externalIps.length === 0) {
      return index.slicesOf(service).flatMap((slice) =>
        slice.endpoints
          .map((endpoint) => ({ endpoint, label: endpointName(endpoint, kubernetes.options) }))
          .filter(({ label }) => wanted.endpoint === "" || label.toLowerCase() === wanted.endpoint)
          .flatMap(({ endpoint, label }) =>
            portsOf(slice.ports, wanted).map((port) => ({
              host: endpoint.ip,
              port,
              key: `${label}.${key}`,
              ttl,
            })),
          ),
      );
    }
    if (wanted.endpoint !== "") return [];
    return service.externalIps.flatMap((host) =>
      portsOf(service.ports, wanted).map((port) => ({ host, port, key, ttl })),
    );
  }

  #reverse({ index }: Scene, ip: string): Found {
    const services = index.servicesWithExternalIp(ip);
    const zone = this.#settings.zones[0] ?? ".";
    const items = services.map((service) => ({
      host: `${service.name}.${service.namespace}.${zone}`,
      port: 0,
      key: "",
      ttl: this.#settings.ttl,
    }));
    if (items.length > 0) return { items, why: `${ip} is an external address` };
    const endpoints = !this.#settings.headless
      ? []
      : index.slicesWithIp(ip).flatMap((slice) =>
          slice.endpoints
            .filter((endpoint) => endpoint.ip === ip)
            .map((endpoint) => {
              const label = this.#find()?.options;
              const own = label === undefined ? "" : endpointName(endpoint, label);
              return {
                host: `${own}.${slice.service}.${slice.namespace}.${zone}`,
                port: 0,
                key: "",
                ttl: this.#settings.ttl,
              };
            }),
        );
    return {
      items: endpoints.length === 0 ? undefined : endpoints,
      why: `${ip} is no external address`,
    };
  }

  #records(scene: Scene, found: Found, then: (records: BackendRecords | undefined) => void): void {
    const { query, zone, context } = scene;
    const { name, type } = questionOf(query);
    if (found.items === undefined) return then(undefined);
    const { ttl } = this.#settings;
    switch (type) {
      case "A":
      case "AAAA": {
        const own = (): Found => ({
          ...found,
          items: found.items?.map((item) =>
            parseIp(item.host) === undefined ? item : { ...item, ttl },
          ),
        });
        return addressRecords({ query, zone, context, find: own }, name, type, [], then);
      }
      case "SRV":
        return srvRecords(query, name, found.items, context, (records) =>
          then(withTtl(records, ttl)),
        );
      case "PTR": {
        const answers =
          addressOfReverse(name) === undefined
            ? []
            : found.items.map((item) => record(name, "PTR", ttl, item.host));
        return then({ ...noRecords, answers });
      }
      default:
        return then(noRecords);
    }
  }

  #finish(scene: Scene, walk: Walk, found: Found, records: BackendRecords | undefined): void {
    const { query, zone, view } = scene;
    const { name } = questionOf(query);
    if (records?.unknown !== undefined)
      return walk.respond(unknownResult(records.unknown), {
        action: "unknown",
        why: records.unknown,
      });
    const authorities = [this.#soa(zone, view.serial)];
    if (records === undefined) {
      const falls = longestZone(this.#settings.fallthrough ?? [], name);
      if (falls !== undefined)
        return walk.next(query, { action: "passed", why: `${found.why}; fallthrough ${falls}` });
      const denied = replyTo(query.message, { aa: true, rcode: "NXDOMAIN", authorities });
      return walk.respond(written(denied), { action: "answered", why: `NXDOMAIN: ${found.why}` });
    }
    const { answers, additionals, truncated } = records;
    const fields = answers.length === 0 ? { authorities } : { answers, additionals, tc: truncated };
    walk.respond(written(replyTo(query.message, { aa: true, ...fields })), {
      action: "answered",
      why: found.why,
    });
  }
}

interface Wanted {
  readonly endpoint: string;
  readonly port: string;
  readonly protocol: string;
}

function portsOf(ports: DnsService["ports"], wanted: Wanted): number[] {
  return ports
    .filter((port) => wanted.port === "" || port.name.toLowerCase() === wanted.port)
    .filter((port) => wanted.protocol === "" || port.protocol.toLowerCase() === wanted.protocol)
    .map((port) => port.number);
}

/** SRV records keep the TTL of the kubernetes plugin, their targets' addresses have this plugin's. */
function withTtl(records: BackendRecords, ttl: number): BackendRecords {
  return { ...records, additionals: records.additionals.map((item) => ({ ...item, ttl })) };
}
