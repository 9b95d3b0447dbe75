import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { parseDestination, parseSource } from "../../src/lab/endpoints.js";
import { loadWorld } from "../../src/lab/world.js";
import { formatIp } from "../../src/wire/ip.js";

const folder = new URL("../../topologies/shop/", import.meta.url);
const world = loadWorld(
  readdirSync(folder)
    .filter((file) => file.includes("."))
    .map((file) => ({ file, text: readFileSync(new URL(file, folder), "utf8") })),
  "demo:shop",
);
if (world.kind !== "cluster") throw new Error("demo:shop is a cluster");
const { cluster } = world;

const to = (text: string, protocol: "tcp" | "udp" | "icmp" = "tcp"): string => {
  const found = parseDestination(text, cluster, "demo:shop", protocol);
  return found.kind === "name"
    ? `${found.name} port ${found.port}`
    : `${formatIp(found.address)}:${found.port}`;
};

describe("a destination", () => {
  it.each([
    ["shop/api", "10.96.44.10:80"],
    ["shop/api:http", "10.96.44.10:80"],
    ["svc:shop/api:81", "10.96.44.10:81"],
    ["shop/api-0", "10.244.1.6:8080"],
    ["pod:shop/api-0:9", "10.244.1.6:9"],
    ["worker-1:22", "192.168.10.11:22"],
    ["10.1.2.3:4", "10.1.2.3:4"],
    ["http://api.shop", "api.shop port 80"],
    ["https://api.shop/x/y", "api.shop port 443"],
    ["http://api.shop:81/", "api.shop port 81"],
    ["api.shop:81", "api.shop port 81"],
  ])("%s is %s", (text, expected) => {
    expect(to(text)).toBe(expected);
  });

  it.each([
    ["shop/apu:80", /no pod, service or node/, /did you mean shop\/api\?/],
    ["svc/api:80", /no pod, service or node/, /did you mean svc\/shop\/api\?/],
    ["pod/web-0", /no pod, service or node/, /did you mean pod\/shop\/web-0\?/],
    ["svc/shop/apo", /no pod, service or node/, /did you mean shop\/api\?/],
    ["web-0", /no pod, service or node/, /did you mean shop\/web-0\?/],
    ["shop/api:htp", /no tcp port "htp"/, /did you mean "http"\?/],
    ["shop/api:99999", /"99999" in .* is not a port/, /from 1 to 65535/],
    ["batch/job-0", /declares no tcp ports/, /batch\/job-0:PORT/],
    ["worker-1", /names no port/, /worker-1:PORT/],
    ["kube-system/kube-dns", /has several tcp ports/, /dns-tcp tcp\/53/],
  ])("%s is refused with help", (text, message, help) => {
    expect(() => to(text)).toThrow(message);
    try {
      to(text);
    } catch (error) {
      expect((error as { details: { help: string } }).details.help).toMatch(help);
    }
  });

  it("means the Service where a workload has the same name, and asks where a pod has it", () => {
    const twins = loadWorld(
      [
        {
          file: "twins.yaml",
          text: `apiVersion: apps/v1
kind: Deployment
metadata: {name: cart, namespace: default}
spec:
  selector: {matchLabels: {app: cart}}
  template: {metadata: {labels: {app: cart}}, spec: {containers: [{name: c, image: i}]}}
---
apiVersion: v1
kind: Pod
metadata: {name: twin, namespace: default}
spec: {containers: [{name: c, image: i}]}
${["cart", "twin"]
  .map(
    (name) =>
      `---\napiVersion: v1\nkind: Service\nmetadata: {name: ${name}, namespace: default}\nspec: {clusterIP: 10.96.9.${name === "cart" ? 1 : 2}, selector: {app: cart}, ports: [{port: 7070}]}\n`,
  )
  .join("")}`,
        },
      ],
      "twins",
    );
    if (twins.kind !== "cluster") throw new Error("no cluster");
    const asked = (text: string) => parseDestination(text, twins.cluster, "twins", "tcp");
    expect(asked("default/cart:7070")).toMatchObject({ service: "default/cart" });
    expect(asked("pod:default/cart:7070")).toMatchObject({
      pod: { workload: { name: "cart" } },
      port: 7070,
    });
    expect(() => asked("default/twin:7070")).toThrow('"default/twin:7070" is a pod and a service');
  });

  it("needs no port for ICMP", () => {
    expect(to("shop/db", "icmp")).toBe("10.96.44.20:0");
  });
});

describe("a source", () => {
  it.each([
    ["shop/web-0", "shop/web-0"],
    ["pod:shop/web-0", "shop/web-0"],
    ["worker-2", "worker-2"],
    ["10.244.1.5", "shop/web-0"],
    ["192.168.10.12", "worker-2"],
  ])("%s sends from %s", (text, ns) => {
    const source = parseSource(text, cluster, "demo:shop");
    expect(source.kind === "inside" ? source.ns : "outside").toBe(ns);
  });

  it("is outside when nobody inside has the address", () => {
    expect(parseSource("203.0.113.9", cluster, "demo:shop").kind).toBe("outside");
  });
});
