import { expect, test } from "vitest";
import {
  formatResolvConf,
  parseResolvConf,
  podResolvConf,
  resolverSettings,
  type KubeletDns,
} from "../../../src/kube/dns/resolv-conf.js";

const kubelet: KubeletDns = {
  nodeResolvConf:
    "# from the node\nnameserver 192.0.2.1\nsearch example.internal.\noptions edns0 trust-ad\n",
  clusterDns: ["10.96.0.10"],
  clusterDomain: "cluster.local",
};

function textOf(pod: Parameters<typeof podResolvConf>[0], own: KubeletDns = kubelet): string {
  return formatResolvConf(podResolvConf(pod, own).conf);
}

const cluster = `search shop.svc.cluster.local svc.cluster.local cluster.local example.internal
nameserver 10.96.0.10
options ndots:5
`;
const node = `search example.internal
nameserver 192.0.2.1
options edns0 trust-ad
`;

test("ClusterFirst gives the cluster's server, its search list before the node's, and ndots 5 alone", () => {
  expect(textOf({ namespace: "shop" })).toBe(cluster);
});

test("ClusterFirst on the host network is Default, unless it says WithHostNet", () => {
  expect(textOf({ namespace: "shop", hostNetwork: true })).toBe(node);
  expect(
    textOf({ namespace: "shop", hostNetwork: true, dnsPolicy: "ClusterFirstWithHostNet" }),
  ).toBe(cluster);
});

test("Default is the node's file; without one the pod asks itself", () => {
  expect(textOf({ namespace: "shop", dnsPolicy: "Default" })).toBe(node);
  expect(
    textOf({ namespace: "shop", dnsPolicy: "Default" }, { ...kubelet, nodeResolvConf: "" }),
  ).toBe("search .\nnameserver 127.0.0.1\n");
});

test("None is dnsConfig alone", () => {
  const dnsConfig = {
    nameservers: ["192.0.2.9"],
    searches: ["a.example"],
    options: [{ name: "ndots", value: "2" }, { name: "rotate" }],
  };
  expect(textOf({ namespace: "shop", dnsPolicy: "None", dnsConfig })).toBe(
    "search a.example\nnameserver 192.0.2.9\noptions ndots:2 rotate\n",
  );
});

test("dnsConfig is added to the policy's, an option of the same name replaced", () => {
  const dnsConfig = {
    nameservers: ["10.96.0.10", "192.0.2.9"],
    searches: ["cluster.local", "b.example"],
    options: [{ name: "ndots", value: "1" }],
  };
  expect(textOf({ namespace: "shop", dnsConfig })).toBe(
    `search shop.svc.cluster.local svc.cluster.local cluster.local example.internal b.example
nameserver 10.96.0.10
nameserver 192.0.2.9
options ndots:1
`,
  );
});

test("without a cluster server the kubelet warns and falls back to Default", () => {
  const made = podResolvConf({ namespace: "shop" }, { ...kubelet, clusterDns: [] });
  expect(formatResolvConf(made.conf)).toBe(node);
  expect(made.warnings[0]).toMatch(
    /^MissingClusterDNS: kubelet does not have ClusterDNS IP configured/,
  );
});

test("a fourth server and a thirty-third search domain are left out with a warning", () => {
  const searches = Array.from({ length: 40 }, (_, at) => `s${at}.example`);
  const made = podResolvConf(
    {
      namespace: "shop",
      dnsConfig: { nameservers: ["192.0.2.2", "192.0.2.3", "192.0.2.4"], searches },
    },
    kubelet,
  );
  expect(made.conf.nameservers).toEqual(["10.96.0.10", "192.0.2.2", "192.0.2.3"]);
  expect(made.conf.searches).toHaveLength(32);
  expect(made.warnings).toHaveLength(2);
});

test("options are kept within glibc's bounds", () => {
  const conf = parseResolvConf("options ndots:99 timeout:0 attempts:x rotate use-vc\n");
  expect(resolverSettings(conf)).toEqual({
    ndots: 15,
    timeout: 1,
    attempts: 2,
    rotate: true,
    singleRequest: false,
    useTcp: true,
    edns0: false,
  });
});
