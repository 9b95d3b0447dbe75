import type { Service, ServiceSpec } from "kubernetes-types/core/v1.js";
import { UserError } from "../../base/errors.js";
import {
  addToIpv4,
  broadcastOf,
  formatIpv4,
  formatIpv4Prefix,
  formatIpv6,
  formatIpv6Prefix,
  type Ipv4,
  type Ipv4Prefix,
  type Ipv6,
  type Ipv6Prefix,
} from "../../wire/ip.js";
import {
  ipv6PrefixContains,
  networkOf,
  parseIpv4,
  parseIpv6,
  prefixContains,
} from "../../wire/ip.js";
import type { FieldPath } from "../load/source-text.js";
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

/** Most addresses of IPv6 that are given out. Mirrors ipallocator's bitmap, which later releases gave up. */
const MAX_IPV6 = 65_536;

/** What Services get their addresses from: one range a family, IPv6 by number and not by address. */
interface Ranges {
  readonly v4: BandedRange;
  readonly v6: { readonly prefix: Ipv6Prefix; readonly range: BandedRange } | undefined;
}

function ipv6Range(prefix: Ipv6Prefix): NonNullable<Ranges["v6"]> {
  const size = prefix.length <= 112 ? MAX_IPV6 : 2 ** (128 - prefix.length);
  return { prefix, range: new BandedRange(1, size - 1, serviceBand(size)) };
}

/**
 * Services with their ClusterIP and node ports: those asked for, then the lowest free ones of the dynamic part in the
 * order of the texts. Differs: the real allocator starts at a random number. The base address + 10 is kept for the
 * cluster's DNS and base + 1 for the API server. `cidr6` makes the cluster dual-stack. Mistakes are added to `errors`, in
 * the API server's words.
 */
export function allocateServices(
  services: readonly Loaded<Service>[],
  cidr: Ipv4Prefix,
  errors: UserError[],
  cidr6?: Ipv6Prefix,
): readonly Loaded<Service>[] {
  const ranges: Ranges = {
    v4: serviceRange(cidr),
    v6: cidr6 === undefined ? undefined : ipv6Range(cidr6),
  };
  const { first, last } = NODE_PORTS;
  const ports = new BandedRange(first, last, nodePortBand(last - first + 1));
  const taken = new Map<number, string>();
  const withFamilies = services.map((service) => completeFamilies(service, cidr6, errors));
  for (const service of withFamilies) {
    takeAddress(service, ranges.v4, cidr, { errors, all: withFamilies });
    takeAddress6(service, ranges.v6, errors);
  }
  for (const service of withFamilies) takePorts(service, ports, taken, errors);
  return withFamilies.map((service) => complete(service, ranges, ports, errors));
}

/**
 * `ipFamilies` and `ipFamilyPolicy` as the API server fills them in; in a cluster of one family they stay as they are.
 * Mirrors pkg/registry/core/service/storage/alloc.go:initIPFamilyFields().
 */
function completeFamilies(
  service: Loaded<Service>,
  cidr6: Ipv6Prefix | undefined,
  errors: UserError[],
): Loaded<Service> {
  const { object, origin } = service;
  const spec = object.spec ?? {};
  if (spec.type === "ExternalName") return service;
  const { ipFamilies = [], clusterIPs = [], clusterIP = "" } = spec;
  const refuse = (path: FieldPath, text: string): void => {
    const message = `Service ${keyOf(object)}: spec.${text}`;
    errors.push(
      new UserError("SERVICE_FAMILY", message, origin.details(["spec", ...path], "value")),
    );
  };
  if (cidr6 === undefined) {
    const index = ipFamilies.indexOf("IPv6");
    if (index >= 0)
      refuse(
        ["ipFamilies", index],
        `ipFamilies[${index}]: Invalid value: "IPv6": not configured on this cluster`,
      );
    if (spec.ipFamilyPolicy === "RequireDualStack")
      refuse(
        ["ipFamilyPolicy"],
        'ipFamilyPolicy: Invalid value: "RequireDualStack": this cluster is not configured for dual-stack services',
      );
    return service;
  }
  const asked = [...new Set([clusterIP, ...clusterIPs])].filter((ip) => ip !== "" && ip !== "None");
  const named =
    ipFamilies.length > 0 ? ipFamilies : asked.map((ip) => (ip.includes(":") ? "IPv6" : "IPv4"));
  const first = named[0] ?? "IPv4";
  const policy = spec.ipFamilyPolicy ?? (named.length > 1 ? "RequireDualStack" : "SingleStack");
  const families = policy === "SingleStack" ? [first] : [first, first === "IPv4" ? "IPv6" : "IPv4"];
  return {
    object: { ...object, spec: { ...spec, ipFamilies: families, ipFamilyPolicy: policy } },
    origin,
  };
}

