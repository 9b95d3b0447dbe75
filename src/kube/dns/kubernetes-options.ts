import type { Controller } from "./controller.js";
import { duration, integer, parseDuration } from "./go-values.js";
import { parseSelector, type LabelSelector } from "./labels.js";
import { isReverseZone, normalizeZone } from "./names.js";

export type PodMode = "disabled" | "insecure" | "verified";

/** What a `kubernetes` block says. */
export interface KubernetesOptions {
  zones: readonly string[];
  /** The first zone that is no reverse zone: PTR records point into it. */
  primaryZone: string;
  readonly namespaces: Set<string>;
  namespaceLabels: LabelSelector | undefined;
  labels: LabelSelector;
  pods: PodMode;
  endpointPodNames: boolean;
  ttl: number;
  noEndpoints: boolean;
  fallthrough: readonly string[] | undefined;
  ignoreEmpty: boolean;
  multicluster: readonly string[];
  zonal: boolean;
}

const properties = [
  "endpoint",
  "tls",
  "kubeconfig",
  "apiserver_qps",
  "apiserver_burst",
  "apiserver_max_inflight",
  "namespaces",
  "namespace_labels",
  "labels",
  "pods",
  "endpoint_pod_names",
  "ttl",
  "noendpoints",
  "fallthrough",
  "ignore",
  "multicluster",
  "zonal",
  "startup_timeout",
];

/** Reads one `kubernetes` directive. Mirrors plugin/kubernetes/setup.go:ParseStanza(). */
export function parseKubernetes(c: Controller): KubernetesOptions {
  const zones = c.zones(c.remainingArgs());
  const primaryZone = zones.find((zone) => !isReverseZone(zone));
  if (primaryZone === undefined) throw c.plain("non-reverse zone name must be used");
  const options: KubernetesOptions = {
    zones,
    primaryZone,
    namespaces: new Set(),
    namespaceLabels: undefined,
    labels: [],
    pods: "disabled",
    endpointPodNames: false,
    ttl: 5,
    noEndpoints: false,
    fallthrough: undefined,
    ignoreEmpty: false,
    multicluster: [],
    zonal: false,
  };
  while (c.nextBlock()) property(c, options);
  if (options.namespaces.size > 0 && options.namespaceLabels !== undefined) {
    throw c.err("namespaces and namespace_labels cannot both be set");
  }
  for (const zone of options.multicluster) {
    if (zones.includes(zone)) continue;
    const list = `authoritative zones: [${zones.join(" ")}]`;
    throw c.err(`is not authoritative for the multicluster zone ${zone} (${list})`);
  }
  if (options.zonal && options.noEndpoints)
    throw c.err("zonal requires the endpoint cache; remove noendpoints");
  return options;
}

function property(c: Controller, options: KubernetesOptions): void {
  const name = c.val();
  if (!properties.includes(name)) throw c.unknownProperty(properties);
  if (name === "tls" || name === "kubeconfig" || name.startsWith("apiserver_"))
    return connection(c, name);
  const args = c.remainingArgs();
  const [first] = args;
  const word = (): string => {
    if (first === undefined) throw c.argErr();
    return first;
  };
  const bare = (): void => {
    if (first !== undefined) throw c.argErr();
  };
  switch (name) {
    case "endpoint":
      word();
      return;
    case "namespaces":
      word();
      for (const namespace of args) options.namespaces.add(namespace);
      return;
    case "namespace_labels":
      word();
      options.namespaceLabels = selector(c, args, "namespace_label");
      return;
    case "labels":
      word();
      options.labels = selector(c, args, "label");
      return;
    case "pods":
      options.pods = podMode(c, word());
      return;
    case "endpoint_pod_names":
      bare();
      options.endpointPodNames = true;
      return;
    case "ttl":
      options.ttl = ttl(c, word());
      return;
    case "noendpoints":
      bare();
      options.noEndpoints = true;
      return;
    case "fallthrough":
      options.fallthrough = c.fallthrough(args);
      return;
    case "ignore":
      if (first === "empty_service") options.ignoreEmpty = true;
      else if (first !== undefined) throw c.plain(`unable to parse ignore value: '${first}'`);
      return;
    case "multicluster":
      options.multicluster = args.length === 0 ? options.multicluster : args.flatMap(normalizeZone);
      return;
    case "zonal":
      bare();
      options.zonal = true;
      return;
    default:
      startupTimeout(c, word());
  }
}

function connection(c: Controller, name: string): void {
  const args = c.remainingArgs();
  const [first] = args;
  if (first === undefined) throw c.argErr();
  if (name === "tls" && args.length !== 3) throw c.argErr();
  if (name === "kubeconfig" && args.length > 2) throw c.argErr();
  if (!name.startsWith("apiserver_")) return;
  const value = /^[+-]?\d+(\.\d+)?$/.test(first) ? Number(first) : Number.NaN;
  const whole = name !== "apiserver_qps";
  if (Number.isNaN(value) || (whole && !Number.isInteger(value))) {
    const call = whole ? "strconv.Atoi" : "strconv.ParseFloat";
    throw c.err(`invalid ${name} "${first}": ${call}: parsing "${first}": invalid syntax`);
  }
  if (value < 0) throw c.err(`${name} must be >= 0`);
}

function selector(c: Controller, args: readonly string[], what: string): LabelSelector {
  const text = args.join(" ");
  const parsed = parseSelector(text);
  if (parsed === undefined)
    throw c.plain(`unable to parse ${what} selector value: '${text}': not a label selector`);
  return parsed;
}

function podMode(c: Controller, text: string): PodMode {
  if (text === "disabled" || text === "insecure" || text === "verified") return text;
  throw c.plain(`wrong value for pods: ${text},  must be one of: disabled, verified, insecure`, [
    "disabled",
    "insecure",
    "verified",
  ]);
}

function ttl(c: Controller, text: string): number {
  const value = integer(c, text);
  if (value < 0 || value > 3600) throw c.err(`ttl must be in range [0, 3600]: ${value}`);
  return value;
}

function startupTimeout(c: Controller, text: string): void {
  const value = parseDuration(text);
  if (typeof value !== "number")
    throw c.plain(`failed to parse startup_timeout: ${text}, ${value.error}`);
  duration(c, text);
}
