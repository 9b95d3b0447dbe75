import type { LabelSelector } from "kubernetes-types/meta/v1.js";
import type {
  NetworkPolicy,
  NetworkPolicyPeer,
  NetworkPolicyPort,
} from "kubernetes-types/networking/v1.js";
import type { IpAddress } from "../../wire/ip.js";
import { type Loaded, namespaceOf } from "../objects.js";
import { matchesSelector } from "../selectors.js";
import type { ClusterPeer, ClusterPodPeer, ClusterRule } from "./api.js";
import {
  type Bitset,
  emptySet,
  intersectInto,
  intersection,
  isEmpty,
  removeFrom,
  uniteInto,
} from "./bitset.js";
import { type Cidr, parseCidr } from "./cidr.js";
import type { Families, Universe } from "./classes.js";
import { type ClusterPolicy, type PortRange, portsOf } from "./cluster-policy.js";
import { effectiveTypes, isKnownPeer, rulesOf } from "./oracle.js";
import type { Direction, Tier } from "./verdict.js";
import type { PolicyWorld } from "./world.js";

/** A rule's peers and ports as sets of classes. */
export interface CompiledRule {
  /** `undefined` is everybody. */
  readonly peers: CompiledPeers | undefined;
  /** `undefined` is every port of every protocol. */
  readonly ports: readonly PortRange[] | undefined;
}

/** Matched by selectors whatever the family, by blocks only in the family that the two talk. */
export interface CompiledPeers {
  readonly selected: Bitset;
  readonly in4: Bitset | undefined;
  readonly in6: Bitset | undefined;
}

/** A NetworkPolicy; a direction that is not in force is undefined. */
export interface CompiledPolicy {
  readonly kind: "network";
  readonly source: Loaded<NetworkPolicy>;
  readonly subjects: Bitset;
  readonly egress: readonly CompiledRule[] | undefined;
  readonly ingress: readonly CompiledRule[] | undefined;
}

export interface CompiledClusterRule extends CompiledRule {
  readonly effect: "Accept" | "Deny" | "Pass";
  /** Peers by domain name: whether they match is not known. */
  readonly byName: boolean;
}

export interface CompiledClusterPolicy {
  readonly kind: "cluster";
  readonly source: ClusterPolicy["ref"]["loaded"];
  readonly tier: Tier;
  readonly subjects: Bitset;
  readonly egress: readonly CompiledClusterRule[];
  readonly ingress: readonly CompiledClusterRule[];
}

export function compilePolicy(
  world: PolicyWorld,
  universe: Universe,
  source: Loaded<NetworkPolicy>,
): CompiledPolicy {
  const { object } = source;
  const namespace = universe.inNamespace(namespaceOf(object));
  const types = effectiveTypes(object);
  const compile = (direction: Direction): readonly CompiledRule[] | undefined =>
    types.includes(direction)
      ? rulesOf(object, direction).map(({ peers, ports }) => ({
          peers: peers.length === 0 ? undefined : compilePeers(world, universe, namespace, peers),
          ports: ports.length === 0 ? undefined : ports.map((port) => portRange(world, port)),
        }))
      : undefined;
  const subjects = intersection(namespace, universe.pods(object.spec?.podSelector ?? {}));
  return {
    kind: "network",
    source,
    subjects,
    egress: compile("egress"),
    ingress: compile("ingress"),
  };
}

function compilePeers(
  world: PolicyWorld,
  universe: Universe,
  own: Bitset,
  peers: readonly NetworkPolicyPeer[],
): CompiledPeers {
  const selected = emptySet(universe.classes.length);
  const blocks = new BlockSets(universe);
  for (const { ipBlock, podSelector, namespaceSelector } of peers) {
    if (ipBlock !== undefined) {
      const podsToo = world.dialect.ipBlockMatchesPods;
      blocks.add(parseCidr(ipBlock.cidr), (ipBlock.except ?? []).map(parseCidr), podsToo);
    } else if (podSelector !== undefined || namespaceSelector !== undefined) {
      const set = (
        namespaceSelector === undefined ? own : universe.inNamespaces(namespaceSelector)
      ).slice();
      if (podSelector !== undefined) intersectInto(set, universe.pods(podSelector));
      uniteInto(selected, set);
    }
  }
  return { selected, in4: blocks.in4, in6: blocks.in6 };
}

class BlockSets {
  readonly #universe: Universe;
  in4: Bitset | undefined;
  in6: Bitset | undefined;

  constructor(universe: Universe) {
    this.#universe = universe;
  }

