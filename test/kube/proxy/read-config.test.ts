import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { UserError, UserErrors } from "../../../src/base/errors.js";
import { DEFAULT_SETTINGS, gateIsOn } from "../../../src/kube/proxy/config.js";
import { readProxyConfiguration, readProxyFlags } from "../../../src/kube/proxy/read-config.js";

/** What kubeadm writes into the kube-proxy ConfigMap. */
const kubeadm = {
  apiVersion: "kubeproxy.config.k8s.io/v1alpha1",
  kind: "KubeProxyConfiguration",
  bindAddress: "0.0.0.0",
  bindAddressHardFail: false,
  clientConnection: {
    acceptContentTypes: "",
    burst: 0,
    contentType: "",
    kubeconfig: "/var/lib/kube-proxy/kubeconfig.conf",
    qps: 0,
  },
  clusterCIDR: "10.244.0.0/16",
  configSyncPeriod: "0s",
  conntrack: { maxPerCore: null, min: null, tcpBeLiberal: false, tcpCloseWaitTimeout: null },
  detectLocal: { bridgeInterface: "", interfaceNamePrefix: "" },
  detectLocalMode: "",
  enableProfiling: false,
  healthzBindAddress: "",
  hostnameOverride: "",
  iptables: {
    localhostNodePorts: null,
    masqueradeAll: false,
    masqueradeBit: null,
    minSyncPeriod: "0s",
    syncPeriod: "0s",
  },
  ipvs: {
    excludeCIDRs: null,
    minSyncPeriod: "0s",
    scheduler: "",
    strictARP: false,
    syncPeriod: "0s",
    tcpTimeout: "0s",
  },
  logging: { flushFrequency: 0, options: { json: { infoBufferSize: "0" } }, verbosity: 0 },
  metricsBindAddress: "",
  mode: "",
  nftables: { masqueradeAll: false, masqueradeBit: null, minSyncPeriod: "0s", syncPeriod: "0s" },
  nodePortAddresses: null,
  oomScoreAdj: null,
  portRange: "",
  showHiddenMetricsForVersion: "",
  winkernel: { enableDSR: false, networkName: "" },
};

const messageOf = (act: () => unknown): string => {
  try {
    act();
  } catch (error) {
    if (error instanceof UserError)
      return `${error.message}${error.details.help === undefined ? "" : ` (${error.details.help})`}`;
    throw error;
  }
  return "nothing was thrown";
};

