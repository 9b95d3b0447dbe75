import { describe, expect, it } from "vitest";
import { UserError } from "../../../src/base/errors.js";
import { loadObjects } from "../../../src/kube/load.js";
import { renderIptables } from "../../../src/kube/proxy/iptables.js";
import { proxyObjects } from "../../../src/kube/proxy/loaded.js";
import { proxyNode } from "../../../src/kube/proxy/node.js";
import { serviceObjects, serviceState } from "../../../src/kube/proxy/service-state.js";
import { plainConfig } from "./world.js";

const world = (externalName: string): string => `apiVersion: v1
kind: Node
metadata: { name: worker-1, labels: { topology.kubernetes.io/zone: east } }
spec: { podCIDR: 10.244.1.0/24 }
status: { addresses: [{ type: Hostname, address: worker-1 }, { type: InternalIP, address: 192.168.10.11 }] }
---
apiVersion: v1
kind: Service
metadata: { name: api, namespace: shop }
spec:
  clusterIP: 10.96.14.7
  ports:
    - name: ${externalName}
      port: 80
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: api-abcde
  namespace: shop
  labels: { kubernetes.io/service-name: api }
addressType: IPv4
endpoints:
  - addresses: [10.244.1.3]
    nodeName: worker-1
ports:
  - name: http
    port: 8080
`;

describe("objects from the user's files", () => {
  it("become rules", () => {
    const { objects } = loadObjects([{ file: "shop.yaml", text: world("http") }]);
    const [node] = objects.Node.map(({ object }) => proxyNode(object));
    if (node === undefined) throw new Error("no node");
    expect(node).toEqual({
      name: "worker-1",
      labels: { "topology.kubernetes.io/zone": "east" },
      podCIDRs: ["10.244.1.0/24"],
      primaryIPs: ["192.168.10.11"],
      localAddresses: ["127.0.0.1", "::1", "192.168.10.11"],
    });
    const state = serviceState(
      serviceObjects(proxyObjects(objects.Service, objects.EndpointSlice), 4),
      node,
    );
    expect(renderIptables(state, node, plainConfig).text).toContain(
      "-j DNAT --to-destination 10.244.1.3:8080\n",
    );
  });

  it("are refused where the mistake stands", () => {
    const { objects } = loadObjects([{ file: "shop.yaml", text: world('"x y"') }]);
    try {
      serviceObjects(proxyObjects(objects.Service, objects.EndpointSlice), 4);
      expect.unreachable();
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      expect(error.message).toBe("Service shop/api: spec.ports[0].name: not a port name");
      expect(error.details.place).toEqual({ file: "shop.yaml", line: 13, column: 13 });
      expect(error.details.sourceLine).toBe('    - name: "x y"');
    }
  });
});
