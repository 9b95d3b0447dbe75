import { UserError } from "../base/errors.js";
import { nearest } from "../base/nearest.js";
import type { Cluster, ClusterNode } from "../kube/cluster.js";
import { formatResolvConf } from "../kube/dns/resolv-conf.js";
import { podNamespace } from "../kube/nodes.js";
import { keyOf, nameOf, namespaceOf } from "../kube/objects.js";
import { serviceVariables } from "../kube/service-env.js";
import { clusterPeerText, selectorText } from "../kube/policy/clause-text.js";
import { effectiveTypes } from "../kube/policy/oracle.js";
import { runTool } from "../tools/index.js";
import { nodeAddresses, ofFamily, podAddresses } from "../kube/own-addresses.js";
import { formatIp, formatIpv4Prefix, formatIpv6Prefix, type IpAddress } from "../wire/ip.js";
import { buildLab, settleIpv6 } from "./build.js";
import { usesIpv6 } from "./lab.js";
import type { EndpointAddress } from "kubernetes-types/core/v1.js";
import { legacyEndpoints } from "../kube/controllers/legacy-endpoints.js";
import { parseSource } from "./endpoints.js";
import { buildLiveCluster, dnsPods, resolvConfOf } from "./live-cluster.js";
import { nodeResolvConf } from "./resolvers.js";
import type { ClusterWorld, LabWorld } from "./world.js";

