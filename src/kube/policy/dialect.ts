import { UserError } from "../../base/errors.js";
import { nearest } from "../../base/nearest.js";
import { safeText } from "../../base/safe-text.js";

/*
 * What the API leaves to the plugin, as switches. spec/network-policy.md section 1.15. A verdict that hangs on one of
 * them is only as good as the dialect, so every output names the dialect it was made under.
 */

export interface Dialect {
  readonly name: string;
  /** Whether `ipBlock` (and nothing else: `networks` always does) matches addresses of pods. */
  readonly ipBlockMatchesPods: boolean;
  /** A pod that talks to its own address. */
  readonly selfTraffic: "allow" | "evaluate";
  /** A pod that reaches itself through a Service. */
  readonly hairpin: "evaluate" | "allow";
  readonly ingressFromOwnNode: "allow" | "evaluate";
  readonly egressToOwnNode: "evaluate" | "allow";
  /** What egress policy sees of a connection to a Service: the pod that it was translated to, or the Service. */
  readonly services: "translated" | "original";
  /** Pods of the host network: the node's address like any other, or pods that selectors see and policies govern. */
  readonly hostNetworkPods: "node-address" | "pod";
  /** Protocols that a policy cannot name: ICMP, GRE, ESP. */
  readonly otherProtocols: "rule-without-ports" | "allow" | "deny";
  /** What a refused client sees: nothing, or an ICMP error at once. */
  readonly refusal: "drop" | "reject";
  /** Connections that were allowed when they began and no longer are. */
  readonly openConnections: "keep" | "re-evaluate";
  /** Without it only `port` of a range is allowed. */
  readonly endPort: boolean;
  /** Without it SCTP is one of the other protocols, and rules that name it match nothing. */
  readonly sctp: boolean;
}

/** The API's words, and where they say nothing what most plugins do. */
export const defaultDialect: Dialect = {
  name: "default",
  ipBlockMatchesPods: true,
  selfTraffic: "allow",
  hairpin: "evaluate",
  ingressFromOwnNode: "allow",
  egressToOwnNode: "evaluate",
  services: "translated",
  hostNetworkPods: "node-address",
  otherProtocols: "rule-without-ports",
  refusal: "drop",
  openConnections: "keep",
  endPort: true,
  sctp: true,
};

/** The plugins whose switches are known; `default` first. */
export const dialects: readonly Dialect[] = [
  defaultDialect,
  { ...defaultDialect, name: "kube-router", otherProtocols: "allow", refusal: "reject" },
  { ...defaultDialect, name: "kube-network-policies", openConnections: "re-evaluate" },
  { ...defaultDialect, name: "calico" },
  { ...defaultDialect, name: "aws-vpc-cni", services: "original" },
  {
    ...defaultDialect,
    name: "netpol-analyzer",
    ipBlockMatchesPods: false,
    ingressFromOwnNode: "evaluate",
    hostNetworkPods: "pod",
  },
];

/** What a dialect decides, one after the other. */
export type Switch = Exclude<keyof Dialect, "name">;

