import type { ProxyConfig } from "../../../src/kube/proxy/config.js";
import type { RenderedText } from "../../../src/kube/proxy/rendered-text.js";
import { render, service, slice } from "./world.js";

/** An affine service with one unnamed port, and a service without endpoints: spec/kube-proxy.md 7.8. */
export function secondExample(config: Partial<ProxyConfig>): RenderedText {
  const endpoints = [
    { addresses: ["10.244.1.40"], nodeName: "node-a" },
    { addresses: ["10.244.2.40"], nodeName: "node-b" },
  ];
  const sticky = service("sticky", {
    clusterIP: "10.96.40.40",
    ports: [{ port: 80 }],
    externalIPs: ["198.51.100.9"],
    sessionAffinity: "ClientIP",
    sessionAffinityConfig: { clientIP: { timeoutSeconds: 600 } },
  });
  const empty = service("empty", {
    type: "NodePort",
    clusterIP: "10.96.50.50",
    ports: [
      { name: "http", port: 80, nodePort: 30090 },
      { name: "dns", port: 53, protocol: "UDP" },
    ],
  });
  return render(
    [sticky, empty],
    [slice("sticky", endpoints, { ports: [{ name: "", port: 8080 }] })],
    config,
  );
}

/** The lines that show something new, as a real iptables-save 1.8.9 printed them. */
export const SECOND_EXAMPLE_SAVED: string[] = String.raw`
-A KUBE-EXTERNAL-SERVICES -p tcp -m comment --comment "default/empty:http has no endpoints" -m addrtype --dst-type LOCAL -m tcp --dport 30090 -j REJECT --reject-with icmp-port-unreachable
-A KUBE-FORWARD -m conntrack --ctstate INVALID -m nfacct --nfacct-name  ct_state_invalid_dropped_pkts -j DROP
-A KUBE-SERVICES -d 10.96.50.50/32 -p udp -m comment --comment "default/empty:dns has no endpoints" -m udp --dport 53 -j REJECT --reject-with icmp-port-unreachable
-A KUBE-SERVICES -d 10.96.50.50/32 -p tcp -m comment --comment "default/empty:http has no endpoints" -m tcp --dport 80 -j REJECT --reject-with icmp-port-unreachable
-A KUBE-EXT-BJWR5DPVIKTHVKZU -m comment --comment "masquerade traffic for default/sticky external destinations" -j KUBE-MARK-MASQ
-A KUBE-SEP-ESYWCKUI424ZOH47 -s 10.244.2.40/32 -m comment --comment "default/sticky" -j KUBE-MARK-MASQ
-A KUBE-SEP-ESYWCKUI424ZOH47 -p tcp -m comment --comment "default/sticky" -m recent --set --name KUBE-SEP-ESYWCKUI424ZOH47 --mask 255.255.255.255 --rsource -m tcp -j DNAT --to-destination 10.244.2.40:8080
-A KUBE-SEP-VKZBNW3FJPE25LK2 -s 10.244.1.40/32 -m comment --comment "default/sticky" -j KUBE-MARK-MASQ
-A KUBE-SEP-VKZBNW3FJPE25LK2 -p tcp -m comment --comment "default/sticky" -m recent --set --name KUBE-SEP-VKZBNW3FJPE25LK2 --mask 255.255.255.255 --rsource -m tcp -j DNAT --to-destination 10.244.1.40:8080
-A KUBE-SERVICES -d 10.96.40.40/32 -p tcp -m comment --comment "default/sticky cluster IP" -m tcp --dport 80 -j KUBE-SVC-BJWR5DPVIKTHVKZU
-A KUBE-SERVICES -d 198.51.100.9/32 -p tcp -m comment --comment "default/sticky external IP" -m tcp --dport 80 -j KUBE-EXT-BJWR5DPVIKTHVKZU
-A KUBE-SVC-BJWR5DPVIKTHVKZU ! -s 10.244.0.0/16 -d 10.96.40.40/32 -p tcp -m comment --comment "default/sticky cluster IP" -m tcp --dport 80 -j KUBE-MARK-MASQ
-A KUBE-SVC-BJWR5DPVIKTHVKZU -m comment --comment "default/sticky -> 10.244.1.40:8080" -m recent --rcheck --seconds 600 --reap --name KUBE-SEP-VKZBNW3FJPE25LK2 --mask 255.255.255.255 --rsource -j KUBE-SEP-VKZBNW3FJPE25LK2
-A KUBE-SVC-BJWR5DPVIKTHVKZU -m comment --comment "default/sticky -> 10.244.2.40:8080" -m recent --rcheck --seconds 600 --reap --name KUBE-SEP-ESYWCKUI424ZOH47 --mask 255.255.255.255 --rsource -j KUBE-SEP-ESYWCKUI424ZOH47
-A KUBE-SVC-BJWR5DPVIKTHVKZU -m comment --comment "default/sticky -> 10.244.1.40:8080" -m statistic --mode random --probability 0.50000000000 -j KUBE-SEP-VKZBNW3FJPE25LK2
-A KUBE-SVC-BJWR5DPVIKTHVKZU -m comment --comment "default/sticky -> 10.244.2.40:8080" -j KUBE-SEP-ESYWCKUI424ZOH47
`
  .trim()
  .split("\n");