export interface Table {
  readonly header: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

type Lister = (world: ClusterWorld) => Table;

/** What is listed from objects alone. */
const listers: Readonly<
  Record<
    "nodes" | "pods" | "services" | "endpoints" | "legacy-endpoints" | "policies" | "ipam" | "dns",
    Lister
  >
> = {
  nodes: ({ cluster }) => ({
    header: ["NAME", "ADDRESS", "PODCIDR", "PODS", "ROLE", "FROM"],
    rows: cluster.nodes.map((node) => [
      node.name,
      listed(cluster, nodeAddresses(node)),
      cidrsOf(cluster, node),
      String(cluster.pods.filter((pod) => pod.node === node.name).length),
      node.controlPlane ? "control-plane" : "<none>",
      fromOf(node.loaded.origin),
    ]),
  }),
  pods: ({ cluster }) => ({
    header: ["NAMESPACE", "NAME", "READY", "ADDRESS", "NODE", "FROM"],
    rows: cluster.pods.map((pod) => [
      pod.namespace,
      pod.name,
      pod.ready ? "yes" : "no",
      listed(cluster, podAddresses(pod)),
      pod.node ?? "<pending>",
      fromOf(pod.loaded.origin),
    ]),
  }),
  services: ({ cluster }) => ({
    header: ["NAMESPACE", "NAME", "TYPE", "CLUSTER-IP", "PORTS", "FROM"],
    rows: cluster.services.map(({ object, origin }) => [
      namespaceOf(object),
      nameOf(object),
      object.spec?.type ?? "ClusterIP",
      object.spec?.clusterIP ?? "<none>",
      (object.spec?.ports ?? [])
        .map(
          ({ port, protocol, nodePort }) =>
            `${port}${nodePort === undefined ? "" : `:${nodePort}`}/${protocol ?? "TCP"}`,
        )
        .join(","),
      fromOf(origin),
    ]),
  }),
  endpoints: ({ cluster }) => ({
    header: ["SERVICE", "SLICE", "ADDRESS", "PORTS", "READY", "POD", "NODE"],
    rows: cluster.endpointSlices.flatMap(({ object }) =>
      (object.endpoints ?? []).flatMap((endpoint) =>
        endpoint.addresses.map((address) => [
          `${namespaceOf(object)}/${object.metadata?.labels?.["kubernetes.io/service-name"] ?? ""}`,
          nameOf(object),
          address,
          (object.ports ?? [])
            .map(
              ({ name, port }) =>
                `${name === undefined || name === "" ? "" : `${name}=`}${port ?? ""}`,
            )
            .join(","),
          endpoint.conditions?.ready === false ? "no" : "yes",
          endpoint.targetRef?.name ?? "<none>",
          endpoint.nodeName ?? "<none>",
        ]),
      ),
    ),
  }),
  "legacy-endpoints": ({ cluster }) => ({
    header: ["SERVICE", "ADDRESS", "PORTS", "READY", "POD", "NODE", "OVER-CAPACITY"],
    rows: legacyEndpointRows(cluster),
  }),
  policies: ({ cluster }) => ({
    header: ["NAMESPACE", "NAME", "KIND", "SELECTS", "TYPES", "RULES", "FROM"],
    rows: policyRows(cluster),
  }),
  ipam: ({ cluster }) => ({
    header: ["NODE", "PODCIDR", "POD", "ADDRESS"],
    rows: cluster.nodes.flatMap((node) =>
      cluster.pods
        .filter((pod) => pod.node === node.name && !pod.hostNetwork)
        .map((pod) => [
          node.name,
          cidrsOf(cluster, node),
          pod.key,
          listed(cluster, podAddresses(pod)),
        ]),
    ),
  }),
  dns: ({ cluster }) => ({
    header: ["SERVICE", "ADDRESS", "POD", "POD-ADDRESS", "NODE"],
    rows: dnsPods(cluster).map((pod) => [
      cluster.dns === undefined ? "<none>" : keyOf(cluster.dns.object),
      cluster.dns?.object.spec?.clusterIP ?? "<none>",
      pod.key,
      listed(cluster, podAddresses(pod)),
      pod.node ?? "<none>",
    ]),
  }),
};

/** A row for each address of the old Endpoints objects. */
function legacyEndpointRows(cluster: Cluster): readonly (readonly string[])[] {
  return legacyEndpoints({ ...cluster, endpoints: cluster.objects.Endpoints }).flatMap(
    ({ object }) =>
      (object.subsets ?? []).flatMap(({ addresses = [], notReadyAddresses = [], ports = [] }) => {
        const shown = ports.map(({ name = "", port }) => `${name === "" ? "" : `${name}=`}${port}`);
        const row = ({ ip, targetRef, nodeName }: EndpointAddress, ready: string): string[] => [
          keyOf(object),
          ip,
          shown.join(","),
          ready,
          targetRef?.name ?? "<none>",
          nodeName ?? "<none>",
          object.metadata?.annotations?.["endpoints.kubernetes.io/over-capacity"] ?? "<none>",
        ];
        return [
          ...addresses.map((address) => row(address, "yes")),
          ...notReadyAddresses.map((address) => row(address, "no")),
        ];
      }),
  );
}

/** Addresses in the order of the cluster's families, as kubectl lists them. */
function listed({ networks }: Cluster, addresses: readonly IpAddress[]): string {
  const own = networks.families.flatMap((family) => ofFamily(addresses, family) ?? []);
  return own.length === 0 ? "<none>" : own.map(formatIp).join(",");
}

/** A node's blocks of pods, in the same order. */
function cidrsOf({ networks }: Cluster, { podCidr, podCidr6 }: ClusterNode): string {
  const own = networks.families.flatMap((family) =>
    family === 4
      ? podCidr === undefined
        ? []
        : [formatIpv4Prefix(podCidr)]
      : podCidr6 === undefined
        ? []
        : [formatIpv6Prefix(podCidr6)],
  );
  return own.length === 0 ? "<none>" : own.join(",");
}

/** A row for each policy of every kind; `*` stands for no namespace, `{}` selects everything. */
function policyRows({ objects }: Cluster): readonly (readonly string[])[] {
  const own = objects.NetworkPolicy.map(({ object, origin }) => {
    const { podSelector = {}, ingress = [], egress = [] } = object.spec ?? {};
    return [
      namespaceOf(object),
      nameOf(object),
      "NetworkPolicy",
      selectorText(podSelector),
      effectiveTypes(object).join(","),
      String(ingress.length + egress.length),
      fromOf(origin),
    ];
  });
  const wide = [
    ...objects.AdminNetworkPolicy,
    ...objects.BaselineAdminNetworkPolicy,
    ...objects.ClusterNetworkPolicy,
  ].map(({ object, origin }) => {
    const { subject = {}, ingress = [], egress = [] } = object.spec ?? {};
    return [
      "*",
      nameOf(object),
      object.kind ?? "",
      clusterPeerText(subject),
      [...(ingress.length > 0 ? ["ingress"] : []), ...(egress.length > 0 ? ["egress"] : [])].join(
        ",",
      ),
      String(ingress.length + egress.length),
      fromOf(origin),
    ];
  });
  return [...own, ...wide];
}

/** What a tool prints in a node or pod. */
const toolCommands: Readonly<
  Record<"routes" | "rules" | "ct" | "fdb" | "neigh", readonly string[]>
> = {
  routes: ["ip", "route", "show"],
  rules: ["iptables-save", "-c"],
  ct: ["conntrack", "-L"],
  fdb: ["bridge", "fdb", "show"],
  neigh: ["ip", "neigh", "show"],
};

/** The same of IPv6. Connections and bridges' entries are listed whatever the family. */
const toolCommands6: Readonly<Partial<Record<keyof typeof toolCommands, readonly string[]>>> = {
  routes: ["ip", "-6", "route", "show"],
  rules: ["ip6tables-save", "-c"],
  ct: ["conntrack", "-L", "-f", "ipv6"],
  neigh: ["ip", "-6", "neigh", "show"],
};

type ToolKind = keyof typeof toolCommands;
export type ShowKind = keyof typeof listers | ToolKind;

export interface ShowSettings {
  readonly seed: number;
  /** `-6`: what the tool prints of IPv6. */
  readonly ipv6?: boolean | undefined;
}

/** A table of objects, narrowed to `name` when given, or the text of a tool in the node or pod `name`. Throws UserError. */
export function showTable(
  world: ClusterWorld,
  kind: ShowKind,
  name: string | undefined,
  options: ShowSettings,
): Table | string {
  if (isToolKind(kind)) return toolText(world, kind, name, options);
  if (options.ipv6 === true) throw noFamily(kind);
  const table = listers[kind](world);
  if (name === undefined) return table;
  const rows = table.rows.filter(
    (row) => row.includes(name) || `${row[0] ?? ""}/${row[1] ?? ""}` === name,
  );
  if (rows.length > 0) return { ...table, rows };
  const known = table.rows.flatMap((row) => [
    `${row[0] ?? ""}/${row[1] ?? ""}`,
    ...row.slice(0, 3),
  ]);
  const near = nearest(name, known);
  throw new UserError("SHOW_NAME", `no ${kind} named "${name}" in ${world.name}`, {
    help: near === undefined ? `hopwise show ${kind} lists all` : `did you mean ${near}?`,
  });
}

/** The resolv.conf of one pod. */
export function podResolvText(world: ClusterWorld, name: string): string {
  const source = parseSource(name, world.cluster, world.name);
  return formatResolvConf(
    resolvConfOf(
      world.cluster,
      source.kind === "inside" ? source.pod : undefined,
      nodeResolvConf(world),
    ),
  );
}

/** The environment variables about Services that kubelet gives a pod's containers, as `env` prints them. Throws UserError. */
export function podEnvironmentText(world: ClusterWorld, name: string): string {
  const source = parseSource(name, world.cluster, world.name);
  if (source.kind !== "inside" || source.pod === undefined)
    throw new UserError("SHOW_WHERE", `"${name}" is not a pod`);
  return serviceVariables(world.cluster, source.pod)
    .map(([variable, value]) => `${variable}=${value}\n`)
    .join("");
}

function isToolKind(kind: ShowKind): kind is ToolKind {
  return kind in toolCommands;
}

/** The command of a kind, in the family that is asked for. Throws UserError. */
function commandOf(kind: ToolKind, { ipv6 }: ShowSettings): readonly string[] {
  if (ipv6 !== true) return toolCommands[kind];
  const command = toolCommands6[kind];
  if (command === undefined) throw noFamily(kind);
  return command;
}

function noFamily(kind: string): UserError {
  return new UserError("SHOW_FAMILY", `${kind} are not of one family of addresses`, {
    help: `-6 is for ${Object.keys(toolCommands6).join(", ")}`,
  });
}

function toolText(
  world: ClusterWorld,
  kind: ToolKind,
  name: string | undefined,
  options: ShowSettings,
): string {
  const argv = commandOf(kind, options);
  if (name === undefined) throw whereMissing(kind, world.cluster.nodes[0]?.name ?? "NODE");
  const source = parseSource(name, world.cluster, world.name);
  const ns =
    source.kind === "inside"
      ? source.pod === undefined
        ? source.ns
        : podNamespace(source.pod)
      : undefined;
  if (ns === undefined) throw new UserError("SHOW_WHERE", `"${name}" is outside the cluster`);
  return runTool(buildLiveCluster(world, options.seed).sim, { ns, argv }).stdout;
}

/** The text of a tool in a lab's namespace; objects there are none. Throws UserError. */
export function showInLab(
  { lab, name: world }: Pick<LabWorld, "lab" | "name">,
  kind: ShowKind,
  name: string | undefined,
  options: ShowSettings,
): string {
  if (!isToolKind(kind)) {
    throw new UserError("SHOW_LAB", `${world} is a lab without Kubernetes: it has no ${kind}`, {
      help: `it has ${Object.keys(toolCommands).join(", ")}`,
    });
  }
  if (name === undefined) throw whereMissing(kind, lab.namespaces[0] ?? "NAMESPACE");
  const argv = commandOf(kind, options);
  if (!lab.namespaces.includes(name)) {
    const near = nearest(name, lab.namespaces);
    throw new UserError("SHOW_WHERE", `${world} has no namespace "${name}"`, {
      help: near === undefined ? `it has ${lab.namespaces.join(", ")}` : `did you mean ${near}?`,
    });
  }
  const sim = buildLab(lab, options.seed);
  if (usesIpv6(lab)) settleIpv6(sim);
  return runTool(sim, { ns: name, argv }).stdout;
}

function whereMissing(kind: string, example: string): UserError {
  return new UserError("SHOW_WHERE", `${kind} are those of one node or pod`, {
    help: `say which: hopwise show ${kind} ${example}`,
  });
}

function fromOf({
  file,
  line,
  assumed,
}: {
  readonly file: string;
  readonly line: number;
  readonly assumed: string | undefined;
}): string {
  return assumed === undefined ? `${file}:${line}` : "assumed";
}
