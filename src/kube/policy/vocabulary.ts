import type { LabelSelector } from "kubernetes-types/meta/v1.js";
import type { NetworkPolicyPeer } from "kubernetes-types/networking/v1.js";
import type { ClusterPodPeer } from "./api.js";
import { type Cidr, formatCidr, parseCidr } from "./cidr.js";
import { type ClusterPolicy, clusterTier, portsOf } from "./cluster-policy.js";
import { rulesOf } from "./oracle.js";
import { directions } from "./verdict.js";
import type { PolicyObjects } from "./world.js";

/** Everything about a pod that some policy asks for. Pods that agree in it are treated alike. */
export interface Vocabulary {
  readonly podKeys: ReadonlySet<string>;
  readonly namespaceKeys: ReadonlySet<string>;
  readonly portNames: ReadonlySet<string>;
  /** Blocks by their text; v1 and cluster-wide ones apart, as the dialect may keep the former from pods. */
  readonly blocks: ReadonlyMap<string, Cidr>;
  readonly networks: ReadonlyMap<string, Cidr>;
}

interface Words {
  readonly podKeys: Set<string>;
  readonly namespaceKeys: Set<string>;
  readonly portNames: Set<string>;
  readonly blocks: Map<string, Cidr>;
  readonly networks: Map<string, Cidr>;
}

export function vocabularyOf(objects: PolicyObjects): Vocabulary {
  const words: Words = {
    podKeys: new Set(),
    namespaceKeys: new Set(),
    portNames: new Set(),
    blocks: new Map(),
    networks: new Map(),
  };
  for (const { object } of objects.networkPolicies) {
    addKeys(words.podKeys, object.spec?.podSelector);
    for (const direction of directions) {
      for (const { peers, ports } of rulesOf(object, direction)) {
        for (const peer of peers) addPeer(words, peer);
        for (const { port } of ports) if (typeof port === "string") words.portNames.add(port);
      }
    }
  }
  for (const policy of [...clusterTier(objects, "Admin"), ...clusterTier(objects, "Baseline")])
    addClusterPolicy(words, policy);
  return words;
}

function addKeys(keys: Set<string>, selector: LabelSelector | undefined): void {
  for (const key of Object.keys(selector?.matchLabels ?? {})) keys.add(key);
  for (const { key } of selector?.matchExpressions ?? []) keys.add(key);
}

function addPeer(
  words: Words,
  { podSelector, namespaceSelector, ipBlock }: NetworkPolicyPeer,
): void {
  addKeys(words.podKeys, podSelector);
  addKeys(words.namespaceKeys, namespaceSelector);
  if (ipBlock === undefined) return;
  for (const text of [ipBlock.cidr, ...(ipBlock.except ?? [])]) addBlock(words.blocks, text);
}

function addBlock(blocks: Map<string, Cidr>, text: string): void {
  const cidr = parseCidr(text);
  if (cidr !== undefined) blocks.set(formatCidr(cidr), cidr);
}

function addPodPeer(words: Words, { namespaces, pods }: ClusterPodPeer): void {
  addKeys(words.namespaceKeys, namespaces);
  addKeys(words.namespaceKeys, pods?.namespaceSelector);
  addKeys(words.podKeys, pods?.podSelector);
}

function addClusterPolicy(words: Words, { spec }: ClusterPolicy): void {
  addPodPeer(words, spec.subject ?? {});
  for (const rule of [...(spec.ingress ?? []), ...(spec.egress ?? [])]) {
    for (const peer of [...(rule.from ?? []), ...(rule.to ?? [])]) {
      addPodPeer(words, peer);
      for (const network of peer.networks ?? []) addBlock(words.networks, network);
    }
    for (const port of portsOf(rule) ?? [])
      if (port.kind === "named") words.portNames.add(port.name);
  }
}

/** Whether everything that `needed` asks for is already told apart by `known`. */
export function covers(known: Vocabulary, needed: Vocabulary): boolean {
  return (
    within(needed.podKeys, known.podKeys) &&
    within(needed.namespaceKeys, known.namespaceKeys) &&
    within(needed.portNames, known.portNames) &&
    within(needed.blocks.keys(), known.blocks) &&
    within(needed.networks.keys(), known.networks)
  );
}

function within(words: Iterable<string>, known: { has(word: string): boolean }): boolean {
  for (const word of words) if (!known.has(word)) return false;
  return true;
}
