import type { Service } from "kubernetes-types/core/v1.js";
import type { Ingress, NetworkPolicy, NetworkPolicyPeer } from "kubernetes-types/networking/v1.js";
import type { FieldPath } from "../load/source-text.js";
import { keyOf, type Loaded, namespaceOf } from "../objects.js";
import { type Labels, matchesSelector } from "../selectors.js";
import { type Cidr, cidrContains, cidrsOverlap, formatAddress, parseCidr } from "./cidr.js";
import { type Finding, finding, type LintContext, type Severity } from "./finding.js";
import { effectiveTypes, judgeSide, peerMatches, policySelects, rulesOf } from "./oracle.js";
import { directions, type Direction } from "./verdict.js";
import type { Endpoint, PodEndpoint, PolicyWorld } from "./world.js";

/* Who really talks to whom in a cluster, and policies that forget about them: clients, controllers, probes, the other side. */

/** How many pairs of a rule are tried. */
const PAIRS = 500;

export function trafficFindings(context: LintContext): readonly Finding[] {
  const { world } = context;
  const byNamespace = new Map<string, PodEndpoint[]>();
  for (const pod of world.pods) {
    const own = byNamespace.get(pod.namespace);
    if (own === undefined) byNamespace.set(pod.namespace, [pod]);
    else own.push(pod);
  }
  const perPolicy = world.objects.networkPolicies.flatMap((policy) => {
    const own = byNamespace.get(namespaceOf(policy.object)) ?? [];
    const selected = own.filter((pod) => policySelects(policy, pod) && !pod.hostNetwork);
    return [
      ...clientAddresses(context, policy, selected),
      ...apiServer(context, policy),
      ...oneSided(world, byNamespace, policy, selected),
      ...ownAddresses(context, policy, selected),
    ];
  });
  return [...perPolicy, ...blockedControllers(context), ...blockedProbes(context)];
}

type Pods = readonly PodEndpoint[];

/** The pods that some of a rule's peers stand for by their labels. */
function namedPeers(
  world: PolicyWorld,
  byNamespace: ReadonlyMap<string, Pods>,
  policy: Loaded<NetworkPolicy>,
  peers: readonly NetworkPolicyPeer[],
): Pods {
  const found = peers
    .filter(({ podSelector }) => Object.keys(podSelector?.matchLabels ?? {}).length > 0)
    .flatMap(({ podSelector, namespaceSelector }) =>
      (namespaceSelector === undefined
        ? [namespaceOf(policy.object)]
        : [...world.namespaces].flatMap(([name, labels]) =>
            matchesSelector(namespaceSelector, labels) ? [name] : [],
          )
      )
        .flatMap((name) => byNamespace.get(name) ?? [])
        .filter((pod) => !pod.hostNetwork && matchesSelector(podSelector, pod.labels)),
    );
  return [...new Set(found)];
}

function about(
  policy: Loaded<NetworkPolicy>,
  severity: Severity,
  id: string,
  path: FieldPath,
  message: string,
  help?: string,
): Finding {
  const title = `NetworkPolicy ${keyOf(policy.object)}`;
  return finding(severity, id, title, { origin: policy.origin, path }, message, help);
}

function selects({ spec }: Service, { labels }: PodEndpoint): boolean {
  const selector = Object.entries(spec?.selector ?? {});
  return selector.length > 0 && selector.every(([key, value]) => labels[key] === value);
}

