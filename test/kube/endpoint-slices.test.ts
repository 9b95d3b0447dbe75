import { expect, test } from "vitest";
import { cluster } from "./texts.js";

const service = (spec: string, extra = ""): string =>
  `apiVersion: v1\nkind: Service\nmetadata: {name: s${extra}}\nspec: {${spec}}\n`;
const pod = (name: string, spec = "", status = "", meta = ""): string =>
  `apiVersion: v1\nkind: Pod\nmetadata: {name: ${name}, labels: {app: a}${meta}}\nspec: {containers: [{name: c${spec}}]}\nstatus: {${status}}\n`;

function slicesOf(...texts: readonly string[]): readonly string[] {
  return cluster(texts.join("---\n"))
    .endpointSlices.filter(
      ({ object }) => object.metadata?.labels?.["kubernetes.io/service-name"] === "s",
    )
    .map(({ object: { endpoints, ports } }) => {
      const shownPorts = (ports ?? [])
        .map((port) => `${port.name}:${port.port}/${port.protocol}`)
        .join(",");
      const shown = endpoints.map(({ targetRef, conditions = {} }) => {
        const flags = Object.entries(conditions).flatMap(([flag, on]) => (on ? [flag[0]] : []));
        return `${targetRef?.name ?? "-"}(${flags.join("")})`;
      });
      return `${shownPorts} ${shown.join(" ")}`;
    });
}

test("a slice has the pods that the selector matches, ports as the pods offer them", () => {
  expect(
    slicesOf(
      service("selector: {app: a}, ports: [{port: 80, targetPort: 8080}]"),
      pod("p1"),
      pod("p2"),
      pod("q").replace("app: a", "app: b"),
    ),
  ).toEqual([":8080/TCP p1(rs) p2(rs)"]);
});

test("a named target port is resolved pod by pod, and pods that resolve it differently are in different slices", () => {
  const named = service("selector: {app: a}, ports: [{name: web, port: 80, targetPort: http}]");
  const with8080 = pod("p1", ", ports: [{name: http, containerPort: 8080}]");
  const with9090 = pod("p2", ", ports: [{name: http, containerPort: 9090}]");
  const udp = pod("p3", ", ports: [{name: http, containerPort: 7070, protocol: UDP}]");
  expect(slicesOf(named, with8080, with9090, udp)).toEqual([
    "web:8080/TCP p1(rs)",
    "web:9090/TCP p2(rs)",
    " p3(rs)",
  ]);
});

test("readiness, termination and the end of a pod show in its conditions", () => {
  const notReady = pod("p1", "", 'phase: Running, conditions: [{type: Ready, status: "False"}]');
  const leaving = pod(
    "p2",
    "",
    'phase: Running, conditions: [{type: Ready, status: "True"}]',
    ', deletionTimestamp: "2026-01-01T00:00:00Z"',
  );
  const texts = [
    notReady,
    leaving,
    pod("p3", "", "phase: Succeeded"),
    pod("p4", "", "phase: Pending"),
  ];
  expect(slicesOf(service("selector: {app: a}, ports: [{port: 80}]"), ...texts)).toEqual([
    ":80/TCP p1() p2(st) p4()",
  ]);
  expect(
    slicesOf(
      service("selector: {app: a}, ports: [{port: 80}], publishNotReadyAddresses: true"),
      ...texts,
    ),
  ).toEqual([":80/TCP p1(r) p2(rst) p4(r)"]);
});

test("a slice holds a hundred endpoints", () => {
  const pods = Array.from({ length: 150 }, (_, index) => pod(`p${index}`));
  expect(
    slicesOf(service("selector: {app: a}, ports: [{port: 80}]"), ...pods).map(
      (text) => text.split(" ").length - 1,
    ),
  ).toEqual([100, 50]);
});

test("a Service without pods has an empty slice, one without selector none, an ExternalName none", () => {
  expect(slicesOf(service("selector: {app: x}, ports: [{port: 80}]"))).toEqual([" "]);
  expect(slicesOf(service("ports: [{port: 80}]"))).toEqual([]);
  expect(slicesOf(service("type: ExternalName, externalName: example.org"))).toEqual([]);
});

test("given slices are used as they are, and Endpoints are mirrored where there is no selector", () => {
  const slice = `apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: mine, labels: {kubernetes.io/service-name: s}}\naddressType: IPv4\nendpoints: [{addresses: [192.0.2.1]}]\nports: [{name: "", port: 1}]\n`;
  const world = cluster(
    [service("selector: {app: a}, ports: [{port: 80}]"), pod("p1"), slice].join("---\n"),
  );
  expect(
    world.endpointSlices
      .map(({ object }) => object.metadata?.name)
      .filter((name) => name === "mine" || name?.startsWith("s-")),
  ).toEqual(["mine"]);
  const endpoints = `apiVersion: v1\nkind: Endpoints\nmetadata: {name: s}\nsubsets:\n  - addresses: [{ip: 192.0.2.7}]\n    notReadyAddresses: [{ip: 192.0.2.8}]\n    ports: [{name: db, port: 5432}]\n`;
  expect(slicesOf(service("ports: [{name: db, port: 5432}]"), endpoints)).toEqual([
    "db:5432/TCP -(r) -()",
  ]);
});

test("a headless Service's slice says so, and its StatefulSet's pods have host names", () => {
  const set = `apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: w}\nspec: {serviceName: s, selector: {matchLabels: {app: a}}, template: {metadata: {labels: {app: a}}, spec: {containers: [{name: c}]}}}\n`;
  const world = cluster([service("clusterIP: None, selector: {app: a}"), set].join("---\n"));
  const slice = world.endpointSlices.find(
    ({ object }) => object.metadata?.labels?.["kubernetes.io/service-name"] === "s",
  );
  expect(slice?.object.metadata?.labels).toHaveProperty(["service.kubernetes.io/headless"]);
  expect(slice?.object.endpoints[0]).toMatchObject({ hostname: "w-0", nodeName: "worker-2" });
});
