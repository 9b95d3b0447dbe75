import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { UserError } from "../../src/base/errors.js";
import {
  BandedRange,
  nodePortBand,
  serviceBand,
  serviceRange,
} from "../../src/kube/controllers/banded-range.js";
import { allocateServices } from "../../src/kube/controllers/service-ips.js";
import { formatIpv4, type Ipv4, parseIpv4Prefix } from "../../src/wire/ip.js";
import { load, shown } from "./texts.js";

const cidr = parseIpv4Prefix("10.96.0.0/16") ?? { address: 0 as Ipv4, length: 0 };

function services(...specs: readonly string[]): { stored: string[]; mistakes: string[] } {
  const text = specs
    .map(
      (spec, index) =>
        `apiVersion: v1\nkind: Service\nmetadata: {name: s${index}}\nspec: ${spec}\n`,
    )
    .join("---\n");
  const errors: UserError[] = [];
  const stored = allocateServices(load(text).objects.Service, cidr, errors);
  return {
    stored: stored.map(
      ({ object: { spec } }) =>
        `${spec?.clusterIP ?? "-"} ${(spec?.ports ?? []).map((port) => port.nodePort ?? "-").join(",")}`,
    ),
    mistakes: errors.map(shown),
  };
}

describe("bands", () => {
  test.each([
    ["10.96.0.0/12", 256, "10.96.1.1"],
    ["10.96.0.0/16", 256, "10.96.1.1"],
    ["10.96.0.0/20", 256, "10.96.1.1"],
    ["10.96.0.0/24", 16, "10.96.0.17"],
    ["10.96.0.0/26", 16, "10.96.0.17"],
    ["10.96.0.0/28", 0, "10.96.0.1"],
  ])("of %s the first %i are for those who ask, the others begin at %s", (text, band, first) => {
    const prefix = parseIpv4Prefix(text) ?? cidr;
    expect(serviceBand(2 ** (32 - prefix.length))).toBe(band);
    expect(formatIpv4(serviceRange(prefix).allocate() as Ipv4)).toBe(first);
  });

  test("of the node ports 86 are for those who ask", () => {
    expect(nodePortBand(2768)).toBe(86);
    expect(services("{type: NodePort, ports: [{port: 80}]}").stored).toEqual(["10.96.1.1 30086"]);
  });

  test("a range gives each number once, the band last, and then none", () => {
    fc.assert(
      fc.property(
        fc.nat(40),
        fc.nat(50),
        fc.array(fc.nat(45), { maxLength: 10 }),
        (size, band, asked) => {
          const range = new BandedRange(1, size, band);
          const taken = asked.filter((value) => range.take(value));
          expect(new Set(taken).size).toBe(taken.length);
          const given: number[] = [];
          for (let next = range.allocate(); next !== undefined; next = range.allocate())
            given.push(next);
          expect([...given, ...taken].toSorted((a, b) => a - b)).toEqual(
            Array.from({ length: size }, (_, index) => index + 1),
          );
          const upper = given.filter((value) => value > band);
          expect(given.slice(0, upper.length)).toEqual(upper);
        },
      ),
    );
  });
});

describe("what a Service gets", () => {
  test("addresses that are asked for are taken before any other is given", () => {
    expect(
      services(
        "{ports: [{port: 1}]}",
        "{clusterIP: 10.96.1.1, ports: [{port: 1}]}",
        "{clusterIP: None}",
        "{type: ExternalName, externalName: x.org}",
      ).stored,
    ).toEqual(["10.96.1.2 -", "10.96.1.1 -", "None ", "- "]);
  });

  test("TCP and UDP of one port share a node port, other ports do not", () => {
    expect(
      services(
        "{type: NodePort, ports: [{name: a, port: 53, protocol: UDP}, {name: b, port: 53}, {name: c, port: 54}]}",
      ).stored,
    ).toEqual(["10.96.1.1 30086,30086,30087"]);
    expect(
      services(
        "{type: NodePort, ports: [{name: a, port: 53, protocol: UDP, nodePort: 30000}, {name: b, port: 53, nodePort: 30000}]}",
      ).mistakes,
    ).toEqual([]);
  });

  test("a LoadBalancer has node ports unless it says no", () => {
    expect(
      services(
        "{type: LoadBalancer, ports: [{port: 80}]}",
        "{type: LoadBalancer, allocateLoadBalancerNodePorts: false, ports: [{port: 80}]}",
      ).stored,
    ).toEqual(["10.96.1.1 30086", "10.96.1.2 -"]);
  });

  test.each([
    [
      "taken address",
      [
        "{clusterIP: 10.96.0.5, ports: [{port: 80}]}",
        "{clusterIP: 10.96.0.5, ports: [{port: 80}]}",
      ],
      'world.yaml:9:19: Service default/s1: spec.clusterIPs: Invalid value: ["10.96.0.5"]: failed to allocate IP 10.96.0.5: provided IP is already allocated\nhelp: Service default/s0 (world.yaml:1) has it; leave clusterIP out and one that is free is taken',
    ],
    [
      "address outside",
      ["{clusterIP: 10.97.0.5, ports: [{port: 80}]}"],
      'world.yaml:4:19: Service default/s0: spec.clusterIPs: Invalid value: ["10.97.0.5"]: failed to allocate IP 10.97.0.5: provided IP is not in the valid range. The range of valid IPs is 10.96.0.0/16',
    ],
    [
      "no address",
      ["{clusterIP: here, ports: [{port: 80}]}"],
      'world.yaml:4:19: Service default/s0: spec.clusterIPs: Invalid value: ["here"]: must be a valid IP address',
    ],
    [
      "taken port",
      [
        "{type: NodePort, ports: [{port: 80, nodePort: 30080}]}",
        "{type: NodePort, ports: [{port: 80, nodePort: 30080}]}",
      ],
      "world.yaml:9:53: Service default/s1: spec.ports[0].nodePort: Invalid value: 30080: provided port is already allocated\nhelp: Service default/s0 has it",
    ],
    [
      "port outside",
      ["{type: NodePort, ports: [{port: 80, nodePort: 80}]}"],
      "world.yaml:4:53: Service default/s0: spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid range. The range of valid ports is 30000-32767",
    ],
  ])("%s: the API server's words, at the value", (_what, specs, message) => {
    expect(services(...specs).mistakes).toEqual([message]);
  });
});
