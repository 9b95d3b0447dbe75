import type { Container } from "kubernetes-types/core/v1.js";
import { UserError } from "../../base/errors.js";
import { formatIpv4Prefix, formatIpv6Prefix } from "../../wire/ip.js";
import type { Cluster } from "../cluster.js";
import { parseDocuments } from "../load/documents.js";
import { SourceText } from "../load/source-text.js";
import { nameOf, namespaceOf } from "../objects.js";
import {
  DEFAULT_MACHINE,
  DEFAULT_SETTINGS,
  gateIsOn,
  type ProxyConfig,
  type ProxySettings,
} from "./config.js";
import { readProxyConfiguration, readProxyFlags } from "./read-config.js";
import type { EndpointGates } from "./service-state.js";

/**
 * How the cluster's kube-proxy is set: by its flags, or by the ConfigMap that `--config` names and that counts alone then.
 * The pod network stands in for a clusterCIDR that is left out. Throws UserError for what kube-proxy would refuse.
 */
export function clusterProxyConfig(cluster: Cluster): ProxyConfig {
  const config = proxyConfigOfAnyMode(cluster);
  if (config.mode !== "iptables")
    throw new UserError("PROXY_MODE", `kube-proxy mode "${config.mode}" is not modelled yet`, {
      help: "only iptables is, for now",
    });
  return config;
}

/** The same, whatever the mode: what a mode that is not modelled does to packets is left open. */
export function proxyConfigOfAnyMode(cluster: Cluster): ProxyConfig {
  const flags = proxyFlags(cluster);
  const byFlags = flags.length > 0 && !flags.some((flag) => /^--?config(=|$)/.test(flag));
  const settings = byFlags ? readProxyFlags(flags) : fromConfigMap(cluster);
  const clusterCIDRs =
    settings.clusterCIDRs.length > 0 ? settings.clusterCIDRs : podNetworks(cluster);
  return { ...settings, ...DEFAULT_MACHINE, clusterCIDRs };
}

function podNetworks({ networks }: Cluster): readonly string[] {
  const { pods, pods6 } = networks;
  return [formatIpv4Prefix(pods.prefix), ...(pods6 === undefined ? [] : [formatIpv6Prefix(pods6)])];
}

/** The gates that change which endpoints are used. */
export function endpointGates(config: Pick<ProxySettings, "featureGates">): EndpointGates {
  return { preferSameTrafficDistribution: gateIsOn(config, "PreferSameTrafficDistribution") };
}

function fromConfigMap(cluster: Cluster): ProxySettings {
  const found = cluster.configMaps.find(
    ({ object }) => namespaceOf(object) === "kube-system" && nameOf(object) === "kube-proxy",
  );
  const text = found?.object.data?.["config.conf"];
  if (found === undefined || text === undefined) return DEFAULT_SETTINGS;
  const source = new SourceText("kube-proxy ConfigMap", text);
  return readProxyConfiguration(parseDocuments(source)[0], () =>
    found.origin.details(["data", "config.conf"]),
  );
}

/** The command line of the DaemonSet's container, else of a pod's, without the program's name. */
function proxyFlags({ objects }: Cluster): readonly string[] {
  const specs = [
    ...objects.DaemonSet.map(({ object }) => ({ object, spec: object.spec?.template.spec })),
    ...objects.Pod.map(({ object }) => ({ object, spec: object.spec })),
  ];
  const containers: readonly Container[] = specs.flatMap(({ object, spec }) =>
    namespaceOf(object) === "kube-system" ? (spec?.containers ?? []) : [],
  );
  const proxy = containers.find(({ name }) => name === "kube-proxy");
  return [...(proxy?.command ?? []), ...(proxy?.args ?? [])].filter(
    (word, index) => index > 0 || word.startsWith("-"),
  );
}
