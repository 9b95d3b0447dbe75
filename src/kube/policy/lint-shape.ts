import type {
  NetworkPolicy,
  NetworkPolicyPeer,
  NetworkPolicyPort,
} from "kubernetes-types/networking/v1.js";
import type { FieldPath } from "../load/source-text.js";
import { keyOf, type Loaded } from "../objects.js";
import { formatAddress, formatCidr, parseAddress, parseCidr } from "./cidr.js";
import { type Finding, finding, type LintContext, type Severity } from "./finding.js";
import { effectiveTypes, type PlainRule, rulesOf } from "./oracle.js";
import { directions, type Direction } from "./verdict.js";

/* What the text of one policy says by itself, whatever the pods are. */

/** A policy under examination. */
interface Subject {
  readonly policy: Loaded<NetworkPolicy>;
  readonly title: string;
  readonly findings: Finding[];
}

export function shapeFindings({ world, verbose = false }: LintContext): readonly Finding[] {
  const findings: Finding[] = [];
  for (const policy of world.objects.networkPolicies) {
    const subject = { policy, title: `NetworkPolicy ${keyOf(policy.object)}`, findings };
    lintTypes(subject, verbose);
    lintMetadata(subject);
    for (const direction of directions) {
      const rules = rulesOf(policy.object, direction);
      if (effectiveTypes(policy.object).includes(direction))
        lintBreadth(subject, direction, rules, verbose);
      lintNeighbours(subject, direction, rules);
      for (const [index, rule] of rules.entries())
        lintRule(subject, direction, index, rule, verbose);
    }
  }
  return findings;
}

function say(
  { policy, title, findings }: Subject,
  severity: Severity,
  id: string,
  path: FieldPath,
  message: string,
  help?: string,
): void {
  findings.push(finding(severity, id, title, { origin: policy.origin, path }, message, help));
}

function listName(direction: Direction): "from" | "to" {
  return direction === "ingress" ? "from" : "to";
}

/** Section 1.2. */
function lintTypes(subject: Subject, verbose: boolean): void {
  const { spec } = subject.policy.object;
  const written = (spec?.policyTypes ?? []).length > 0;
  const types = effectiveTypes(subject.policy.object);
  for (const direction of directions) {
    const rules = rulesOf(subject.policy.object, direction).length;
    if (rules > 0 && !types.includes(direction)) {
      const type = direction === "ingress" ? "Ingress" : "Egress";
      say(
        subject,
        "error",
        "rules-without-type",
        ["spec", direction],
        `the ${rules} ${direction} rule${rules === 1 ? " has" : "s have"} no effect: policyTypes leaves ${type} out`,
        `add ${type} to policyTypes`,
      );
    }
  }
  if (written) return;
  if (verbose)
    say(
      subject,
      "info",
      "missing-policy-types",
      ["spec"],
      `policyTypes is absent: ${types.join(" and ")} is in force`,
    );
  const egress = (spec?.egress ?? []).length;
  if (egress > 0 && spec?.ingress === undefined)
    say(
      subject,
      "warning",
      "implicit-ingress-deny",
      ["spec"],
      "without policyTypes this policy denies all ingress too, although it has only egress rules",
      "write policyTypes: [Egress]",
    );
  if (egress === 0 && spec?.egress !== undefined)
    say(
      subject,
      "warning",
      "empty-egress-ignored",
      ["spec", "egress"],
      "egress: [] without policyTypes does not isolate egress",
      "write policyTypes: [Ingress, Egress]",
    );
}

function lintMetadata(subject: Subject): void {
  const { origin, object } = subject.policy;
  if (origin.source !== undefined) {
    const [own, parent] = [origin.placeOf(["metadata", "namespace"]), origin.placeOf(["metadata"])];
    if (own.line === parent.line && own.column === parent.column)
      say(
        subject,
        "warning",
        "missing-namespace",
        ["metadata"],
        "the policy names no namespace: it lands in default, or in the current one of kubectl",
      );
  }
  if (/^\d+[-.]|(^|-)(first|last|priority)(-|$)/.test(object.metadata?.name ?? ""))
    say(
      subject,
      "info",
      "order-expected",
      ["metadata", "name"],
      "the name suggests an order, and NetworkPolicies have none: all of their rules add up",
    );
}

function lintBreadth(
  subject: Subject,
  direction: Direction,
  rules: readonly PlainRule[],
  verbose: boolean,
): void {
  if (!verbose) return;
  const open = rules.findIndex(({ peers, ports }) => peers.length === 0 && ports.length === 0);
  if (open >= 0)
    say(
      subject,
      "info",
      "allow-all",
      ["spec", direction, open],
      `allows all ${direction} of its pods`,
    );
  if (rules.length === 0)
    say(subject, "info", "deny-all", ["spec"], `allows no ${direction} of its pods`);
}

/** One dash too many makes two rules of one. Section 1.5. */
function lintNeighbours(subject: Subject, direction: Direction, rules: readonly PlainRule[]): void {
  for (const [index, { peers, ports }] of rules.entries()) {
    const next = rules[index + 1];
    if (
      next === undefined ||
      peers.length === 0 ||
      ports.length > 0 ||
      next.peers.length > 0 ||
      next.ports.length === 0
    )
      continue;
    const anyone = direction === "ingress" ? "from anyone" : "to anywhere";
    say(
      subject,
      "warning",
      "ports-own-rule",
      ["spec", direction, index + 1],
      `rule ${index + 1} has only ${listName(direction)} and rule ${index + 2} only ports: all ports of those peers, and these ports ${anyone}`,
      "take the dash before ports away to make it one rule",
    );
  }
}

