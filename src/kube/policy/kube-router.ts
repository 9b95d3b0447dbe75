import { nameOf, namespaceOf } from "../objects.js";
import type { ObjectRef } from "../proxy/objects.js";
import type { LineOrigin, RenderedText } from "../proxy/rendered-text.js";
import { type IpAddress } from "../../wire/ip.js";
import { familyOf, formatAddress, formatCidr, parseAddress, parseCidr } from "./cidr.js";
import { type Family, podChain, policyChain, ruleIdentifier } from "./kube-router-names.js";
import {
  actionablePods,
  type Allowance,
  policyKey,
  renderPolicy,
  type RenderedPolicy,
} from "./kube-router-rules.js";
import { policySelects } from "./oracle.js";
import type { PodEndpoint, PolicyWorld } from "./world.js";

/*
 * Policies as kube-router 2.11 writes them in iptables mode: text for iptables-restore and ipset restore, in the form that
 * iptables-save and ipset save print. spec/network-policy.md section 3.2.
 */

export interface KubeRouterConfig {
  /** The node whose rules these are. */
  readonly node: { readonly name: string; readonly addresses: readonly string[] };
  readonly family?: Family;
  /** Ranges of Service addresses, of this family. */
  readonly clusterCidrs: readonly string[];
  readonly externalCidrs?: readonly string[];
  readonly loadBalancerCidrs?: readonly string[];
  /** As `--dports` takes it. */
  readonly nodePorts?: string;
  /** The time of the sync in nanoseconds: chain names change with it. */
  readonly version: string;
  /** Short comments are those of 2.11, long ones of 2.6 to 2.10. */
  readonly comments?: "short" | "long";
  /** Whether the jumps of the built-in chains are appended, or inserted at the top of chains that hold rules already. */
  readonly jumps?: "append" | "insert";
}

export interface KubeRouterText {
  readonly iptables: RenderedText;
  readonly ipset: RenderedText;
}

/** The rules of one node and the sets that they look up. Sets come first when they are loaded. */
export function renderKubeRouter(world: PolicyWorld, config: KubeRouterConfig): KubeRouterText {
  const family = config.family ?? "IPv4";
  const pods = actionablePods(world);
  const policies = world.objects.networkPolicies.map((policy) =>
    renderPolicy(world, pods, policy, family),
  );
  const filter = new FilterText(config.comments ?? "short", config.jumps ?? "append");
  writeTop(filter, config, family);
  writeFixed(filter, family);
  for (const policy of policies) writePolicy(filter, policy, config.version, family);
  for (const pod of pods.filter((each) => isLocal(each, config)))
    writePod(filter, pod, policies, config.version, family);
  writeEnds(filter);
  return { iptables: filter.text(), ipset: setsText(policies, family) };
}

/** Its `status.hostIP` is an address of the node; without one, the node's name decides. */
function isLocal(pod: PodEndpoint, { node }: KubeRouterConfig): boolean {
  const host = pod.loaded.object.status?.hostIP;
  return host === undefined ? pod.node === node.name : node.addresses.includes(host);
}

/** Something that is there whatever the objects. */
function always(why: string): LineOrigin {
  return { by: "kube-router", objects: [], why };
}

const INPUT = "KUBE-ROUTER-INPUT";
const FORWARD = "KUBE-ROUTER-FORWARD";
const OUTPUT = "KUBE-ROUTER-OUTPUT";
const DEFAULT = "KUBE-NWPLCY-DEFAULT";
const COMMON = "KUBE-NWPLCY-COMMON";
const TAIL = "KUBE-NWPLCY-TAIL";
/** Some policy allowed it, or the direction has none. */
const ALLOWED = "0x10000/0x10000";
/** It came through a pod's chain. */
const PASSED = "0x20000/0x20000";

/** The filter table: chains in byte order, the rules of each in the order they were added. */
class FilterText {
  readonly #chains = new Map<
    string,
    {
      readonly origin: LineOrigin;
      readonly rules: { readonly text: string; readonly origin: LineOrigin }[];
    }
  >();
  readonly #long: boolean;
  readonly #insert: boolean;

  constructor(comments: "short" | "long", jumps: "append" | "insert") {
    this.#long = comments === "long";
    this.#insert = jumps === "insert";
  }

