import { firstOf, formatAddress, formatBlock, parseBlock } from "./address.js";
import type { CniCall, PluginConfig } from "./config.js";
import { fail } from "./failure.js";
import type { CniHost } from "./host.js";
import { sandboxOf } from "./plugin.js";
import { type CniIp, type CniResult, parseResult } from "./result.js";

const FIRST_TABLE = 100;

/** `sbr` ADD: what a container sends from an address leaves by the interface that has it. Mirrors plugins/meta/sbr/main.go:doRoutes(). */
export function sbrAdd(host: CniHost, config: PluginConfig, call: CniCall): CniResult {
  const result = previousResult(config);
  const { path, ns } = sandboxOf(host, call);
  const name = call.env["CNI_IFNAME"] ?? "";
  const own = result.ips.filter(
    (ip) => ip.interface === undefined || result.interfaces[ip.interface]?.sandbox === path,
  );
  const table = freeTable(host, ns);
  for (const ip of own)
    routesOf(ip, result, table, name).forEach((words) => host.run(ns, "ip", ...words));
  return result;
}

/** The rules go; routes stay until the interface goes. Mirrors sbr/main.go:cmdDel(). */
export function sbrDel(host: CniHost, config: PluginConfig, call: CniCall): void {
  const ns = host.sandbox(call.env["CNI_NETNS"] ?? "");
  if (ns === undefined || config.raw["prevResult"] === undefined) return;
  const link = host.links(ns).get(call.env["CNI_IFNAME"] ?? "");
  for (const address of link?.addresses ?? []) {
    const block = parseBlock(address);
    if (block !== undefined)
      host.run(ns, ...ipFor(address), "rule", "del", "from", formatAddress(block));
  }
}

export function sbrCheck(_host: CniHost, config: PluginConfig, _call: CniCall): void {
  previousResult(config);
}

function previousResult({ raw }: PluginConfig): CniResult {
  if (raw["prevResult"] === undefined) fail("This plugin must be called as chained plugin");
  return parseResult(raw["prevResult"]);
}

/** The first table from 100 on that nothing uses in this namespace. */
function freeTable(host: CniHost, ns: string): number {
  const used = host.tables.get(ns) ?? new Set<number>();
  host.tables.set(ns, used);
  let table = FIRST_TABLE;
  while (used.has(table)) table++;
  used.add(table);
  return table;
}

function ipFor(address: string): readonly string[] {
  return address.includes(":") ? ["ip", "-6"] : ["ip"];
}

/** The rule, the default route, and every other route of the interface moved to the table. */
function routesOf(
  { address, gateway }: CniIp,
  { routes }: CniResult,
  table: number,
  dev: string,
): readonly (readonly string[])[] {
  const block = parseBlock(address) ?? fail(`invalid CIDR address: ${address}`);
  const family = block.family === 6 ? ["-6"] : [];
  const source = formatAddress(block);
  const subnet = formatBlock({ ...firstOf(block), length: block.length });
  const to = ["table", String(table)];
  const isDefault = (dst: string): boolean => dst.endsWith("/0");
  const written = routes.filter(({ dst }) => dst.includes(":") === (block.family === 6));
  return [
    ["rule", "add", "from", source, ...to],
    ...(gateway === undefined
      ? []
      : [["route", "add", "default", "via", gateway, "dev", dev, ...to]]),
    ...written.flatMap(({ dst, gw = gateway }) => [
      ["route", "del", dst, "dev", dev],
      ...(gw === undefined || isDefault(dst)
        ? []
        : [["route", "add", dst, "via", gw, "dev", dev, ...to]]),
    ]),
    ["route", "del", subnet, "dev", dev],
    ["route", "add", subnet, "dev", dev, "proto", "kernel", "scope", "link", "src", source, ...to],
  ].map((words) => [...family, ...words]);
}