describe("KubeProxyConfiguration", () => {
  it("as kubeadm writes it differs from the defaults in the cluster CIDR alone", () => {
    expect(readProxyConfiguration(kubeadm)).toEqual({
      ...DEFAULT_SETTINGS,
      clusterCIDRs: ["10.244.0.0/16"],
    });
  });

  it("is read field by field", () => {
    const settings = readProxyConfiguration({
      mode: "iptables",
      clusterCIDR: "10.1.0.0/16,fd00::/56",
      detectLocalMode: "InterfaceNamePrefix",
      detectLocal: { interfaceNamePrefix: "veth" },
      iptables: { masqueradeBit: 31, masqueradeAll: true, localhostNodePorts: false },
      nodePortAddresses: ["primary"],
      featureGates: { PreferSameTrafficDistribution: false },
    });
    expect(settings).toEqual({
      mode: "iptables",
      clusterCIDRs: ["10.1.0.0/16", "fd00::/56"],
      detectLocalMode: "InterfaceNamePrefix",
      bridgeInterface: "",
      interfaceNamePrefix: "veth",
      masqueradeMark: "0x80000000",
      masqueradeAll: true,
      localhostNodePorts: false,
      nodePortAddresses: ["primary"],
      featureGates: { PreferSameTrafficDistribution: false },
    });
    expect(gateIsOn(settings, "PreferSameTrafficDistribution")).toBe(false);
    expect(gateIsOn(DEFAULT_SETTINGS, "PreferSameTrafficDistribution")).toBe(true);
  });

  it("takes the mark of its mode's own section", () => {
    const both = { iptables: { masqueradeBit: 10 }, nftables: { masqueradeBit: 20 } };
    expect(readProxyConfiguration(both).masqueradeMark).toBe("0x00000400");
    expect(readProxyConfiguration({ ...both, mode: "nftables" }).masqueradeMark).toBe("0x00100000");
  });

  it.each([
    [
      { clusterCIDRS: "10.0.0.0/8" },
      'KubeProxyConfiguration: clusterCIDRS: unknown field (did you mean "clusterCIDR"?)',
    ],
    [
      { iptables: { masqueradeAl: true } },
      'KubeProxyConfiguration: iptables.masqueradeAl: unknown field (did you mean "iptables.masqueradeAll"?)',
    ],
    [
      { mode: "ebpf" },
      'KubeProxyConfiguration: mode: unknown value "ebpf" (supported: iptables, nftables, ipvs, userspace)',
    ],
    [{ mode: 5 }, "KubeProxyConfiguration: mode: must be a string"],
    [
      { clusterCIDR: "10.0.0.0" },
      "KubeProxyConfiguration: clusterCIDR: must be a valid CIDR block (e.g. 10.100.0.0/16 or fde4:8dba:82e1::/48)",
    ],
    [
      { iptables: { masqueradeBit: 32 } },
      "KubeProxyConfiguration: iptables.masqueradeBit: must be within the range [0, 31]",
    ],
    [
      { nodePortAddresses: ["primary", "10.0.0.0/8"] },
      "KubeProxyConfiguration: nodePortAddresses: must be a valid CIDR, or primary alone",
    ],
    [
      { detectLocalMode: "BridgeInterface" },
      "KubeProxyConfiguration: detectLocal.bridgeInterface: must be set for detectLocalMode BridgeInterface",
    ],
    [
      { detectLocal: { bridgeInterface: 'a" -j DROP' } },
      'KubeProxyConfiguration: detectLocal.bridgeInterface: "a\\" -j DROP" is not an interface name',
    ],
    ["iptables", "KubeProxyConfiguration must be a mapping"],
  ])("%j is refused with a reason", (value, message) => {
    expect(messageOf(() => readProxyConfiguration(value))).toBe(message);
  });

  it("points at the field", () => {
    const place = { file: "kube-proxy.yaml", line: 7, column: 3 };
    try {
      readProxyConfiguration({ mode: "ebpf" }, (path) =>
        path.join(".") === "mode" ? { place } : undefined,
      );
      expect.unreachable();
    } catch (error) {
      expect(error instanceof UserError && error.details.place).toEqual(place);
    }
  });

  it("throws nothing but user errors, whatever it is given", () => {
    const field = fc.constantFrom(
      ...Object.keys(kubeadm),
      "featureGates",
      "constructor",
      "__proto__",
    );
    const value = fc.oneof(
      fc.anything(),
      fc.dictionary(fc.constantFrom("masqueradeBit", "bridgeInterface", "x"), fc.anything()),
    );
    fc.assert(
      fc.property(fc.oneof(fc.anything(), fc.dictionary(field, value)), (config) => {
        try {
          readProxyConfiguration(config);
        } catch (error) {
          expect(error instanceof UserError || error instanceof UserErrors).toBe(true);
        }
      }),
    );
  });
});

describe("kube-proxy's flags", () => {
  it("set what the configuration sets, and others are passed over", () => {
    const args = [
      "--proxy-mode=iptables",
      "--cluster-cidr",
      "10.1.0.0/16",
      "--masquerade-all",
      "--v=2",
      "--iptables-masquerade-bit=0",
    ];
    const more = [
      "--iptables-localhost-nodeports=false",
      "--nodeport-addresses=10.0.0.0/8,fd00::/8",
      "--feature-gates=A=true,B=false",
    ];
    expect(readProxyFlags([...args, ...more])).toEqual({
      ...DEFAULT_SETTINGS,
      clusterCIDRs: ["10.1.0.0/16"],
      masqueradeAll: true,
      masqueradeMark: "0x00000001",
      localhostNodePorts: false,
      nodePortAddresses: ["10.0.0.0/8", "fd00::/8"],
      featureGates: { A: true, B: false },
    });
  });

  it.each([
    [["--proxy-mode"], "KubeProxyConfiguration: --proxy-mode: flag needs an argument"],
    [
      ["--masquerade-all=maybe"],
      'KubeProxyConfiguration: --masquerade-all: invalid boolean value "maybe"',
    ],
    [
      ["--iptables-masquerade-bit=x"],
      'KubeProxyConfiguration: --iptables-masquerade-bit: invalid argument "x"',
    ],
  ])("%j is refused with a reason", (args, message) => {
    expect(messageOf(() => readProxyFlags(args))).toBe(message);
  });
});
