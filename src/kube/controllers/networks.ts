import { UserError, UserErrors } from "../../base/errors.js";
import {
  broadcastOf,
  formatIpv4Prefix,
  type Ipv4,
  type Ipv4Prefix,
  type Ipv6Prefix,
  maskIpv4,
  maskIpv6,
  networkOf,
  parseIpv4,
  parseIpv4Prefix,
  parseIpv6Prefix,
  prefixContains,
  prefixesOverlap,
} from "../../wire/ip.js";
import { isMapping } from "../load/check.js";
import { parseDocuments } from "../load/documents.js";
import type { LoadResult, Note } from "../load.js";
import { type FieldPath, SourceText } from "../load/source-text.js";
import { keyOf, type Loaded, nameOf, namespaceOf, type Origin } from "../objects.js";

/** A network of the whole cluster, and how we know it. */
export interface KnownNetwork {
  readonly prefix: Ipv4Prefix;
  /** Where it is written; undefined when it is a default or a guess. */
  readonly from: { readonly origin: Origin; readonly path: FieldPath } | undefined;
}

/** The addresses a cluster is made of. */
export interface ClusterNetworks {
  readonly pods: KnownNetwork;
  readonly services: KnownNetwork;
  /** The networks of IPv6; both undefined where the cluster has IPv4 alone. */
  readonly pods6: Ipv6Prefix | undefined;
  readonly services6: Ipv6Prefix | undefined;
  /** The families of pods and Services, the first one first. Without 4 among them `pods` and `services` mean nothing. */
  readonly families: readonly [4 | 6, ...(4 | 6)[]];
  readonly dnsDomain: string;
}

export const DEFAULT_POD_CIDR = "10.244.0.0/16";
export const DEFAULT_SERVICE_CIDR = "10.96.0.0/12";

/**
 * Finds the pod and the service network: kubeadm's ConfigMap, the control plane's flags, kube-proxy's ConfigMap; else
 * what fits the objects, with a note. A service network that overlaps the pod network is added to `errors`.
 */
export function findNetworks(
  objects: LoadResult["objects"],
  notes: Note[],
  errors: UserError[],
): ClusterNetworks {
  const kubeadm = findConfigMap(objects, "kubeadm-config");
  const settings = kubeadm === undefined ? {} : yamlIn(kubeadm, "ClusterConfiguration", errors);
  const networking = isMapping(settings["networking"]) ? settings["networking"] : {};
  const at: FieldPath = ["data", "ClusterConfiguration"];
  const written = (
    loaded: Loaded<unknown> | undefined,
    path: FieldPath,
    value: unknown,
  ): KnownNetwork | undefined =>
    loaded === undefined ? undefined : readNetwork(loaded.origin, path, value, errors);
  const proxy = findConfigMap(objects, "kube-proxy");
  const proxySettings = proxy === undefined ? {} : yamlIn(proxy, "config.conf", errors);
  const podText =
    networking["podSubnet"] ?? flagOf(objects, "kube-controller-manager", "--cluster-cidr")?.value;
  const serviceText =
    networking["serviceSubnet"] ??
    flagOf(objects, "kube-apiserver", "--service-cluster-ip-range")?.value;
  const ipv6Only = isIpv6Only(objects, [serviceText, podText]);
  // Nothing is assumed of a family that the cluster does not have.
  const assumed = ipv6Only ? [] : notes;
  const pods =
    written(kubeadm, at, networking["podSubnet"]) ??
    fromFlag(objects, "kube-controller-manager", "--cluster-cidr", errors) ??
    written(proxy, ["data", "config.conf"], proxySettings["clusterCIDR"]) ??
    fromFlannel(objects) ??
    guessPodNetwork(objects, assumed);
  const services =
    written(kubeadm, at, networking["serviceSubnet"]) ??
    fromFlag(objects, "kube-apiserver", "--service-cluster-ip-range", errors) ??
    guessServiceNetwork(objects, assumed);
  const pods6 =
    ipv6In(podText) ??
    ipv6In(proxySettings["clusterCIDR"]) ??
    ipv6In(flannelText(objects, "IPv6Network")) ??
    around(
      objects.Node.flatMap(({ object }) => object.spec?.podCIDRs ?? []),
      56,
    );
  const services6 =
    ipv6In(serviceText) ??
    around(
      objects.Service.flatMap(({ object }) => object.spec?.clusterIPs ?? []),
      112,
    );
  const { dnsDomain } = networking;
  if (!ipv6Only) reportOverlap(pods, services, objects, errors);
  const dualStack = pods6 !== undefined || services6 !== undefined;
  return {
    pods,
    services,
    pods6: pods6 ?? (ipv6Only ? assumedIpv6(DEFAULT_POD_CIDR6, "pod", notes) : undefined),
    services6:
      services6 ?? (ipv6Only ? assumedIpv6(DEFAULT_SERVICE_CIDR6, "service", notes) : undefined),
    families: ipv6Only ? [6] : !dualStack ? [4] : startsWithIpv6(serviceText) ? [6, 4] : [4, 6],
    dnsDomain: typeof dnsDomain === "string" && dnsDomain !== "" ? dnsDomain : "cluster.local",
  };
}