  chain(name: string, origin: LineOrigin): void {
    if (!this.#chains.has(name)) this.#chains.set(name, { origin, rules: [] });
  }

  /** Adds a rule; `before` and `after` are its matches on both sides of the comment, as iptables-save puts them. */
  rule(chain: string, { before = "", comment, after }: RuleText, origin: LineOrigin): void {
    const said =
      comment === undefined
        ? ""
        : quoteComment(
            typeof comment === "string" ? comment : this.#long ? comment.long : comment.short,
          );
    const parts = [before, said === "" ? "" : `-m comment --comment ${said}`, after];
    this.#chains
      .get(chain)
      ?.rules.push({ text: parts.filter((part) => part !== "").join(" "), origin });
  }

  text(): RenderedText {
    const frame = always("the filter table");
    const lines: { readonly text: string; readonly origin: LineOrigin }[] = [
      { text: "*filter", origin: frame },
    ];
    const builtIn = ["INPUT", "FORWARD", "OUTPUT"];
    const own = [...this.#chains.keys()].filter((name) => !builtIn.includes(name)).toSorted();
    for (const name of builtIn) lines.push({ text: `:${name} ACCEPT [0:0]`, origin: frame });
    for (const name of own)
      lines.push({ text: `:${name} - [0:0]`, origin: this.#chains.get(name)?.origin ?? frame });
    for (const name of [...builtIn, ...own]) {
      const add = this.#insert && builtIn.includes(name) ? `-I ${name} 1` : `-A ${name}`;
      for (const { text, origin } of this.#chains.get(name)?.rules ?? [])
        lines.push({ text: `${add} ${text}`, origin });
    }
    lines.push({ text: "COMMIT", origin: frame });
    return {
      text: lines.map(({ text }) => `${text}\n`).join(""),
      origins: lines.map(({ origin }) => origin),
    };
  }
}

interface RuleText {
  readonly before?: string;
  readonly comment?: string | { readonly short: string; readonly long: string };
  readonly after: string;
}

/** As iptables-save prints a comment: quoted when it has more than plain words, quotes escaped. */
function quoteComment(text: string): string {
  const clean = text.replaceAll(/["'\\]/g, "\\$&");
  return /^[A-Za-z0-9_./:-]+$/.test(clean) ? clean : `"${clean}"`;
}

function writeTop(filter: FilterText, config: KubeRouterConfig, family: Family): void {
  for (const [builtIn, chain] of [
    ["INPUT", INPUT],
    ["FORWARD", FORWARD],
    ["OUTPUT", OUTPUT],
  ] as const) {
    const origin = always(`kube-router looks at everything that passes ${builtIn}`);
    filter.chain(builtIn, origin);
    filter.chain(chain, origin);
    const comment = "kube-router netpol";
    const id = ruleIdentifier(builtIn, ["-m", "comment", "--comment", comment, "-j", chain]);
    filter.rule(builtIn, { comment: `${comment} - ${id}`, after: `-j ${chain}` }, origin);
  }
  const range = (comment: string, cidr: string): void => {
    const parsed = parseCidr(cidr);
    if (parsed === undefined || (parsed.family === 4) !== (family === "IPv4")) return;
    const id = ruleIdentifier(INPUT, [
      "-m",
      "comment",
      "--comment",
      comment,
      "-d",
      cidr,
      "-j",
      "RETURN",
    ]);
    filter.rule(
      INPUT,
      { before: `-d ${formatCidr(parsed)}`, comment: `${comment} - ${id}`, after: "-j RETURN" },
      always(comment),
    );
  };
  for (const cidr of config.clusterCidrs)
    range("allow traffic to primary/secondary cluster IP range", cidr);
  for (const protocol of ["tcp", "udp", "sctp"]) {
    const ports = config.nodePorts ?? "30000:32767";
    const comment = `allow LOCAL ${protocol.toUpperCase()} traffic to node ports`;
    const match = [
      "-m",
      "addrtype",
      "--dst-type",
      "LOCAL",
      "-m",
      "multiport",
      "--dports",
      ports,
      "-j",
      "RETURN",
    ];
    const id = ruleIdentifier(INPUT, [
      "-p",
      protocol,
      "-m",
      "comment",
      "--comment",
      comment,
      ...match,
    ]);
    filter.rule(
      INPUT,
      { before: `-p ${protocol}`, comment: `${comment} - ${id}`, after: match.join(" ") },
      always(comment),
    );
  }
  for (const cidr of config.externalCidrs ?? [])
    range(`allow traffic to external IP range: ${cidr}`, cidr);
  for (const cidr of config.loadBalancerCidrs ?? [])
    range(`allow traffic to load balancer IP range: ${cidr}`, cidr);
}

/** ICMP that is never stopped: type and what it is called. */
const icmp4 = [
  [8, "echo requests"],
  [3, "destination unreachable messages"],
  [11, "time exceeded messages"],
] as const;
const icmp6 = [
  [128, "echo requests"],
  [1, "destination unreachable messages"],
  [3, "time exceeded messages"],
  [135, "neighbor solicitation messages"],
  [136, "neighbor advertisement messages"],
  [129, "echo reply messages"],
] as const;

function writeFixed(filter: FilterText, family: Family): void {
  const state = always("replies, and packets that fit no connection");
  filter.chain(DEFAULT, always("a direction that no policy isolates"));
  filter.chain(COMMON, state);
  filter.chain(TAIL, always("what came through the chains of its pods is accepted"));
  filter.rule(
    DEFAULT,
    {
      comment: "rule to mark traffic matching a network policy",
      after: `-j MARK --set-xmark ${ALLOWED}`,
    },
    always("no policy isolates this direction: allowed"),
  );
  // The quotes inside are kube-router's: the command is run without a shell.
  filter.rule(
    COMMON,
    {
      comment: '"rule to drop invalid state for pod"',
      after: "-m conntrack --ctstate INVALID -j DROP",
    },
    state,
  );
  filter.rule(
    COMMON,
    {
      comment: '"rule for stateful firewall for pod"',
      after: "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
    },
    state,
  );
  const [protocol, match] = family === "IPv4" ? ["icmp", "icmp"] : ["ipv6-icmp", "icmp6"];
  for (const [type, what] of family === "IPv4" ? icmp4 : icmp6) {
    const after = `-m ${match} --${match === "icmp" ? "icmp" : "icmpv6"}-type ${type} -j ACCEPT`;
    filter.rule(
      COMMON,
      { before: `-p ${protocol}`, comment: `allow icmp ${what}`, after },
      always("kube-router never stops these ICMP messages"),
    );
  }
  const comment = {
    short: "accept netpol-ok",
    long: "rule to explicitly ACCEPT traffic that comply to network policies",
  };
  filter.rule(
    TAIL,
    { comment, after: `-m mark --mark ${PASSED} -j ACCEPT` },
    always("allowed by the chains of its pods"),
  );
}

function writePolicy(
  filter: FilterText,
  rendered: RenderedPolicy,
  version: string,
  family: Family,
): void {
  const { object } = rendered.policy;
  const chain = policyChain(namespaceOf(object), nameOf(object), version, family);
  filter.chain(chain, {
    by: "kube-router",
    objects: [policyRef(rendered, [])],
    why: `NetworkPolicy ${policyKey(rendered)}`,
  });
  for (const allowance of rendered.allowances) {
    const { direction, rule, source, destination, protocol, ports } = allowance;
    const origin: LineOrigin = {
      by: "kube-router",
      objects: [policyRef(rendered, ["spec", direction, rule])],
      why: `NetworkPolicy ${policyKey(rendered)} ${direction} rule ${rule + 1}`,
    };
    const lower = protocol?.toLowerCase();
    const sets = [
      source === undefined ? "" : `-m set --match-set ${source} src`,
      destination === undefined ? "" : `-m set --match-set ${destination} dst`,
    ];
    const port = ports === undefined || lower === undefined ? "" : `-m ${lower} --dport ${ports}`;
    const matches = [...sets, port].filter((part) => part !== "").join(" ");
    const before = lower === undefined ? "" : `-p ${lower}`;
    const comment = {
      short: cut(`${policyKey(rendered)} ${allowance.kind}`),
      long: cut(longComment(rendered, allowance)),
    };
    filter.rule(
      chain,
      { before, comment, after: `${matches} -j MARK --set-xmark ${ALLOWED}` },
      origin,
    );
    filter.rule(
      chain,
      { before, comment, after: `${matches} -m mark --mark ${ALLOWED} -j RETURN` },
      origin,
    );
  }
}

/** At most 120 bytes; names are ASCII. */
function cut(comment: string): string {
  return comment.slice(0, 120);
}

function longComment({ policy: { object } }: RenderedPolicy, { kind }: Allowance): string {
  const [name, namespace] = [nameOf(object), namespaceOf(object)];
  if (kind.startsWith("ingress any"))
    return `rule to ACCEPT traffic from all sources to dest pods selected by policy name: ${name} namespace ${namespace}`;
  if (kind.startsWith("ingress cidr"))
    return `rule to ACCEPT traffic from specified ipBlocks to dest pods selected by policy name: ${name} namespace ${namespace}`;
  if (kind.startsWith("egress any"))
    return `rule to ACCEPT traffic from source pods to all destinations selected by policy name: ${name} namespace ${namespace}`;
  if (kind.startsWith("egress cidr"))
    return `rule to ACCEPT traffic from source pods to specified ipBlocks selected by policy name: ${name} namespace ${namespace}`;
  return `rule to ACCEPT traffic from source pods to dest pods selected by policy name ${name} namespace ${namespace}`;
}

function policyRef({ policy: { object } }: RenderedPolicy, path: ObjectRef["path"]): ObjectRef {
  return { kind: "NetworkPolicy", namespace: namespaceOf(object), name: nameOf(object), path };
}

function writePod(
  filter: FilterText,
  pod: PodEndpoint,
  policies: readonly RenderedPolicy[],
  version: string,
  family: Family,
): void {
  const address = primaryAddress(pod, family);
  if (address === undefined) return;
  const chain = podChain(pod.namespace, pod.name, version);
  const self: ObjectRef = { kind: "Pod", namespace: pod.namespace, name: pod.name, path: [] };
  const of = (why: string): LineOrigin => ({ by: "kube-router", objects: [self], why });
  const prefix = `${formatAddress(address)}/${family === "IPv4" ? 32 : 128}`;
  const [to, from] = [`-d ${prefix}`, `-s ${prefix}`];
  const titled = `POD name:${pod.name} namespace: ${pod.namespace}`;
  filter.chain(chain, of(`everything to and from pod ${pod.key}`));
  filter.rule(
    chain,
    {
      comment: { short: "common netpol rules", long: "common bi-directional traffic policy rules" },
      after: `-j ${COMMON}`,
    },
    of("replies and ICMP first"),
  );
  const local = {
    short: "from local node",
    long: "rule to permit the traffic traffic to pods when source is the pod's local node",
  };
  filter.rule(
    chain,
    { before: to, comment: local, after: "-m addrtype --src-type LOCAL -j ACCEPT" },
    of("the pod's own node may always reach it"),
  );
  const selecting = policies.filter(({ policy }) => policySelects(policy, pod));
  for (const direction of ["egress", "ingress"] as const) {
    if (selecting.some(({ types }) => types.includes(direction))) continue;
    const comment = {
      short: `default ${direction}`,
      long: `run through default ${direction} network policy chain`,
    };
    filter.rule(
      chain,
      { before: direction === "egress" ? from : to, comment, after: `-j ${DEFAULT}` },
      of(`no policy isolates the pod for ${direction}`),
    );
  }
  // Each is inserted at the head: the last one comes first.
  for (const rendered of selecting.toReversed()) {
    const { types, policy } = rendered;
    const before = types.length === 2 ? "" : types[0] === "ingress" ? to : from;
    const comment = {
      short: `${policyKey(rendered)} policy`,
      long: `run through nw policy ${nameOf(policy.object)}`,
    };
    const target = policyChain(namespaceOf(policy.object), nameOf(policy.object), version, family);
    filter.rule(
      chain,
      { before, comment, after: `-j ${target}` },
      {
        by: "kube-router",
        objects: [policyRef(rendered, ["spec", "podSelector"]), self],
        why: `NetworkPolicy ${policyKey(rendered)} selects pod ${pod.key}`,
      },
    );
  }
  const refused = of(
    `no policy allows it: isolated by ${selecting.map(policyKey).join(", ") || "none"}`,
  );
  const unmarked = `-m mark ! --mark ${ALLOWED}`;
  filter.rule(
    chain,
    {
      comment: { short: `${pod.key} log-drop`, long: `rule to log dropped traffic ${titled}` },
      after: `${unmarked} -m limit --limit 10/min --limit-burst 10 -j NFLOG --nflog-group 100`,
    },
    refused,
  );
  const rejects = family === "IPv4" ? "icmp-port-unreachable" : "icmp6-port-unreachable";
  filter.rule(
    chain,
    {
      comment: {
        short: `${pod.key} reject`,
        long: `rule to REJECT traffic destined for ${titled}`,
      },
      after: `${unmarked} -j REJECT --reject-with ${rejects}`,
    },
    { ...refused, objects: [self, ...selecting.map((each) => policyRef(each, []))] },
  );
  filter.rule(
    chain,
    { after: "-j MARK --set-xmark 0x0/0x10000" },
    of("allowed on this side; the other side decides for itself"),
  );
  filter.rule(
    chain,
    {
      comment: {
        short: "set netpol-ok mark",
        long: "set mark to ACCEPT traffic that comply to network policies",
      },
      after: `-j MARK --set-xmark ${PASSED}`,
    },
    of("allowed on this side"),
  );
  writeJumps(filter, pod, chain, { to, from }, self);
}

/** `status.podIP` when it is of this family, else the first address that is. */
function primaryAddress(pod: PodEndpoint, family: Family): IpAddress | undefined {
  const wanted = family === "IPv4" ? 4 : 6;
  const primary = parseAddress(pod.loaded.object.status?.podIP ?? "");
  if (primary !== undefined && familyOf(primary) === wanted) return primary;
  return pod.addresses.find((address) => familyOf(address) === wanted);
}

function writeJumps(
  filter: FilterText,
  pod: PodEndpoint,
  chain: string,
  { to, from }: { readonly to: string; readonly from: string },
  self: ObjectRef,
): void {
  const titled = `POD name:${pod.name} namespace: ${pod.namespace} to chain ${chain}`;
  const into = { short: `${pod.key} in`, long: `rule to jump traffic destined to ${titled}` };
  const out = { short: `${pod.key} out`, long: `rule to jump traffic from ${titled}` };
  const after = `-j ${chain}`;
  const bridged = "-m physdev --physdev-is-bridged";
  const inward: LineOrigin = { by: "kube-router", objects: [self], why: `to pod ${pod.key}` };
  const outward: LineOrigin = { by: "kube-router", objects: [self], why: `from pod ${pod.key}` };
  filter.rule(FORWARD, { before: to, comment: into, after }, inward);
  filter.rule(OUTPUT, { before: to, comment: into, after }, inward);
  filter.rule(FORWARD, { before: `${to} ${bridged}`, comment: into, after }, inward);
  for (const top of [INPUT, FORWARD, OUTPUT])
    filter.rule(top, { before: from, comment: out, after }, outward);
  filter.rule(FORWARD, { before: `${from} ${bridged}`, comment: out, after }, outward);
}

function writeEnds(filter: FilterText): void {
  for (const top of [INPUT, FORWARD, OUTPUT]) {
    const origin = always("allowed by the chains of its pods, or no pod's traffic");
    filter.rule(
      top,
      {
        comment: "rule to explicitly handle traffic for network policies ACCEPT/REJECT decision",
        after: `-j ${TAIL}`,
      },
      origin,
    );
    filter.rule(
      top,
      {
        comment: "rule to explicitly ACCEPT traffic that comply to network policies",
        after: `-m mark --mark ${PASSED} -j ACCEPT`,
      },
      origin,
    );
  }
}

/** All sets by name. `initval` is random in the kernel and 0 here. */
function setsText(policies: readonly RenderedPolicy[], family: Family): RenderedText {
  const inet = family === "IPv4" ? "inet" : "inet6";
  const all = policies
    .flatMap((rendered) => rendered.sets.map((set) => ({ set, rendered })))
    .toSorted((a, b) => (a.set.name < b.set.name ? -1 : 1));
  const lines: string[] = [];
  const origins: LineOrigin[] = [];
  for (const { set, rendered } of all) {
    const origin: LineOrigin = {
      by: "kube-router",
      objects: [policyRef(rendered, [])],
      why: `addresses for NetworkPolicy ${policyKey(rendered)}`,
    };
    lines.push(
      `create ${set.name} ${set.type} family ${inet} hashsize 1024 maxelem 65536 timeout 0 bucketsize 12 initval 0x00000000`,
    );
    for (const entry of set.entries) lines.push(`add ${set.name} ${entry}`);
    while (origins.length < lines.length) origins.push(origin);
  }
  return { text: lines.map((line) => `${line}\n`).join(""), origins };
}
