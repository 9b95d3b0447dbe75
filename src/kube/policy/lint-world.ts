import type { LabelSelector } from "kubernetes-types/meta/v1.js";
import type { NetworkPolicy, NetworkPolicyPeer } from "kubernetes-types/networking/v1.js";
import { nearest } from "../../base/nearest.js";
import type { Ipv4Prefix } from "../../wire/ip.js";
import { keyOf, type Loaded, namespaceOf } from "../objects.js";
import { labelOf, matchesSelector } from "../selectors.js";
import { type Cidr, cidrsOverlap, parseCidr } from "./cidr.js";
import { selectorText } from "./clause-text.js";
import { type Finding, finding, type LintContext, type Severity } from "./finding.js";
import type { FieldPath } from "../load/source-text.js";
import { effectiveTypes, isolatingPolicies, policySelects, rulesOf } from "./oracle.js";
import { Comparison } from "./opened-pairs.js";
import { directions, type Direction } from "./verdict.js";
import { dnsPods, reachesDns } from "./why.js";
import { policyWorld, type PodEndpoint, type PolicyWorld } from "./world.js";

/* What a policy means for the pods, namespaces and Services that there are. */

class WorldLint {
  readonly findings: Finding[] = [];
  readonly #context: LintContext;
  readonly #world: PolicyWorld;
  readonly #dns: readonly PodEndpoint[];
  readonly #byNamespace = new Map<string, PodEndpoint[]>();

  constructor(context: LintContext) {
    this.#context = context;
    this.#world = context.world;
    this.#dns = dnsPods(context.world);
    for (const pod of context.world.pods) {
      const own = this.#byNamespace.get(pod.namespace) ?? [];
      this.#byNamespace.set(pod.namespace, own);
      own.push(pod);
    }
  }

