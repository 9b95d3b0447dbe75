import { describe, expect, it } from "vitest";
import { loadWorld } from "../../src/lab/world.js";
import { traceRequest } from "../../src/lab/trace.js";
import { formatMinimal } from "../../src/view/text.js";
import { viewOf } from "../../src/view/trace-view.js";

const nodes = ["a", "b"]
  .map(
    (name, n) => `
apiVersion: v1
kind: Node
metadata: {name: ${name}}
status: {addresses: [{type: InternalIP, address: 192.168.10.1${n}}]}
---`,
  )
  .join("");
const pod = `
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec: {nodeName: b, containers: [{name: c, ports: [{containerPort: 8080}]}]}
---`;
const service = (spec: string, ingress = "{ip: 198.51.100.7}"): string => `
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: LoadBalancer, selector: {app: web}, ports: [{port: 80, targetPort: 8080}], ${spec}}
status: {loadBalancer: {ingress: [${ingress}]}}
`;

function ask(text: string, source: string, destination: string): string {
  const world = loadWorld([{ file: "w.yaml", text: nodes + pod + text }], "w");
  const recording = traceRequest(world, {
    source,
    destination,
    protocol: "tcp",
    sourcePort: 40_000,
    ttl: undefined,
    seed: 1,
    endpoint: undefined,
    oneWay: false,
  });
  const chains = recording.events.flatMap((event) => (event.kind === "rule" ? event.chain : []));
  return `${formatMinimal(viewOf(recording))}last rule in ${chains.at(-1) ?? ""}\n`;
}

describe("a Service's addresses outside the cluster", () => {
  it("a load balancer's address leads from outside over a node to the pod", () => {
    expect(ask(service(""), "203.0.113.9", "svc:default/web")).toMatch(/^DELIVERED/m);
    expect(ask(service(""), "203.0.113.9", "198.51.100.7:80")).toMatch(/^DELIVERED/m);
  });

  it("a client in the load balancer's own network finds it too", () => {
    expect(ask(service(""), "198.51.100.1", "svc:default/web")).toMatch(/^DELIVERED/m);
  });

  it("a client outside of the source ranges is dropped by the firewall's rule, one inside is not", () => {
    const ranged = service('loadBalancerSourceRanges: ["203.0.113.0/25"]');
    expect(ask(ranged, "203.0.113.200", "svc:default/web")).toBe(
      "net  ip.ttl 64 => 63\nDROPPED\nlast rule in KUBE-PROXY-FIREWALL\n",
    );
    expect(ask(ranged, "203.0.113.9", "svc:default/web")).toMatch(/^DELIVERED/m);
  });

  it("with the policy Local the address enters at a node that has an endpoint", () => {
    const local = loadWorld(
      [{ file: "w.yaml", text: nodes + pod + service("externalTrafficPolicy: Local") }],
      "w",
    );
    if (local.kind !== "cluster") throw new Error("no cluster");
    expect(local.cluster.externalRoutes.map(({ node }) => node.name)).toEqual(["b"]);
    expect(local.cluster.notes.map(({ text }) => text)).toContain(
      "outside traffic to 198.51.100.7 of Service default/web is taken to enter at node b",
    );
  });

  it("an address with ipMode Proxy belongs to a machine outside: nothing is known of it", () => {
    const proxied = service("", "{ip: 198.51.100.7, ipMode: Proxy}");
    expect(ask(proxied, "default/web", "198.51.100.7:80")).toMatch(/^LEFT-CLUSTER/m);
  });

  it("an external IP is captured as well", () => {
    const external = service('externalIPs: ["198.51.100.99"]', "");
    expect(ask(external, "203.0.113.9", "198.51.100.99:80")).toMatch(/^DELIVERED/m);
    expect(ask(external, "a", "198.51.100.99:80")).toMatch(/^DELIVERED/m);
  });
});
