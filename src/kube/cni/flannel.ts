import { isMapping } from "../load/check.js";
import { firstOf, formatBlock, parseBlock } from "./address.js";
import { bridgeAdd, bridgeCheck, bridgeDel } from "./bridge.js";
import { type CniCall, mappingField, type PluginConfig, stringField } from "./config.js";
import { fail } from "./failure.js";
import type { CniHost } from "./host.js";
import { ptpAdd, ptpCheck, ptpDel } from "./ptp.js";
import type { CniResult } from "./result.js";

/** Where flanneld says what subnet the node has. */
export const SUBNET_ENV = "/run/flannel/subnet.env";
const DATA_DIR = "/var/lib/cni/flannel";

/** `flannel` ADD: makes a bridge's configuration of what flanneld wrote, and lets that plugin do the work. Mirrors flannel-io/cni-plugin/flannel.go:cmdAdd(). */
export function flannelAdd(host: CniHost, config: PluginConfig, call: CniCall): CniResult {
  const delegate = flannelDelegate(host, config);
  host.files.set(storedPath(config, call), JSON.stringify(delegate.raw));
  return delegateOf(delegate).add(host, delegate, call);
}

/** What was stored at ADD is undone; nothing stored is nothing to do. */
export function flannelDel(host: CniHost, config: PluginConfig, call: CniCall): void {
  const path = storedPath(config, call);
  const stored = host.files.get(path);
  if (stored === undefined) return;
  const raw: unknown = JSON.parse(stored);
  if (!isMapping(raw)) fail(`failed to parse stored netconf: ${path}`);
  const delegate = { ...config, type: stringField(raw, "type"), raw };
  delegateOf(delegate).del(host, delegate, call);
  host.files.delete(path);
}

export function flannelCheck(host: CniHost, config: PluginConfig, call: CniCall): void {
  const delegate = flannelDelegate(host, config);
  delegateOf(delegate).check(host, delegate, call);
}

function storedPath({ raw }: PluginConfig, { env }: CniCall): string {
  return `${stringField(raw, "dataDir") || DATA_DIR}/${env["CNI_CONTAINERID"] ?? ""}`;
}

function delegateOf({ type }: PluginConfig): {
  readonly add: typeof bridgeAdd;
  readonly del: typeof bridgeDel;
  readonly check: typeof bridgeCheck;
} {
  if (type === "bridge") return { add: bridgeAdd, del: bridgeDel, check: bridgeCheck };
  if (type === "ptp") return { add: ptpAdd, del: ptpDel, check: ptpCheck };
  return fail(`hopwise does not model a flannel delegate of type "${type}"`);
}

/** The configuration that the delegate gets. Mirrors flannel-io/cni-plugin/flannel_linux.go:doCmdAdd(). */
export function flannelDelegate(host: CniHost, config: PluginConfig): PluginConfig {
  const { raw, name, cniVersion } = config;
  const env = readSubnetEnv(host, stringField(raw, "subnetFile") || SUBNET_ENV);
  const asked = mappingField(raw, "delegate");
  for (const key of ["name", "ipam"])
    if (asked[key] !== undefined)
      fail(`'delegate' dictionary must not have '${key}' field, it'll be set by flannel`);
  const type = stringField(asked, "type") || "bridge";
  const ranges = env.subnets.map((text) => {
    const subnet = parseBlock(text) ?? fail(`invalid CIDR address: ${text}`);
    return [{ subnet: formatBlock({ ...firstOf(subnet), length: subnet.length }) }];
  });
  const delegate = {
    ...asked,
    name,
    cniVersion,
    type,
    ipMasq: asked["ipMasq"] ?? !env.masquerade,
    mtu: asked["mtu"] ?? env.mtu,
    ...(type === "bridge" ? { isGateway: asked["isGateway"] ?? true } : {}),
    ipam: {
      ...mappingField(raw, "ipam"),
      type: stringField(mappingField(raw, "ipam"), "type") || "host-local",
      ranges,
      routes: env.networks.map((dst) => ({ dst })),
    },
    ...(raw["runtimeConfig"] === undefined ? {} : { runtimeConfig: raw["runtimeConfig"] }),
  };
  return { cniVersion, name, type, raw: delegate };
}

interface SubnetEnv {
  /** IPv4 first; at least one of each. */
  readonly networks: readonly string[];
  readonly subnets: readonly string[];
  readonly mtu: number;
  readonly masquerade: boolean;
}

/** Mirrors flannel-io/cni-plugin/flannel.go:loadFlannelSubnetEnv(). */
function readSubnetEnv(host: CniHost, path: string): SubnetEnv {
  const text = host.files.get(path);
  if (text === undefined)
    return fail(`loadFlannelSubnetEnv failed: open ${path}: no such file or directory`);
  const values = new Map(
    text.split("\n").map((line): [string, string] => {
      const at = line.indexOf("=");
      return [line.slice(0, at), line.slice(at + 1)];
    }),
  );
  const value = (key: string): string => values.get(key) ?? fail(`${path} is missing ${key}`);
  const [network6, subnet6] = [
    values.get("FLANNEL_IPV6_NETWORK"),
    values.get("FLANNEL_IPV6_SUBNET"),
  ];
  const only6 = network6 !== undefined && subnet6 !== undefined && !values.has("FLANNEL_NETWORK");
  return {
    networks: [
      ...(only6 ? [] : [value("FLANNEL_NETWORK")]),
      ...(network6 === undefined ? [] : [network6]),
    ],
    subnets: [
      ...(only6 ? [] : [value("FLANNEL_SUBNET")]),
      ...(subnet6 === undefined ? [] : [subnet6]),
    ],
    mtu: Number(value("FLANNEL_MTU")),
    masquerade: value("FLANNEL_IPMASQ") === "true",
  };
}