  #podsOf(namespace: string): readonly PodEndpoint[] {
    return this.#byNamespace.get(namespace) ?? [];
  }

  /** The pods that a peer stands for by its selectors. */
  #peers(
    policy: Loaded<NetworkPolicy>,
    { podSelector, namespaceSelector, ipBlock }: NetworkPolicyPeer,
  ): readonly PodEndpoint[] {
    if (ipBlock !== undefined || (podSelector ?? namespaceSelector) === undefined) return [];
    const namespaces =
      namespaceSelector === undefined
        ? [namespaceOf(policy.object)]
        : [...this.#world.namespaces]
            .filter(([, labels]) => matchesSelector(namespaceSelector, labels))
            .map(([name]) => name);
    const pods = namespaces.flatMap((name) => this.#podsOf(name));
    return podSelector === undefined
      ? pods
      : pods.filter(({ labels }) => matchesSelector(podSelector, labels));
  }

  policy(policy: Loaded<NetworkPolicy>): void {
    const selected = this.#podsOf(namespaceOf(policy.object)).filter((pod) =>
      policySelects(policy, pod),
    );
    if (selected.length === 0) this.#selectsNobody(policy);
    for (const pod of selected.filter(({ hostNetwork }) => hostNetwork))
      this.#say(
        policy,
        "warning",
        "host-network-target",
        ["spec", "podSelector"],
        `${pod.key} uses the host network: the policy is not enforced for it`,
      );
    for (const direction of directions) {
      if (!effectiveTypes(policy.object).includes(direction)) continue;
      for (const index of rulesOf(policy.object, direction).keys())
        this.#rule(policy, direction, index, selected);
    }
    this.#ownDns(policy, selected);
    this.#replicas(policy, selected);
  }

  #say(
    policy: Loaded<NetworkPolicy>,
    severity: Severity,
    id: string,
    path: FieldPath,
    message: string,
    help?: string,
  ): void {
    this.findings.push(
      finding(
        severity,
        id,
        `NetworkPolicy ${keyOf(policy.object)}`,
        { origin: policy.origin, path },
        message,
        help,
      ),
    );
  }

  #selectsNobody(policy: Loaded<NetworkPolicy>): void {
    const namespace = namespaceOf(policy.object);
    const selector = policy.object.spec?.podSelector ?? {};
    const inside = this.#world.pods.filter((pod) => pod.namespace === namespace);
    const elsewhere = [
      ...new Set(
        this.#world.pods
          .filter((pod) => pod.namespace !== namespace && matchesSelector(selector, pod.labels))
          .map((pod) => pod.namespace),
      ),
    ];
    const message =
      inside.length === 0
        ? `namespace ${namespace} has no pods`
        : `no pod of namespace ${namespace} matches ${selectorText(selector)}`;
    const known = [...this.#world.namespaces.keys()].filter((name) => name !== namespace);
    const near = inside.length === 0 ? nearest(namespace, known) : nearLabel(selector, inside);
    const help =
      selectorText(selector) !== "{}" && elsewhere.length > 0 && elsewhere.length <= 3
        ? `pods of namespace ${elsewhere.join(", ")} match`
        : near === undefined
          ? undefined
          : `did you mean ${near}?`;
    this.#say(
      policy,
      "warning",
      "selects-no-pod",
      inside.length === 0 ? ["metadata", "namespace"] : ["spec", "podSelector"],
      message,
      help,
    );
  }

  #rule(
    policy: Loaded<NetworkPolicy>,
    direction: Direction,
    index: number,
    selected: readonly PodEndpoint[],
  ): void {
    const rule = rulesOf(policy.object, direction)[index];
    if (rule === undefined) return;
    const path = ["spec", direction, index];
    const list = direction === "ingress" ? "from" : "to";
    for (const [at, peer] of rule.peers.entries()) {
      if (peer.ipBlock === undefined) this.#selectorPeer(policy, [...path, list, at], peer);
      else this.#block(policy, [...path, list, at, "ipBlock"], peer.ipBlock.cidr);
    }
    const onPorts = rule.ports.length > 0 && direction === "egress";
    const peerPods = !onPorts
      ? []
      : rule.peers.length === 0
        ? this.#world.pods
        : [...new Set(rule.peers.flatMap((peer) => this.#peers(policy, peer)))];
    const destinations = direction === "ingress" ? selected : peerPods;
    for (const [at, { port, protocol = "TCP" }] of rule.ports.entries()) {
      const own = [...path, "ports", at];
      if (typeof port === "string") this.#namedPort(policy, own, port, protocol, destinations);
      else if (port !== undefined) this.#servicePort(policy, own, port, protocol, destinations);
    }
  }

  #selectorPeer(policy: Loaded<NetworkPolicy>, path: FieldPath, peer: NetworkPolicyPeer): void {
    const { podSelector, namespaceSelector } = peer;
    if ((podSelector ?? namespaceSelector) === undefined || this.#peers(policy, peer).length > 0)
      return;
    const own = namespaceOf(policy.object);
    if (namespaceSelector === undefined) {
      const elsewhere = [
        ...new Set(
          this.#world.pods
            .filter(({ labels }) => matchesSelector(podSelector, labels))
            .map(({ namespace }) => namespace),
        ),
      ];
      if (elsewhere.length > 0) {
        const help = `add namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: ${elsewhere[0]}}} beside podSelector`;
        this.#say(
          policy,
          "warning",
          "same-namespace-peer",
          [...path, "podSelector"],
          `a podSelector alone looks only in ${own}, where nothing matches; pods of ${elsewhere.slice(0, 3).join(", ")} do`,
          help,
        );
      } else
        this.#say(
          policy,
          "warning",
          "peer-selects-nothing",
          [...path, "podSelector"],
          `no pod of namespace ${own} matches ${selectorText(podSelector ?? {})}`,
        );
      return;
    }
    const fitting = [...this.#world.namespaces]
      .filter(([, labels]) => matchesSelector(namespaceSelector, labels))
      .map(([name]) => name);
    if (fitting.length === 0)
      this.#namespaceLabel(policy, [...path, "namespaceSelector"], namespaceSelector);
    else
      this.#say(
        policy,
        "warning",
        "peer-selects-nothing",
        path,
        `the namespaces match (${fitting.slice(0, 3).join(", ")}), and no pod in them${podSelector === undefined ? "" : ` matches ${selectorText(podSelector)}`}`,
      );
  }

  #namespaceLabel(policy: Loaded<NetworkPolicy>, path: FieldPath, selector: LabelSelector): void {
    const named = Object.entries(selector.matchLabels ?? {}).find(([, value]) =>
      this.#world.namespaces.has(value),
    );
    const help =
      named === undefined
        ? undefined
        : `namespace ${named[1]} exists: write kubernetes.io/metadata.name: ${named[1]}`;
    this.#say(
      policy,
      "warning",
      "namespace-label-missing",
      path,
      `no namespace matches ${selectorText(selector)}`,
      help,
    );
  }

  #block(policy: Loaded<NetworkPolicy>, path: FieldPath, text: string): void {
    const cidr = parseCidr(text);
    if (cidr === undefined || cidr.length === 0) return;
    const { podCidr, serviceCidr } = this.#context;
    if (serviceCidr !== undefined && within(cidr, serviceCidr))
      this.#say(
        policy,
        "error",
        "ipblock-is-service-range",
        [...path, "cidr"],
        `${text} is in the Service range: policy sees the address of the pod, after translation`,
        "select the pods behind the Service",
      );
    if (podCidr !== undefined && within(cidr, podCidr))
      this.#say(
        policy,
        "warning",
        "ipblock-is-pod-range",
        [...path, "cidr"],
        `${text} is in the pod range: pods change their addresses, and plugins differ`,
        "use selectors",
      );
  }

  /** Section 1.8. */
  #namedPort(
    policy: Loaded<NetworkPolicy>,
    path: FieldPath,
    name: string,
    protocol: string,
    destinations: readonly PodEndpoint[],
  ): void {
    const numbers = (pod: PodEndpoint): readonly number[] =>
      pod.ports
        .filter((port) => port.name === name && port.protocol === protocol)
        .map(({ number }) => number);
    const declaring = destinations.filter((pod) => numbers(pod).length > 0);
    if (destinations.length === 0) return;
    if (declaring.length === 0) {
      const others = [
        ...new Set(destinations.flatMap(({ ports }) => ports.flatMap((port) => port.name ?? []))),
      ];
      const near = nearest(name, others);
      const elsewhere = destinations.some(({ ports }) => ports.some((port) => port.name === name));
      const message = elsewhere
        ? `${name} is declared, but not with protocol ${protocol}`
        : `no pod that it could reach declares a ${protocol} port named ${name}: it matches nothing (kube-router opens all ports)`;
      this.#say(
        policy,
        "error",
        "named-port-undeclared",
        path,
        message,
        near === undefined ? undefined : `did you mean "${near}"?`,
      );
      return;
    }
    const distinct = new Set(declaring.map((pod) => numbers(pod).join(",")));
    const missing = destinations.length - declaring.length;
    // Rules without peers reach every pod of the cluster: most do not declare it, and need not.
    if (distinct.size > 1)
      this.#say(
        policy,
        "warning",
        "named-port-partial",
        path,
        `${name} is ${[...distinct].join(" on some pods and ")} on others`,
      );
    else if (missing > 0 && destinations.length < this.#world.pods.length)
      this.#say(
        policy,
        "warning",
        "named-port-partial",
        path,
        `${missing} of ${destinations.length} pods do not declare ${name}, such as ${destinations.find((pod) => numbers(pod).length === 0)?.key}`,
      );
  }

  #servicePort(
    policy: Loaded<NetworkPolicy>,
    path: FieldPath,
    port: number,
    protocol: string,
    destinations: readonly PodEndpoint[],
  ): void {
    if (
      destinations.some(({ ports }) =>
        ports.some((each) => each.number === port && each.protocol === protocol),
      )
    )
      return;
    for (const { object } of this.#context.services) {
      const found = (object.spec?.ports ?? []).find(
        (each) => each.port === port && (each.protocol ?? "TCP") === protocol,
      );
      const target = found?.targetPort;
      if (
        found === undefined ||
        target === undefined ||
        target === port ||
        Object.keys(object.spec?.selector ?? {}).length === 0
      )
        continue;
      if (
        !destinations.some(
          (pod) =>
            pod.namespace === namespaceOf(object) &&
            matchesSelector({ matchLabels: object.spec?.selector ?? {} }, pod.labels),
        )
      )
        continue;
      this.#say(
        policy,
        "warning",
        "service-port-used",
        path,
        `${port} is the port of Service ${keyOf(object)}; policy sees the port of the pod, ${target}`,
        `write ${target}`,
      );
      return;
    }
  }

  #ownDns(policy: Loaded<NetworkPolicy>, selected: readonly PodEndpoint[]): void {
    if (!effectiveTypes(policy.object).includes("egress")) return;
    const cut = selected.filter(
      (pod) => !pod.hostNetwork && reachesDns(this.#world, pod, "UDP", this.#dns) === false,
    );
    const [first] = cut;
    if (first === undefined) return;
    const who = cut.length === 1 ? first.key : `${first.key} and ${cut.length - 1} more`;
    const help =
      "allow UDP and TCP 53 to the DNS pods: namespaceSelector kubernetes.io/metadata.name: kube-system and podSelector k8s-app: kube-dns in one peer";
    this.#say(
      policy,
      "warning",
      "egress-without-dns",
      ["spec"],
      `egress of ${who} is isolated and nothing lets DNS out: names will not resolve`,
      help,
    );
  }

  /** Pods of one owner that the policy treats differently. */
  #replicas(policy: Loaded<NetworkPolicy>, selected: readonly PodEndpoint[]): void {
    const owners = new Map(
      selected.flatMap((pod) => (ownerOf(pod) === undefined ? [] : [[ownerOf(pod), pod] as const])),
    );
    for (const [owner, pod] of owners) {
      const left = this.#world.pods.find(
        (other) => ownerOf(other) === owner && !policySelects(policy, other),
      );
      if (left !== undefined)
        this.#say(
          policy,
          "warning",
          "replicas-differ",
          ["spec", "podSelector"],
          `it selects ${pod.key} and not ${left.key}, which has the same owner`,
        );
    }
  }
}