/** The IPv6 address that a Service asks for, as text and as number in the range. */
function takeAddress6(service: Loaded<Service>, v6: Ranges["v6"], errors: UserError[]): void {
  const text = asked6(service.object);
  if (text === undefined || v6 === undefined) return;
  const address = parseIpv6(text);
  const inside = address !== undefined && ipv6PrefixContains(v6.prefix, address);
  if (inside && v6.range.take(Number(address - v6.prefix.address))) return;
  const valid = formatIpv6Prefix(v6.prefix);
  const why = inside
    ? `failed to allocate IP ${text}: provided IP is already allocated`
    : `failed to allocate IP ${text}: provided IP is not in the valid range. The range of valid IPs is ${valid}`;
  const message = `Service ${keyOf(service.object)}: spec.clusterIPs: Invalid value: ["${text}"]: ${why}`;
  errors.push(
    new UserError("SERVICE_IP", message, service.origin.details(["spec", "clusterIPs"], "value")),
  );
}

function asked6({ spec }: Service): string | undefined {
  if (spec?.type === "ExternalName") return undefined;
  return [spec?.clusterIP ?? "", ...(spec?.clusterIPs ?? [])].find((text) => text.includes(":"));
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
  { errors, all }: { readonly errors: UserError[]; readonly all: readonly Loaded<Service>[] },
): void {
  const asked = askedFor(service);
  if (asked === undefined) return;
  const address = parseIpv4(asked.text);
  if (address !== undefined && range.take(address)) return;
  const other = all.find((one) => one !== service && askedFor(one)?.text === asked.text);
  const why =
    address === undefined
      ? `must be a valid IP address`
      : prefixContains(cidr, address) && range.has(address)
        ? `failed to allocate IP ${asked.text}: provided IP is already allocated`
        : `failed to allocate IP ${asked.text}: provided IP is not in the valid range. The range of valid IPs is ${formatIpv4Prefix(cidr)}`;
  const message = `Service ${keyOf(service.object)}: spec.clusterIPs: Invalid value: ["${asked.text}"]: ${why}`;
  const details = service.origin.details(asked.path, "value");
  errors.push(new UserError("SERVICE_IP", message, { ...details, help: ownerHelp(other) }));
}

/** The other Service with the same address, and where it stands. */
function ownerHelp(other: Loaded<Service> | undefined): string | undefined {
  if (other === undefined) return undefined;
  const { file, line } = other.origin;
  const where = other.origin.assumed === undefined ? ` (${file}:${line})` : "";
  return `Service ${keyOf(other.object)}${where} has it; leave clusterIP out and one that is free is taken`;
}