/** Every switch with its values in words. */
const switchWords: {
  readonly [S in Switch]: readonly { readonly value: Dialect[S]; readonly text: string }[];
} = {
  ipBlockMatchesPods: [
    { value: true, text: "ipBlock matches pods" },
    { value: false, text: "ipBlock does not match pods" },
  ],
  selfTraffic: [
    { value: "allow", text: "a pod reaches its own address" },
    { value: "evaluate", text: "a pod's own address is policed" },
  ],
  hairpin: [
    { value: "evaluate", text: "a pod that reaches itself through a Service is policed" },
    { value: "allow", text: "a pod reaches itself through a Service" },
  ],
  ingressFromOwnNode: [
    { value: "allow", text: "a node reaches its own pods" },
    { value: "evaluate", text: "the pod's own node is policed" },
  ],
  egressToOwnNode: [
    { value: "evaluate", text: "egress to the own node is policed" },
    { value: "allow", text: "the pod may reach its own node" },
  ],
  services: [
    { value: "translated", text: "policy sees pods behind Services" },
    { value: "original", text: "egress policy sees the Service's address and port" },
  ],
  hostNetworkPods: [
    { value: "node-address", text: "host-network pods are their node" },
    { value: "pod", text: "host-network pods are pods" },
  ],
  otherProtocols: [
    { value: "rule-without-ports", text: "ICMP needs a rule without ports" },
    { value: "allow", text: "ICMP and other protocols are allowed" },
    { value: "deny", text: "ICMP and other protocols are denied when isolated" },
  ],
  refusal: [
    { value: "drop", text: "refused clients hear nothing" },
    { value: "reject", text: "refused clients get an ICMP error" },
  ],
  openConnections: [
    { value: "keep", text: "open connections live on" },
    { value: "re-evaluate", text: "open connections are judged again" },
  ],
  endPort: [
    { value: true, text: "endPort is supported" },
    { value: false, text: "endPort is not supported" },
  ],
  sctp: [
    { value: true, text: "SCTP is supported" },
    { value: false, text: "SCTP is not supported" },
  ],
};

export const switches: readonly Switch[] = Object.keys(switchWords) as Switch[];

/** A switch of a dialect in words. */
export function switchText(dialect: Dialect, name: Switch): string {
  const words: readonly { readonly value: Dialect[Switch]; readonly text: string }[] =
    switchWords[name];
  return words.find(({ value }) => value === dialect[name])?.text ?? `${name} ${dialect[name]}`;
}

/** The same dialect with one switch set otherwise, in each way there is. */
export function otherSettings(dialect: Dialect, name: Switch): readonly Dialect[] {
  const words: readonly { readonly value: Dialect[Switch] }[] = switchWords[name];
  return words
    .filter(({ value }) => value !== dialect[name])
    .map(({ value }) => ({ ...dialect, [name]: value }));
}

/** The switches of a dialect that differ from the default, as words for the end of an answer; empty for the default. */
export function describeDialect(dialect: Dialect): readonly string[] {
  return switches
    .filter((name) => dialect[name] !== defaultDialect[name])
    .map((name) => switchText(dialect, name));
}

/** The dialect of a name alone. */
export function dialectNamed(name: string): Dialect | undefined {
  return dialects.find((dialect) => dialect.name === name);
}

/**
 * A dialect as `--dialect` takes it: a name, and switches set otherwise after commas: `kube-router,refusal=drop`, or the
 * switches alone. Throws a UserError with the nearest word.
 */
export function parseDialect(text: string): Dialect {
  const [first = "", ...rest] = text.split(",");
  const named = first.includes("=") ? undefined : first;
  const settings = named === undefined ? [first, ...rest] : rest;
  const base = named === undefined ? defaultDialect : dialectNamed(named);
  if (base === undefined)
    throw unknownWord(
      "dialect",
      named ?? "",
      dialects.map(({ name }) => name),
    );
  const set = settings.map(parseSetting);
  return set.length === 0
    ? base
    : { ...base, ...Object.fromEntries(set), name: [base.name, ...settings].join(",") };
}

function parseSetting(text: string): readonly [Switch, string | boolean] {
  const [given = "", value = ""] = text.split("=");
  const name = switches.find((each) => each === given);
  if (name === undefined) throw unknownWord("switch of a dialect", given, switches);
  const words: readonly { readonly value: Dialect[Switch] }[] = switchWords[name];
  const found = words.find((each) => String(each.value) === value);
  if (found === undefined)
    throw unknownWord(
      `value of ${name}`,
      value,
      words.map((each) => String(each.value)),
    );
  return [name, found.value];
}

function unknownWord(what: string, given: string, known: readonly string[]): UserError {
  const near = nearest(given, known);
  return new UserError("USAGE", `there is no ${what} "${safeText(given)}"`, {
    help: near === undefined ? `there are ${known.join(", ")}` : `did you mean ${near}?`,
  });
}