function ownerOf({ namespace, loaded }: PodEndpoint): string | undefined {
  const owner = loaded.object.metadata?.ownerReferences?.find(
    ({ controller }) => controller === true,
  );
  return owner === undefined ? undefined : `${namespace} ${owner.kind} ${owner.name}`;
}

function within(cidr: Cidr, range: Ipv4Prefix): boolean {
  return (
    cidr.family === 4 && cidr.length >= range.length && cidrsOverlap(cidr, { family: 4, ...range })
  );
}

/** A label of these pods that the selector misses by a slip. */
function nearLabel(
  { matchLabels = {} }: LabelSelector,
  pods: readonly PodEndpoint[],
): string | undefined {
  for (const [key, value] of Object.entries(matchLabels)) {
    const values = new Set(pods.flatMap(({ labels }) => labelOf(labels, key) ?? []));
    if (values.has(value)) continue;
    const near = values.size > 0 ? nearest(value, values) : undefined;
    if (near !== undefined) return `${key}=${near}`;
    const keys = new Set(pods.flatMap(({ labels }) => Object.keys(labels)));
    const other = values.size === 0 ? nearest(key, keys) : undefined;
    if (other !== undefined) return `${other}=${value}`;
  }
  return undefined;
}

export function worldFindings(context: LintContext): readonly Finding[] {
  const lint = new WorldLint(context);
  for (const policy of context.world.objects.networkPolicies) lint.policy(policy);
  return [
    ...lint.findings,
    ...reopenedExcepts(context),
    ...redundantPolicies(context),
    ...unprotectedPods(context),
  ];
}