/** Services that show pods the address of a node in place of the client's. Section 1.10. */
function clientAddresses(
  { world, services, podCidr, serviceCidr }: LintContext,
  policy: Loaded<NetworkPolicy>,
  selected: readonly PodEndpoint[],
): readonly Finding[] {
  if (!effectiveTypes(policy.object).includes("ingress")) return [];
  const inside = [podCidr, serviceCidr].flatMap((range): readonly Cidr[] =>
    range === undefined ? [] : [{ family: 4, ...range }],
  );
  const service = services.find(
    ({ object }) =>
      namespaceOf(object) === namespaceOf(policy.object) &&
      ["NodePort", "LoadBalancer"].includes(object.spec?.type ?? "") &&
      object.spec?.externalTrafficPolicy !== "Local" &&
      selected.some((pod) => selects(object, pod)),
  );
  if (service === undefined) return [];
  return rulesOf(policy.object, "ingress").flatMap(({ peers }, index) =>
    peers.flatMap(({ ipBlock }, at) => {
      const cidr = ipBlock === undefined ? undefined : parseCidr(ipBlock.cidr);
      const ofNode = [...world.nodeByAddress.keys()].some(
        (address) => cidr !== undefined && cidrContains(cidr, address),
      );
      if (cidr === undefined || ofNode) return [];
      if (inside.some((range) => cidrsOverlap(range, cidr))) return [];
      return [
        about(
          policy,
          "warning",
          "client-ip-behind-snat",
          ["spec", "ingress", index, "from", at, "ipBlock", "cidr"],
          `clients that come by Service ${keyOf(service.object)} (${service.object.spec?.type}) may show the address of a node, which ${ipBlock?.cidr} leaves out`,
          "set externalTrafficPolicy: Local on the Service, or allow the nodes' addresses too",
        ),
      ];
    }),
  );
}

/** The API server is on nodes, where no selector reaches it. Section 1.10. */
function apiServer({ world }: LintContext, policy: Loaded<NetworkPolicy>): readonly Finding[] {
  if (!effectiveTypes(policy.object).includes("egress")) return [];
  return rulesOf(policy.object, "egress").flatMap(({ peers, ports }, index) => {
    const port = ports.find((each) => each.port === 443 || each.port === 6443)?.port;
    if (port === undefined) return [];
    const toSystem = peers.some(({ namespaceSelector }) =>
      ["default", "kube-system"].includes(
        namespaceSelector?.matchLabels?.["kubernetes.io/metadata.name"] ?? "",
      ),
    );
    const served = world.pods.some(
      (pod) =>
        pod.ports.some(({ number }) => number === port) &&
        peers.some((peer) =>
          peerMatches(
            world,
            { source: pod, destination: pod, protocol: "TCP", port: Number(port) },
            "egress",
            policy,
            peer,
          ),
        ),
    );
    if (!toSystem || served) return [];
    const [node] = world.nodes.flatMap(({ addresses }) => addresses.map(formatAddress));
    return [
      about(
        policy,
        "warning",
        "apiserver-by-selector",
        ["spec", "egress", index],
        `no pod that it selects serves ${port}; the API server, if it is meant, is on nodes, which selectors do not reach`,
        `write an ipBlock of the control plane's nodes${node === undefined ? "" : `, such as ${node}/32`}, and port 6443`,
      ),
    ];
  });
}

/** A rule names the other side, whose own policies do not let it. Section 4. */
function oneSided(
  world: PolicyWorld,
  byNamespace: ReadonlyMap<string, Pods>,
  policy: Loaded<NetworkPolicy>,
  selected: Pods,
): readonly Finding[] {
  return directions
    .filter((direction) => effectiveTypes(policy.object).includes(direction))
    .flatMap((direction) =>
      rulesOf(policy.object, direction).flatMap(({ peers }, index) => {
        const others = namedPeers(world, byNamespace, policy, peers);
        if (selected.length * others.length > PAIRS) return [];
        const first = closedPair(world, direction, selected, others, policy, index);
        if (first === undefined) return [];
        const other: Direction = direction === "egress" ? "ingress" : "egress";
        const [from, to] = first;
        return [
          about(
            policy,
            "warning",
            "one-sided",
            ["spec", direction, index],
            `rule ${index + 1} lets ${from.key} and ${to.key} talk, and the policies for ${other} of ${(other === "ingress" ? to : from).key} do not`,
            `hopwise why ${from.key} ${to.key} shows what that side lacks`,
          ),
        ];
      }),
    );
}