function takePorts(
  service: Loaded<Service>,
  range: BandedRange,
  taken: Map<number, string>,
  errors: UserError[],
): void {
  const { object, origin } = service;
  const asked = object.spec?.healthCheckNodePort ?? 0;
  if (asked !== 0 && needsHealthCheck(object.spec ?? {}) && !range.take(asked))
    errors.push(
      new UserError(
        "NODE_PORT",
        `Service ${keyOf(object)}: spec.healthCheckNodePort: Invalid value: ${asked}: failed to allocate requested HealthCheck NodePort ${asked}: provided port is ${range.has(asked) ? "already allocated" : `not in the valid range. The range of valid ports is ${range.first}-${range.last}`}`,
        origin.details(["spec", "healthCheckNodePort"], "value"),
      ),
    );
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
  ranges: Ranges,
  ports: BandedRange,
  errors: UserError[],
): Loaded<Service> {
  const { object, origin } = service;
  const spec = object.spec ?? {};
  if (spec.type === "ExternalName") return service;
  const clusterIPs = clusterIpsFor(service, ranges, errors);
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
  const [clusterIP] = clusterIPs;
  const own = clusterIP === undefined ? {} : { clusterIP, clusterIPs: [...clusterIPs] };
  const type = spec.type ?? "ClusterIP";
  const probed = healthCheckPort(spec, ports);
  return {
    object: { ...object, spec: { ...spec, ...own, ...probed, type, ports: completed } },
    origin,
  };
}

/** A load balancer that wants local endpoints asks each node whether it has some, at a port of its own. */
function healthCheckPort(
  spec: ServiceSpec,
  ports: BandedRange,
): { readonly healthCheckNodePort?: number } {
  if (!needsHealthCheck(spec) || (spec.healthCheckNodePort ?? 0) !== 0) return {};
  const port = ports.allocate();
  return port === undefined ? {} : { healthCheckNodePort: port };
}

/** Mirrors pkg/api/service/util.go:NeedsHealthCheck(). */
function needsHealthCheck({ type, externalTrafficPolicy }: ServiceSpec): boolean {
  return type === "LoadBalancer" && externalTrafficPolicy === "Local";
}

/** The addresses of the Service's families, in their order; `None` for a headless one, nothing where none can be had. */
function clusterIpsFor(
  service: Loaded<Service>,
  { v4, v6 }: Ranges,
  errors: UserError[],
): readonly string[] {
  const { object } = service;
  const { clusterIP, clusterIPs = [], ipFamilies = [] } = object.spec ?? {};
  if (clusterIP === "None" || clusterIPs[0] === "None") return ["None"];
  if (v6 === undefined) {
    const only = clusterIpFor(service, v4, errors);
    return only === undefined ? [] : [only];
  }
  return ipFamilies.flatMap((family) => {
    if (family === "IPv4") return clusterIpFor(service, v4, errors) ?? [];
    const asked = asked6(object);
    if (asked !== undefined) return asked;
    const number = v6.range.allocate();
    if (number !== undefined) return formatIpv6((v6.prefix.address + BigInt(number)) as Ipv6);
    errors.push(rangeIsFull(service));
    return [];
  });
}

function rangeIsFull({ object, origin }: Loaded<Service>): UserError {
  const message = `Service ${keyOf(object)}: failed to allocate a serviceIP: range is full`;
  return new UserError("SERVICE_IP", message, origin.details([], "value"));
}

function clusterIpFor(
  service: Loaded<Service>,
  addresses: BandedRange,
  errors: UserError[],
): string | undefined {
  const { clusterIP, clusterIPs = [], ipFamilies = [] } = service.object.spec ?? {};
  const asked = askedFor(service);
  if (asked !== undefined) return asked.text;
  const otherFamily = (clusterIP ?? clusterIPs[0] ?? "").includes(":");
  if (otherFamily && !ipFamilies.includes("IPv4")) return undefined;
  const address = addresses.allocate();
  if (address !== undefined) return formatIpv4(address as Ipv4);
  errors.push(rangeIsFull(service));
  return undefined;
}

/** An address of the service CIDR by its number: 1 is the API server, 10 the DNS. */
export function serviceAddress(cidr: Ipv4Prefix, number: number): string {
  return formatIpv4(addToIpv4(networkOf(cidr).address, number));
}
