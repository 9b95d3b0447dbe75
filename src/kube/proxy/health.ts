import type { Node } from "kubernetes-types/core/v1.js";
import type { Cluster } from "../cluster.js";
import { keyOf, namespaceOf, nameOf } from "../objects.js";

/** The port on which kube-proxy tells of itself: `healthzBindAddress`. */
export const HEALTHZ_PORT = 10_256;

/** What an HTTP server answers. */
export interface HttpAnswer {
  readonly status: 200 | 400 | 404 | 503;
  /** In the order they are sent. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string;
}

/** When it is: `2025-01-01 00:00:00`, and as HTTP has it. */
export interface ServerTime {
  readonly text: string;
  readonly http: string;
}

type Services = Pick<Cluster, "services" | "endpointSlices" | "nodes">;

/** The ports of a node that answer load balancers, by the Service that each is for. */
export function healthCheckPorts({
  services,
}: Pick<Cluster, "services">): ReadonlyMap<number, string> {
  return new Map(
    services.flatMap(({ object }) => {
      const port = object.spec?.healthCheckNodePort ?? 0;
      return port === 0 ? [] : [[port, keyOf(object)] as const];
    }),
  );
}

/**
 * What kube-proxy on a node answers on one of its ports: 200 where the Service has ready endpoints on the node, 503 where it
 * has none; on its own port whether load balancers may use the node. Mirrors pkg/proxy/healthcheck/service_health.go:
 * hcHandler.ServeHTTP() and proxy_health.go:healthzHandler.ServeHTTP().
 */
export function healthAnswer(
  cluster: Services,
  node: string,
  port: number,
  path: string,
  time: ServerTime,
): HttpAnswer | undefined {
  if (port === HEALTHZ_PORT) return proxyHealth(cluster, node, path, time);
  const service = cluster.services.find(({ object }) => object.spec?.healthCheckNodePort === port);
  if (service === undefined) return undefined;
  const { object } = service;
  const count = localEndpoints(cluster, keyOf(object), node);
  const body = [
    "{",
    '\t"service": {',
    `\t\t"namespace": ${JSON.stringify(namespaceOf(object))},`,
    `\t\t"name": ${JSON.stringify(nameOf(object))}`,
    "\t},",
    `\t"localEndpoints": ${count},`,
    '\t"serviceProxyHealthy": true',
    "}",
  ].join("\n");
  const headers = [
    ["Content-Type", "application/json"],
    ["X-Content-Type-Options", "nosniff"],
    ["X-Load-Balancing-Endpoint-Weight", String(count)],
  ] as const;
  return { status: count > 0 ? 200 : 503, headers, body };
}

/** Ready endpoints on the node, each address once. Mirrors pkg/proxy/endpointschangetracker.go:LocalReadyEndpoints(). */
function localEndpoints({ endpointSlices }: Services, service: string, node: string): number {
  const found = new Set<string>();
  for (const { object } of endpointSlices) {
    const owner = object.metadata?.labels?.["kubernetes.io/service-name"] ?? "";
    if (`${namespaceOf(object)}/${owner}` !== service) continue;
    for (const { addresses, conditions, nodeName } of object.endpoints ?? [])
      if (nodeName === node && conditions?.ready !== false) found.add(addresses[0] ?? "");
  }
  return found.size;
}

function proxyHealth(
  { nodes }: Services,
  name: string,
  path: string,
  time: ServerTime,
): HttpAnswer {
  if (path !== "/healthz" && path !== "/livez")
    return {
      status: 404,
      headers: [
        ["Content-Type", "text/plain; charset=utf-8"],
        ["X-Content-Type-Options", "nosniff"],
      ],
      body: "404 page not found\n",
    };
  const node = nodes.find((one) => one.name === name);
  const eligible = node === undefined || isEligible(node.loaded.object);
  const now = JSON.stringify(`${time.text} +0000 UTC`);
  const body = `{"lastUpdated": ${now},"currentTime": ${now}, "nodeEligible": ${eligible}}`;
  return {
    // Whether kube-proxy itself lives is asked of livez alone.
    status: eligible || path === "/livez" ? 200 : 503,
    headers: [
      ["Content-Type", "application/json"],
      ["X-Content-Type-Options", "nosniff"],
    ],
    body,
  };
}

/** A node that is about to go takes no new connections. Mirrors pkg/proxy/healthcheck/proxy_health.go:SyncNode(). */
function isEligible({ metadata, spec }: Node): boolean {
  return (
    metadata?.deletionTimestamp === undefined &&
    !(spec?.taints ?? []).some(({ key }) => key === "ToBeDeletedByClusterAutoscaler")
  );
}

const REASONS = {
  200: "OK",
  400: "Bad Request",
  404: "Not Found",
  503: "Service Unavailable",
} as const;

/** An answer as Go's server sends it to a request; the body is left out for HEAD. */
export function formatHttpAnswer(
  { status, headers, body }: HttpAnswer,
  method: string,
  time: ServerTime,
): string {
  const length = new TextEncoder().encode(body).length;
  return [
    `HTTP/1.1 ${status} ${REASONS[status]}`,
    ...headers.map(([name, value]) => `${name}: ${value}`),
    `Date: ${time.http}`,
    `Content-Length: ${length}`,
    "",
    method === "HEAD" ? "" : body,
  ].join("\r\n");
}

/** What Go's server answers to what is no request. */
export const BAD_REQUEST =
  "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n400 Bad Request";
