import { describe, expect, it } from "vitest";
import { probability } from "../../../src/kube/proxy/iptables-endpoints.js";
import { nameHash, serviceChains, servicePortName } from "../../../src/kube/proxy/names.js";
import { golden } from "./cases.js";

describe("chain names", () => {
  const hashes = golden.nameHashes.filter(({ kind }) => kind.startsWith("iptables"));

  it.each(hashes.map(({ input, chain }) => [input, chain] as const))(
    "%s hashes to %s",
    (input, chain) => {
      expect(chain.endsWith(`-${nameHash(input, 16)}`)).toBe(true);
    },
  );

  it("differ by protocol, and share one hash among the chains of a port", () => {
    const tcp = serviceChains("ns1/svc1:p80", "tcp");
    expect(Object.values(tcp)).toEqual(
      ["SVC", "SVL", "EXT", "FW"].map((kind) => `KUBE-${kind}-XPGD46QRK7WJZT7O`),
    );
    expect(serviceChains("ns1/svc1:p80", "udp").cluster).not.toBe(tcp.cluster);
  });

  it("leave the colon out for a port without a name", () => {
    expect(servicePortName("default", "sticky", "")).toBe("default/sticky");
    expect(serviceChains("default/sticky", "tcp").cluster).toBe("KUBE-SVC-BJWR5DPVIKTHVKZU");
  });
});

describe("probabilities", () => {
  it.each(golden.probabilities.map(({ n, text }) => [n, text] as const))(
    "one of %i is %s",
    (n, text) => {
      expect(probability(n)).toBe(text);
    },
  );
});
