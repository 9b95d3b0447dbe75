import type { Service } from "kubernetes-types/core/v1.js";
import { UserError } from "../../base/errors.js";
import {
  addToIpv4,
  broadcastOf,
  formatIpv4,
  formatIpv4Prefix,
  type Ipv4,
  type Ipv4Prefix,
} from "../../wire/ip.js";
import { networkOf, parseIpv4, prefixContains } from "../../wire/ip.js";
import { keyOf, type Loaded } from "../objects.js";

/** A range of numbers that is given out in two parts: the dynamic upper part first, the static band last. */
export class BandedRange {
  readonly first: number;
  readonly last: number;
  /** How many numbers at the low end are left to those who ask for them. */
  readonly band: number;
  readonly #used = new Set<number>();
  #dynamic: number;
  #static: number;

  constructor(first: number, last: number, band: number) {
    this.first = first;
    this.last = last;
    this.band = Math.min(band, Math.max(0, last - first + 1));
    this.#dynamic = first + this.band;
    this.#static = first;
  }

  has(value: number): boolean {
    return this.#used.has(value);
  }

  /** Takes a number that was asked for; false when it is taken or outside. */
  take(value: number): boolean {
    if (value < this.first || value > this.last || this.#used.has(value)) return false;
    this.#used.add(value);
    return true;
  }

  /** The lowest free number of the dynamic part, else of the band; undefined when the range is full. */
  allocate(): number | undefined {
    for (; this.#dynamic <= this.last; this.#dynamic++)
      if (this.take(this.#dynamic)) return this.#dynamic;
    for (; this.#static < this.first + this.band; this.#static++)
      if (this.take(this.#static)) return this.#static;
    return undefined;
  }
}

/** The static band of a service range with `size` addresses. Mirrors pkg/registry/core/service/ipallocator:calculateRangeOffset(). */
export function serviceBand(size: number): number {
  return size <= 16 ? 0 : Math.min(Math.max(16, Math.floor(size / 16)), 256);
}

/** The addresses of a service CIDR: without the network and the broadcast address. */
export function serviceRange(cidr: Ipv4Prefix): BandedRange {
  const size = 2 ** (32 - cidr.length);
  return new BandedRange(networkOf(cidr).address + 1, broadcastOf(cidr) - 1, serviceBand(size));
}

/** `--service-node-port-range`. */
export const NODE_PORTS: { readonly first: number; readonly last: number } = {
  first: 30_000,
  last: 32_767,
};

/** The static band of a node port range. Mirrors pkg/registry/core/service/portallocator:calculateRangeOffset(). */
export function nodePortBand(size: number): number {
  return size <= 16 ? 0 : Math.min(Math.max(16, Math.floor(size / 32)), 128);
}

/**
 * Services with their ClusterIP and node ports: those asked for, then the lowest free ones of the dynamic part in the
 * order of the texts. Differs: the real allocator starts at a random number. The base address + 10 is kept for the
 * cluster's DNS and base + 1 for the API server. Mistakes are added to `errors`, in the API server's words.
 */
export function allocateServices(
  services: readonly Loaded<Service>[],
  cidr: Ipv4Prefix,
  errors: UserError[],
): readonly Loaded<Service>[] {
  const addresses = serviceRange(cidr);
  const { first, last } = NODE_PORTS;
  const ports = new BandedRange(first, last, nodePortBand(last - first + 1));
  const taken = new Map<number, string>();
  for (const service of services) takeAddress(service, addresses, cidr, errors);
  for (const service of services) takePorts(service, ports, taken, errors);
  return services.map((service) => complete(service, addresses, ports, errors));
}

/** The IPv4 address that a Service asks for, and where it stands; `None` and empty are no address. */
function askedFor({
  object,
}: Loaded<Service>):
  | { readonly text: string; readonly path: readonly (string | number)[] }
  | undefined {
  const { clusterIP, clusterIPs = [], type } = object.spec ?? {};
  if (type === "ExternalName") return undefined;
  if (
    clusterIP !== undefined &&
    clusterIP !== "" &&
    clusterIP !== "None" &&
    !clusterIP.includes(":")
  ) {
    return { text: clusterIP, path: ["spec", "clusterIP"] };
  }
  const index = clusterIPs.findIndex(
    (text) => text !== "None" && text !== "" && !text.includes(":"),
  );
  const text = clusterIPs[index];
  return text === undefined ? undefined : { text, path: ["spec", "clusterIPs", index] };
}

function takeAddress(
  service: Loaded<Service>,
  range: BandedRange,
  cidr: Ipv4Prefix,
  errors: UserError[],
): void {
  const asked = askedFor(service);
  if (asked === undefined) return;
  const address = parseIpv4(asked.text);
  if (address !== undefined && range.take(address)) return;
  const why =
    address === undefined
      ? `must be a valid IP address`
      : prefixContains(cidr, address) && range.has(address)
        ? `failed to allocate IP ${asked.text}: provided IP is already allocated`
        : `failed to allocate IP ${asked.text}: provided IP is not in the valid range. The range of valid IPs is ${formatIpv4Prefix(cidr)}`;
  const message = `Service ${keyOf(service.object)}: spec.clusterIPs: Invalid value: ["${asked.text}"]: ${why}`;
  errors.push(new UserError("SERVICE_IP", message, service.origin.details(asked.path, "value")));
}

function takePorts(
  service: Loaded<Service>,
  range: BandedRange,
  taken: Map<number, string>,
  errors: UserError[],
): void {
  const { object, origin } = service;
  if (!hasNodePorts(object)) return;
  const own = new Map<number, Set<string>>();
  for (const [index, { nodePort, protocol = "TCP" }] of (object.spec?.ports ?? []).entries()) {
    if (nodePort === undefined || nodePort === 0) continue;
    const protocols = own.get(nodePort) ?? new Set<string>();
    const shared = own.has(nodePort) && !protocols.has(protocol);
    own.set(nodePort, protocols.add(protocol));
    if (shared) continue;
    if (range.take(nodePort)) {
      taken.set(nodePort, keyOf(object));
      continue;
    }
    const inside = nodePort >= range.first && nodePort <= range.last;
    const why = inside
      ? "provided port is already allocated"
      : `provided port is not in the valid range. The range of valid ports is ${range.first}-${range.last}`;
    const holder = inside ? taken.get(nodePort) : undefined;
    const message = `Service ${keyOf(object)}: spec.ports[${index}].nodePort: Invalid value: ${nodePort}: ${why}`;
    const help = holder === undefined ? undefined : `Service ${holder} has it`;
    errors.push(
      new UserError("NODE_PORT", message, {
        ...origin.details(["spec", "ports", index, "nodePort"], "value"),
        help,
      }),
    );
  }
}

/** Whether the Service has ports on nodes. */
function hasNodePorts({ spec }: Service): boolean {
  return (
    spec?.type === "NodePort" ||
    (spec?.type === "LoadBalancer" && spec.allocateLoadBalancerNodePorts !== false)
  );
}

/** The Service as the API server would store it. */
function complete(
  service: Loaded<Service>,
  addresses: BandedRange,
  ports: BandedRange,
  errors: UserError[],
): Loaded<Service> {
  const { object, origin } = service;
  const spec = object.spec ?? {};
  if (spec.type === "ExternalName") return service;
  const clusterIP = clusterIpFor(service, addresses, errors);
  const chosen = new Map<string, number>();
  const completed = (spec.ports ?? []).map((port) => {
    const { nodePort = 0, protocol = "TCP" } = port;
    const base = { ...port, protocol, targetPort: port.targetPort ?? port.port };
    if (nodePort !== 0 || !hasNodePorts(object)) return base;
    const other = protocol === "TCP" ? "UDP" : "TCP";
    const number = chosen.get(`${port.port}/${other}`) ?? ports.allocate();
    if (number === undefined) {
      const message = `Service ${keyOf(object)}: failed to allocate a nodePort: range is full`;
      errors.push(new UserError("NODE_PORT", message, origin.details(["spec", "ports"])));
      return base;
    }
    chosen.set(`${port.port}/${protocol}`, number);
    return { ...base, nodePort: number };
  });
  const own = clusterIP === undefined ? {} : { clusterIP, clusterIPs: [clusterIP] };
  const type = spec.type ?? "ClusterIP";
  return { object: { ...object, spec: { ...spec, ...own, type, ports: completed } }, origin };
}

function clusterIpFor(
  service: Loaded<Service>,
  addresses: BandedRange,
  errors: UserError[],
): string | undefined {
  const { object, origin } = service;
  const { clusterIP, clusterIPs = [] } = object.spec ?? {};
  if (clusterIP === "None" || clusterIPs[0] === "None") return "None";
  const asked = askedFor(service);
  if (asked !== undefined) return asked.text;
  if ((clusterIP ?? clusterIPs[0] ?? "").includes(":")) return undefined;
  const address = addresses.allocate();
  if (address !== undefined) return formatIpv4(address as Ipv4);
  const message = `Service ${keyOf(object)}: failed to allocate a serviceIP: range is full`;
  errors.push(new UserError("SERVICE_IP", message, origin.details([], "value")));
  return undefined;
}

/** An address of the service CIDR by its number: 1 is the API server, 10 the DNS. */
export function serviceAddress(cidr: Ipv4Prefix, number: number): string {
  return formatIpv4(addToIpv4(networkOf(cidr).address, number));
}
