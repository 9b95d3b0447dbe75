import { isMapping } from "../load/check.js";
import type { RouteConfig } from "./config.js";
import { fail } from "./failure.js";

export interface CniInterface {
  readonly name: string;
  readonly mac?: string;
  readonly sandbox?: string;
}

export interface CniIp {
  /** Index into `interfaces`. */
  readonly interface?: number;
  readonly address: string;
  readonly gateway?: string;
}

/** What ADD gives back, in the shape of version 1.0.0. */
export interface CniResult {
  readonly interfaces: readonly CniInterface[];
  readonly ips: readonly CniIp[];
  readonly routes: readonly RouteConfig[];
  readonly dns: Readonly<Record<string, unknown>>;
}

/** The result as JSON of a protocol version, its keys in Go's order and without what is empty. */
export function resultJson(result: CniResult, version: string): Readonly<Record<string, unknown>> {
  const { interfaces, ips, routes, dns } = result;
  if (version === "0.1.0" || version === "0.2.0") return oldJson(result, version);
  const numbered = version !== "1.0.0" && version !== "1.1.0";
  const shownIps = ips.map((ip) => ({
    ...(numbered ? { version: ip.address.includes(":") ? "6" : "4" } : {}),
    ...(ip.interface === undefined ? {} : { interface: ip.interface }),
    address: ip.address,
    ...(ip.gateway === undefined ? {} : { gateway: ip.gateway }),
  }));
  return {
    cniVersion: version,
    ...(interfaces.length === 0 ? {} : { interfaces }),
    ...(shownIps.length === 0 ? {} : { ips: shownIps }),
    ...(routes.length === 0 ? {} : { routes }),
    dns,
  };
}

/** Before 0.3.0: one address of each family, no interfaces. */
function oldJson(
  { ips, routes, dns }: CniResult,
  version: string,
): Readonly<Record<string, unknown>> {
  const shown: Record<string, unknown> = { cniVersion: version };
  for (const family of [4, 6] as const) {
    const isOurs = (text: string): boolean => text.includes(":") === (family === 6);
    const own = ips.filter(({ address }) => isOurs(address));
    if (own.length > 1)
      fail(`CNI version ${version} does not support more than 1 address per family`);
    const [ip] = own;
    if (ip === undefined) continue;
    const ours = routes.filter(({ dst }) => isOurs(dst));
    shown[`ip${family}`] = {
      ip: ip.address,
      ...(ip.gateway === undefined ? {} : { gateway: ip.gateway }),
      ...(ours.length === 0 ? {} : { routes: ours }),
    };
  }
  return { ...shown, dns };
}

/** Reads a `prevResult` of version 0.3.0 or newer. */
export function parseResult(value: unknown): CniResult {
  if (!isMapping(value)) return fail("could not parse prevResult: not an object");
  const list = (key: string): readonly Record<string, unknown>[] => {
    const items = value[key] ?? [];
    return Array.isArray(items) && items.every(isMapping)
      ? items
      : fail(`could not parse prevResult: ${key} is not a list of objects`);
  };
  const text = (field: unknown): string => (typeof field === "string" ? field : "");
  const { dns } = value;
  return {
    interfaces: list("interfaces").map(({ name, mac, sandbox }) => ({
      name: text(name),
      ...(mac === undefined ? {} : { mac: text(mac) }),
      ...(sandbox === undefined ? {} : { sandbox: text(sandbox) }),
    })),
    ips: list("ips").map((ip) => ({
      ...(typeof ip["interface"] === "number" ? { interface: ip["interface"] } : {}),
      address: text(ip["address"]),
      ...(ip["gateway"] === undefined ? {} : { gateway: text(ip["gateway"]) }),
    })),
    routes: list("routes").map(({ dst, gw }) => ({
      dst: text(dst),
      ...(gw === undefined ? {} : { gw: text(gw) }),
    })),
    dns: isMapping(dns) ? dns : {},
  };
}
