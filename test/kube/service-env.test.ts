import { expect, test } from "vitest";
import { serviceVariables } from "../../src/kube/service-env.js";
import { cluster } from "./texts.js";

const world = (pod: string): readonly string[] => {
  const found = cluster(`
apiVersion: v1
kind: Pod
metadata: {name: p, namespace: shop}
spec: {${pod} containers: [{name: c}]}
---
apiVersion: v1
kind: Service
metadata: {name: my-web, namespace: shop}
spec: {clusterIP: 10.96.7.5, ports: [{name: http, port: 80}, {name: dns-udp, port: 53, protocol: UDP}]}
---
apiVersion: v1
kind: Service
metadata: {name: headless, namespace: shop}
spec: {clusterIP: None, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: elsewhere, namespace: other}
spec: {clusterIP: 10.96.7.6, ports: [{port: 80}]}
`);
  const pod0 = found.pods.find(({ name }) => name === "p");
  if (pod0 === undefined) throw new Error("no pod");
  return serviceVariables(found, pod0).map(([name, value]) => `${name}=${value}`);
};

const api = [
  "KUBERNETES_SERVICE_HOST=10.96.0.1",
  "KUBERNETES_SERVICE_PORT=443",
  "KUBERNETES_SERVICE_PORT_HTTPS=443",
  "KUBERNETES_PORT=tcp://10.96.0.1:443",
  "KUBERNETES_PORT_443_TCP=tcp://10.96.0.1:443",
  "KUBERNETES_PORT_443_TCP_PROTO=tcp",
  "KUBERNETES_PORT_443_TCP_PORT=443",
  "KUBERNETES_PORT_443_TCP_ADDR=10.96.0.1",
];

test("a pod is told of its namespace's Services that have an address, and of the API server", () => {
  expect(world("")).toEqual([
    ...api,
    "MY_WEB_SERVICE_HOST=10.96.7.5",
    "MY_WEB_SERVICE_PORT=80",
    "MY_WEB_SERVICE_PORT_HTTP=80",
    "MY_WEB_SERVICE_PORT_DNS_UDP=53",
    "MY_WEB_PORT=tcp://10.96.7.5:80",
    "MY_WEB_PORT_80_TCP=tcp://10.96.7.5:80",
    "MY_WEB_PORT_80_TCP_PROTO=tcp",
    "MY_WEB_PORT_80_TCP_PORT=80",
    "MY_WEB_PORT_80_TCP_ADDR=10.96.7.5",
    "MY_WEB_PORT_53_UDP=udp://10.96.7.5:53",
    "MY_WEB_PORT_53_UDP_PROTO=udp",
    "MY_WEB_PORT_53_UDP_PORT=53",
    "MY_WEB_PORT_53_UDP_ADDR=10.96.7.5",
  ]);
});

test("without service links it is told of the API server alone", () => {
  expect(world("enableServiceLinks: false,")).toEqual(api);
});