/** An except is no deny: another peer or policy for the same pods may allow the range. Section 1.7. */
function reopenedExcepts({ world }: LintContext): readonly Finding[] {
  return world.objects.networkPolicies.flatMap((policy) =>
    directions.flatMap((direction) =>
      rulesOf(policy.object, direction).flatMap(({ peers }, index) =>
        peers.flatMap(({ ipBlock }, at) =>
          (ipBlock?.except ?? []).flatMap((text, n) => {
            const list = direction === "ingress" ? "from" : "to";
            const path = ["spec", direction, index, list, at, "ipBlock", "except", n];
            const opener = reopener(world, policy, direction, text, ipBlock);
            if (opener === undefined) return [];
            return [
              finding(
                "warning",
                "except-reopened",
                `NetworkPolicy ${keyOf(policy.object)}`,
                { origin: policy.origin, path },
                `${text} is allowed by ${opener}: except denies nothing`,
              ),
            ];
          }),
        ),
      ),
    ),
  );
}

function reopener(
  world: PolicyWorld,
  policy: Loaded<NetworkPolicy>,
  direction: Direction,
  text: string,
  own: object | undefined,
): string | undefined {
  const except = parseCidr(text);
  if (except === undefined) return undefined;
  const selected = world.pods.filter((pod) => policySelects(policy, pod));
  for (const other of world.objects.networkPolicies) {
    if (namespaceOf(other.object) !== namespaceOf(policy.object)) continue;
    if (
      !effectiveTypes(other.object).includes(direction) ||
      !selected.some((pod) => policySelects(other, pod))
    )
      continue;
    for (const [index, { peers }] of rulesOf(other.object, direction).entries()) {
      const opens =
        peers.length === 0 ||
        peers.some(({ ipBlock }) => {
          const block =
            ipBlock === undefined || ipBlock === own ? undefined : parseCidr(ipBlock.cidr);
          return (
            block !== undefined &&
            block.family === except.family &&
            block.length <= except.length &&
            cidrsOverlap(block, except) &&
            !(ipBlock?.except ?? []).includes(text)
          );
        });
      if (opens) return `${direction} rule ${index + 1} of ${keyOf(other.object)}`;
    }
  }
  return undefined;
}

