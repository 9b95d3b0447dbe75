import { isMapping } from "../load/check.js";
import {
  boolField,
  type CniCall,
  mappingField,
  numberField,
  type PluginConfig,
  stringField,
} from "./config.js";
import { fail } from "./failure.js";
import type { CniHost, HostLink } from "./host.js";
import { sandboxOf } from "./plugin.js";
import { type CniResult, parseResult } from "./result.js";

/** What is wanted of the container's interface; undefined leaves a value as it is. */
interface Tuning {
  readonly mac: string;
  readonly mtu: number;
  readonly promisc: boolean;
  readonly allmulti: boolean;
  readonly txQLen: number;
  readonly sysctls: readonly (readonly [string, string])[];
}

/** `tuning` ADD: knobs and link settings of an interface that is there already. Mirrors plugins/meta/tuning/tuning.go:cmdAdd(). */
export function tuningAdd(host: CniHost, config: PluginConfig, call: CniCall): CniResult {
  const { tuning, result } = tuningConfig(config, call);
  const { path, ns } = sandboxOf(host, call);
  const name = call.env["CNI_IFNAME"] ?? "";
  for (const [key, value] of tuning.sysctls) {
    if (!key.startsWith("net.")) fail(`invalid net sysctl key: "${key}"`);
    host.run(ns, "sysctl", "-w", `${key}=${value}`);
  }
  const changes = changesOf(tuning);
  if (changes.length === 0) return result;
  const link = linkOf(host, ns, name);
  host.files.set(
    backupPath(config, call),
    JSON.stringify({ mac: link.mac, mtu: link.mtu ?? 1500 }),
  );
  for (const words of changes) host.run(ns, "ip", "link", "set", name, ...words);
  if (tuning.mac !== "") link.mac = tuning.mac;
  if (tuning.mtu !== 0) link.mtu = tuning.mtu;
  const interfaces = result.interfaces.map((item) =>
    item.name === name && item.sandbox === path && tuning.mac !== ""
      ? { ...item, mac: tuning.mac }
      : item,
  );
  return { ...result, interfaces };
}

/** Puts the link's old values back; knobs stay. Mirrors tuning.go:restoreBackup(). */
export function tuningDel(host: CniHost, config: PluginConfig, call: CniCall): void {
  const path = backupPath(config, call);
  const stored = host.files.get(path);
  const ns = host.sandbox(call.env["CNI_NETNS"] ?? "");
  if (stored === undefined || ns === undefined) return;
  host.files.delete(path);
  const name = call.env["CNI_IFNAME"] ?? "";
  const link = host.links(ns).get(name);
  const old: unknown = JSON.parse(stored);
  if (link === undefined || !isMapping(old)) return;
  const { tuning } = tuningConfig(config, call);
  if (tuning.mac !== "") link.mac = stringField(old, "mac");
  if (tuning.mtu !== 0) link.mtu = numberField(old, "mtu");
  const back: Tuning = {
    ...tuning,
    mac: tuning.mac === "" ? "" : link.mac,
    mtu: tuning.mtu === 0 ? 0 : (link.mtu ?? 1500),
    txQLen: tuning.txQLen === 0 ? 0 : 1000,
  };
  for (const words of changesOf(back, "off")) host.run(ns, "ip", "link", "set", name, ...words);
}

export function tuningCheck(host: CniHost, config: PluginConfig, call: CniCall): void {
  const { tuning } = tuningConfig(config, call);
  const { ns } = sandboxOf(host, call);
  if (changesOf(tuning).length === 0) return;
  const name = call.env["CNI_IFNAME"] ?? "";
  const { mac, mtu = 1500 } = linkOf(host, ns, name);
  if (tuning.mac !== "" && mac !== tuning.mac)
    fail(
      `Error: Tuning configured MAC Address of ${name} is ${tuning.mac}, current value is ${mac}`,
    );
  if (tuning.mtu !== 0 && mtu !== tuning.mtu)
    fail(`Error: Tuning configured MTU of ${name} is ${tuning.mtu}, current value is ${mtu}`);
}

function linkOf(host: CniHost, ns: string, name: string): HostLink {
  return host.links(ns).get(name) ?? fail(`failed to get "${name}": Link not found`);
}

/** The words of `ip link set`, one change each. */
function changesOf(
  { mac, mtu, promisc, allmulti, txQLen }: Tuning,
  state: "on" | "off" = "on",
): readonly (readonly string[])[] {
  return [
    ...(mac === "" ? [] : [["address", mac]]),
    ...(promisc ? [["promisc", state]] : []),
    ...(mtu === 0 ? [] : [["mtu", String(mtu)]]),
    ...(allmulti ? [["allmulticast", state]] : []),
    ...(txQLen === 0 ? [] : [["txqueuelen", String(txQLen)]]),
  ];
}

function backupPath({ raw }: PluginConfig, { env }: CniCall): string {
  const folder = stringField(raw, "dataDir") || "/run/cni/tuning";
  return `${folder}/${env["CNI_CONTAINERID"] ?? ""}_${env["CNI_IFNAME"] ?? ""}.json`;
}

function tuningConfig(
  { raw }: PluginConfig,
  { env }: CniCall,
): { readonly tuning: Tuning; readonly result: CniResult } {
  if (raw["prevResult"] === undefined) fail("Required prevResult missing");
  const runtimeMac = stringField(mappingField(raw, "runtimeConfig"), "mac");
  const argsMac = stringField(mappingField(mappingField(raw, "args"), "cni"), "mac");
  const sysctls = Object.entries(mappingField(raw, "sysctl")).map(
    ([key, value]): readonly [string, string] => [
      key.replaceAll("/", ".").replaceAll("IFNAME", env["CNI_IFNAME"] ?? ""),
      typeof value === "string" ? value : fail("failed to load netconf: sysctl values are strings"),
    ],
  );
  const tuning = {
    mac: (runtimeMac || argsMac || stringField(raw, "mac")).toLowerCase(),
    mtu: numberField(raw, "mtu"),
    promisc: boolField(raw, "promisc"),
    allmulti: boolField(raw, "allmulti"),
    txQLen: numberField(raw, "txQLen"),
    sysctls,
  };
  return { tuning, result: parseResult(raw["prevResult"]) };
}
