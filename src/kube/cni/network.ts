import { isMapping } from "../load/check.js";
import { type CniCall, mappingField, type PluginConfig } from "./config.js";
import type { Conflist, ConflistPlugin } from "./conflist.js";
import { fail } from "./failure.js";
import { flannelDelegate } from "./flannel.js";
import type { CniHost } from "./host.js";
import { cniPlugins } from "./index.js";
import { delegateAdd } from "./ipam.js";
import { type CniResult, resultJson } from "./result.js";

/** A pod's sandbox that is to be put on the network. */
export interface Attachment {
  /** 64 hexadecimal digits. */
  readonly containerId: string;
  /** The path of the namespace: `/var/run/netns/shop.web-0`. */
  readonly netns: string;
  readonly namespace: string;
  readonly pod: string;
  /** The addresses that the pod has to get, at most one a family; of a family without one any. */
  readonly addresses: readonly string[];
  readonly portMappings: readonly PortMapping[];
}

export interface PortMapping {
  readonly hostPort: number;
  readonly containerPort: number;
  /** In lower case. */
  readonly protocol: string;
  readonly hostIP: string;
}

/**
 * Puts a sandbox on the network: `lo`, then every plugin of the list, each with the result of the one before. Throws
 * CniFailure. Mirrors github.com/containernetworking/cni/libcni/api.go:AddNetworkList().
 */
export function addNetwork(host: CniHost, list: Conflist, attachment: Attachment): CniResult {
  const call = callFor(attachment);
  const loopback = { type: "loopback", raw: { type: "loopback" } };
  pluginOf(loopback).add(host, configFor(list, loopback, attachment, undefined), {
    ...call,
    env: { ...call.env, CNI_IFNAME: "lo" },
  });
  let result: CniResult | undefined;
  for (const plugin of list.plugins)
    result = pluginOf(plugin).add(host, configFor(list, plugin, attachment, result), call);
  return result ?? fail("no plugins in list");
}

/**
 * Takes a sandbox off the network: every plugin of the list from the last to the first, each with what ADD came to. Throws
 * CniFailure. Mirrors github.com/containernetworking/cni/libcni/api.go:DelNetworkList().
 */
export function deleteNetwork(
  host: CniHost,
  list: Conflist,
  attachment: Attachment,
  result: CniResult,
): void {
  const call = callFor(attachment, "DEL");
  for (const plugin of list.plugins.toReversed())
    pluginOf(plugin).del(host, configFor(list, plugin, attachment, result), call);
}

/** The address the sandbox would get, without a device being made. Throws CniFailure. */
export function allocateAddress(host: CniHost, list: Conflist, attachment: Attachment): CniResult {
  const plugin = list.plugins.find(
    ({ type, raw }) =>
      type === "flannel" || (isMapping(raw["ipam"]) && raw["ipam"]["type"] !== undefined),
  );
  if (plugin === undefined)
    return fail(`no plugin of ${list.file} gives addresses: none has an ipam section`);
  const config = configFor(list, plugin, attachment, undefined);
  const asked = plugin.type === "flannel" ? flannelDelegate(host, config) : config;
  return delegateAdd(host, asked, callFor(attachment));
}

function pluginOf({ type }: ConflistPlugin): (typeof cniPlugins)[number] {
  return (
    cniPlugins.find(({ name }) => name === type) ??
    fail(`failed to find plugin "${type}" in path [/opt/cni/bin]`)
  );
}

function callFor(
  { containerId, netns, namespace, pod, addresses: [address] }: Attachment,
  command: "ADD" | "DEL" = "ADD",
): CniCall {
  const args = [
    "IgnoreUnknown=1",
    `K8S_POD_NAMESPACE=${namespace}`,
    `K8S_POD_NAME=${pod}`,
    `K8S_POD_INFRA_CONTAINER_ID=${containerId}`,
    ...(address === undefined ? [] : [`IP=${address}`]),
  ];
  const env = {
    CNI_COMMAND: command,
    CNI_CONTAINERID: containerId,
    CNI_NETNS: netns,
    CNI_IFNAME: "eth0",
    CNI_PATH: "/opt/cni/bin",
    CNI_ARGS: args.join(";"),
  };
  return { env, stdin: "" };
}

/** What the plugin reads: its own object, the list's name and version, the capabilities it asked for, the result so far. */
function configFor(
  list: Conflist,
  { type, raw }: ConflistPlugin,
  attachment: Attachment,
  previous: CniResult | undefined,
): PluginConfig {
  const { capabilities: _capabilities, ...own } = raw;
  const wants =
    mappingField(raw, "capabilities")["portMappings"] === true &&
    attachment.portMappings.length > 0;
  // CNI_ARGS has room for one address: others are asked for in the configuration.
  const others = attachment.addresses.slice(1);
  const asked =
    others.length === 0
      ? {}
      : {
          args: {
            ...mappingField(own, "args"),
            cni: { ...mappingField(mappingField(own, "args"), "cni"), ips: others },
          },
        };
  const config = {
    ...own,
    ...asked,
    cniVersion: list.cniVersion,
    name: list.name,
    ...(wants ? { runtimeConfig: { portMappings: attachment.portMappings } } : {}),
    ...(previous === undefined ? {} : { prevResult: resultJson(previous, "1.0.0") }),
  };
  return { cniVersion: list.cniVersion, name: list.name, type, raw: config };
}