/** More policies than this are not tried one by one. */
const REMOVALS = 200;

/** Removing it changes no pair of pods: it says nothing that the others do not say. */
function redundantPolicies({ world, verbose = false }: LintContext): readonly Finding[] {
  const { networkPolicies } = world.objects;
  if (!verbose || networkPolicies.length > REMOVALS) return [];
  const comparison = new Comparison(world);
  return networkPolicies.flatMap((policy) => {
    // What comes from outside is not compared, so a policy with blocks or without peers is left alone.
    const plain = directions.every((direction) =>
      rulesOf(policy.object, direction).every(
        ({ peers }) => peers.length > 0 && peers.every(({ ipBlock }) => ipBlock === undefined),
      ),
    );
    if (!plain || !world.pods.some((pod) => policySelects(policy, pod))) return [];
    const others = directions.every(
      (direction) =>
        !effectiveTypes(policy.object).includes(direction) ||
        world.pods.every(
          (pod) =>
            !policySelects(policy, pod) || isolatingPolicies(world, pod, direction).length > 1,
        ),
    );
    if (!others) return [];
    const without = policyWorld(
      { ...world.objects, networkPolicies: networkPolicies.filter((other) => other !== policy) },
      world.dialect,
    );
    const { opens, closes } = comparison.with(without, { protocol: "TCP", port: 1 });
    if (opens > 0 || closes > 0) return [];
    return [
      finding(
        "info",
        "redundant-policy",
        `NetworkPolicy ${keyOf(policy.object)}`,
        { origin: policy.origin, path: ["metadata", "name"] },
        "removing it changes nothing for any pair of pods",
      ),
    ];
  });
}

function unprotectedPods({ world, verbose = false }: LintContext): readonly Finding[] {
  if (!verbose) return [];
  return world.pods
    .filter(({ hostNetwork }) => !hostNetwork)
    .flatMap((pod) =>
      directions
        .filter((direction) => isolatingPolicies(world, pod, direction).length === 0)
        .map((direction) =>
          finding(
            "info",
            "unprotected-pod",
            `Pod ${pod.key}`,
            { origin: pod.loaded.origin, path: [] },
            `no policy selects it for ${direction}`,
          ),
        ),
    );
}
