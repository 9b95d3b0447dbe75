import type { LabCommand } from "../../tools/command.js";
import {
  formatIpv6,
  formatIpv6Prefix,
  IPV6_LOOPBACK,
  type Ipv6,
  isIpv6LinkLocal,
  linkLocalOf,
  maskIpv6,
  parseMac,
} from "../../wire/ip.js";
import type { RecordedNode } from "./cables.js";
import type { Device } from "./devices.js";
import type { RecordedAddress6, RecordedRoute } from "./node-record.js";

/** `net.ipv6.conf.eth0.addr_gen_mode`: no address of its own for the link. */
const ADDR_GEN_NONE = 1;
/** The metric of the routes that the kernel makes for addresses. */
const KERNEL_METRIC = 256;

/** Devices whose link-local addresses are not those that the kernel would make get none from it. For before they come up. */
export function generationCommands({ record, devices }: RecordedNode): readonly LabCommand[] {
  if (!record.hasAddresses6) return [];
  return devices
    .filter(
      (device) =>
        device.link !== undefined && device.kind !== "loopback" && !hasKernelsLinkLocal(device),
    )
    .map(({ name, link }) => ({
      ns: record.name,
      argv: [
        "sysctl",
        "-w",
        `net.ipv6.conf.${name.replaceAll(".", "/")}.addr_gen_mode=${ADDR_GEN_NONE}`,
      ],
      place: link?.place,
    }));
}

/** Whether its only link-local address is made of its MAC address, as the kernel does by default. */
function hasKernelsLinkLocal({ addresses6, mac, up, running }: Device): boolean {
  const own = addresses6.filter(({ address }) => isIpv6LinkLocal(address));
  const parsed = parseMac(mac);
  if (own.length === 0) return !up || !running;
  return own.length === 1 && parsed !== undefined && own[0]?.address === linkLocalOf(parsed);
}

/** Gives devices their IPv6 addresses, oldest first, as the kernel lists the newest one first. Failed ones are nobody's. */
export function addressCommands6({ record, devices }: RecordedNode): readonly LabCommand[] {
  return devices.flatMap((device) => {
    const made = hasKernelsLinkLocal(device) || device.link === undefined;
    return device.addresses6
      .filter(({ address, failed }) => !failed && !(made && isIpv6LinkLocal(address)))
      .filter(({ address }) => !(device.kind === "loopback" && address === IPV6_LOOPBACK))
      .toReversed()
      .map((address) => ({
        ns: record.name,
        argv: ["ip", "addr", "add", ...addressWords(address), "dev", device.name],
        place: device.link?.place,
      }));
  });
}

function addressWords(given: RecordedAddress6): readonly string[] {
  const { address, length, peer, metric, deprecated, noDad, noPrefixRoute } = given;
  return [
    ...(peer === undefined
      ? [formatIpv6Prefix({ address, length })]
      : [formatIpv6(address), "peer", formatIpv6Prefix({ address: peer, length })]),
    ...(metric === undefined ? [] : ["metric", String(metric)]),
    ...(deprecated ? ["preferred_lft", "0"] : []),
    ...(noDad ? ["nodad"] : []),
    ...(noPrefixRoute ? ["noprefixroute"] : []),
  ];
}

/** A route that the kernel makes for an address. */
interface MadeRoute {
  readonly destination: string;
  readonly dev: string;
  readonly metric: number;
}

/** Makes the IPv6 tables and rules what was recorded, as `routeCommands` does for IPv4. */
export function routeCommands6(node: RecordedNode): readonly LabCommand[] {
  const { record, devices } = node;
  const { routes6, policyRules6 } = record;
  const up = new Set(devices.filter((device) => device.up).map(({ name }) => name));
  const made = devices.filter((device) => device.up).flatMap(connectedRoutes);
  const wanted = (routes6 ?? []).filter(
    (route) =>
      route.unmodelled === undefined &&
      !(route.protocol === "kernel" && isMadeAnyway(route, made)) &&
      !["multicast", "anycast"].includes(route.type) &&
      (route.dev === undefined || up.has(route.dev)),
  );
  const gone = made.filter(
    (one) => routes6 !== undefined && !routes6.some((route) => isSameRoute(route, one)),
  );
  return [
    ...gone.map(({ destination, dev, metric }) => ({
      ns: record.name,
      argv: [
        ...["ip", "-6", "route", "del", destination, "dev", dev],
        ...["proto", "kernel", "metric", String(metric)],
      ],
    })),
    ...[...wanted.filter(isDirect), ...wanted.filter((route) => !isDirect(route))].map(
      ({ words, place }) => ({
        ns: record.name,
        argv: ["ip", "-6", "route", "append", ...words],
        place,
      }),
    ),
    ...(policyRules6 === undefined ? [] : policyCommands6(record.name, policyRules6)),
  ];
}

function isDirect({ words }: RecordedRoute): boolean {
  return !words.includes("via");
}

function isMadeAnyway(route: RecordedRoute, made: readonly MadeRoute[]): boolean {
  return route.table === "local" || made.some((one) => isSameRoute(route, one));
}

function isSameRoute(route: RecordedRoute, { destination, dev, metric }: MadeRoute): boolean {
  return (
    route.table === "main" &&
    route.destination === destination &&
    route.dev === dev &&
    (route.metric ?? 0) === metric
  );
}

function connectedRoutes(device: Device): readonly MadeRoute[] {
  const { name: dev, kind, running, link, addresses6 } = device;
  const linkLocal = (0xfe80n << 112n) as Ipv6;
  const generated =
    kind !== "loopback" && running && (link === undefined || hasKernelsLinkLocal(device));
  const found = addresses6
    .filter(
      ({ address, noPrefixRoute, failed }) =>
        !noPrefixRoute && !failed && address !== IPV6_LOOPBACK,
    )
    .flatMap(({ address, length, peer, metric = KERNEL_METRIC }): readonly MadeRoute[] => {
      const base = isIpv6LinkLocal(address) ? linkLocal : maskIpv6(address, length);
      const network = { destination: prefixText(base, length), dev, metric };
      return peer === undefined
        ? [network]
        : [network, { destination: formatIpv6(peer), dev, metric }];
    });
  const own = { destination: prefixText(linkLocal, 64), dev, metric: KERNEL_METRIC };
  const all = generated ? [own, ...found] : found;
  return [...new Map(all.map((one) => [`${one.destination} ${one.metric}`, one])).values()];
}

/** As `ip -6 route` prints it. */
function prefixText(address: Ipv6, length: number): string {
  return length === 128 ? formatIpv6(address) : formatIpv6Prefix({ address, length });
}

/** The rules that every namespace begins with. */
const DEFAULT_RULES: readonly (readonly [priority: number, words: string])[] = [
  [0, "priority 0 from all lookup local"],
  [32_766, "priority 32766 from all lookup main"],
];

function policyCommands6(
  ns: string,
  rules: NonNullable<RecordedNode["record"]["policyRules6"]>,
): readonly LabCommand[] {
  const texts = new Set(rules.map(({ words }) => words.join(" ")));
  const known = new Set(DEFAULT_RULES.map(([, text]) => text));
  const added = rules
    .filter(({ words }) => !known.has(words.join(" ")))
    .map(({ words, place }) => ({ ns, argv: ["ip", "-6", "rule", "add", ...words], place }));
  const removed = DEFAULT_RULES.filter(([, text]) => !texts.has(text)).map(([priority]) => ({
    ns,
    argv: ["ip", "-6", "rule", "del", "priority", String(priority)],
  }));
  return [...added, ...removed];
}
