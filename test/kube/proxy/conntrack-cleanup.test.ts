import type { Endpoint } from "kubernetes-types/discovery/v1.js";
import type { ServiceSpec } from "kubernetes-types/core/v1.js";
import { describe, expect, it } from "vitest";
import { conntrackCleanup, type TrackedFlow } from "../../../src/kube/proxy/conntrack-cleanup.js";
import { serviceObjects, type ServiceObjects } from "../../../src/kube/proxy/service-state.js";
import { service, slice } from "./world.js";

const ports = [{ name: "http", port: 8080, protocol: "UDP" }];

/** One UDP Service 10.96.1.1:80 with these endpoints. */
function udp(endpoints: readonly Endpoint[], spec: ServiceSpec = {}): ServiceObjects {
  const own = { ports: [{ name: "http", port: 80, protocol: "UDP" }], ...spec };
  return serviceObjects(
    { services: [service("dns", own)], endpointSlices: [slice("dns", endpoints, { ports })] },
    4,
  );
}

const flow = (change: Partial<TrackedFlow> = {}): TrackedFlow => ({
  protocol: "udp",
  destination: "10.96.1.1",
  destinationPort: 80,
  replySource: "10.244.2.5",
  ...change,
});

const lines = (objects: ServiceObjects, ...flows: readonly TrackedFlow[]): readonly string[] =>
  conntrackCleanup(objects, flows).map((argv) => argv.join(" "));

const FORGOTTEN = "conntrack -D -p udp --orig-dst 10.96.1.1 --dport 80 --reply-src 10.244.2.5";

describe("kube-proxy's conntrack cleanup", () => {
  it("forgets a UDP flow that is with no endpoint of its Service, once for all its clients", () => {
    const objects = udp([{ addresses: ["10.244.1.7"] }]);
    expect(lines(objects, flow(), flow(), flow({ replySource: "10.244.1.7" }))).toEqual([
      FORGOTTEN,
    ]);
  });

  it("forgets a flow that began before the Service had an endpoint: it was translated to nothing", () => {
    const objects = udp([{ addresses: ["10.244.1.7"] }]);
    expect(lines(objects, flow({ replySource: "10.96.1.1" }))).toHaveLength(1);
  });

  it("keeps flows to an endpoint that serves, terminating or not ready for new ones", () => {
    const conditions = { ready: false, serving: true, terminating: true };
    expect(lines(udp([{ addresses: ["10.244.2.5"], conditions }]), flow())).toEqual([]);
  });

  it("forgets flows to an endpoint that does not serve while another does", () => {
    const conditions = { ready: false, serving: false, terminating: true };
    const objects = udp([{ addresses: ["10.244.2.5"], conditions }, { addresses: ["10.244.1.7"] }]);
    expect(lines(objects, flow())).toEqual([FORGOTTEN]);
  });

  it("keeps all flows of a Service without a serving endpoint", () => {
    expect(lines(udp([]), flow())).toEqual([]);
  });

  it("leaves TCP, other ports and other addresses alone", () => {
    const objects = udp([{ addresses: ["10.244.1.7"] }]);
    const others = [
      flow({ protocol: "other" }),
      flow({ destinationPort: 81 }),
      flow({ destination: "10.96.1.2" }),
    ];
    expect(lines(objects, ...others)).toEqual([]);
  });

  it("looks at external, load-balancer and node ports too", () => {
    const objects = serviceObjects(
      {
        services: [
          service(
            "dns",
            {
              type: "LoadBalancer",
              ports: [{ name: "http", port: 80, protocol: "UDP", nodePort: 30053 }],
              externalIPs: ["198.51.100.7"],
            },
            { status: { loadBalancer: { ingress: [{ ip: "203.0.113.5" }] } } },
          ),
        ],
        endpointSlices: [slice("dns", [{ addresses: ["10.244.1.7"] }], { ports })],
      },
      4,
    );
    const flows = [
      flow({ destination: "198.51.100.7" }),
      flow({ destination: "203.0.113.5" }),
      flow({ destination: "192.168.0.2", destinationPort: 30_053 }),
    ];
    expect(lines(objects, ...flows)).toEqual([
      "conntrack -D -p udp --orig-dst 198.51.100.7 --dport 80 --reply-src 10.244.2.5",
      "conntrack -D -p udp --orig-dst 203.0.113.5 --dport 80 --reply-src 10.244.2.5",
      "conntrack -D -p udp --dport 30053 --reply-src 10.244.2.5",
    ]);
  });

  it("asks for flows of IPv6 by their family", () => {
    const own = { ports: [{ name: "http", port: 80, protocol: "UDP" }], clusterIP: "fd00:96::1" };
    const objects = serviceObjects(
      {
        services: [service("dns", { ...own, clusterIPs: ["fd00:96::1"], ipFamilies: ["IPv6"] })],
        endpointSlices: [
          { ...slice("dns", [{ addresses: ["fd00:244::7"] }], { ports }), addressType: "IPv6" },
        ],
      },
      6,
    );
    const stale = flow({ destination: "fd00:96::1", replySource: "fd00:244::5" });
    expect(lines(objects, stale)).toEqual([
      "conntrack -D -f ipv6 -p udp --orig-dst fd00:96::1 --dport 80 --reply-src fd00:244::5",
    ]);
  });
});
