import type { DnsRecord } from "../../wire/dns-message.js";
import type { DnsService, KubernetesIndex } from "./kubernetes-index.js";
import { endpointName, isExposed, isMulticluster, nsAddresses } from "./kubernetes-lookup.js";
import type { KubernetesOptions } from "./kubernetes-options.js";
import type { KubernetesView } from "./kubernetes-view.js";
import { parseIp } from "./address.js";
import { record } from "./messages.js";
import { fqdn } from "./names.js";
import type { DnsContext, TransferResult } from "./plugin.js";

/** What a transfer needs of the `kubernetes` handler. */
interface Source {
  readonly options: KubernetesOptions;
  index(view: KubernetesView): KubernetesIndex;
  soa(zone: string, serial: number): DnsRecord;
  localIps(context: DnsContext): readonly string[];
}

/** The whole zone as records: services by name; pods are left out. Mirrors plugin/kubernetes/xfr.go. */
export function transferKubernetes(
  zone: string,
  source: Source,
  view: KubernetesView,
  context: DnsContext,
): TransferResult {
  const { options } = source;
  const index = source.index(view);
  const soa = source.soa(zone, view.serial);
  const own = nsAddresses(zone, source.localIps(context), index, options);
  const nameServers = [...new Set(own.map((entry) => entry.name))].map((name) =>
    record(zone, "NS", options.ttl, name),
  );
  const glue = own.map((entry) => address(entry.name, entry.ip, 0));
  const listed = isMulticluster(zone, options) ? index.imports : index.services;
  const services = listed
    .filter((service) => isExposed(service.namespace, index, options))
    .toSorted((a, b) => compare(a.name, b.name));
  const records = services.flatMap((service) => serviceRecords(service, zone, index, options));
  return { serial: view.serial, records: [soa, ...nameServers, ...glue, ...records, soa] };
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function address(name: string, ip: string, ttl: number): DnsRecord {
  return record(name, parseIp(ip)?.family === 6 ? "AAAA" : "A", ttl, ip);
}

function serviceRecords(
  service: DnsService,
  zone: string,
  index: KubernetesIndex,
  options: KubernetesOptions,
): DnsRecord[] {
  const name = `${service.name}.${service.namespace}.svc.${zone}`;
  const { ttl } = options;
  if (service.type === "ExternalName")
    return [record(name, "CNAME", ttl, fqdn(service.externalName))];
  if (service.headless) return headlessRecords(service, name, index, options);
  const addresses = service.clusterIps.map((ip) => address(name, ip, ttl));
  const ports = service.ports.filter((port) => port.number !== -1);
  const srv = ports.flatMap((port) => {
    const data = `0 100 ${port.number} ${name}`;
    const plain = record(name, "SRV", ttl, data);
    return port.name === "" ? [plain] : [plain, record(portOwner(port, name), "SRV", ttl, data)];
  });
  return [...addresses, ...srv];
}

function portOwner(
  port: { readonly name: string; readonly protocol: string },
  name: string,
): string {
  return `_${port.name.toLowerCase()}._${port.protocol.toLowerCase()}.${name}`;
}

function headlessRecords(
  service: DnsService,
  name: string,
  index: KubernetesIndex,
  options: KubernetesOptions,
): DnsRecord[] {
  const { ttl } = options;
  return index.slicesOf(service).flatMap((slice) =>
    slice.endpoints.flatMap((endpoint) => {
      const target = `${endpointName(endpoint, options)}.${name}`;
      const weight = Math.floor(100 / slice.endpoints.length);
      const srv = slice.ports
        .filter((port) => port.name !== "" && port.number !== -1)
        .map((port) =>
          record(portOwner(port, name), "SRV", ttl, `0 ${weight} ${port.number} ${target}`),
        );
      return [address(name, endpoint.ip, ttl), address(target, endpoint.ip, ttl), ...srv];
    }),
  );
}
