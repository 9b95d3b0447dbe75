import type { Service } from "kubernetes-types/core/v1.js";
import type { Cluster, ClusterPod } from "./cluster.js";
import { nameOf, namespaceOf } from "./objects.js";

/** One environment variable: its name and its value. */
export type Variable = readonly [name: string, value: string];

/**
 * What kubelet tells a pod's containers of Services: those of its namespace that have a ClusterIP, unless the pod says
 * `enableServiceLinks: false`, and the API server's always. Differs: all Services count, as if the pod were started last;
 * they come in the order of their names. Mirrors pkg/kubelet/envvars/envvars.go:FromServices().
 */
export function serviceVariables(
  { services }: Pick<Cluster, "services">,
  pod: ClusterPod,
): readonly Variable[] {
  const links = pod.loaded.object.spec?.enableServiceLinks !== false;
  const own = services
    .map(({ object }) => object)
    .filter((service) => hasAddress(service))
    .filter((service) => {
      const namespace = namespaceOf(service);
      const isApi = namespace === "default" && nameOf(service) === "kubernetes";
      return (links && namespace === pod.namespace) || isApi;
    })
    // A Service of the pod's namespace hides the API server's of the same name.
    .toSorted((a, b) => compare(nameOf(a), nameOf(b)) || rank(a, pod) - rank(b, pod));
  const byName = new Map(own.map((service) => [nameOf(service), service]));
  return [...byName.values()].flatMap(variablesOf);
}

function hasAddress({ spec }: Service): boolean {
  const { clusterIP = "", type } = spec ?? {};
  return type !== "ExternalName" && clusterIP !== "" && clusterIP !== "None";
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** The last of a name stays. */
function rank(service: Service, pod: ClusterPod): number {
  return namespaceOf(service) === pod.namespace ? 1 : 0;
}

function variablesOf(service: Service): readonly Variable[] {
  const prefix = variableName(nameOf(service));
  const { clusterIP: host = "", ports = [] } = service.spec ?? {};
  const [first] = ports;
  if (first === undefined) return [];
  const named = ports.flatMap(({ name = "", port }): Variable[] =>
    name === "" ? [] : [[`${prefix}_SERVICE_PORT_${variableName(name)}`, String(port)]],
  );
  const links = ports.flatMap(({ port, protocol = "TCP" }, index): Variable[] => {
    const url = `${protocol.toLowerCase()}://${host.includes(":") ? `[${host}]` : host}:${port}`;
    const own = `${prefix}_PORT_${port}_${protocol.toUpperCase()}`;
    return [
      ...(index === 0 ? ([[`${prefix}_PORT`, url]] as const) : []),
      [own, url],
      [`${own}_PROTO`, protocol.toLowerCase()],
      [`${own}_PORT`, String(port)],
      [`${own}_ADDR`, host],
    ];
  });
  return [
    [`${prefix}_SERVICE_HOST`, host],
    [`${prefix}_SERVICE_PORT`, String(first.port)],
    ...named,
    ...links,
  ];
}

/** `my-web` as `MY_WEB`. */
function variableName(name: string): string {
  return name.toUpperCase().replaceAll("-", "_");
}
