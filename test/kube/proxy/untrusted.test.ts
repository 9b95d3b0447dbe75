import fc from "fast-check";
import type { Service } from "kubernetes-types/core/v1.js";
import type { EndpointSlice } from "kubernetes-types/discovery/v1.js";
import { describe, expect, it } from "vitest";
import { UserError } from "../../../src/base/errors.js";
import { serviceObjects } from "../../../src/kube/proxy/service-state.js";
import { nodeA, render, service, slice } from "./world.js";

const messageOf = (services: readonly Service[], slices: readonly EndpointSlice[] = []): string => {
  try {
    serviceObjects({ services, endpointSlices: slices }, 4);
  } catch (error) {
    if (error instanceof UserError) return error.message;
    throw error;
  }
  return "nothing was thrown";
};

describe("objects that the API would not have stored", () => {
  it.each([
    [
      service("web", { ports: [{ port: 0 }] }),
      "Service default/web: spec.ports[0].port: must be between 1 and 65535, inclusive",
    ],
    [
      service("web", { ports: [{ port: 80 }, { port: 80.5 }] }),
      "Service default/web: spec.ports[1].port: must be between 1 and 65535, inclusive",
    ],
    [
      service("web", { ports: [{ port: 80, nodePort: 70000 }] }),
      "Service default/web: spec.ports[0].nodePort: must be between 1 and 65535, inclusive",
    ],
    [
      service("web", { ports: [{ port: 80, protocol: "ICMP" }] }),
      'Service default/web: spec.ports[0].protocol: Unsupported value: "ICMP"',
    ],
    [
      service("web", { ports: [{ port: 80, name: 'x" -j ACCEPT' }] }),
      "Service default/web: spec.ports[0].name: not a port name",
    ],
    [
      service("web\n-A INPUT"),
      "Service default/web\\x0a-A INPUT: metadata.name: not a Service name",
    ],
    [
      service("web", {
        sessionAffinity: "ClientIP",
        sessionAffinityConfig: { clientIP: { timeoutSeconds: 0 } },
      }),
      "Service default/web: spec.sessionAffinityConfig.clientIP.timeoutSeconds: must be greater than 0 and less than 86400",
    ],
  ])("are refused by name and field", (one, message) => {
    expect(messageOf([one])).toBe(message);
  });

  it("are refused in EndpointSlices too", () => {
    const ports = [{ name: "http", port: 99999, protocol: "TCP" }];
    expect(messageOf([], [slice("web", [], { ports })])).toBe(
      "EndpointSlice default/web-abcde: ports[0].port: must be between 1 and 65535, inclusive",
    );
  });

  it("have the place of the field where the objects know theirs", () => {
    const place = { file: "web.yaml", line: 9, column: 11 };
    const objects = {
      services: [service("web", { ports: [{ port: 0 }] })],
      endpointSlices: [],
      detailsOf: ({ path }: { readonly path: readonly unknown[] }) =>
        path.join(".") === "spec.ports.0.port" ? { place, sourceLine: "    port: 0" } : undefined,
    };
    try {
      serviceObjects(objects, 4);
      expect.unreachable();
    } catch (error) {
      expect(error instanceof UserError && error.details).toMatchObject({
        place,
        sourceLine: "    port: 0",
      });
    }
  });
});

describe("what kube-proxy only logs", () => {
  it("is noted with the field, and the rest is rendered", () => {
    const web = service("web", {
      type: "LoadBalancer",
      externalIPs: ["nowhere", "203.0.113.9"],
      loadBalancerSourceRanges: ["all"],
    });
    const objects = {
      services: [web],
      endpointSlices: [slice("web", [{ addresses: ["10.0.0"] }])],
    };
    expect(
      serviceObjects(objects, 4).notes.map(({ object, message }) => [
        object.path.join("."),
        message,
      ]),
    ).toEqual([
      ["spec.externalIPs.0", '"nowhere" is not an IP address and is ignored'],
      ["spec.loadBalancerSourceRanges.0", '"all" is not a CIDR and is ignored'],
      ["endpoints.0", '"10.0.0" is not an IP address and is ignored'],
    ]);
    expect(render([web], objects.endpointSlices).text).toContain(
      "-d 203.0.113.9 --dport 80 -j REJECT",
    );
  });
});

describe("any objects of the right kind", () => {
  const text = fc.oneof(
    fc.string({ maxLength: 12 }),
    fc.constantFrom("web", "10.0.0.1", "None", "fd00::1", "Local", 'a"b', "a\nb"),
  );
  const port = fc.record(
    {
      name: text,
      port: fc.oneof(fc.integer(), fc.constant(80)),
      protocol: fc.constantFrom("TCP", "UDP", "SCTP", "x"),
      nodePort: fc.integer(),
    },
    { requiredKeys: ["port"] },
  );
  const services = fc.array(
    fc.record({
      metadata: fc.record({ name: text, namespace: text }, { requiredKeys: [] }),
      spec: fc.record(
        {
          clusterIP: text,
          clusterIPs: fc.array(text),
          ports: fc.array(port),
          externalIPs: fc.array(text),
          type: text,
          loadBalancerSourceRanges: fc.array(text),
        },
        { requiredKeys: [] },
      ),
    }),
    { maxLength: 4 },
  );
  const slices = fc.array(
    fc.record({
      addressType: fc.constantFrom("IPv4", "IPv6", "FQDN"),
      metadata: fc.record({
        name: text,
        namespace: text,
        labels: fc.record({ "kubernetes.io/service-name": text }),
      }),
      endpoints: fc.array(fc.record({ addresses: fc.array(text) })),
      ports: fc.array(port),
    }),
    { maxLength: 4 },
  );

  it("give rules or a user error, and every rule is one line that begins as a rule does", () => {
    fc.assert(
      fc.property(services, slices, (some, others) => {
        let lines: string[];
        try {
          lines = render(some, others, {}, nodeA).text.trimEnd().split("\n");
        } catch (error) {
          if (error instanceof UserError) return;
          throw error;
        }
        for (const line of lines)
          expect(line).toMatch(
            /^(\*(filter|nat)|:KUBE-[-A-Z0-9]+ - \[0:0\]|-A KUBE-[^"\n]*("[^"]*"[^"]*)*|COMMIT)$/,
          );
      }),
      { numRuns: 500 },
    );
  });
});
