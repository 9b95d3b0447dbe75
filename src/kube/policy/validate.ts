import type { LabelSelector } from "kubernetes-types/meta/v1.js";
import type {
  IPBlock,
  NetworkPolicy,
  NetworkPolicyPeer,
  NetworkPolicyPort,
} from "kubernetes-types/networking/v1.js";
import { UserError } from "../../base/errors.js";
import { safeText } from "../../base/safe-text.js";
import { formatPath } from "../load/check.js";
import type { FieldPath } from "../load/source-text.js";
import { keyOf, type Loaded, nameOf } from "../objects.js";
import type { ClusterPeer, ClusterRule, ClusterWidePolicy } from "./api.js";
import { isStrictSubset, parseCidr } from "./cidr.js";
import type { PolicyObjects } from "./world.js";

/*
 * What the API server refuses in policies beyond the shape of their fields (which the loader checks), in its words and with
 * the path first. spec/network-policy.md sections 1.3 and 2.2.
 */

/** Every mistake in every policy, in the order of the policies. */
export function validatePolicies(objects: PolicyObjects): readonly UserError[] {
  const {
    networkPolicies,
    adminPolicies = [],
    baselinePolicies = [],
    clusterPolicies = [],
  } = objects;
  return [
    ...networkPolicies.flatMap(validateNetworkPolicy),
    ...adminPolicies.flatMap((policy) => validateClusterWide("AdminNetworkPolicy", policy, 100)),
    ...baselinePolicies.flatMap((policy) => validateBaseline(policy)),
    ...clusterPolicies.flatMap((policy) => validateClusterWide("ClusterNetworkPolicy", policy, 25)),
  ];
}

/** Collects mistakes about one object. */
class Checker {
  readonly errors: UserError[] = [];
  readonly #title: string;
  readonly #policy: Loaded<unknown>;

  constructor(title: string, policy: Loaded<unknown>) {
    this.#title = title;
    this.#policy = policy;
  }

  invalid(
    path: FieldPath,
    value: unknown,
    message: string,
    help?: string,
    at: "key" | "value" = "value",
  ): void {
    const shown = typeof value === "object" ? "" : `: ${safeText(JSON.stringify(value))}`;
    this.add(path, `Invalid value${shown}: ${message}`, help, at);
  }

