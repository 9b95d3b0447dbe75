import type { LabelSelector } from "kubernetes-types/meta/v1.js";
import type { NetworkPolicyPeer, NetworkPolicyPort } from "kubernetes-types/networking/v1.js";
import { editDistance } from "../../base/nearest.js";
import { labelOf, type Labels, matchesSelector } from "../selectors.js";
import { cidrContains, formatAddress, parseCidr } from "./cidr.js";
import { selectorText } from "./clause-text.js";
import { probeName } from "./matrix.js";
import { isOnNode } from "./oracle.js";
import {
  addressOf,
  type Endpoint,
  type Flow,
  flowFamily,
  type PodEndpoint,
  type PolicyWorld,
} from "./world.js";

/** What a clause found and wanted, in words, and how many edits away it is. */
export interface Failure {
  readonly failure: string;
  readonly cost: number;
}

/** Why a peer does not match the other end. */
export function peerFailure(
  world: PolicyWorld,
  flow: Flow,
  other: Endpoint,
  own: string,
  { podSelector, namespaceSelector, ipBlock }: NetworkPolicyPeer,
): Failure {
  if (ipBlock !== undefined) return { failure: blockFailure(flow, other, ipBlock), cost: 3 };
  if (podSelector === undefined && namespaceSelector === undefined)
    return { failure: "the peer has no selector and no ipBlock, so it matches nobody", cost: 3 };
  if (other.kind !== "pod")
    return {
      failure: `${formatAddress(other.address)} is no pod; selectors match only pods`,
      cost: 3,
    };
  if (isOnNode(world, other))
    return { failure: `${other.name} uses the host network; selectors do not match it`, cost: 3 };
  const parts: Failure[] = [];
  if (podSelector !== undefined)
    parts.push(...labelFailures(other.name, other.labels, podSelector));
  const namespace = namespaceFailure(world, other, own, namespaceSelector);
  if (namespace !== undefined) parts.push(namespace);
  return {
    failure: joinFailures(other.name, parts),
    cost: Math.min(
      3,
      parts.reduce((sum, { cost }) => sum + cost, 0),
    ),
  };
}

/** `job-0 has app=job and is in namespace batch; this rule covers only shop`. */
function joinFailures(name: string, parts: readonly Failure[]): string {
  const text = parts.map(({ failure }) => failure).join(" and ");
  return text.startsWith("is in namespace") ? `${name} ${text}` : text;
}

function namespaceFailure(
  world: PolicyWorld,
  other: PodEndpoint,
  own: string,
  selector: LabelSelector | undefined,
): Failure | undefined {
  if (selector === undefined) {
    if (other.namespace === own) return undefined;
    return { failure: `is in namespace ${other.namespace}; this rule covers only ${own}`, cost: 2 };
  }
  const labels = world.namespaces.get(other.namespace) ?? {};
  if (matchesSelector(selector, labels)) return undefined;
  const anywhere = [...world.namespaces.values()].some((each) => matchesSelector(selector, each));
  const first = labelFailures(`namespace ${other.namespace}`, labels, selector)[0];
  const nobody = anywhere ? "" : "; no namespace matches";
  return {
    failure: `${first?.failure ?? `namespace ${other.namespace} does not match ${selectorText(selector)}`}${nobody}`,
    cost: first?.cost ?? 2,
  };
}

/** Every requirement that an object's labels fail: the value found, and the value wanted where the rule's text does not show it at once. */
export function labelFailures(
  name: string,
  labels: Labels,
  { matchLabels = {}, matchExpressions = [] }: LabelSelector,
): readonly Failure[] {
  const failures: Failure[] = [];
  for (const [key, wanted] of Object.entries(matchLabels)) {
    const found = labelOf(labels, key);
    if (found === wanted) continue;
    failures.push(
      found === undefined
        ? { failure: `${name} has no label ${key}${likely(labels, key, wanted)}`, cost: 2 }
        : { failure: `${name} has ${key}=${found}`, cost: isNear(found, wanted) ? 1 : 3 },
    );
  }
  for (const { key, operator, values = [] } of matchExpressions) {
    const found = labelOf(labels, key);
    if (matchesSelector({ matchExpressions: [{ key, operator, values }] }, labels)) continue;
    if (found === undefined) failures.push({ failure: `${name} has no label ${key}`, cost: 2 });
    else
      failures.push({
        failure: `${name} has ${key}=${found}`,
        cost: operator === "In" && values.some((value) => isNear(found, value)) ? 1 : 3,
      });
  }
  return failures;
}

/** The same value under another key is likely what was meant. */
function likely(labels: Labels, key: string, wanted: string): string {
  const other = Object.entries(labels).find(([own, value]) => own !== key && value === wanted);
  return other === undefined ? "" : ` (it has ${other[0]}=${other[1]})`;
}

/** A slip of the fingers: case, or at most two edits of a word that is longer than that. */
export function isNear(a: string, b: string): boolean {
  return (
    a.toLowerCase() === b.toLowerCase() ||
    (Math.min(a.length, b.length) > 3 && editDistance(a, b) <= 2)
  );
}

function blockFailure(
  flow: Flow,
  other: Endpoint,
  { cidr, except = [] }: { readonly cidr: string; readonly except?: readonly string[] },
): string {
  const family = flowFamily(flow);
  const address = family === undefined ? undefined : addressOf(other, family);
  if (address === undefined) return "the two have no address of one family";
  const parsed = parseCidr(cidr);
  const shown = formatAddress(address);
  if (parsed === undefined) return `${cidr} is no CIDR`;
  if (!cidrContains(parsed, address)) return `${shown} is outside ${cidr}`;
  const hit = except.find((text) => {
    const block = parseCidr(text);
    return block !== undefined && cidrContains(block, address);
  });
  if (hit !== undefined) return `${shown} is in except ${hit}`;
  return `${shown} is a pod's address, which ipBlock does not match in this dialect`;
}

/** Why an entry of `ports` does not match. */
export function portFailure(flow: Flow, { protocol, port }: NetworkPolicyPort): string {
  const asked = probeName(flow);
  const wanted = protocol ?? "TCP";
  if (typeof port === "string") return namedPortFailure(flow, port, wanted);
  if (wanted !== flow.protocol)
    return `the rule says ${wanted}${protocol === undefined ? " (the default)" : ""}, the packet is ${asked}`;
  return `asked for ${asked}`;
}

/** What a port name stands for on the destination; `protocol` is undefined where any will do. */
export function namedPortFailure(
  { destination, ...flow }: Flow,
  name: string,
  protocol: string | undefined,
): string {
  if (destination.kind !== "pod") return `port name ${name} means nothing outside pods`;
  const named = destination.ports.filter((port) => port.name === name);
  if (named.length === 0) {
    const others = destination.ports.flatMap((port) => port.name ?? []);
    return `${destination.name} declares no port named ${name}${others.length === 0 ? "" : ` (it declares ${others.join(", ")})`}`;
  }
  const numbers = named.map((port) => probeName({ protocol: port.protocol, port: port.number }));
  const said = protocol === undefined ? "" : ` (the rule says ${protocol})`;
  return `${name} is ${numbers.join(", ")} on ${destination.name}${said}, asked for ${probeName(flow)}`;
}

/** Why no network of a list holds the other end's address. */
export function networkFailure(flow: Flow, other: Endpoint, networks: readonly string[]): string {
  const family = flowFamily(flow);
  const address = family === undefined ? undefined : addressOf(other, family);
  return address === undefined
    ? "the two have no address of one family"
    : `${formatAddress(address)} is outside ${networks.join(", ")}`;
}
