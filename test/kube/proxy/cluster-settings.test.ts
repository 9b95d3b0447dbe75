import { describe, expect, it } from "vitest";
import type { UserError } from "../../../src/base/errors.js";
import { clusterProxyConfig } from "../../../src/kube/proxy/cluster-settings.js";
import { cluster } from "../texts.js";

const configMap = (conf: string): string =>
  `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: kube-proxy, namespace: kube-system}\ndata:\n  config.conf: |\n    ${conf}\n`;
const daemonSet = (command: string): string =>
  `apiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: kube-proxy, namespace: kube-system}\nspec: {selector: {matchLabels: {k: p}}, template: {metadata: {labels: {k: p}}, spec: {hostNetwork: true, containers: [{name: kube-proxy, command: ${command}}]}}}\n`;

const settings = (...texts: readonly string[]): ReturnType<typeof clusterProxyConfig> =>
  clusterProxyConfig(cluster(texts.join("---\n")));

describe("how the cluster's kube-proxy is set", () => {
  it("by kube-proxy's defaults and the pod network where nothing says otherwise", () => {
    expect(settings("apiVersion: v1\nkind: Namespace\nmetadata: {name: n}\n")).toMatchObject({
      masqueradeAll: false,
      clusterCIDRs: ["10.244.0.0/16"],
      detectLocalMode: "ClusterCIDR",
    });
  });

  it("by the ConfigMap that --config names, which other flags do not change", () => {
    expect(
      settings(
        configMap("{iptables: {masqueradeAll: true}}"),
        daemonSet(
          "[/usr/local/bin/kube-proxy, --config=/var/lib/kube-proxy/config.conf, --masquerade-all=false]",
        ),
      ),
    ).toMatchObject({ masqueradeAll: true });
  });

  it("by flags alone where no --config is among them", () => {
    expect(
      settings(
        configMap("{iptables: {masqueradeAll: true}}"),
        daemonSet(
          "[kube-proxy, --cluster-cidr=10.1.0.0/16, --detect-local-mode, NodeCIDR, --iptables-masquerade-bit=4]",
        ),
      ),
    ).toMatchObject({
      masqueradeAll: false,
      clusterCIDRs: ["10.1.0.0/16"],
      detectLocalMode: "NodeCIDR",
      masqueradeMark: "0x00000010",
    });
  });

  it("a wrong value is told at the ConfigMap", () => {
    try {
      settings(configMap("{iptables: {masqueradeBit: 40}}"));
      expect.fail("40 is no bit");
    } catch (error) {
      const { message, details } = error as UserError;
      expect(message).toBe(
        "KubeProxyConfiguration: iptables.masqueradeBit: must be within the range [0, 31]",
      );
      expect(details.place?.line).toBe(5);
    }
  });
});
