import type { NetworkPolicy, NetworkPolicyPeer } from "kubernetes-types/networking/v1.js";
import { keyOf, type Loaded, nameOf, namespaceOf } from "../objects.js";
import { matchesSelector } from "../selectors.js";
import { familyOf, formatAddress, formatCidr, parseCidr } from "./cidr.js";
import { type Family, namedPortPart, rulePart, setName } from "./kube-router-names.js";
import { effectiveTypes, policySelects, rulesOf } from "./oracle.js";
import type { Direction } from "./verdict.js";
import type { PodEndpoint, PolicyWorld } from "./world.js";

/** An ipset and its entries as `ipset save` prints them, sorted. */
export interface PolicySet {
  readonly name: string;
  readonly type: "hash:ip" | "hash:net";
  readonly entries: readonly string[];
}

/** One pair of rules of a policy chain: both have the same matches, the first marks and the second returns. */
export interface Allowance {
  readonly direction: Direction;
  /** Counts from 0. */
  readonly rule: number;
  /** `ingress pods np`: what the short comment says. */
  readonly kind: string;
  readonly source: string | undefined;
  readonly destination: string | undefined;
  readonly protocol: string | undefined;
  /** `8080` or `8000:8010`. */
  readonly ports: string | undefined;
}

/** A policy as kube-router writes it, for one family. */
export interface RenderedPolicy {
  readonly policy: Loaded<NetworkPolicy>;
  readonly types: readonly Direction[];
  readonly sets: readonly PolicySet[];
  readonly allowances: readonly Allowance[];
}

/** Pods that are targets and peers: with an address, not in the host's network, not ended. */
export function actionablePods(world: PolicyWorld): readonly PodEndpoint[] {
  return world.pods.filter(({ hostNetwork, addresses }) => !hostNetwork && addresses.length > 0);
}

/** Mirrors pkg/controllers/netpol/policy.go:syncNetworkPolicyChains(), with map order replaced by sorting. */
export function renderPolicy(
  world: PolicyWorld,
  pods: readonly PodEndpoint[],
  policy: Loaded<NetworkPolicy>,
  family: Family,
): RenderedPolicy {
  const render = new PolicyRender(world, pods, policy, family);
  const types = effectiveTypes(policy.object);
  for (const direction of ["ingress", "egress"] as const) {
    if (!types.includes(direction)) continue;
    const selected = render.selectedSet(direction);
    for (const index of rulesOf(policy.object, direction).keys())
      render.rule(direction, index, selected);
  }
  return { policy, types, sets: render.sets(), allowances: render.allowances };
}

/** A named port as it is resolved: the pods that declare it under one protocol and number. */
interface NamedPort {
  readonly protocol: string;
  readonly number: number;
  readonly pods: readonly PodEndpoint[];
}

interface NumericPort {
  readonly protocol: string;
  readonly ports: string | undefined;
}

class PolicyRender {
  readonly allowances: Allowance[] = [];
  readonly #world: PolicyWorld;
  readonly #pods: readonly PodEndpoint[];
  readonly #policy: Loaded<NetworkPolicy>;
  readonly #family: Family;
  readonly #selected: readonly PodEndpoint[];
  readonly #sets = new Map<string, PolicySet>();

  constructor(
    world: PolicyWorld,
    pods: readonly PodEndpoint[],
    policy: Loaded<NetworkPolicy>,
    family: Family,
  ) {
    this.#world = world;
    this.#pods = pods;
    this.#policy = policy;
    this.#family = family;
    this.#selected = pods.filter((pod) => policySelects(policy, pod));
  }

