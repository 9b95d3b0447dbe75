import { parseIp } from "./address.js";

/** What a resolv.conf says, as its lines say it. */
export interface ResolvConf {
  readonly nameservers: readonly string[];
  readonly searches: readonly string[];
  /** `ndots:5`, `rotate`. */
  readonly options: readonly string[];
}

/** The part of a Pod that decides about its resolv.conf. */
export interface PodDns {
  readonly namespace: string;
  readonly dnsPolicy?: string | undefined;
  readonly hostNetwork?: boolean | undefined;
  readonly dnsConfig?:
    | {
        readonly nameservers?: readonly string[] | undefined;
        readonly searches?: readonly string[] | undefined;
        readonly options?:
          | readonly { readonly name?: string | undefined; readonly value?: string | undefined }[]
          | undefined;
      }
    | undefined;
}

/** What the kubelet of the pod's node is told. */
export interface KubeletDns {
  /** The node's resolv.conf text (`resolvConf`). */
  readonly nodeResolvConf: string;
  readonly clusterDns: readonly string[];
  readonly clusterDomain: string;
}

/** The pod's file, and the Warning events that the kubelet raises over it. */
export interface PodResolvConf {
  readonly conf: ResolvConf;
  readonly warnings: readonly string[];
}

const maxNameservers = 3;
const maxSearches = 32;
const maxSearchLength = 2048;