function lintRule(
  subject: Subject,
  direction: Direction,
  index: number,
  { peers, ports }: PlainRule,
  verbose: boolean,
): void {
  const path = ["spec", direction, index];
  lintPorts(subject, path, ports, verbose);
  lintDash(subject, [...path, listName(direction)], peers);
  for (const [at, peer] of peers.entries())
    lintPeer(subject, [...path, listName(direction), at], peer);
  const named = ports.findIndex(({ port }) => typeof port === "string");
  const onlyBlocks = peers.length > 0 && peers.every(({ ipBlock }) => ipBlock !== undefined);
  if (direction === "egress" && named >= 0 && onlyBlocks)
    say(
      subject,
      "error",
      "named-port-external",
      [...path, "ports", named],
      `port name ${ports[named]?.port} means nothing for addresses: the rule can match only pods that ipBlock happens to cover`,
      "write the number",
    );
}

function lintPorts(
  subject: Subject,
  path: FieldPath,
  ports: readonly NetworkPolicyPort[],
  verbose: boolean,
): void {
  for (const [at, { port, protocol }] of ports.entries()) {
    const own = [...path, "ports", at];
    if (port === undefined && protocol === undefined && ports.length === 1)
      say(
        subject,
        "warning",
        "tcp-only-empty-port",
        own,
        "an empty port entry allows all TCP ports, and no UDP or SCTP",
        "leave ports out to allow everything",
      );
    if (verbose && port !== undefined && protocol === undefined)
      say(subject, "info", "missing-protocol", own, `port ${port} without protocol is TCP alone`);
    const before = ports[at - 1];
    if (
      port === undefined &&
      protocol !== undefined &&
      before?.port !== undefined &&
      before.protocol === undefined
    )
      say(
        subject,
        "warning",
        "port-protocol-split",
        own,
        `this entry allows all ${protocol} ports`,
        `take the dash away to make it port ${before.port} with protocol ${protocol}`,
      );
  }
  const has53 = (wanted: "TCP" | "UDP"): number =>
    ports.findIndex(({ port, protocol }) => port === 53 && (protocol ?? "TCP") === wanted);
  const [tcp, udp] = [has53("TCP"), has53("UDP")];
  if (tcp >= 0 && udp < 0)
    say(
      subject,
      "error",
      "dns-tcp-only",
      [...path, "ports", tcp],
      "TCP 53 is allowed and UDP 53 is not: names will not resolve",
      ports[tcp]?.protocol === undefined ? "protocol was left out: add protocol: UDP" : undefined,
    );
  if (udp >= 0 && tcp < 0)
    say(
      subject,
      "info",
      "dns-without-tcp",
      [...path, "ports", udp],
      "UDP 53 is allowed and TCP 53 is not: truncated answers fail",
    );
}

/** Labels that DNS and system pods are known by: beside a namespaceSelector of its own they were meant to belong together. */
function lintDash(subject: Subject, path: FieldPath, peers: readonly NetworkPolicyPeer[]): void {
  for (const [at, peer] of peers.entries()) {
    const next = peers[at + 1];
    if (
      peer.namespaceSelector === undefined ||
      peer.podSelector !== undefined ||
      next?.podSelector === undefined ||
      next.namespaceSelector !== undefined
    )
      continue;
    say(
      subject,
      "warning",
      "and-or-dash",
      [...path, at + 1],
      "two peers: all pods of the namespaces, or these pods of the policy's own namespace",
      "take the dash before podSelector away to mean these pods of those namespaces",
    );
  }
}

function lintPeer(
  subject: Subject,
  path: FieldPath,
  { podSelector, namespaceSelector, ipBlock }: NetworkPolicyPeer,
): void {
  for (const [name, selector] of [
    ["podSelector", podSelector],
    ["namespaceSelector", namespaceSelector],
  ] as const) {
    const expressions = selector?.matchExpressions ?? [];
    const [only] = expressions;
    const labels = Object.keys(selector?.matchLabels ?? {}).length;
    if (only?.operator === "NotIn" && expressions.length === 1 && labels === 0)
      say(
        subject,
        "warning",
        "notin-matches-missing",
        [...path, name],
        `NotIn also matches what has no label ${only.key}`,
        `add {key: ${only.key}, operator: Exists} to require the label`,
      );
  }
  if (ipBlock === undefined) return;
  for (const [place, text] of [
    [["cidr"], ipBlock.cidr],
    ...(ipBlock.except ?? []).map((each, at) => [["except", at], each] as const),
  ] as const) {
    const cidr = parseCidr(text);
    const given = parseAddress(text.slice(0, text.lastIndexOf("/")));
    if (cidr === undefined || given === undefined || given === cidr.address) continue;
    say(
      subject,
      "info",
      "ipblock-host-bits",
      [...path, "ipBlock", ...place],
      `${formatAddress(given)} has bits beyond /${cidr.length}: it means ${formatCidr(cidr)}`,
    );
  }
}
