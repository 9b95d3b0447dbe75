import { type CniCall, numberField, type PluginConfig, stringField } from "./config.js";
import { fail } from "./failure.js";
import { type CniHost, type HostLink, macFor } from "./host.js";
import { sandboxOf } from "./plugin.js";
import { type CniResult, parseResult } from "./result.js";
import { newLink } from "./veth.js";

/** `vrf` ADD: the interface gets a routing table of its own. Mirrors plugins/meta/vrf/main.go:cmdAdd(). */
export function vrfAdd(host: CniHost, config: PluginConfig, call: CniCall): CniResult {
  const vrf = vrfName(config);
  if (config.raw["prevResult"] === undefined) fail("missing prevResult from earlier plugin");
  const { ns } = sandboxOf(host, call);
  const name = call.env["CNI_IFNAME"] ?? "";
  const links = host.links(ns);
  const link = links.get(name) ?? fail(`could not find interface ${name}`);
  if (!links.has(vrf)) makeVrf(host, ns, vrf, numberField(config.raw, "table"));
  if (link.master !== undefined) fail(`interface ${name} has already a master set: ${link.master}`);
  host.run(ns, "ip", "link", "set", name, "master", vrf);
  link.master = vrf;
  return parseResult(config.raw["prevResult"]);
}

/** The interface leaves; an empty VRF goes. Mirrors vrf/main.go:cmdDel(). */
export function vrfDel(host: CniHost, config: PluginConfig, call: CniCall): void {
  const vrf = vrfName(config);
  const ns = host.sandbox(call.env["CNI_NETNS"] ?? "");
  if (ns === undefined) return;
  const links = host.links(ns);
  if (!links.has(vrf)) return;
  const name = call.env["CNI_IFNAME"] ?? "";
  const link = links.get(name);
  if (link?.master === vrf) {
    host.run(ns, "ip", "link", "set", name, "nomaster");
    delete link.master;
  }
  if (![...links.values()].some(({ master }) => master === vrf)) host.deleteLink(ns, vrf);
}

export function vrfCheck(host: CniHost, config: PluginConfig, call: CniCall): void {
  const vrf = vrfName(config);
  const { ns } = sandboxOf(host, call);
  const name = call.env["CNI_IFNAME"] ?? "";
  if (host.links(ns).get(name)?.master !== vrf) fail(`could not find ${name} in vrf ${vrf}`);
}

function vrfName({ raw }: PluginConfig): string {
  return stringField(raw, "vrfname") || fail("configuration is expected to have a valid vrf name");
}

function makeVrf(host: CniHost, ns: string, name: string, asked: number): HostLink {
  const used = host.tables.get(ns) ?? new Set<number>();
  host.tables.set(ns, used);
  let table = asked === 0 ? 1 : asked;
  while (asked === 0 && used.has(table)) table++;
  used.add(table);
  host.run(ns, "ip", "link", "add", name, "type", "vrf", "table", String(table));
  host.run(ns, "ip", "link", "set", name, "up");
  const link = { ...newLink(name, "vrf", macFor(`${ns} ${name}`)), up: true };
  host.links(ns).set(name, link);
  return link;
}