/** Reads a resolv.conf as the kubelet does: the last `search` and `options` lines win, comments stand at line starts. */
export function parseResolvConf(text: string): ResolvConf {
  const nameservers: string[] = [];
  let searches: string[] = [];
  let options: string[] = [];
  for (const line of text.split("\n")) {
    if (/^\s*[#;]/.test(line)) continue;
    const [word, ...rest] = line.trim().split(/\s+/);
    if (word === "nameserver" && rest[0] !== undefined) nameservers.push(rest[0]);
    else if (word === "search" || word === "domain")
      searches = rest.map((domain) => domain.replace(/(?<=.)\.$/, ""));
    else if (word === "options") options = rest;
  }
  return { nameservers, searches, options };
}

/** The search list of a resolv.conf. */
export function searchList(text: string): readonly string[] {
  return parseResolvConf(text).searches;
}

export function formatResolvConf(conf: ResolvConf): string {
  const lines: string[] = [];
  if (conf.searches.length > 0) lines.push(`search ${conf.searches.join(" ")}`);
  for (const address of conf.nameservers) lines.push(`nameserver ${address}`);
  if (conf.options.length > 0) lines.push(`options ${conf.options.join(" ")}`);
  return lines.map((line) => `${line}\n`).join("");
}

/** The resolv.conf that the kubelet writes for a pod. Mirrors pkg/kubelet/network/dns/dns.go:GetPodDNS(). */
export function podResolvConf(pod: PodDns, kubelet: KubeletDns): PodResolvConf {
  const warnings: string[] = [];
  const base = baseConf(pod, kubelet, warnings);
  const { dnsConfig } = pod;
  const merged: ResolvConf = {
    nameservers: unique([...base.nameservers, ...(dnsConfig?.nameservers ?? [])]),
    searches: unique([...base.searches, ...(dnsConfig?.searches ?? [])]),
    options: mergeOptions(base.options, dnsConfig?.options ?? []),
  };
  const nameservers = merged.nameservers.slice(0, maxNameservers);
  if (merged.nameservers.length > maxNameservers) {
    warnings.push(
      `DNSConfigForming: Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: ${nameservers.join(" ")}`,
    );
  }
  return {
    conf: { ...merged, nameservers, searches: limitSearches(merged.searches, warnings) },
    warnings,
  };
}

function baseConf(pod: PodDns, kubelet: KubeletDns, warnings: string[]): ResolvConf {
  const node = parseResolvConf(kubelet.nodeResolvConf);
  const policy = pod.dnsPolicy ?? "ClusterFirst";
  if (policy === "None") return { nameservers: [], searches: [], options: [] };
  const cluster =
    policy === "ClusterFirstWithHostNet" || (policy === "ClusterFirst" && pod.hostNetwork !== true);
  if (!cluster) return hostConf(kubelet, node);
  if (kubelet.clusterDns.length === 0) {
    warnings.push(
      'MissingClusterDNS: kubelet does not have ClusterDNS IP configured and cannot create Pod using "ClusterFirst" policy. Falling back to "Default" policy.',
    );
    return hostConf(kubelet, node);
  }
  const { clusterDomain } = kubelet;
  const own = [`${pod.namespace}.svc.${clusterDomain}`, `svc.${clusterDomain}`, clusterDomain];
  return {
    nameservers: kubelet.clusterDns,
    searches: unique(clusterDomain === "" ? node.searches : [...own, ...node.searches]),
    options: ["ndots:5"],
  };
}

function hostConf(kubelet: KubeletDns, node: ResolvConf): ResolvConf {
  if (kubelet.nodeResolvConf !== "") return node;
  return { nameservers: ["127.0.0.1"], searches: ["."], options: [] };
}

/** A value of the pod replaces the same name; what is new is added. Sorted, as the kubelet's own order is chance. */
function mergeOptions(
  base: readonly string[],
  own: readonly { readonly name?: string | undefined; readonly value?: string | undefined }[],
): string[] {
  if (own.length === 0) return [...base];
  const options = new Map(base.map((option) => [option.split(":")[0] ?? option, option]));
  for (const { name, value } of own) {
    if (name !== undefined)
      options.set(name, value === undefined || value === "" ? name : `${name}:${value}`);
  }
  return [...options.values()].toSorted();
}

function limitSearches(searches: readonly string[], warnings: string[]): string[] {
  const kept: string[] = [];
  let length = -1;
  for (const domain of searches) {
    if (domain.length > 253) continue;
    if (kept.length >= maxSearches || length + 1 + domain.length > maxSearchLength) break;
    kept.push(domain);
    length += 1 + domain.length;
  }
  if (kept.length < searches.length) {
    warnings.push(
      `DNSConfigForming: Search Line limits were exceeded, some search paths have been omitted, the applied search line is: ${kept.join(" ")}`,
    );
  }
  return kept;
}

function unique(list: readonly string[]): string[] {
  return [...new Set(list)];
}

/** How a resolver behaves, from its options. */
export interface ResolverSettings {
  readonly ndots: number;
  /** Seconds. */
  readonly timeout: number;
  readonly attempts: number;
  readonly rotate: boolean;
  readonly singleRequest: boolean;
  readonly useTcp: boolean;
  readonly edns0: boolean;
}

/** Mirrors glibc resolv/res_init.c:res_setoptions(): ndots at most 15, timeout at most 30, attempts at most 5. */
export function resolverSettings(conf: ResolvConf): ResolverSettings {
  const value = (name: string, fallback: number, maximum: number): number => {
    const text = conf.options.findLast((option) => option.startsWith(`${name}:`));
    const number = Number.parseInt(text?.slice(name.length + 1) ?? "", 10);
    return Number.isNaN(number) ? fallback : Math.min(Math.max(number, 0), maximum);
  };
  const has = (name: string): boolean => conf.options.includes(name);
  return {
    ndots: value("ndots", 1, 15),
    timeout: Math.max(value("timeout", 5, 30), 1),
    attempts: Math.max(value("attempts", 2, 5), 1),
    rotate: has("rotate"),
    singleRequest: has("single-request") || has("single-request-reopen"),
    useTcp: has("use-vc"),
    edns0: has("edns0"),
  };
}

/** The nameservers that a resolver uses: the first three that are addresses; 127.0.0.1 when there is none. */
export function usableNameservers(conf: ResolvConf): readonly string[] {
  const valid = conf.nameservers.filter(
    (address) => parseIp(address.split("%")[0] ?? "") !== undefined,
  );
  return valid.length === 0 ? ["127.0.0.1"] : valid.slice(0, maxNameservers);
}