/**
 * A pair that a rule lets through, on a port that the destination declares, and that the other side refuses. Undefined where
 * some pair of the rule gets through on both sides: what some pair can do is no slip of the whole rule.
 */
function closedPair(
  world: PolicyWorld,
  direction: Direction,
  selected: readonly PodEndpoint[],
  others: readonly PodEndpoint[],
  policy: Loaded<NetworkPolicy>,
  index: number,
): readonly [PodEndpoint, PodEndpoint] | undefined {
  const other: Direction = direction === "egress" ? "ingress" : "egress";
  let refused: readonly [PodEndpoint, PodEndpoint] | undefined;
  for (const subject of selected) {
    for (const peer of others) {
      if (peer.key === subject.key) continue;
      const [source, destination] = direction === "egress" ? [subject, peer] : [peer, subject];
      for (const { protocol, number: port } of destination.ports) {
        const flow = { source, destination, protocol, port };
        const { reason } = judgeSide(world, flow, direction);
        if (
          reason.kind !== "allowed-by" ||
          reason.rule.index !== index ||
          reason.rule.policy.loaded !== policy
        )
          continue;
        if (judgeSide(world, flow, other).outcome !== "deny") return undefined;
        refused ??= [source, destination];
      }
    }
  }
  return refused;
}

/** Addresses that no policy keeps away: the pod's own and its node's. Section 1.9. */
function ownAddresses(
  { world }: LintContext,
  policy: Loaded<NetworkPolicy>,
  selected: readonly PodEndpoint[],
): readonly Finding[] {
  if (!effectiveTypes(policy.object).includes("ingress")) return [];
  return rulesOf(policy.object, "ingress").flatMap(({ peers }, index) =>
    peers.flatMap((peer, at): readonly Finding[] => {
      const path = ["spec", "ingress", index, "from", at];
      const excepts = (peer.ipBlock?.except ?? []).entries();
      for (const [n, text] of excepts) {
        const cidr = parseCidr(text);
        const node = world.nodes.find(
          ({ name, addresses }) =>
            selected.some((pod) => pod.node === name) &&
            addresses.some((address) => cidr !== undefined && cidrContains(cidr, address)),
        );
        if (node === undefined) continue;
        return [
          about(
            policy,
            "info",
            "own-node-expected-blocked",
            [...path, "ipBlock", "except", n],
            `${text} holds node ${node.name}, which always reaches the pods that run on it`,
          ),
        ];
      }
      const [self] = selected;
      const meant = selected.every((pod) => excludesSelf(peer.podSelector?.matchExpressions, pod));
      return self === undefined || !meant
        ? []
        : [
            about(
              policy,
              "info",
              "self-expected-blocked",
              [...path, "podSelector"],
              `it leaves out pods such as ${self.key} itself, and a pod always reaches its own address`,
            ),
          ];
    }),
  );
}

/** An expression that is written to leave out the labels that the policy's own pods have. */
function excludesSelf(
  expressions: readonly {
    readonly key: string;
    readonly operator: string;
    readonly values?: readonly string[];
  }[] = [],
  { labels }: { readonly labels: Labels },
): boolean {
  return expressions.some(
    ({ key, operator, values = [] }) =>
      (operator === "NotIn" && values.includes(labels[key] ?? "")) ||
      (operator === "DoesNotExist" && labels[key] !== undefined),
  );
}

/** How the pods of controllers that carry Ingress traffic are labelled. */
const controllers = [
  "ingress-nginx",
  "traefik",
  "haproxy-ingress",
  "kong",
  "contour",
  "nginx-ingress",
];