  sets(): readonly PolicySet[] {
    return [...this.#sets.values()];
  }

  /** The pods that the policy selects; the set exists even when it is empty. */
  selectedSet(direction: Direction): string {
    return this.#podSet(direction === "ingress" ? "DST" : "SRC", "", this.#selected);
  }

  /** The pairs of one rule. spec/network-policy.md section 3.2, "Policy chain". */
  rule(direction: Direction, index: number, selected: string): void {
    const rule = rulesOf(this.#policy.object, direction)[index];
    if (rule === undefined) return;
    const { peers, ports } = rule;
    const numeric = ports
      .filter(({ port }) => typeof port !== "string")
      .map(({ protocol = "TCP", port, endPort }): NumericPort => ({
        protocol,
        ports:
          port === undefined
            ? undefined
            : endPort === undefined
              ? String(port)
              : `${port}:${endPort}`,
      }));
    const peerPods = this.#pods.filter((pod) => peers.some((peer) => this.#isPeer(peer, pod)));
    const side = direction === "ingress" ? "SRC" : "DST";
    const names = ports.flatMap(({ protocol = "TCP", port }) =>
      typeof port === "string" ? [{ name: port, protocol }] : [],
    );
    const holders =
      direction === "ingress"
        ? this.#selected
        : peers.length === 0
          ? this.#pods.filter(({ namespace }) => namespace === namespaceOf(this.#policy.object))
          : peerPods;
    const named = names.flatMap(({ name, protocol }) => resolveName(holders, name, protocol));
    const write = new RuleWriter(this.allowances, direction, index, selected);
    if (peerPods.length > 0) {
      const set = this.#podSet(side, rulePart(direction, index, "pod"), peerPods);
      for (const port of numeric) write.pair("pods", set, port);
      for (const [k, port] of named.entries())
        write.named("pods np", set, port, this.#namedSet(direction, index, k, port, "hash:ip"));
      // Names that nobody declares leave neither kind of port: the rule then looks like one without ports.
      if (numeric.length === 0 && named.length === 0) write.pair("pods", set, undefined);
    }
    if (peers.length === 0) {
      for (const port of numeric) write.pair("any", undefined, port);
      for (const [k, port] of named.entries()) {
        if (direction === "ingress")
          write.named(
            "any np",
            undefined,
            port,
            this.#namedSet(direction, index, k, port, "hash:ip"),
          );
        else
          write.pair("any np", undefined, { protocol: port.protocol, ports: String(port.number) });
      }
      if (ports.length === 0) write.pair("any", undefined, undefined);
    }
    const blocks = this.#blockEntries(peers);
    if (blocks.length === 0) return;
    const set = this.#addSet(side, rulePart(direction, index, "ipblock"), "hash:net", blocks);
    for (const port of numeric) write.pair("cidr", set, port);
    if (direction === "ingress")
      for (const [k, port] of named.entries())
        write.named("cidr np", set, port, this.#namedSet(direction, index, k, port, "hash:net"));
    if (ports.length === 0) write.pair("cidr", set, undefined);
  }

  #isPeer(
    { podSelector, namespaceSelector, ipBlock }: NetworkPolicyPeer,
    pod: PodEndpoint,
  ): boolean {
    if (ipBlock !== undefined || (podSelector === undefined && namespaceSelector === undefined))
      return false;
    const inNamespace =
      namespaceSelector === undefined
        ? pod.namespace === namespaceOf(this.#policy.object)
        : matchesSelector(namespaceSelector, this.#world.namespaces.get(pod.namespace));
    return inNamespace && (podSelector === undefined || matchesSelector(podSelector, pod.labels));
  }

  #podSet(side: "SRC" | "DST", part: string, pods: readonly PodEndpoint[]): string {
    return this.#addSet(side, part, "hash:ip", this.#addressesOf(pods));
  }

  #addressesOf(pods: readonly PodEndpoint[]): readonly string[] {
    const wanted = this.#family === "IPv4" ? 4 : 6;
    return pods.flatMap(({ addresses }) =>
      addresses.filter((address) => familyOf(address) === wanted).map(formatAddress),
    );
  }

  #namedSet(
    direction: Direction,
    rule: number,
    k: number,
    { pods }: NamedPort,
    type: PolicySet["type"],
  ): string {
    return this.#addSet("DST", namedPortPart(direction, rule, k), type, this.#addressesOf(pods));
  }

  /** Blocks and excepts of all peers of a rule are in one set, where the longest prefix decides. */
  #blockEntries(peers: readonly NetworkPolicyPeer[]): readonly string[] {
    return peers.flatMap(({ ipBlock }) => {
      if (ipBlock === undefined || familyName(ipBlock.cidr) !== this.#family) return [];
      return [
        ...blockTexts(ipBlock.cidr),
        ...(ipBlock.except ?? []).flatMap(blockTexts).map((text) => `${text} nomatch`),
      ];
    });
  }

  #addSet(
    side: "SRC" | "DST",
    part: string,
    type: PolicySet["type"],
    entries: readonly string[],
  ): string {
    const { object } = this.#policy;
    const name = setName({
      side,
      namespace: namespaceOf(object),
      policy: nameOf(object),
      family: this.#family,
      part,
    });
    const lines = entries.map((entry) => entry.replace(/^(\S+)( nomatch)?$/, "$1 timeout 0$2"));
    this.#sets.set(name, { name, type, entries: [...new Set(lines)].toSorted() });
    return name;
  }
}

/** Writes the pairs of a rule with the sets on the side where they belong. */
class RuleWriter {
  readonly #out: Allowance[];
  readonly #direction: Direction;
  readonly #rule: number;
  readonly #selected: string;

