import { describe, expect, it } from "vitest";
import type { Recording } from "../../src/core/recording.js";
import { clusterLab } from "../../src/lab/cluster-lab.js";
import { traceRequest } from "../../src/lab/trace.js";
import { loadWorld, type World } from "../../src/lab/world.js";
import { verdictName } from "../../src/view/outcome.js";
import { viewOf } from "../../src/view/trace-view.js";
import { topology } from "../kube/texts.js";
import { failures, play } from "./scenario/worlds.js";

const service = (ipMode = ""): string => `apiVersion: v1
kind: Service
metadata: {name: front, namespace: shop}
spec:
  type: LoadBalancer
  clusterIP: 10.96.44.99
  externalTrafficPolicy: Local
  healthCheckNodePort: 31999
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080, nodePort: 30999}]
status: {loadBalancer: {ingress: [{ip: 203.0.113.80${ipMode}}]}}
`;

function shop(...texts: readonly string[]): World {
  const files = texts.map((text, index) => ({ file: `added-${index}.yaml`, text }));
  return loadWorld([...topology("shop"), ...files], "shop");
}

function trace(world: World, source: string, destination: string): Recording {
  const flow = { protocol: "tcp" as const, sourcePort: 40_000, ttl: undefined, seed: 1 };
  return traceRequest(world, { source, destination, ...flow, endpoint: undefined, oneWay: false });
}

const verdict = (recording: Recording): string => verdictName(viewOf(recording).verdict);

/** The lines of the answer that came, as the client read them. */
function answer({ events, request }: Recording): readonly string[] {
  const texts = events.flatMap((event) =>
    event.ns === request.sourceNs && event.kind === "device" && event.direction === "rx"
      ? [new TextDecoder().decode(event.frame.payload)]
      : [],
  );
  return texts.join("").split("\r\n");
}

describe("a health check node port", () => {
  const world = shop(service());

  it("answers 200 with how many endpoints the node has", () => {
    const recording = trace(world, "203.0.113.9", "192.168.10.11:31999");
    expect(verdict(recording)).toBe("DELIVERED");
    expect(answer(recording)).toEqual([
      "HTTP/1.1 200 OK",
      "Content-Type: application/json",
      "X-Content-Type-Options: nosniff",
      "X-Load-Balancing-Endpoint-Weight: 1",
      "Date: Wed, 01 Jan 2025 00:00:00 GMT",
      "Content-Length: 113",
      "",
      [
        "{",
        '\t"service": {',
        '\t\t"namespace": "shop",',
        '\t\t"name": "front"',
        "\t},",
        '\t"localEndpoints": 1,',
        '\t"serviceProxyHealthy": true',
        "}",
      ].join("\n"),
    ]);
    expect(recording.notes[0]).toBe(
      'kube-proxy answers HTTP 200 OK: { "service": { "namespace": "shop", "name": "front" }, "localEndpoints": 1, "serviceProxyHealthy": true }',
    );
  });

  it("answers 503 on a node without one", () => {
    const recording = trace(world, "203.0.113.9", "192.168.10.12:31999");
    expect(answer(recording)[0]).toBe("HTTP/1.1 503 Service Unavailable");
    expect(recording.notes[0]).toContain('"localEndpoints": 0');
  });
});

describe("kube-proxy's own health", () => {
  it("is told on port 10256 of every node", () => {
    const recording = trace(shop(), "203.0.113.9", "192.168.10.12:10256");
    expect(answer(recording)).toEqual([
      "HTTP/1.1 200 OK",
      "Content-Type: application/json",
      "X-Content-Type-Options: nosniff",
      "Date: Wed, 01 Jan 2025 00:00:00 GMT",
      "Content-Length: 117",
      "",
      '{"lastUpdated": "2025-01-01 00:00:00 +0000 UTC","currentTime": "2025-01-01 00:00:00 +0000 UTC", "nodeEligible": true}',
    ]);
  });

  it("says of a node that the autoscaler takes away that it is not eligible", () => {
    const leaving =
      "apiVersion: v1\nkind: Node\nmetadata: {name: worker-2}\nspec: {podCIDR: 10.244.2.0/24, taints: [{key: ToBeDeletedByClusterAutoscaler, effect: NoSchedule}]}\nstatus: {addresses: [{type: InternalIP, address: 192.168.10.12}]}\n";
    const recording = trace(shop(leaving), "203.0.113.9", "192.168.10.12:10256");
    expect(answer(recording)[0]).toBe("HTTP/1.1 503 Service Unavailable");
    expect(recording.notes[0]).toContain('"nodeEligible": false');
  });
});

describe("a load balancer's probe in a scenario", () => {
  it("sees a node's endpoint go and come", () => {
    const get = '"GET /healthz HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n"';
    const view = play(
      shop(service()),
      `
  - open: {name: probe, from: 203.0.113.9, to: "192.168.10.11:31999"}
  - send: {on: probe, data: ${get}}
    expect: {answer: "HTTP/1.1 200 OK"}
  - ready: {shop/web-0: false}
  - send: {on: probe, data: ${get}}
    expect: {answer: '"localEndpoints": 0'}
  - send: {on: probe, data: "hello"}
    expect: {answer: "HTTP/1.1 400 Bad Request"}`,
    );
    expect(failures(view)).toEqual([]);
  });
});

describe("kube-proxy's settings", () => {
  const proxy = (config: string): string =>
    `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: kube-proxy, namespace: kube-system}\ndata:\n  config.conf: |\n    apiVersion: kubeproxy.config.k8s.io/v1alpha1\n    kind: KubeProxyConfiguration\n    ${config}\n`;
  const rulesOf = (world: World): readonly string[] => {
    if (world.kind !== "cluster") throw new Error("no cluster");
    const found = clusterLab(world).lab.commands.find(
      ({ stdinName }) => stdinName === "worker-1/kube-proxy.rules",
    );
    return (found?.stdin ?? "").split("\n");
  };

  it("nodePortAddresses finds the address of the node's bridge too", () => {
    const rules = rulesOf(shop(proxy('nodePortAddresses: ["10.244.0.0/16"]')));
    expect(rules.filter((line) => line.includes("-j KUBE-NODEPORTS"))).toEqual(
      expect.arrayContaining([expect.stringContaining("-d 10.244.1.1 ")]),
    );
  });

  it("an address of ipMode Proxy is captured only without the gate LoadBalancerIPMode", () => {
    const captured = (world: World): boolean =>
      rulesOf(world).some((line) => line.includes("-d 203.0.113.80"));
    expect(captured(shop(service()))).toBe(true);
    expect(captured(shop(service(", ipMode: Proxy")))).toBe(false);
    const off = proxy("featureGates: {LoadBalancerIPMode: false}");
    expect(captured(shop(service(", ipMode: Proxy"), off))).toBe(true);
    expect(
      trace(shop(service(", ipMode: Proxy")), "203.0.113.9", "svc:shop/front").notes,
    ).toContain(
      "load balancer 203.0.113.80 has ipMode Proxy: it opens connections of its own to node port 30999, from its own address",
    );
  });
});