/** The cluster says its networks, and none is of IPv4; or it says none, and all addresses of nodes and Services are of IPv6. */
function isIpv6Only(objects: LoadResult["objects"], written: readonly unknown[]): boolean {
  const texts = written.filter((text) => typeof text === "string" && text !== "");
  const found =
    texts.length > 0
      ? texts.flatMap((text) => String(text).split(","))
      : [
          ...objects.Node.flatMap(({ object: { spec, status } }) => [
            ...(spec?.podCIDRs ?? [spec?.podCIDR ?? ""]),
            ...(status?.addresses ?? []).flatMap(({ type, address }) =>
              type === "InternalIP" ? [address] : [],
            ),
          ]),
          ...objects.Service.flatMap(({ object: { spec } }) => [
            spec?.clusterIP ?? "",
            ...(spec?.clusterIPs ?? []),
          ]),
        ].filter((text) => /[.:]/.test(text));
  return found.length > 0 && found.every((text) => text.includes(":"));
}

function startsWithIpv6(text: unknown): boolean {
  return typeof text === "string" && (text.split(",", 1)[0] ?? "").includes(":");
}

/** kind's networks of IPv6. */
const DEFAULT_POD_CIDR6 = "fd00:10:244::/56";
const DEFAULT_SERVICE_CIDR6 = "fd00:10:96::/112";

function assumedIpv6(text: string, what: string, notes: Note[]): Ipv6Prefix | undefined {
  notes.push({ text: `${what} network assumed: ${text} (no kubeadm-config says otherwise)` });
  return parseIpv6Prefix(text);
}

function findConfigMap(
  objects: LoadResult["objects"],
  name: string,
): LoadResult["objects"]["ConfigMap"][number] | undefined {
  return objects.ConfigMap.find(
    ({ object }) => nameOf(object) === name && namespaceOf(object) === "kube-system",
  );
}

/** A YAML text that is the value of a ConfigMap's key. Its mistakes are told at the key. */
function yamlIn(
  { object, origin }: LoadResult["objects"]["ConfigMap"][number],
  key: string,
  errors: UserError[],
): Readonly<Record<string, unknown>> {
  const text = object.data?.[key];
  if (text === undefined) return {};
  try {
    const [value] = parseDocuments(new SourceText(origin.file, text));
    return isMapping(value) ? value : {};
  } catch (error) {
    if (!(error instanceof UserError || error instanceof UserErrors)) throw error;
    const message = `ConfigMap ${keyOf(object)}: ${key}: ${error.message}`;
    errors.push(new UserError("K8S_WRONG_VALUE", message, origin.details(["data", key])));
    return {};
  }
}

/** The IPv4 network of `10.244.0.0/16` or `fd00::/48,10.244.0.0/16`; undefined for nothing, an error for nonsense. */
function readNetwork(
  origin: Origin,
  path: FieldPath,
  value: unknown,
  errors: UserError[],
): KnownNetwork | undefined {
  if (typeof value !== "string" || value === "") return undefined;
  const text = value.split(",").find((part) => !part.includes(":"));
  if (text === undefined) return undefined;
  const prefix = text.includes("/") ? parseIpv4Prefix(text.trim()) : undefined;
  if (prefix === undefined) {
    errors.push(
      new UserError("CLUSTER_BAD_CIDR", `invalid CIDR address: ${text}`, origin.details(path)),
    );
    return undefined;
  }
  return { prefix: networkOf(prefix), from: { origin, path } };
}

/** The IPv6 network of `10.244.0.0/16,fd00:10:244::/56`. */
function ipv6In(value: unknown): Ipv6Prefix | undefined {
  if (typeof value !== "string") return undefined;
  const text = value.split(",").find((part) => part.includes(":") && part.includes("/"));
  const prefix = parseIpv6Prefix(text?.trim() ?? "");
  return prefix && { address: maskIpv6(prefix.address, prefix.length), length: prefix.length };
}

/** The smallest network of at most `length` bits around the IPv6 addresses and blocks among `texts`. */
function around(texts: readonly string[], length: number): Ipv6Prefix | undefined {
  const found = texts.flatMap((text) =>
    text.includes(":") ? (parseIpv6Prefix(text)?.address ?? []) : [],
  );
  const [first] = found;
  if (first === undefined) return undefined;
  let bits = length;
  while (bits > 0 && found.some((one) => maskIpv6(one, bits) !== maskIpv6(first, bits))) bits--;
  return { address: maskIpv6(first, bits), length: bits };
}

/** The Network of flannel's net-conf.json. What is wrong in it is told by who reads the rest. */
function fromFlannel(objects: LoadResult["objects"]): KnownNetwork | undefined {
  const found = objects.ConfigMap.find(({ object }) => nameOf(object) === "kube-flannel-cfg");
  const text = flannelText(objects, "Network");
  if (found === undefined || text === undefined || parseIpv4Prefix(text) === undefined)
    return undefined;
  return readNetwork(found.origin, ["data", "net-conf.json"], text, []);
}

