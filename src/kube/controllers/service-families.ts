import type { Service } from "kubernetes-types/core/v1.js";
import { UserError } from "../../base/errors.js";
import { formatIpv6Prefix, type Ipv6Prefix, ipv6PrefixContains, parseIpv6 } from "../../wire/ip.js";
import type { FieldPath } from "../load/source-text.js";
import { keyOf, type Loaded } from "../objects.js";
import { BandedRange, serviceBand } from "./banded-range.js";

/** Addresses of IPv6 by number in the range, not by address. */
export interface Ipv6Range {
  readonly prefix: Ipv6Prefix;
  readonly range: BandedRange;
}

/** Most addresses of IPv6 that are given out. Mirrors ipallocator's bitmap, which later releases gave up. */
const MAX_IPV6 = 65_536;

export function ipv6Range(prefix: Ipv6Prefix): Ipv6Range {
  const size = prefix.length <= 112 ? MAX_IPV6 : 2 ** (128 - prefix.length);
  return { prefix, range: new BandedRange(1, size - 1, serviceBand(size)) };
}

/**
 * `ipFamilies` and `ipFamilyPolicy` as the API server fills them in; in a cluster of IPv4 alone they stay as they are.
 * `cluster` are the cluster's families, its first one first.
 * Mirrors pkg/registry/core/service/storage/alloc.go:initIPFamilyFields().
 */
export function completeFamilies(
  service: Loaded<Service>,
  cluster: readonly [4 | 6, ...(4 | 6)[]],
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
  const asked = [...new Set([clusterIP, ...clusterIPs])].filter((ip) => ip !== "" && ip !== "None");
  const named =
    ipFamilies.length > 0 ? ipFamilies : asked.map((ip) => (ip.includes(":") ? "IPv6" : "IPv4"));
  const [only, second] = cluster.map((family) => `IPv${family}`);
  if (second === undefined) {
    const other = only === "IPv4" ? "IPv6" : "IPv4";
    const index = (only === "IPv4" ? ipFamilies : named).indexOf(other);
    if (index >= 0)
      refuse(
        ipFamilies.length > 0 ? ["ipFamilies", index] : ["clusterIP"],
        `ipFamilies[${index}]: Invalid value: "${other}": not configured on this cluster`,
      );
    if (spec.ipFamilyPolicy === "RequireDualStack")
      refuse(
        ["ipFamilyPolicy"],
        'ipFamilyPolicy: Invalid value: "RequireDualStack": this cluster is not configured for dual-stack services',
      );
    if (only === "IPv4") return service;
    const families = { ipFamilies: ["IPv6"], ipFamilyPolicy: "SingleStack" };
    return { object: { ...object, spec: { ...spec, ...families } }, origin };
  }
  const first = named[0] ?? `IPv${cluster[0]}`;
  const policy = spec.ipFamilyPolicy ?? (named.length > 1 ? "RequireDualStack" : "SingleStack");
  const families = policy === "SingleStack" ? [first] : [first, first === "IPv4" ? "IPv6" : "IPv4"];
  return {
    object: { ...object, spec: { ...spec, ipFamilies: families, ipFamilyPolicy: policy } },
    origin,
  };
}

/** The IPv6 address that a Service asks for, as text and as number in the range. */
export function takeAddress6(
  service: Loaded<Service>,
  v6: Ipv6Range | undefined,
  errors: UserError[],
): void {
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

export function asked6({ spec }: Service): string | undefined {
  if (spec?.type === "ExternalName") return undefined;
  return [spec?.clusterIP ?? "", ...(spec?.clusterIPs ?? [])].find((text) => text.includes(":"));
}