/** The backends of an Ingress do not admit the controller. */
function blockedControllers({ world, services, ingresses = [] }: LintContext): readonly Finding[] {
  const pods = world.pods.filter(({ labels }) =>
    controllers.some((name) => labels["app.kubernetes.io/name"] === name || labels["app"] === name),
  );
  const [controller] = pods;
  if (controller === undefined) return [];
  return ingresses.flatMap(({ object, origin }) =>
    [...backendsOf(object)].flatMap((name): readonly Finding[] => {
      const service = services.find(
        (each) =>
          each.object.metadata?.name === name && namespaceOf(each.object) === namespaceOf(object),
      );
      if (service === undefined) return [];
      const refused = world.pods.find(
        (pod) =>
          pod.namespace === namespaceOf(object) &&
          selects(service.object, pod) &&
          pod.ports.length > 0 &&
          pod.ports.every(({ protocol, number: port }) =>
            pods.every(
              (source) =>
                judgeSide(world, { source, destination: pod, protocol, port }, "ingress")
                  .outcome === "deny",
            ),
          ),
      );
      if (refused === undefined) return [];
      return [
        finding(
          "warning",
          "ingress-controller-blocked",
          `Ingress ${keyOf(object)}`,
          { origin, path: ["spec"] },
          `its backend ${refused.key} does not admit the controller ${controller.key}: requests time out`,
          `hopwise why ${controller.key} ${keyOf(service.object)} shows what is missing`,
        ),
      ];
    }),
  );
}

function backendsOf({ spec }: Ingress): ReadonlySet<string> {
  const rules = (spec?.rules ?? []).flatMap(({ http }) => http?.paths ?? []);
  const backends = [spec?.defaultBackend, ...rules.map(({ backend }) => backend)];
  return new Set(backends.flatMap((backend) => backend?.service?.name ?? []));
}

/** Pods that Prometheus or the API server are to reach from other nodes, and that admit neither. */
function blockedProbes({ world, services }: LintContext): readonly Finding[] {
  const nodes = world.nodes.flatMap(({ name, addresses }) =>
    addresses
      .slice(0, 1)
      .map((address): readonly [string, Endpoint] => [name, { kind: "address", address }]),
  );
  const scrapers: readonly Endpoint[] = world.pods.filter(({ labels }) =>
    [labels["app.kubernetes.io/name"], labels["app"]].includes("prometheus"),
  );
  const webhooks = services.filter(({ object }) =>
    /(^|-)webhook(-service)?$/.test(object.metadata?.name ?? ""),
  );
  return world.pods.flatMap((pod) => {
    if (pod.hostNetwork) return [];
    const annotations = pod.loaded.object.metadata?.annotations ?? {};
    const port = Number(annotations["prometheus.io/port"] ?? pod.ports[0]?.number ?? 0);
    const webhook = webhooks.find(
      ({ object }) => namespaceOf(object) === pod.namespace && selects(object, pod),
    );
    const asked =
      webhook !== undefined
        ? nodes.filter(([name]) => name !== pod.node).map(([, node]) => node)
        : annotations["prometheus.io/scrape"] === "true"
          ? scrapers
          : [];
    const target = webhook === undefined ? port : (pod.ports[0]?.number ?? 0);
    const denied = asked.map((source) =>
      judgeSide(world, { source, destination: pod, protocol: "TCP", port: target }, "ingress"),
    );
    const [first] = denied;
    if (first === undefined || target === 0 || denied.some(({ outcome }) => outcome !== "deny"))
      return [];
    const who =
      webhook === undefined ? "Prometheus" : "the API server, which calls webhooks from a node,";
    return [
      finding(
        "warning",
        "probe-from-other-node",
        `Pod ${pod.key}`,
        { origin: pod.loaded.origin, path: [] },
        `${who} cannot reach its port ${target}: only the pod's own node may without a rule`,
        webhook === undefined
          ? "allow the pods of Prometheus"
          : "allow an ipBlock of the control plane's nodes",
      ),
    ];
  });
}
