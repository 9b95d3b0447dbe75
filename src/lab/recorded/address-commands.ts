import type { LabCommand } from "../../tools/command.js";
import { formatIpv4, formatIpv4Prefix, maskIpv4 } from "../../wire/ip.js";
import type { RecordedNode } from "./cables.js";
import type { Device } from "./devices.js";
import type { RecordedAddress, RecordedRoute } from "./node-record.js";

/** Gives devices their IPv4 addresses, in the recorded order: it decides which is the first of a network. */
export function addressCommands({ record, devices }: RecordedNode): readonly LabCommand[] {
  return devices.flatMap((device) =>
    device.addresses
      .filter((address) => !(device.kind === "loopback" && isLoopbackNet(address)))
      .map((address) => ({
        ns: record.name,
        argv: ["ip", "addr", "add", ...addressWords(address), "dev", device.name],
        place: device.link?.place,
      })),
  );
}

/** 127.0.0.1/8, which the kernel gives `lo` itself. */
function isLoopbackNet({ address, length }: RecordedAddress): boolean {
  return address === 0x7f00_0001 && length === 8;
}

function addressWords(given: RecordedAddress): readonly string[] {
  const { address, length, peer, broadcast, scope, noPrefixRoute } = given;
  return [
    ...(peer === undefined
      ? [`${formatIpv4(address)}/${length}`]
      : [formatIpv4(address), "peer", `${formatIpv4(peer)}/${length}`]),
    ...(broadcast === undefined ? [] : ["brd", formatIpv4(broadcast)]),
    ...(scope === "global" ? [] : ["scope", scope]),
    ...(noPrefixRoute ? ["noprefixroute"] : []),
  ];
}

/**
 * Makes the tables what was recorded: adds what the kernel does not add itself, takes away what it added and the dump
 * does not have. Routes without a gateway come first, gateways are reached by them.
 */
export function routeCommands(node: RecordedNode): readonly LabCommand[] {
  const { record, devices } = node;
  const { routes, policyRules } = record;
  const up = new Set(devices.filter((device) => device.up).map(({ name }) => name));
  const made = devices.filter((device) => device.up).flatMap(connectedRoutes);
  const isMade = ({ destination, dev, table }: RecordedRoute): boolean =>
    table === "main" && made.some((one) => one.destination === destination && one.dev === dev);
  const wanted = (routes ?? []).filter(
    (route) =>
      route.unmodelled === undefined &&
      !(route.protocol === "kernel" && (isMade(route) || route.table === "local")) &&
      route.type !== "multicast" &&
      (route.dev === undefined || up.has(route.dev)),
  );
  const direct = wanted.filter(({ words }) => !words.includes("via"));
  const remote = wanted.filter(({ words }) => words.includes("via"));
  const gone = made.filter(
    ({ destination, dev }) =>
      routes !== undefined &&
      !routes.some(
        (route) => route.table === "main" && route.destination === destination && route.dev === dev,
      ),
  );
  return [
    ...gone.map(({ destination, dev }) => ({
      ns: record.name,
      argv: ["ip", "route", "del", destination, "dev", dev, "proto", "kernel"],
    })),
    ...[...direct, ...remote].map(({ words, place }) => ({
      ns: record.name,
      argv: ["ip", "route", "append", ...words],
      place,
    })),
    ...(policyRules === undefined ? [] : policyCommands(record.name, policyRules)),
  ];
}

/** The routes that the kernel makes for addresses. */
function connectedRoutes(
  device: Device,
): readonly { readonly destination: string; readonly dev: string }[] {
  if (device.kind === "loopback") return [];
  const found = device.addresses
    .filter(
      ({ length, noPrefixRoute, peer, address }) =>
        !noPrefixRoute && (length < 32 || (peer !== undefined && peer !== address)),
    )
    .map(({ address, peer = address, length }) =>
      length === 32
        ? formatIpv4(peer)
        : formatIpv4Prefix({ address: maskIpv4(peer, length), length }),
    );
  return [...new Set(found)].map((destination) => ({ destination, dev: device.name }));
}

/** The rules that every namespace begins with. */
const DEFAULT_RULES: readonly (readonly [priority: number, words: string])[] = [
  [0, "priority 0 from all lookup local"],
  [32_766, "priority 32766 from all lookup main"],
  [32_767, "priority 32767 from all lookup default"],
];

function policyCommands(
  ns: string,
  rules: NonNullable<RecordedNode["record"]["policyRules"]>,
): readonly LabCommand[] {
  const isDefault = (words: readonly string[]): boolean =>
    DEFAULT_RULES.some(([, text]) => text === words.join(" "));
  const added = rules
    .filter(({ words }) => !isDefault(words))
    .map(({ words, place }) => ({ ns, argv: ["ip", "rule", "add", ...words], place }));
  const removed = DEFAULT_RULES.filter(
    ([, text]) => !rules.some(({ words }) => words.join(" ") === text),
  ).map(([priority]) => ({ ns, argv: ["ip", "rule", "del", "priority", String(priority)] }));
  return [...added, ...removed];
}
