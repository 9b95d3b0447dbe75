import { type CniCall, mappingField, parseArgs, type PluginConfig, stringField } from "./config.js";
import { formatAddress, parseAddress, parseBlock } from "./address.js";
import { fail } from "./failure.js";
import type { CniHost } from "./host.js";
import { hostLocalAdd, hostLocalCheck, hostLocalDel } from "./host-local.js";
import { calicoIpamAdd, calicoIpamDel } from "./calico-ipam.js";
import { listField, stringsField } from "./config.js";
import { isMapping } from "../load/check.js";
import type { CniIp, CniResult } from "./result.js";
import { routesOf } from "./routes.js";

/** What a plugin that gives addresses can do. */
interface IpamPlugin {
  add(host: CniHost, config: PluginConfig, call: CniCall): CniResult;
  del(host: CniHost, config: PluginConfig, call: CniCall): void;
  check(host: CniHost, config: PluginConfig, call: CniCall): void;
}

/** The plugins that give addresses. */
const plugins: ReadonlyMap<string, IpamPlugin> = new Map([
  ["host-local", { add: hostLocalAdd, del: hostLocalDel, check: hostLocalCheck }],
  ["calico-ipam", { add: calicoIpamAdd, del: calicoIpamDel, check() {} }],
  [
    "static",
    {
      add: (_host, config, call) => staticAdd(config, call),
      del() {},
      check() {},
    } satisfies IpamPlugin,
  ],
  ["dhcp", { add: askDaemon, del: askDaemon, check: askDaemon }],
]);

/** `dhcp` asks a daemon of the node, which no world has. Mirrors plugins/ipam/dhcp/main.go:rpcCall(). */
function askDaemon(_host: CniHost, { raw }: PluginConfig): never {
  const path = stringField(mappingField(raw, "ipam"), "daemonSocketPath") || "/run/cni/dhcp.sock";
  return fail(`error dialing DHCP daemon: dial unix ${path}: connect: no such file or directory`);
}

/** Calls the plugin that `ipam.type` names. */
export function delegateAdd(host: CniHost, config: PluginConfig, call: CniCall): CniResult {
  return pluginOf(config).add(host, config, call);
}

export function delegateDel(host: CniHost, config: PluginConfig, call: CniCall): void {
  pluginOf(config).del(host, config, call);
}

export function delegateCheck(host: CniHost, config: PluginConfig, call: CniCall): void {
  pluginOf(config).check(host, config, call);
}

function pluginOf({ raw }: PluginConfig): IpamPlugin {
  const type = stringField(mappingField(raw, "ipam"), "type");
  return plugins.get(type) ?? fail(`failed to find plugin "${type}" in path [/opt/cni/bin]`);
}

/** The `static` plugin: the addresses that are written down. Mirrors plugins/ipam/static/main.go. */
function staticAdd({ raw }: PluginConfig, call: CniCall): CniResult {
  const ipam = mappingField(raw, "ipam");
  const args = parseArgs(call.env["CNI_ARGS"], ["IP", "GATEWAY"]);
  const written = listField(ipam, "addresses").map((item) =>
    isMapping(item) ? item : fail("json: cannot unmarshal an address"),
  );
  let ips = written.map((item) =>
    staticIp(stringField(item, "address"), stringField(item, "gateway")),
  );
  const inArgs =
    args
      .get("IP")
      ?.split(",")
      .filter((text) => text !== "") ?? [];
  if (inArgs.length > 0) {
    const gateways = args.get("GATEWAY")?.split(",") ?? [];
    ips = inArgs.map((text) => {
      const found = gateways.find((gateway) => gateway.includes(":") === text.includes(":"));
      return staticIp(text, found ?? "");
    });
  }
  for (const asked of [
    stringsField(mappingField(mappingField(raw, "args"), "cni"), "ips"),
    stringsField(mappingField(raw, "runtimeConfig"), "ips"),
  ]) {
    if (asked.length > 0) ips = asked.map((text) => staticIp(text, ""));
  }
  return { interfaces: [], ips, routes: routesOf(ipam), dns: mappingField(ipam, "dns") };
}

function staticIp(text: string, gateway: string): CniIp {
  if (parseBlock(text) === undefined)
    fail(`the 'address' field is expected to be in CIDR notation, got: '${text}'`);
  if (gateway === "") return { address: text };
  const address = parseAddress(gateway) ?? fail(`invalid IP address: ${gateway}`);
  return { address: text, gateway: formatAddress(address) };
}