  add(cidr: Cidr | undefined, excepts: readonly (Cidr | undefined)[], podsToo: boolean): void {
    if (cidr === undefined) return;
    const set = this.#universe.inBlock(cidr, podsToo).slice();
    for (const except of excepts)
      if (except?.family === cidr.family) removeFrom(set, this.#universe.inBlock(except, podsToo));
    this.unite(set, cidr.family);
  }

  unite(set: Bitset, family: 4 | 6): void {
    const known = family === 4 ? this.in4 : this.in6;
    if (known !== undefined) uniteInto(set, known);
    if (family === 4) this.in4 = set;
    else this.in6 = set;
  }
}

function portRange(
  world: PolicyWorld,
  { protocol = "TCP", port, endPort }: NetworkPolicyPort,
): PortRange {
  if (port === undefined) return { kind: "range", protocol, first: 0, last: 65_535 };
  if (typeof port === "string") return { kind: "named", name: port, protocol };
  return {
    kind: "range",
    protocol,
    first: port,
    last: world.dialect.endPort ? (endPort ?? port) : port,
  };
}

export function compileClusterPolicy(
  world: PolicyWorld,
  universe: Universe,
  policy: ClusterPolicy,
): CompiledClusterPolicy {
  const { spec, tier, ref } = policy;
  const compile = (rule: ClusterRule, direction: Direction): readonly CompiledClusterRule[] =>
    compileClusterRule(world, universe, rule, direction);
  return {
    kind: "cluster",
    source: ref.loaded,
    tier,
    subjects: podPeerSet(universe, spec.subject ?? {}),
    egress: (spec.egress ?? []).flatMap((rule) => compile(rule, "egress")),
    ingress: (spec.ingress ?? []).flatMap((rule) => compile(rule, "ingress")),
  };
}

/** A rule; none for an accepting rule with a peer that we do not know. */
function compileClusterRule(
  world: PolicyWorld,
  universe: Universe,
  rule: ClusterRule,
  direction: Direction,
): readonly CompiledClusterRule[] {
  const effect = rule.action === "Allow" ? "Accept" : (rule.action ?? "Deny");
  const peers = (direction === "egress" ? rule.to : rule.from) ?? [];
  if (peers.some((peer) => !isKnownPeer(peer)))
    return effect === "Accept"
      ? []
      : [{ effect: "Deny", byName: false, peers: undefined, ports: undefined }];
  const byName = peers.some(({ domainNames }) => domainNames !== undefined);
  return [
    { effect, byName, peers: compileClusterPeers(world, universe, peers), ports: portsOf(rule) },
  ];
}

function compileClusterPeers(
  world: PolicyWorld,
  universe: Universe,
  peers: readonly ClusterPeer[],
): CompiledPeers {
  const selected = emptySet(universe.classes.length);
  const blocks = new BlockSets(universe);
  for (const peer of peers) {
    if (peer.networks !== undefined)
      for (const network of peer.networks) blocks.add(parseCidr(network), [], true);
    else if (peer.nodes !== undefined) {
      const addresses = nodeAddresses(world, peer.nodes);
      blocks.unite(universe.withAddress(addresses, 4), 4);
      blocks.unite(universe.withAddress(addresses, 6), 6);
    } else uniteInto(selected, podPeerSet(universe, peer));
  }
  return { selected, in4: blocks.in4, in6: blocks.in6 };
}

function nodeAddresses(world: PolicyWorld, selector: LabelSelector): ReadonlySet<IpAddress> {
  return new Set(
    [...world.nodeByAddress]
      .filter(([, { labels }]) => matchesSelector(selector, labels))
      .map(([address]) => address),
  );
}

function podPeerSet(universe: Universe, { namespaces, pods }: ClusterPodPeer): Bitset {
  if (namespaces !== undefined)
    return isKnownPeer({ namespaces }) ? universe.inNamespaces(namespaces) : universe.none;
  if (pods === undefined) return universe.none;
  return intersection(
    universe.inNamespaces(pods.namespaceSelector ?? {}),
    universe.pods(pods.podSelector ?? {}),
  );
}

/** The classes that a rule's peers stand for, as a subject of these families sees them. */
export function peerSet(
  universe: Universe,
  peers: CompiledPeers | undefined,
  families: Families,
): Bitset {
  if (peers === undefined) return universe.all;
  const { selected, in4, in6 } = peers;
  const by4 = in4 !== undefined && (families & 1) !== 0 && !isEmpty(in4) ? in4 : undefined;
  const by6 = in6 !== undefined && (families & 2) !== 0 && !isEmpty(in6) ? in6 : undefined;
  if (by4 === undefined && by6 === undefined) return selected;
  const set = selected.slice();
  if (by4 !== undefined) uniteInto(set, by4);
  if (by6 !== undefined) {
    const only6 = by6.slice();
    if ((families & 1) !== 0) removeFrom(only6, universe.has4);
    uniteInto(set, only6);
  }
  return set;
}

/** A protocol and port to judge; a port of undefined for protocols without. */
export interface PortProbe {
  readonly protocol: string;
  readonly port: number | undefined;
}

/** The classes that a rule's ports fit as destinations: all, none, or those that declare a named port. */
export function portSet(
  universe: Universe,
  ports: readonly PortRange[] | undefined,
  { protocol, port }: PortProbe,
): Bitset {
  if (ports === undefined) return universe.all;
  if (port === undefined) return universe.none;
  let named: Bitset | undefined;
  for (const each of ports) {
    if (each.kind === "range") {
      if (each.protocol === protocol && port >= each.first && port <= each.last)
        return universe.all;
    } else if ((each.protocol ?? protocol) === protocol) {
      named ??= emptySet(universe.classes.length);
      uniteInto(named, universe.declaring(each.name, protocol, port));
    }
  }
  return named ?? universe.none;
}