function flannelText(
  objects: LoadResult["objects"],
  key: "Network" | "IPv6Network",
): string | undefined {
  const found = objects.ConfigMap.find(({ object }) => nameOf(object) === "kube-flannel-cfg");
  const text = found?.object.data?.["net-conf.json"] ?? "";
  return new RegExp(`"${key}":\\s*"([^"]*)"`).exec(text)?.[1];
}

function fromFlag(
  objects: LoadResult["objects"],
  program: string,
  flag: string,
  errors: UserError[],
): KnownNetwork | undefined {
  const found = flagOf(objects, program, flag);
  return found && readNetwork(found.origin, found.path, found.value, errors);
}

/** A flag of a control plane's static pod. */
function flagOf(
  objects: LoadResult["objects"],
  program: string,
  flag: string,
): { readonly origin: Origin; readonly path: FieldPath; readonly value: string } | undefined {
  for (const { object, origin } of objects.Pod) {
    if (namespaceOf(object) !== "kube-system") continue;
    for (const [index, { name, command = [], args = [] }] of (
      object.spec?.containers ?? []
    ).entries()) {
      if (name !== program) continue;
      const found = [...command, ...args].find((word) => word.startsWith(`${flag}=`));
      const path = ["spec", "containers", index];
      if (found !== undefined) return { origin, path, value: found.slice(flag.length + 1) };
    }
  }
  return undefined;
}

/** The default network when all pod CIDRs lie in it, else the smallest network around them. */
function guessPodNetwork(objects: LoadResult["objects"], notes: Note[]): KnownNetwork {
  const given = objects.Node.flatMap(({ object }) => {
    const { podCIDR, podCIDRs = [] } = object.spec ?? {};
    return [podCIDR ?? "", ...podCIDRs].flatMap((text) => parseIpv4Prefix(text) ?? []);
  });
  const prefix = guess(DEFAULT_POD_CIDR, given);
  const why =
    given.length === 0 ? "no kubeadm-config says otherwise" : "the nodes' pod CIDRs lie in it";
  notes.push({ text: `pod network assumed: ${formatIpv4Prefix(prefix)} (${why})` });
  return { prefix, from: undefined };
}

function guessServiceNetwork(objects: LoadResult["objects"], notes: Note[]): KnownNetwork {
  const given = objects.Service.flatMap(
    ({ object }) => parseIpv4(object.spec?.clusterIP ?? "") ?? [],
  );
  const prefix = guess(
    DEFAULT_SERVICE_CIDR,
    given.map((address) => ({ address, length: 32 })),
  );
  const why = given.length === 0 ? "kubeadm's default" : "all ClusterIPs lie in it";
  notes.push({ text: `service network assumed: ${formatIpv4Prefix(prefix)} (${why})` });
  return { prefix, from: undefined };
}

/** The usual network when it holds everything, else the smallest that does; never smaller than a /24. */
function guess(usual: string, inside: readonly Ipv4Prefix[]): Ipv4Prefix {
  const prefix = parseIpv4Prefix(usual) ?? { address: 0 as Ipv4, length: 0 };
  if (
    inside.every((block) => block.length >= prefix.length && prefixContains(prefix, block.address))
  )
    return prefix;
  const first = Math.min(...inside.map((block) => networkOf(block).address));
  const last = Math.max(...inside.map(broadcastOf));
  let length = Math.min(24, ...inside.map((block) => block.length));
  while (length > 0 && maskIpv4(first as Ipv4, length) !== maskIpv4(last as Ipv4, length)) length--;
  return networkOf({ address: first as Ipv4, length });
}

function reportOverlap(
  pods: KnownNetwork,
  services: KnownNetwork,
  { Node: nodes }: LoadResult["objects"],
  errors: UserError[],
): void {
  if (!prefixesOverlap(pods.prefix, services.prefix)) return;
  const inside = services.prefix.length >= pods.prefix.length;
  // Networks that nobody wrote down are guessed from those of nodes.
  const culprit = nodes.find(({ object: { spec } }) => {
    const block = parseIpv4Prefix(spec?.podCIDR ?? "");
    return block !== undefined && prefixesOverlap(block, services.prefix);
  });
  const place =
    services.from ??
    pods.from ??
    (culprit && { origin: culprit.origin, path: ["spec", "podCIDR"] as const });
  const message = `service CIDR ${formatIpv4Prefix(services.prefix)} ${inside ? "lies inside" : "overlaps"} the cluster CIDR ${formatIpv4Prefix(pods.prefix)}: a Service and a pod could have the same address`;
  const help = "give the pods and the Services networks that are apart";
  errors.push(
    new UserError("CLUSTER_CIDR_OVERLAP", message, { ...place?.origin.details(place.path), help }),
  );
}
