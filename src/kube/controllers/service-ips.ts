import type { Service } from "kubernetes-types/core/v1.js";
import { UserError } from "../../base/errors.js";
import {
  addToIpv4,
  formatIpv4,
  formatIpv4Prefix,
  formatIpv6,
  type Ipv4,
  type Ipv4Prefix,
  type Ipv6,
  type Ipv6Prefix,
} from "../../wire/ip.js";
import { maskIpv6, networkOf, parseIpv4, prefixContains } from "../../wire/ip.js";
import { keyOf, type Loaded } from "../objects.js";
import { BandedRange, NODE_PORTS, nodePortBand, serviceRange } from "./banded-range.js";
import {
  asked6,
  completeFamilies,
  type Ipv6Range,
  ipv6Range,
  takeAddress6,
} from "./service-families.js";
import { checkPorts, hasNodePorts, healthCheckPort, takePorts } from "./service-ports.js";

/** What Services get their addresses from: one range a family. */
interface Ranges {
  readonly v4: BandedRange;
  readonly v6: Ipv6Range | undefined;
}

/**
 * Services with their ClusterIP and node ports: those asked for, then the lowest free ones of the dynamic part in the
 * order of the texts. Differs: the real allocator starts at a random number. The base address + 10 is kept for the
 * cluster's DNS and base + 1 for the API server. `families` are those of the cluster, its first one first. Mistakes are
 * added to `errors`, in the API server's words.
 */
export function allocateServices(
  services: readonly Loaded<Service>[],
  cidr: Ipv4Prefix,
  errors: UserError[],
  cidr6?: Ipv6Prefix,
  families: readonly [4 | 6, ...(4 | 6)[]] = cidr6 === undefined ? [4] : [4, 6],
): readonly Loaded<Service>[] {
  const ranges: Ranges = {
    v4: serviceRange(cidr),
    v6: cidr6 === undefined ? undefined : ipv6Range(cidr6),
  };
  const { first, last } = NODE_PORTS;
  const ports = new BandedRange(first, last, nodePortBand(last - first + 1));
  const taken = new Map<number, string>();
  const withFamilies = services.map((service) => completeFamilies(service, families, errors));
  for (const service of withFamilies) {
    if (families.includes(4)) takeAddress(service, ranges.v4, cidr, { errors, all: withFamilies });
    takeAddress6(service, ranges.v6, errors);
  }
  for (const service of withFamilies) {
    checkPorts(service, errors);
    takePorts(service, ports, taken, errors);
  }
  return withFamilies.map((service) => complete(service, ranges, ports, errors));
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
export function serviceAddress(cidr: Ipv4Prefix | Ipv6Prefix, number: number): string {
  return isIpv6Prefix(cidr)
    ? formatIpv6((maskIpv6(cidr.address, cidr.length) + BigInt(number)) as Ipv6)
    : formatIpv4(addToIpv4(networkOf(cidr).address, number));
}

function isIpv6Prefix(cidr: Ipv4Prefix | Ipv6Prefix): cidr is Ipv6Prefix {
  return typeof cidr.address === "bigint";
}