  add(path: FieldPath, message: string, help?: string, at: "key" | "value" = "value"): void {
    const details = { ...this.#policy.origin.details(path, at), help };
    this.errors.push(
      new UserError("POLICY_INVALID", `${this.#title}: ${formatPath(path)}: ${message}`, details),
    );
  }

  selector(path: FieldPath, selector: LabelSelector | undefined): void {
    for (const [key, value] of Object.entries(selector?.matchLabels ?? {})) {
      this.labelKey([...path, "matchLabels", key], key);
      this.labelValue([...path, "matchLabels", key], value);
    }
    for (const [at, { key, operator, values = [] }] of (
      selector?.matchExpressions ?? []
    ).entries()) {
      const own = [...path, "matchExpressions", at];
      this.labelKey([...own, "key"], key);
      const listed = operator === "In" || operator === "NotIn";
      if (listed && values.length === 0)
        this.add(
          [...own, "values"],
          "Required value: must be specified when `operator` is 'In' or 'NotIn'",
        );
      if (!listed && values.length > 0)
        this.add(
          [...own, "values"],
          "Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
        );
      for (const [n, value] of values.entries()) this.labelValue([...own, "values", n], value);
    }
  }

  labelKey(path: FieldPath, key: string): void {
    const [, prefix, name = key] = /^([^/]*)\/(.*)$/.exec(key) ?? [];
    const named = name.length <= 63 && /^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/.test(name);
    const prefixed =
      prefix === undefined ||
      (prefix.length <= 253 && /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(prefix));
    if (!named)
      this.invalid(
        path,
        key,
        "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
        undefined,
        path.at(-1) === key ? "key" : "value",
      );
    else if (!prefixed)
      this.invalid(
        path,
        key,
        "prefix part a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.'",
        undefined,
        path.at(-1) === key ? "key" : "value",
      );
  }

  labelValue(path: FieldPath, value: string): void {
    if (value.length > 63) this.invalid(path, value, "must be no more than 63 characters");
    else if (!/^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$/.test(value))
      this.invalid(
        path,
        value,
        "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
      );
  }

  cidr(path: FieldPath, text: string): void {
    if (parseCidr(text) !== undefined) return;
    const bare = parseCidr(`${text}/${text.includes(":") ? 128 : 32}`) !== undefined;
    this.invalid(
      path,
      text,
      "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)",
      bare ? `a single address is written ${text}/${text.includes(":") ? 128 : 32}` : undefined,
    );
  }
}

export function validateNetworkPolicy(policy: Loaded<NetworkPolicy>): readonly UserError[] {
  const check = new Checker(`NetworkPolicy ${keyOf(policy.object)}`, policy);
  const { spec } = policy.object;
  check.selector(["spec", "podSelector"], spec?.podSelector);
  if ((spec?.policyTypes ?? []).length > 2)
    check.invalid(
      ["spec", "policyTypes"],
      spec?.policyTypes,
      "may not specify more than two policyTypes",
    );
  for (const [at, { from = [], ports = [] }] of (spec?.ingress ?? []).entries())
    checkRule(check, ["spec", "ingress", at], "from", from, ports);
  for (const [at, { to = [], ports = [] }] of (spec?.egress ?? []).entries())
    checkRule(check, ["spec", "egress", at], "to", to, ports);
  return check.errors;
}

function checkRule(
  check: Checker,
  path: FieldPath,
  list: "from" | "to",
  peers: readonly NetworkPolicyPeer[],
  ports: readonly NetworkPolicyPort[],
): void {
  for (const [at, port] of ports.entries()) checkPort(check, [...path, "ports", at], port);
  for (const [at, peer] of peers.entries()) checkPeer(check, [...path, list, at], peer);
}

function checkPort(check: Checker, path: FieldPath, { port, endPort }: NetworkPolicyPort): void {
  if (typeof port === "string") checkPortName(check, [...path, "port"], port);
  if (endPort === undefined) return;
  const own = [...path, "endPort"];
  if (port === undefined)
    check.invalid(
      own,
      endPort,
      "may not be specified when `port` is not specified",
      "write the first port of the range beside it: port: 1",
    );
  else if (typeof port === "string")
    check.invalid(
      own,
      endPort,
      "may not be specified when `port` is non-numeric",
      "a range has a number at both ends; a name stands alone",
    );
  else if (endPort < port)
    check.invalid(own, endPort, "must be greater than or equal to `port`", `port is ${port}`);
}

/** Mirrors apimachinery/pkg/util/validation/validation.go:IsValidPortName(). */
function checkPortName(check: Checker, path: FieldPath, name: string): void {
  if (name.length > 15) check.invalid(path, name, "must be no more than 15 characters");
  if (!/^[-a-z0-9]+$/.test(name))
    check.invalid(
      path,
      name,
      "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)",
    );
  if (!/[a-z]/.test(name))
    check.invalid(
      path,
      name,
      "must contain at least one letter (a-z)",
      /^\d+$/.test(name) ? `a number is written without quotes: port: ${name}` : undefined,
    );
  if (name.includes("--")) check.invalid(path, name, "must not contain consecutive hyphens");
  if (name.startsWith("-") || name.endsWith("-"))
    check.invalid(path, name, "must not begin or end with a hyphen");
}

function checkPeer(
  check: Checker,
  path: FieldPath,
  { podSelector, namespaceSelector, ipBlock }: NetworkPolicyPeer,
): void {
  const selectors = podSelector !== undefined || namespaceSelector !== undefined;
  if (!selectors && ipBlock === undefined)
    check.add(
      path,
      "Required value: must specify a peer",
      "an empty peer matches nobody; leave the whole list out to match everybody",
    );
  if (selectors && ipBlock !== undefined)
    check.add(
      path,
      "Forbidden: may not specify both ipBlock and another peer",
      "write them as two items of the list",
    );
  check.selector([...path, "podSelector"], podSelector);
  check.selector([...path, "namespaceSelector"], namespaceSelector);
  if (ipBlock !== undefined) checkBlock(check, [...path, "ipBlock"], ipBlock);
}

function checkBlock(
  check: Checker,
  path: FieldPath,
  { cidr, except = [] }: Partial<IPBlock>,
): void {
  if (cidr === undefined || cidr === "") {
    check.add([...path, "cidr"], "Required value");
    return;
  }
  check.cidr([...path, "cidr"], cidr);
  const outer = parseCidr(cidr);
  for (const [at, text] of except.entries()) {
    const own = [...path, "except", at];
    check.cidr(own, text);
    const inner = parseCidr(text);
    if (outer === undefined || inner === undefined || isStrictSubset(inner, outer)) continue;
    const mixed =
      inner.family === outer.family
        ? undefined
        : `${text} is IPv${inner.family} and ${cidr} is IPv${outer.family}`;
    check.invalid(own, text, "must be a strict subset of `cidr`", mixed ?? `cidr is ${cidr}`);
  }
}

function validateBaseline(policy: Loaded<ClusterWidePolicy>): readonly UserError[] {
  const errors = [...validateClusterWide("BaselineAdminNetworkPolicy", policy, 100)];
  if (nameOf(policy.object) === "default") return errors;
  const check = new Checker(`BaselineAdminNetworkPolicy ${nameOf(policy.object)}`, policy);
  check.invalid(
    ["metadata", "name"],
    nameOf(policy.object),
    'Only one baseline admin network policy with metadata.name="default" can be created in the cluster',
  );
  return [...errors, ...check.errors];
}

function validateClusterWide(
  kind: string,
  policy: Loaded<ClusterWidePolicy>,
  most: number,
): readonly UserError[] {
  const check = new Checker(`${kind} ${nameOf(policy.object)}`, policy);
  const { spec = {} } = policy.object;
  if (spec.subject === undefined) check.add(["spec", "subject"], "Required value");
  else checkKinds(check, ["spec", "subject"], spec.subject);
  for (const direction of ["ingress", "egress"] as const) {
    const rules = spec[direction] ?? [];
    if (rules.length > most)
      check.add(["spec", direction], `Too many: ${rules.length}: must have at most ${most} items`);
    for (const [at, rule] of rules.entries())
      checkClusterRule(check, ["spec", direction, at], direction, rule, most);
  }
  return check.errors;
}

function checkClusterRule(
  check: Checker,
  path: FieldPath,
  direction: "ingress" | "egress",
  rule: ClusterRule,
  most: number,
): void {
  const list = direction === "ingress" ? "from" : "to";
  const peers = rule[list] ?? [];
  if (rule.action === undefined) check.add([...path, "action"], "Required value");
  if ((rule.name ?? "").length > 100)
    check.add([...path, "name"], `Too long: may not be more than 100 bytes`);
  if (peers.length === 0)
    check.add([...path, list], "Required value", "a rule without peers matches nobody");
  if (peers.length > most)
    check.add([...path, list], `Too many: ${peers.length}: must have at most ${most} items`);
  const named =
    (rule.ports ?? []).some(({ namedPort }) => namedPort !== undefined) ||
    (rule.protocols ?? []).some(({ destinationNamedPort }) => destinationNamedPort !== undefined);
  for (const [at, peer] of peers.entries())
    checkClusterPeer(check, [...path, list, at], direction, peer, rule, named);
  for (const [at, port] of (rule.ports ?? []).entries()) {
    exactlyOne(check, [...path, "ports", at], Object.keys(port));
    const { start = 0, end = 0 } = port.portRange ?? {};
    if (port.portRange !== undefined && start >= end)
      check.invalid(
        [...path, "ports", at, "portRange"],
        port.portRange,
        "start must be smaller than end",
      );
  }
  for (const [at, protocol] of (rule.protocols ?? []).entries()) {
    const own = [...path, "protocols", at];
    exactlyOne(check, own, Object.keys(protocol));
    for (const name of ["tcp", "udp", "sctp"] as const) {
      const port = protocol[name]?.destinationPort;
      if (port === undefined) continue;
      exactlyOne(check, [...own, name, "destinationPort"], Object.keys(port));
      const { start = 0, end = 0 } = port.range ?? {};
      if (port.range !== undefined && start >= end)
        check.invalid(
          [...own, name, "destinationPort", "range"],
          port.range,
          "start must be less than end",
        );
    }
  }
}

function checkClusterPeer(
  check: Checker,
  path: FieldPath,
  direction: "ingress" | "egress",
  peer: ClusterPeer,
  rule: ClusterRule,
  named: boolean,
): void {
  checkKinds(check, path, peer);
  const { nodes, networks = [], domainNames = [] } = peer;
  const outside = (["nodes", "networks", "domainNames"] as const).find(
    (kind) => peer[kind] !== undefined,
  );
  if (direction === "ingress" && outside !== undefined)
    check.add([...path, outside], "Forbidden: only egress rules have such peers");
  if (named && outside !== undefined)
    check.add([...path, outside], "Forbidden: a named port means nothing for such a peer");
  check.selector([...path, "nodes"], nodes);
  if (networks.length > 25)
    check.add([...path, "networks"], `Too many: ${networks.length}: must have at most 25 items`);
  for (const [at, network] of networks.entries()) check.cidr([...path, "networks", at], network);
  if (domainNames.length > 25)
    check.add(
      [...path, "domainNames"],
      `Too many: ${domainNames.length}: must have at most 25 items`,
    );
  if (domainNames.length > 0 && rule.action !== "Accept" && rule.action !== "Allow")
    check.add([...path, "domainNames"], "Forbidden: domain names are only for rules that accept");
}

function checkKinds(check: Checker, path: FieldPath, peer: ClusterPeer): void {
  exactlyOne(check, path, Object.keys(peer));
  check.selector([...path, "namespaces"], peer.namespaces);
  check.selector([...path, "pods", "namespaceSelector"], peer.pods?.namespaceSelector);
  check.selector([...path, "pods", "podSelector"], peer.pods?.podSelector);
  const old = Object.keys(peer.namespaces ?? {}).find((key) =>
    ["sameLabels", "notSameLabels", "namespaceSelector"].includes(key),
  );
  if (old !== undefined)
    check.add(
      [...path, "namespaces", old],
      "Forbidden: a field of v1alpha1 before 0.1.2, which is read as unknown and fails closed",
      "write a label selector",
    );
}

function exactlyOne(check: Checker, path: FieldPath, keys: readonly string[]): void {
  if (keys.length !== 1)
    check.invalid(
      path,
      {},
      `must have exactly one field, and has ${keys.length === 0 ? "none" : keys.join(" and ")}`,
    );
}