  constructor(out: Allowance[], direction: Direction, rule: number, selected: string) {
    this.#out = out;
    this.#direction = direction;
    this.#rule = rule;
    this.#selected = selected;
  }

  pair(kind: string, peers: string | undefined, port: NumericPort | undefined): void {
    const [source, destination] =
      this.#direction === "ingress" ? [peers, this.#selected] : [this.#selected, peers];
    this.#push({ kind, source, destination, protocol: port?.protocol, ports: port?.ports });
  }

  named(
    kind: string,
    peers: string | undefined,
    { protocol, number }: NamedPort,
    set: string,
  ): void {
    const source = this.#direction === "ingress" ? peers : this.#selected;
    this.#push({ kind, source, destination: set, protocol, ports: String(number) });
  }

  #push(rest: Omit<Allowance, "direction" | "rule">): void {
    this.#out.push({
      direction: this.#direction,
      rule: this.#rule,
      ...rest,
      kind: `${this.#direction} ${rest.kind}`,
    });
  }
}

/** The numbers that a name stands for on some pods, ascending. kube-router looks at plain containers only. */
function resolveName(
  pods: readonly PodEndpoint[],
  name: string,
  protocol: string,
): readonly NamedPort[] {
  const groups = new Map<number, PodEndpoint[]>();
  for (const pod of pods) {
    for (const { ports = [] } of pod.loaded.object.spec?.containers ?? []) {
      for (const port of ports) {
        if (port.name !== name || (port.protocol ?? "TCP") !== protocol) continue;
        const group = groups.get(port.containerPort) ?? [];
        groups.set(port.containerPort, group);
        if (!group.includes(pod)) group.push(pod);
      }
    }
  }
  return [...groups]
    .toSorted(([a], [b]) => a - b)
    .map(([number, found]) => ({ protocol, number, pods: found }));
}

function familyName(cidr: string): Family | undefined {
  const parsed = parseCidr(cidr);
  return parsed === undefined ? undefined : parsed.family === 4 ? "IPv4" : "IPv6";
}

/** A block as entries of a `hash:net` set: masked, a single address without its length, everything in two halves. */
function blockTexts(text: string): readonly string[] {
  const cidr = parseCidr(text);
  if (cidr === undefined) return [];
  if (cidr.length === 0)
    return cidr.family === 4 ? ["0.0.0.0/1", "128.0.0.0/1"] : ["2000::/3", "fd00::/8"];
  const whole = cidr.length === (cidr.family === 4 ? 32 : 128);
  return [whole ? formatAddress(cidr.address) : formatCidr(cidr)];
}

/** `default/web-ingress`. */
export function policyKey({ policy }: RenderedPolicy): string {
  return keyOf(policy.object);
}
